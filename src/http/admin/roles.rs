//! Who may administer customers, and as what: seen, given and taken away by owners.
//!
//! Experience specification, rule 10. Nobody changes their own role, so that an owner stays. What may be is `board`'s to
//! say, as for the API; a change is made for the role that was seen.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::access::{At, Desk, Form, Visitor};
use super::acts::{self, Ended, no_reason, reason};
use super::done::{self, Done};
use super::frame::{Frame, Here, Moment, Person};
use super::timeline::Actors;
use super::words;
use crate::board::admin::{self, Change};
use crate::board::role::Act;
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::ids::CustomerId;
use crate::protocol::admin_role::AdminRole;
use crate::session::pending::{AgreedRole, DeskAction};
use crate::store::{CustomerState, Tx};

const LIST: &str = "/admin/roles";
/// The longest text that can be an ID or an address.
const MAX_TEXT: usize = 320;

#[derive(Template)]
#[template(path = "desk/roles.html", config = ".askama.toml")]
struct RolesPage<'a> {
    frame: Frame<'a>,
    admins: Vec<AdminLine>,
    /// Programs, whose role stands in their registration.
    programs: Vec<(String, String, AdminRole)>,
    who: String,
    problem: &'static str,
}

impl View for RolesPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

struct AdminLine {
    person: Person,
    role: AdminRole,
    by: String,
    at: Moment,
    me: bool,
}

#[derive(Template)]
#[template(path = "desk/role.html", config = ".askama.toml")]
struct RolePage<'a> {
    frame: Frame<'a>,
    person: Person,
    now: Option<AdminRole>,
    roles: Vec<RoleView>,
    seen: String,
    reason: String,
    notice: &'static str,
    /// Why it cannot be changed; empty if it can.
    refusal: &'static str,
}

impl View for RolePage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

/// A role that can be given.
struct RoleView {
    role: AdminRole,
    words: &'static str,
    chosen: bool,
}

/// Everybody with a role. `who` leads to the page of somebody.
pub async fn list(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeAdmins)?;
    let who = words::cut(desk.params.get("who").unwrap_or_default().trim(), MAX_TEXT);
    let mut tx = desk.app.store().begin_read().await?;
    let mut problem = "";
    if !who.is_empty() {
        match admin::find(&mut tx, &who).await? {
            Some(customer) => return Ok(Redirect::to(&format!("{LIST}/{customer}")).into_response()),
            None => problem = "Nobody is known by this customer ID or proved address.",
        }
    }
    let rows = tx.admins().await?;
    let actors = Actors::of(&mut tx, rows.iter().map(|row| row.granted_by.as_str())).await?;
    let mut admins = Vec::new();
    for row in rows {
        let person = tx.customer_find(row.customer).await?;
        admins.push(AdminLine {
            person: person.as_ref().map_or_else(
                || Person::named(row.customer, &crate::identity::profile::Profile::default()),
                Person::from,
            ),
            role: row.role,
            by: actors.name(&row.granted_by),
            at: Moment(row.granted_at),
            me: row.customer == desk.session.customer,
        });
    }
    // The highest first; among equals whoever came first.
    admins.sort_by_key(|line| std::cmp::Reverse(line.role));
    let programs = desk.app.provider.clients.with_admin_role();
    let program = |client: &crate::oidc::client::Client| {
        client.metadata.admin_role.map(|role| (client.name().to_owned(), client.id().to_owned(), role))
    };
    let page = RolesPage {
        frame: Frame::of(&desk, Here::Roles).await?,
        admins,
        programs: programs.iter().filter_map(|client| program(client)).collect(),
        who,
        problem,
    };
    Ok(page.page().into_response())
}

/// The role of somebody, and those that could be theirs.
pub async fn see(visitor: Visitor, At(customer): At<CustomerId>) -> Result<Response, Failure> {
    let desk = visitor.to(Act::ChangeAdmins)?;
    show(&desk, customer, ("", ""), None).await
}

async fn show(
    desk: &Desk,
    customer: CustomerId,
    (notice, reason): (&'static str, &str),
    wanted: Option<Option<AdminRole>>,
) -> Result<Response, Failure> {
    let mut tx = desk.app.store().begin_read().await?;
    let Some(found) = tx.customer_find(customer).await? else { return Err(desk.missing()) };
    let row = tx.admin_find(customer).await?;
    drop(tx);
    let now = row.as_ref().map(|row| row.role);
    let active = found.state == CustomerState::Active;
    let refusal = if customer == desk.session.customer {
        "This is you: nobody changes their own role. Another owner can."
    } else if !active && now.is_none() {
        "Nobody signs in as this customer, so they can have no role."
    } else {
        ""
    };
    let chosen = wanted.unwrap_or(now);
    let view = |role: AdminRole| RoleView { role, words: what_it_may(role), chosen: chosen == Some(role) };
    // Whoever cannot sign in can only lose theirs.
    let roles = if active { AdminRole::ALL.into_iter().map(view).collect() } else { Vec::new() };
    let page = RolePage {
        frame: Frame::of(desk, Here::Roles).await?,
        person: Person::from(&found),
        now,
        roles,
        seen: admin::version(row.as_ref()),
        reason: reason.to_owned(),
        notice,
        refusal,
    };
    Ok(page.page().into_response())
}

/// Gives `role`, or takes any away if it is `none`.
pub async fn post(At(customer): At<CustomerId>, Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::ChangeAdmins)?;
    let role = match desk.params.get("role") {
        Some("none") => Some(None),
        Some(name) => name.parse::<AdminRole>().ok().map(Some),
        None => None,
    };
    let seen = desk.params.owned("seen").filter(|seen| seen.len() <= 64);
    let (Some(role), Some(seen)) = (role, seen) else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    acts::press(desk, DeskAction::Role(AgreedRole { customer, role, seen, reason })).await
}

/// Changes the role as it was agreed to. Twice is once.
pub async fn perform(desk: &Desk, agreed: AgreedRole) -> Result<Response, Ended> {
    let AgreedRole { customer, role, seen, reason } = agreed;
    let mut tx = desk.app.store().begin().await?;
    let changed = change(&mut tx, desk, (customer, role), &seen, &reason).await?;
    match changed {
        Changed::To(Change::Done) => {
            tx.commit().await?;
            Ok(done::to(desk, LIST, Done::RoleChanged).await)
        }
        Changed::To(Change::Nothing) => Ok(done::to(desk, LIST, Done::Already).await),
        Changed::Stale => {
            again(desk, tx, (customer, role), "Nothing was done: their role was changed since you looked.", &reason)
                .await
        }
        Changed::To(Change::NotActive) => {
            again(desk, tx, (customer, role), "Nothing was done: nobody signs in as this customer.", &reason).await
        }
        Changed::To(Change::Own) => {
            again(desk, tx, (customer, role), "Nothing was done: nobody changes their own role.", &reason).await
        }
        Changed::To(Change::NotAllowed) => {
            let text = "Somebody has taken your role away at this moment. Nothing was done.";
            Ok(acts::refusal(desk, StatusCode::FORBIDDEN, "Your role does not allow this", text, None))
        }
        Changed::Unknown => Err(desk.missing().into()),
    }
}

enum Changed {
    To(Change),
    /// It is not the role that was seen.
    Stale,
    Unknown,
}

async fn change(
    tx: &mut Tx,
    desk: &Desk,
    (customer, role): (CustomerId, Option<AdminRole>),
    seen: &str,
    reason: &str,
) -> Result<Changed, crate::store::Error> {
    let (actor, now) = (desk.admin.actor(), desk.context.now);
    if let Some(refused) = admin::lock(tx, &actor, customer).await? {
        return Ok(Changed::To(refused));
    }
    if tx.customer_find(customer).await?.is_none() {
        return Ok(Changed::Unknown);
    }
    let row = tx.admin_find(customer).await?;
    if row.as_ref().map(|row| row.role) == role {
        return Ok(Changed::To(Change::Nothing));
    }
    if admin::version(row.as_ref()) != seen {
        return Ok(Changed::Stale);
    }
    Ok(Changed::To(match role {
        Some(role) => admin::grant(tx, customer, role, &actor, Some(reason), now).await?,
        None => admin::revoke(tx, customer, &actor, Some(reason), now).await?,
    }))
}

async fn again(
    desk: &Desk,
    tx: Tx,
    (customer, role): (CustomerId, Option<AdminRole>),
    notice: &'static str,
    reason: &str,
) -> Result<Response, Ended> {
    drop(tx);
    let mut response = show(desk, customer, (notice, reason), Some(role)).await?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

/// What a role adds to the ones below it.
const fn what_it_may(role: AdminRole) -> &'static str {
    match role {
        AdminRole::Viewer => "sees customers and what waits for a decision",
        AdminRole::Support => {
            "also sees dry runs and the audit log, ends sessions, and disconnects accounts or lets them in again"
        }
        AdminRole::Merger => "also merges and parts customers, says who is not the same, and settles what waits",
        AdminRole::Approver => "also approves what others propose",
        AdminRole::Owner => "also places legal holds, erases customers, and gives and takes roles",
    }
}
