//! Admins: who somebody at the API is, what they may do, and how roles are given and taken.
//!
//! A person's role is read at each request, so one that is taken away counts no more at once; a client's stands in its
//! registration. A role belongs to the customer row it was given to and moves nowhere (`store::admin_roles`).

use std::time::Duration;

use serde_json::json;

use super::role::{self, Act};
use crate::clock::Timestamp;
use crate::events::Actor;
use crate::identity::address::EmailAddress;
use crate::identity::merge::Initiator;
use crate::identity::namespace::Namespace;
use crate::ids::{CustomerId, EventId};
use crate::oidc::client::Client;
use crate::protocol::admin_role::AdminRole;
use crate::protocol::token::AccessTokenClaims;
use crate::store::{self, AdminRow, AdminView, AuditEntry, CustomerState, Store, Tx};

/// For how long a login counts as fresh.
pub const FRESH_FOR: Duration = Duration::from_secs(30 * 60);

/// Somebody with a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    pub who: Who,
    pub role: AdminRole,
    /// When they proved who they are; for a client, when it got its token.
    pub proved_at: Timestamp,
}

/// A person or a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    Customer(CustomerId),
    Client(String),
}

impl Admin {
    /// Whether they may do it.
    pub fn may(&self, act: Act) -> bool {
        role::may(self.role, act)
    }

    /// Whether their login is fresh enough for what cannot be taken back.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        now < self.proved_at + FRESH_FOR
    }

    /// The one name by which they act, propose and approve: nobody has two, lest they approve what they proposed.
    pub fn name(&self) -> String {
        match &self.who {
            Who::Customer(customer) => customer.to_string(),
            Who::Client(client) => format!("client:{client}"),
        }
    }

    /// Who they are in events and in the audit log.
    pub fn actor(&self) -> Actor {
        Actor::Admin(self.name())
    }

    /// Who they are to the rules of merging.
    pub fn initiator(&self) -> Initiator {
        let customer = match &self.who {
            Who::Customer(customer) => Some(*customer),
            Who::Client(_) => None,
        };
        Initiator::Admin { name: self.name(), customer }
    }
}

/// Who presents an access token that is good: `None` if they have no role.
///
/// RFC 9068 §5: a token whose subject is its client is the client's own. No client ID looks like a customer's subject.
/// `holder` is whose session the token is bound to: a login that sees its own side of a merge only (identity
/// specification, rule 25) is not the admin whom its subject may come to mean.
///
/// # Errors
/// If the database fails.
pub async fn of_token(
    store: &Store,
    client: &Client,
    claims: &AccessTokenClaims,
    holder: Option<CustomerId>,
) -> Result<Option<Admin>, store::Error> {
    if claims.sub == client.id() {
        let proved_at = Timestamp::from_seconds(claims.iat);
        let who = Who::Client(client.id().to_owned());
        return Ok(client.metadata.admin_role.map(|role| Admin { who, role, proved_at }));
    }
    let view = store.begin_read().await?.admin_view_by_sub(&client.sector, &claims.sub).await?;
    let proved_at = Timestamp::from_seconds(claims.auth_time.unwrap_or_default());
    let counts = |view: &AdminView| {
        view.state == CustomerState::Active
            && holder.is_none_or(|holder| holder == view.customer)
            && view.sessions_from.is_none_or(|from| proved_at >= from)
    };
    Ok(view
        .filter(counts)
        .and_then(|view| Some(Admin { who: Who::Customer(view.customer), role: view.role?, proved_at })))
}

/// What a browser's session is worth at the desk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Admin(Admin),
    /// The login counts no more, because of a merge or its undoing: they must sign in again.
    Outdated,
    /// Somebody without a role.
    Nobody,
}

/// Who is behind a session of this customer row, which proved itself at `proved_at`. The same rules as for a token: the
/// role is that row's own, and a row that was absorbed has none.
///
/// # Errors
/// If the database fails.
pub async fn of_session(store: &Store, customer: CustomerId, proved_at: Timestamp) -> Result<Standing, store::Error> {
    let view = store.begin_read().await?.admin_view(customer).await?;
    let Some(view) = view.filter(|view| view.state == CustomerState::Active) else { return Ok(Standing::Nobody) };
    Ok(match view.role {
        _ if view.sessions_from.is_some_and(|from| proved_at < from) => Standing::Outdated,
        Some(role) => Standing::Admin(Admin { who: Who::Customer(customer), role, proved_at }),
        None => Standing::Nobody,
    })
}

/// What became of a change of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Done,
    /// It was so already.
    Nothing,
    /// Whoever cannot sign in can have no role.
    NotActive,
    /// Nobody changes their own role, so that an installation is not left without an owner by a slip.
    Own,
    /// Whoever does it may not, or no more.
    NotAllowed,
}

/// Locks the rows of whoever changes a role and of whose it is, in the order of their IDs, and says why it may not be: of
/// two owners who take each other's role at once, one does.
///
/// # Errors
/// If the database fails.
pub async fn lock(tx: &mut Tx, actor: &Actor, customer: CustomerId) -> Result<Option<Change>, store::Error> {
    let Actor::Admin(name) = actor else { return Ok(None) };
    // A program's role stands in its registration, and the command line has none.
    let Ok(own) = name.parse::<CustomerId>() else { return Ok(None) };
    if own == customer {
        return Ok(Some(Change::Own));
    }
    tx.roots_lock(own, customer).await?;
    let role = tx.admin_find(own).await?.map(|admin| admin.role);
    Ok((!role.is_some_and(|role| role::may(role, Act::ChangeAdmins))).then_some(Change::NotAllowed))
}

/// A word for the role that somebody has. Giving a role makes another one, even if it was theirs before.
pub fn version(row: Option<&AdminRow>) -> String {
    row.map_or_else(|| "none".to_owned(), |row| format!("{}.{}", row.role, row.granted_at.micros()))
}

/// The living customer behind a customer ID or a proved address.
///
/// # Errors
/// If the database fails.
pub async fn find(tx: &mut Tx, text: &str) -> Result<Option<CustomerId>, store::Error> {
    if let Ok(id) = text.trim().parse::<CustomerId>() {
        return Ok(tx.customer_living(id).await?.map(|customer| customer.id));
    }
    match EmailAddress::parse(text) {
        Ok(address) => tx.link_resolve(&Namespace::Email.to_string(), address.normalized()).await,
        Err(_) => Ok(None),
    }
}

/// The same for somebody who has a role, which they keep though they be merged: so that it can be taken away.
///
/// # Errors
/// If the database fails.
pub async fn find_admin(tx: &mut Tx, text: &str) -> Result<Option<CustomerId>, store::Error> {
    if let Ok(id) = text.trim().parse::<CustomerId>()
        && tx.admin_find(id).await?.is_some()
    {
        return Ok(Some(id));
    }
    match find(tx, text).await? {
        Some(id) => Ok(tx.admin_find(id).await?.map(|admin| admin.customer)),
        None => Ok(None),
    }
}

/// Gives a living customer a role. Giving the same again changes nothing.
///
/// # Errors
/// If the database fails.
pub async fn grant(
    tx: &mut Tx,
    customer: CustomerId,
    role: AdminRole,
    actor: &Actor,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Change, store::Error> {
    if let Some(refused) = lock(tx, actor, customer).await? {
        return Ok(refused);
    }
    let living = tx.customer_lock(customer).await?;
    let Some(living) = living.filter(|living| living.state == CustomerState::Active && living.id == customer) else {
        return Ok(Change::NotActive);
    };
    let before = tx.admin_find(living.id).await?.map(|admin| admin.role);
    let row = AdminRow { customer: living.id, role, granted_by: actor.as_text(), granted_at: now };
    if !tx.admin_grant(&row).await? {
        return Ok(Change::Nothing);
    }
    let detail = json!({ "role": role, "before": before, "reason": reason });
    tx.audit_append(&entry("admin.granted", customer, actor, detail, now)).await?;
    Ok(Change::Done)
}

/// Takes a customer's role away. Taking it again changes nothing.
///
/// # Errors
/// If the database fails.
pub async fn revoke(
    tx: &mut Tx,
    customer: CustomerId,
    actor: &Actor,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Change, store::Error> {
    if let Some(refused) = lock(tx, actor, customer).await? {
        return Ok(refused);
    }
    let before = tx.admin_find(customer).await?.map(|admin| admin.role);
    if !tx.admin_revoke(customer).await? {
        return Ok(Change::Nothing);
    }
    tx.audit_append(&entry("admin.revoked", customer, actor, json!({ "before": before, "reason": reason }), now))
        .await?;
    Ok(Change::Done)
}

/// Puts on record that an admin looked at customers: one entry, about the one, or naming them all.
///
/// # Errors
/// If the database fails.
pub async fn record_look(
    tx: &mut Tx,
    admin: &Admin,
    what: &str,
    customers: &[CustomerId],
    now: Timestamp,
) -> Result<(), store::Error> {
    let (about, detail) = match customers {
        [] => return Ok(()),
        [one] => (Some(*one), json!({ "what": what })),
        several => (None, json!({ "what": what, "customers": several })),
    };
    let entry = AuditEntry {
        id: EventId::new(now),
        at: now,
        actor: admin.actor().as_text(),
        action: "admin.looked".to_owned(),
        customer: about,
        detail,
    };
    tx.audit_append(&entry).await
}

fn entry(action: &str, customer: CustomerId, actor: &Actor, detail: serde_json::Value, now: Timestamp) -> AuditEntry {
    let (actor, action) = (actor.as_text(), action.to_owned());
    AuditEntry { id: EventId::new(now), at: now, actor, action, customer: Some(customer), detail }
}
