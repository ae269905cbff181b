//! Unlinking: an account at a provider stops being a way in (spec/identity.md rules 18 and 19).
//!
//! The customer's row is locked first, so that of two who remove the last two ways at once exactly one succeeds. The
//! sessions that came in through the link are ended by the caller; what else rested on it is settled here.

use serde_json::Value;

use super::address::EmailAddress;
use super::limit;
use super::linking::delivered_address;
use super::merge::side;
use super::namespace::{Namespace, Rules};
use super::other_names;
use super::profile::Profile;
use super::sign_in::{added, email_link};
use crate::clock::Timestamp;
use crate::config::{Config, ConnectorConfig, EmailTrust, NamespacesConfig};
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::jobs::Task;
use crate::session::FOR_EVER;
use crate::store::{self, CredentialKind, CredentialState, Link, Tx};

/// The ways to log in that this installation offers at all.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// IDs of the configured connectors.
    pub connectors: Vec<String>,
    /// Those of them whose word for an address is believed.
    pub vouching: Vec<String>,
    pub password: bool,
    /// What the namespaces declare.
    pub namespaces: NamespacesConfig,
}

impl Ways {
    /// Those of an installation.
    pub fn offered(config: &Config) -> Self {
        let ids = |connectors: &mut dyn Iterator<Item = &ConnectorConfig>| {
            connectors.map(|connector| connector.id.clone()).collect::<Vec<String>>()
        };
        let believed = |connector: &&ConnectorConfig| connector.email_trust() != EmailTrust::Unverified;
        Self {
            connectors: ids(&mut config.connectors.iter()),
            vouching: ids(&mut config.connectors.iter().filter(believed)),
            password: config.password.enabled,
            namespaces: config.namespaces.clone(),
        }
    }
}

/// By whose word a link is removed.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// The customer's, who keeps a way in.
    Customer,
    /// An admin's, even the last way in, for a reason that is kept.
    Admin { name: &'a str, reason: &'a str },
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Unlinked {
    /// What is left to do: whatever came in through any link that the account ever had ends, and the tokens that its
    /// provider gave us go back.
    Removed(Vec<Task>),
    /// Without it the customer could not log in any more.
    LastWay,
    /// It opens another side of a merge, and whoever asked has not proved that one (rule 25).
    Unproved,
    /// The customer has no such link, or none that can be removed.
    NotThere,
}

/// Removes one of a customer's accounts at providers.
///
/// # Errors
/// If the database fails.
pub async fn remove(
    tx: &mut Tx,
    customer: CustomerId,
    link: LinkId,
    ways: &Ways,
    authority: Authority<'_>,
    now: Timestamp,
) -> Result<Unlinked, store::Error> {
    let Some(root) = tx.customer_lock(customer).await? else { return Err(store::Error::Contention) };
    let Some(parting) = Parting::of(tx, customer, link).await? else { return Ok(Unlinked::NotThere) };
    let actor = match authority {
        // A wrong merge must not let one lock the other out.
        Authority::Customer if !side::leading_rows(tx, customer).await?.contains(&parting.gone.customer) => {
            return Ok(Unlinked::Unproved);
        }
        Authority::Customer if !can_log_in(tx, customer, &parting.left(ways), ways).await? => {
            return Ok(Unlinked::LastWay);
        }
        Authority::Customer => Actor::Customer,
        Authority::Admin { name, .. } => Actor::Admin(name.to_owned()),
    };
    let Parting { gone, twins, account, resting, mut links } = parting;
    let mut tasks = Vec::new();
    let mut events = Vec::new();
    for link in std::iter::once(&gone).chain(&twins) {
        tasks.extend(give_back(tx, link).await?);
        tx.link_end(link.id, now).await?;
        events.push(removed(link));
    }
    // After the links have ended: a code that is redeemed at this moment waits for them, or is here to be revoked.
    for link in &account {
        tx.grants_revoke_link(root.id, *link, "unlinked", now, now).await?;
        tx.flags_clear(*link, now).await?;
        tasks.push(Task::EndSessions { link: *link, until: FOR_EVER });
    }
    if let Authority::Admin { reason, .. } = authority {
        events.push(Event::LinkForcedOff { link: gone.id, reason: reason.to_owned() });
    }
    for address in &resting {
        match voucher(address, &links, ways).map(|other| other.source.clone()) {
            Some(other) => events.push(prove_by(tx, address, &other, now).await?),
            None => events
                .extend(unprove(tx, root.id, address, &mut links, Rules { namespaces: &ways.namespaces, now }).await?),
        }
    }
    events::record_all(tx, root.id, actor, events, now).await?;
    Ok(Unlinked::Removed(tasks))
}

/// What removing one of a customer's accounts at providers would do; `None` if they have no such live link.
///
/// # Errors
/// If the database fails.
pub async fn effect(
    tx: &mut Tx,
    customer: CustomerId,
    link: LinkId,
    ways: &Ways,
) -> Result<Option<Effect>, store::Error> {
    let Some(parting) = Parting::of(tx, customer, link).await? else { return Ok(None) };
    let leaves_a_way = can_log_in(tx, customer, &parting.left(ways), ways).await?;
    let unproved = parting.unproved(ways).into_iter().cloned().collect();
    Ok(Some(Effect { account: parting.account, unproved, leaves_a_way }))
}

/// What would become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// Every link that the account ever had: the sessions that came in through any of them end.
    pub account: Vec<LinkId>,
    /// Addresses for which nobody would vouch any more.
    pub unproved: Vec<Link>,
    /// Whether the customer could still log in.
    pub leaves_a_way: bool,
}

/// A link with all that goes with it, and what the customer is left with.
struct Parting {
    gone: Link,
    /// While a provider moves an account it has two links, and goes with both.
    twins: Vec<Link>,
    account: Vec<LinkId>,
    /// Addresses whose proof was the word of its provider.
    resting: Vec<Link>,
    /// The others.
    links: Vec<Link>,
}

impl Parting {
    async fn of(tx: &mut Tx, customer: CustomerId, link: LinkId) -> Result<Option<Self>, store::Error> {
        let mut links = side::links(tx, customer).await?;
        let found = links.iter().position(|candidate| candidate.id == link && connector_of(candidate).is_some());
        let Some(at) = found else { return Ok(None) };
        let gone = links.remove(at);
        let account = other_names::links_of_account(tx, gone.id).await?;
        let twins: Vec<Link> = links.extract_if(.., |link| account.contains(&link.id)).collect();
        let resting = resting_on(&gone, &links).cloned().collect();
        Ok(Some(Self { gone, twins, account, resting, links }))
    }

    fn unproved(&self, ways: &Ways) -> Vec<&Link> {
        self.resting.iter().filter(|link| voucher(link, &self.links, ways).is_none()).collect()
    }

    fn left(&self, ways: &Ways) -> Vec<&Link> {
        let unproved = self.unproved(ways);
        self.links.iter().filter(|link| unproved.iter().all(|gone| gone.id != link.id)).collect()
    }
}

/// Takes the provider's tokens of a link away, to give them back: Apple asks for it, and whoever disconnects an account
/// expects it. Whoever erases a customer does the same with each of their links.
///
/// # Errors
/// If the database fails.
pub async fn give_back(tx: &mut Tx, link: &Link) -> Result<Option<Task>, store::Error> {
    let Some(connector) = connector_of(link) else { return Ok(None) };
    let refresh = tx.upstream_tokens_take(link.id).await?;
    Ok(refresh.map(|sealed| Task::Revoke { connector, subject: link.external_id.clone(), sealed }))
}

/// The connector of a social link.
pub fn connector_of(link: &Link) -> Option<String> {
    match Namespace::parse(&link.namespace) {
        Some(Namespace::Social(connector)) => Some(connector),
        _ => None,
    }
}

/// Whether any way in is left: an account at a provider that is still offered, or a password with an address to it.
async fn can_log_in(tx: &mut Tx, customer: CustomerId, left: &[&Link], ways: &Ways) -> Result<bool, store::Error> {
    // What opens another side of a merge only is no way in (rule 25).
    let leading = side::leading_rows(tx, customer).await?;
    let left: Vec<&Link> = left.iter().copied().filter(|link| leading.contains(&link.customer)).collect();
    let offered = |link: &&Link| {
        link.disabled_at.is_none() && connector_of(link).is_some_and(|connector| ways.connectors.contains(&connector))
    };
    if left.iter().any(offered) {
        return Ok(true);
    }
    let email = Namespace::Email.to_string();
    let root = tx.customer_living(customer).await?.map_or(customer, |root| root.id);
    let credentials = if ways.password { tx.credentials_of(root).await? } else { vec![] };
    Ok(credentials
        .iter()
        .filter(|credential| credential.kind == CredentialKind::Password && credential.state == CredentialState::Live)
        .any(|password| leading.contains(&password.customer) && left.iter().any(|link| link.namespace == email)))
}

/// The addresses whose proof was the word of the provider of a link that is gone. One that another account at the same
/// provider may have brought is left alone: which of the two it was is not written down.
fn resting_on<'a>(gone: &'a Link, left: &'a [Link]) -> impl Iterator<Item = &'a Link> {
    let email = Namespace::Email.to_string();
    let brought = delivered_address(gone);
    let has_another = left.iter().any(|link| link.namespace == gone.namespace);
    left.iter().filter(move |link| {
        let is_it = brought.as_ref().is_some_and(|address| address.normalized() == link.external_id);
        link.namespace == email && link.proof.as_deref() == Some(gone.source.as_str()) && (is_it || !has_another)
    })
}

/// Another account of the customer's whose provider vouches for an address.
fn voucher<'a>(address: &Link, left: &'a [Link], ways: &Ways) -> Option<&'a Link> {
    left.iter().find(|link| {
        let believed = connector_of(link).is_some_and(|connector| ways.vouching.contains(&connector));
        let brings = delivered_address(link).is_some_and(|brought| brought.normalized() == address.external_id);
        link.disabled_at.is_none() && believed && brings && is_true(link.profile.get("email_verified"))
    })
}

/// Apple and others send booleans as text.
fn is_true(value: Option<&Value>) -> bool {
    value.is_some_and(|value| value.as_bool() == Some(true) || value.as_str() == Some("true"))
}

/// Notes that an address rests on another provider's word from now on.
async fn prove_by(tx: &mut Tx, address: &Link, proof: &str, now: Timestamp) -> Result<Event, store::Error> {
    tx.link_proved(address.id, proof, now).await?;
    Ok(Event::LinkProved {
        link: address.id,
        namespace: address.namespace.clone(),
        external_id: address.external_id.clone(),
        proof: proof.to_owned(),
    })
}

/// Turns a proved address into a hint.
async fn unprove(
    tx: &mut Tx,
    root: CustomerId,
    proved: &Link,
    links: &mut Vec<Link>,
    rules: Rules<'_>,
) -> Result<Vec<Event>, store::Error> {
    let now = rules.now;
    tx.link_end(proved.id, now).await?;
    let mut events = vec![removed(proved)];
    let typed = proved.display.as_deref().unwrap_or(&proved.external_id);
    let Ok(address) = EmailAddress::parse(typed) else { return Ok(events) };
    let hint = Namespace::UnprovedEmail.to_string();
    let is_known = links.iter().any(|link| link.namespace == hint && link.external_id == proved.external_id);
    if !is_known && limit::reached(tx, root, links, &Namespace::UnprovedEmail, rules).await?.is_none() {
        let link =
            Link { root, ..email_link(&address, Namespace::UnprovedEmail, proved.customer, &proved.source, now) };
        tx.link_insert(&link).await?;
        events.push(added(&link));
        links.push(link);
    }
    for row in tx.members_of(root).await? {
        let mut profile = Profile::from_json(&row.profile);
        let shown = profile.text("email").and_then(|email| EmailAddress::parse(&email).ok());
        if shown.is_some_and(|shown| shown == address) {
            profile.set("email_verified", Some(false), None, now);
            tx.member_profile_set(row.id, &profile.to_json(), now).await?;
        }
    }
    Ok(events)
}

fn removed(link: &Link) -> Event {
    Event::LinkRemoved { link: link.id, namespace: link.namespace.clone(), external_id: link.external_id.clone() }
}
