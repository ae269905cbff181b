//! A legal hold: somebody must keep a customer's data as it is, so nothing may merge, part or erase them until it is
//! lifted (spec/identity.md rule 30).
//!
//! It is the living customer's, and no merge or undoing moves it: both refuse while it stands. The caller commits, and
//! has checked that whoever asks may.

use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::ids::CustomerId;
use crate::store::{self, CustomerState, Tx};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// The living customer is held, or free, from now on.
    Done { customer: CustomerId },
    /// Nothing happened: they were free, or are held for this reason, which stays until that hold is lifted.
    Already { customer: CustomerId, reason: Option<String> },
    /// There is nothing left to hold.
    Erased { customer: CustomerId },
    /// Nobody ever had this ID.
    Unknown,
}

/// Puts the living customer behind an ID under a legal hold.
///
/// # Errors
/// If the database fails.
pub async fn place(tx: &mut Tx, id: CustomerId, by: Actor, reason: &str, now: Timestamp) -> Result<Held, store::Error> {
    let Some(root) = tx.customer_lock(id).await? else { return Ok(Held::Unknown) };
    let customer = root.id;
    if root.state == CustomerState::Erased {
        return Ok(Held::Erased { customer });
    }
    let held = tx.members_of(customer).await?.into_iter().find_map(|row| row.legal_hold);
    if held.is_some() {
        return Ok(Held::Already { customer, reason: held });
    }
    tx.member_hold_set(customer, Some(reason), now).await?;
    let event = Event::HoldPlaced { reason: reason.to_owned() };
    events::record(tx, customer, by, event, now).await?;
    Ok(Held::Done { customer })
}

/// Lifts the hold of the living customer behind an ID.
///
/// # Errors
/// If the database fails.
pub async fn lift(tx: &mut Tx, id: CustomerId, by: Actor, reason: &str, now: Timestamp) -> Result<Held, store::Error> {
    let Some(root) = tx.customer_lock(id).await? else { return Ok(Held::Unknown) };
    let customer = root.id;
    let held: Vec<CustomerId> =
        tx.members_of(customer).await?.iter().filter(|row| row.legal_hold.is_some()).map(|row| row.id).collect();
    if held.is_empty() {
        return Ok(Held::Already { customer, reason: None });
    }
    for row in held {
        tx.member_hold_set(row, None, now).await?;
    }
    let event = Event::HoldLifted { reason: reason.to_owned() };
    events::record(tx, customer, by, event, now).await?;
    Ok(Held::Done { customer })
}
