//! Asserting: the company itself says that an ID of one of its apps or systems is a customer's (identity specification,
//! rules 1, 20 and 42).
//!
//! Only namespaces that log nobody in: what opens an account is proved by its owner, never asserted. The customer's row
//! is locked while its links are counted; of two customers for one ID the database lets one have it. A reason is kept.

use super::linking::is_full;
use super::namespace::{Namespace, is_blocked};
use super::sign_in::{added, live_link};
use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::store::{self, CustomerState, Link, LinkState, Tx};

/// Where such links come from.
pub const ADMIN: &str = "admin";
/// The longest external ID, in bytes.
pub const MAX_EXTERNAL_ID: usize = 255;

/// What became of an assertion.
#[derive(Clone, Debug, PartialEq)]
pub enum Asserted {
    Added(Link),
    /// It was so before: nothing happened.
    Already(Link),
    /// It is another customer's.
    Taken {
        owner: CustomerId,
    },
    /// The customer has as many of these as they may have.
    Full,
    /// Not a namespace of an app or a system of the company's.
    WrongNamespace,
    /// It stands for nobody, is too long, or holds what no ID holds.
    WrongId,
    /// Nothing is added to a customer who is blocked or erased.
    NotActive,
    Unknown,
}

/// Whether the company may say of its own that such an ID is somebody's.
pub const fn may_be_asserted(namespace: &Namespace) -> bool {
    matches!(namespace, Namespace::App(_) | Namespace::External(_))
}

/// Gives an ID of an app or a system to a customer.
///
/// # Errors
/// If the database fails.
pub async fn assert(
    tx: &mut Tx,
    customer: CustomerId,
    (namespace, external_id): (&Namespace, &str),
    (by, reason): (Actor, &str),
    now: Timestamp,
) -> Result<Asserted, store::Error> {
    if !may_be_asserted(namespace) {
        return Ok(Asserted::WrongNamespace);
    }
    let is_sound = external_id.len() <= MAX_EXTERNAL_ID && !external_id.chars().any(char::is_control);
    if !is_sound || is_blocked(external_id) {
        return Ok(Asserted::WrongId);
    }
    let Some(root) = tx.customer_lock(customer).await? else { return Ok(Asserted::Unknown) };
    if root.state != CustomerState::Active {
        return Ok(Asserted::NotActive);
    }
    let name = namespace.to_string();
    let links = tx.links_live(root.id).await?;
    if let Some(own) = links.iter().find(|link| link.namespace == name && link.external_id == external_id) {
        return Ok(Asserted::Already(own.clone()));
    }
    if let Some(owner) = tx.link_resolve(&name, external_id).await? {
        return Ok(Asserted::Taken { owner });
    }
    if is_full(&links, namespace) {
        return Ok(Asserted::Full);
    }
    // It is the row's that was named, so that it goes with that row if a merge is undone (rule 32).
    let link = Link { root: root.id, ..live_link(LinkId::new(now), namespace, external_id, customer, ADMIN, now) };
    if !tx.link_insert(&link).await? {
        // Made by somebody else since: this customer's own links wait for the lock.
        let owner = tx.link_resolve(&name, external_id).await?.ok_or(store::Error::Contention)?;
        return Ok(Asserted::Taken { owner });
    }
    let events = vec![added(&link), Event::LinkAsserted { link: link.id, reason: reason.to_owned() }];
    events::record_all(tx, root.id, by, events, now).await?;
    Ok(Asserted::Added(link))
}

/// Takes such an ID from a customer; `false` if they have no such link. It is free again, for anybody.
///
/// # Errors
/// If the database fails.
pub async fn withdraw(
    tx: &mut Tx,
    customer: CustomerId,
    link: LinkId,
    (by, reason): (Actor, &str),
    now: Timestamp,
) -> Result<bool, store::Error> {
    let Some(root) = tx.customer_lock(customer).await? else { return Ok(false) };
    let links = tx.links_live(root.id).await?;
    let Some(gone) = links.into_iter().find(|candidate| candidate.id == link && is_asserted(candidate)) else {
        return Ok(false);
    };
    tx.link_end(gone.id, now).await?;
    let (namespace, external_id) = (gone.namespace, gone.external_id);
    let events = vec![
        Event::LinkRemoved { link, namespace, external_id },
        Event::LinkForcedOff { link, reason: reason.to_owned() },
    ];
    events::record_all(tx, root.id, by, events, now).await?;
    Ok(true)
}

/// Whether a live link is of a namespace that is asserted.
pub fn is_asserted(link: &Link) -> bool {
    link.state == LinkState::Live && Namespace::parse(&link.namespace).is_some_and(|of| may_be_asserted(&of))
}
