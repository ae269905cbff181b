//! Unlinking: an account at a provider stops being a way in (spec/identity.md rules 18 and 19).
//!
//! The customer's row is locked first, so that of two who remove the last two ways at once exactly one succeeds. What
//! came in through the link, sessions and grants, is ended by the caller; what rested on it is settled here.

use super::address::EmailAddress;
use super::linking::{MAILED_CODE, delivered_address, is_full};
use super::merge::side;
use super::namespace::Namespace;
use super::other_names;
use super::profile::Profile;
use super::sign_in::{added, email_link};
use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::store::{self, CredentialKind, CredentialState, Link, Tx};

/// The ways to log in that this installation offers at all.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// IDs of the configured connectors.
    pub connectors: Vec<String>,
    pub password: bool,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Unlinked {
    Removed {
        customer: CustomerId,
        /// Every link the account ever had: what came in through any of them ends.
        links: Vec<LinkId>,
    },
    /// Without it the customer could not log in any more.
    LastWay,
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
    now: Timestamp,
) -> Result<Unlinked, store::Error> {
    let Some(root) = tx.customer_lock(customer).await? else { return Err(store::Error::Contention) };
    let mut links = side::links(tx, customer).await?;
    let Some(at) = links.iter().position(|candidate| candidate.id == link && connector_of(candidate).is_some()) else {
        return Ok(Unlinked::NotThere);
    };
    let gone = links.remove(at);
    // While a provider moves an account it has two links, and goes with both.
    let account = other_names::links_of_account(tx, gone.id).await?;
    let twins: Vec<Link> = links.extract_if(.., |link| account.contains(&link.id)).collect();
    let unproved = unproved_by(&gone, &links);
    let left: Vec<&Link> = links.iter().filter(|link| Some(link.id) != unproved.as_ref().map(|link| link.id)).collect();
    if !can_log_in(tx, customer, &left, ways).await? {
        return Ok(Unlinked::LastWay);
    }
    let mut events = Vec::new();
    for link in std::iter::once(&gone).chain(&twins) {
        tx.link_end(link.id, now).await?;
        events.push(removed(link));
    }
    if let Some(address) = unproved {
        events.extend(unprove(tx, root.id, &address, &links, now).await?);
    }
    events::record_all(tx, root.id, Actor::Customer, events, now).await?;
    Ok(Unlinked::Removed { customer: gone.customer, links: account })
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
    let offered = |link: &&Link| connector_of(link).is_some_and(|connector| ways.connectors.contains(&connector));
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

/// The address that nothing proves any more once a link is gone (rule 19).
fn unproved_by(gone: &Link, left: &[Link]) -> Option<Link> {
    let address = delivered_address(gone)?;
    let still =
        left.iter().any(|link| link.namespace == gone.namespace && delivered_address(link).as_ref() == Some(&address));
    let email = Namespace::Email.to_string();
    let rests_on_it = |link: &&Link| {
        link.namespace == email
            && link.external_id == address.normalized()
            && link.proof.as_deref() == Some(gone.source.as_str())
            && link.proof.as_deref() != Some(MAILED_CODE)
    };
    if still { None } else { left.iter().find(rests_on_it).cloned() }
}

/// Turns a proved address into a hint.
async fn unprove(
    tx: &mut Tx,
    root: CustomerId,
    proved: &Link,
    links: &[Link],
    now: Timestamp,
) -> Result<Vec<Event>, store::Error> {
    tx.link_end(proved.id, now).await?;
    let mut events = vec![removed(proved)];
    let typed = proved.display.as_deref().unwrap_or(&proved.external_id);
    let Ok(address) = EmailAddress::parse(typed) else { return Ok(events) };
    let hint = Namespace::UnprovedEmail.to_string();
    let is_known = links.iter().any(|link| link.namespace == hint && link.external_id == proved.external_id);
    if !is_known && !is_full(links, &Namespace::UnprovedEmail) {
        let link =
            Link { root, ..email_link(&address, Namespace::UnprovedEmail, proved.customer, &proved.source, now) };
        tx.link_insert(&link).await?;
        events.push(added(&link));
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
