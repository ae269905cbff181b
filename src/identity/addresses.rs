//! Addresses that customers add themselves: proved by a mailed code, they become one more proved address of theirs
//! (spec/identity.md rules 9 and 11).
//!
//! Until the code is typed nothing is written: an address that somebody only claims resolves nothing, holds nobody off
//! and is in nobody's profile. The first proof by mail of an address that only a provider had vouched for ends what
//! whoever came first may have prepared. It knows nothing of flows and pages.

use super::address::EmailAddress;
use super::limit::{self, Limit};
use super::linking::{MAILED_CODE, Mailbox};
use super::merge::side;
use super::namespace::{self, Namespace, Rules};
use super::profile::Profile;
use super::sign_in::{added, email_link};
use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::store::{self, CredentialKind, CredentialState, CustomerState, Link, Tx};

/// Where an address comes from that its owner typed here.
pub const TYPED: &str = "typed";

/// What became of an address whose mailbox somebody has just proved to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// A proved address of this customer's, from now on or all along.
    Proved { customer: CustomerId, mailbox: Mailbox },
    /// It is another customer's, of this row, and so is the link it is (rule 11). It may open that row's side only.
    Taken { owner: CustomerId, link: LinkId },
    /// The customer has as many addresses as they may have, or added as many as they may.
    Full(Limit),
    /// The customer may not log in.
    Refused,
}

/// Adds an address whose mailbox this customer has just proved to read.
///
/// # Errors
/// If the database fails.
pub async fn add(
    tx: &mut Tx,
    customer: CustomerId,
    address: &EmailAddress,
    rules: Rules<'_>,
) -> Result<Added, store::Error> {
    let now = rules.now;
    let Some(root) = tx.customer_lock(customer).await? else { return Err(store::Error::Contention) };
    if root.state != CustomerState::Active || namespace::blocks_address(address, rules.namespaces) {
        return Ok(Added::Refused);
    }
    let links = side::links(tx, customer).await?;
    let email = Namespace::Email.to_string();
    let mut events = Vec::new();
    let mut mailbox = Mailbox::AsBefore;
    if let Some(own) = links.iter().find(|link| link.namespace == email && link.external_id == address.normalized()) {
        events.extend(proved_by_mail(tx, root.id, own, now).await?);
        if !events.is_empty() {
            mailbox = Mailbox::ProvedFirst;
        }
    } else {
        // The limit is the customer's, however little of them this side of a merge sees.
        let all = tx.links_live(root.id).await?;
        if let Some(limit) = limit::reached(tx, root.id, &all, &Namespace::Email, rules).await? {
            return taken(tx, address).await.map(|taken| taken.unwrap_or(Added::Full(limit)));
        }
        let link = Link { root: root.id, ..typed_link(address, customer, now) };
        if !tx.link_insert(&link).await? {
            // Whoever has it may lose it at this very moment: then one more try of the customer's finds it free.
            return taken(tx, address).await?.ok_or(store::Error::Contention);
        }
        events.push(added(&link));
        show(tx, customer, address, link.id, now).await?;
    }
    events.extend(end_hint(tx, &links, address, now).await?);
    if !events.is_empty() {
        events::record_all(tx, root.id, Actor::Customer, events, now).await?;
    }
    Ok(Added::Proved { customer, mailbox })
}

/// Whose an address is, if anybody's.
async fn taken(tx: &mut Tx, address: &EmailAddress) -> Result<Option<Added>, store::Error> {
    let theirs = tx.link_login(&Namespace::Email.to_string(), address.normalized()).await?;
    Ok(theirs.map(|theirs| Added::Taken { owner: theirs.customer, link: theirs.link }))
}

/// The link of an address that its owner typed and proved by a code.
pub(super) fn typed_link(address: &EmailAddress, customer: CustomerId, now: Timestamp) -> Link {
    let link = email_link(address, Namespace::Email, customer, TYPED, now);
    Link { proof: Some(MAILED_CODE.to_owned()), ..link }
}

/// Notes that the mailbox of a customer's address was proved by mail. If it had only a provider's word before, whoever
/// came first never read that mailbox: grants, and passwords that were set on the strength of it, end (rule 9). The
/// caller ends the sessions, and tells.
pub(super) async fn proved_by_mail(
    tx: &mut Tx,
    root: CustomerId,
    link: &Link,
    now: Timestamp,
) -> Result<Vec<Event>, store::Error> {
    if link.proof.as_deref() == Some(MAILED_CODE) {
        return Ok(vec![]);
    }
    tx.link_proved(link.id, MAILED_CODE, now).await?;
    // Of those whose ways in the address opens: who hangs beside or below them by somebody else's merge has keys of their
    // own (rule 25).
    for row in side::leading_rows(tx, link.customer).await? {
        tx.grants_revoke_row(row, "address_proved", now).await?;
    }
    let mut events = vec![Event::LinkProved {
        link: link.id,
        namespace: link.namespace.clone(),
        external_id: link.external_id.clone(),
        proof: MAILED_CODE.to_owned(),
    }];
    for credential in tx.credentials_of(root).await? {
        let unproved = credential.kind == CredentialKind::Password && credential.customer == link.customer;
        if unproved && credential.state == CredentialState::Live {
            tx.credential_end(credential.id, now).await?;
            events.push(Event::CredentialRemoved { kind: CredentialKind::Password.as_str() });
        }
    }
    Ok(events)
}

/// Puts a proved address into the profile of a row that has none there, or an unproved one.
async fn show(
    tx: &mut Tx,
    member: CustomerId,
    address: &EmailAddress,
    link: LinkId,
    now: Timestamp,
) -> Result<(), store::Error> {
    let own = tx.customer_find(member).await?.ok_or(store::Error::Missing)?;
    let mut profile = Profile::from_json(&own.profile);
    if profile.is_true("email_verified") {
        return Ok(());
    }
    profile.set("email", Some(address.display()), Some(link), now);
    profile.set("email_verified", Some(true), Some(link), now);
    tx.member_profile_set(member, &profile.to_json(), now).await
}

/// A hint that has come true is one no longer.
async fn end_hint(
    tx: &mut Tx,
    links: &[Link],
    address: &EmailAddress,
    now: Timestamp,
) -> Result<Vec<Event>, store::Error> {
    let hint = Namespace::UnprovedEmail.to_string();
    let mut events = Vec::new();
    for link in links.iter().filter(|link| link.namespace == hint && link.external_id == address.normalized()) {
        tx.link_end(link.id, now).await?;
        let (namespace, external_id) = (link.namespace.clone(), link.external_id.clone());
        events.push(Event::LinkRemoved { link: link.id, namespace, external_id });
    }
    Ok(events)
}
