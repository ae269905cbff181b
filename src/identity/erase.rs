//! Erasure: a customer's personal data goes, with that of everyone who was merged into them (spec/identity.md rules 21
//! and 34).
//!
//! The ID stays taken and answers "gone", never a stranger; whoever returns is a new customer. A merge of the erased is
//! not undone any more. Done twice it is done once. A job ends the sessions, and gives back to the
//! providers what tokens they gave us to keep.

use std::collections::BTreeMap;

use super::merge::{self, Refusal};
use super::unlinking;
use crate::clock::Timestamp;
use crate::events::{self, Actor, Audience, Event};
use crate::ids::CustomerId;
use crate::jobs::{self, First, Task};
use crate::secret::DerivedKey;
use crate::session::FOR_EVER;
use crate::store::retry::retry;
use crate::store::{self, CustomerState, Store, Subject, Tx};

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Erased {
    /// All of these rows are blank.
    Done {
        customer: CustomerId,
        members: Vec<CustomerId>,
    },
    /// They were.
    Already {
        customer: CustomerId,
    },
    /// Nobody ever had this ID.
    Unknown,
    Refused(Refusal),
}

/// Erases the living customer behind an ID. `task_key` seals what is left to the jobs.
///
/// # Errors
/// If the database fails.
pub async fn erase(
    store: &Store,
    task_key: &DerivedKey,
    id: CustomerId,
    (by, reason): (Actor, &str),
    now: Timestamp,
) -> Result<Erased, store::Error> {
    let attempt = async || {
        let mut tx = store.begin().await?;
        let erased = erase_in(&mut tx, task_key, id, (by.clone(), reason), now).await?;
        if let Erased::Done { .. } = erased {
            tx.commit().await?;
        }
        Ok(erased)
    };
    retry(attempt).await
}

/// The same within a transaction of the caller's, who commits it if it is `Done`.
///
/// # Errors
/// If the database fails.
pub async fn erase_in(
    tx: &mut Tx,
    task_key: &DerivedKey,
    id: CustomerId,
    (by, reason): (Actor, &str),
    now: Timestamp,
) -> Result<Erased, store::Error> {
    let Some(root) = tx.customer_lock(id).await? else { return Ok(Erased::Unknown) };
    if root.state == CustomerState::Erased {
        return Ok(Erased::Already { customer: root.id });
    }
    let rows = tx.members_of(root.id).await?;
    if let Some(held) = rows.iter().find(|row| row.legal_hold.is_some()) {
        return Ok(Erased::Refused(Refusal::LegalHold { customer: held.id }));
    }
    let members: Vec<CustomerId> = rows.iter().map(|row| row.id).collect();
    let mut tasks = Vec::new();
    for link in tx.links_live(root.id).await? {
        tasks.extend(unlinking::give_back(tx, &link).await?);
        tasks.push(Task::EndSessions { link: link.id, until: FOR_EVER });
    }
    jobs::queue_all(tx, task_key, tasks, First::Job, now).await?;
    tx.grants_revoke_customer(root.id, "erased", now).await?;
    // As long as it says what was proposed.
    merge::lapse(tx, root.id, None, (root.id, &by), now).await?;
    tx.customer_erase(root.id, now).await?;
    blank_history(tx, root.id, &members).await?;
    let audiences = audiences(&tx.subjects_of(root.id).await?);
    let event = Event::CustomerErased { members: members.clone(), reason: reason.to_owned(), audiences };
    events::record(tx, root.id, by, event, now).await?;
    Ok(Erased::Done { customer: root.id, members })
}

/// Every sector that ever knew one of the rows, with all the subjects by which it did: those that a merge retired long ago,
/// and those that one side alone was given, are personal data there as well.
fn audiences(subjects: &[Subject]) -> Vec<Audience> {
    let mut audiences: BTreeMap<&str, Audience> = BTreeMap::new();
    let mut in_order: Vec<&Subject> = subjects.iter().collect();
    in_order.sort_by_key(|subject| (!subject.current, subject.own_side));
    for subject in in_order {
        match audiences.get_mut(subject.sector.as_str()) {
            Some(audience) => audience.merged_from.push(subject.sub.clone()),
            None => {
                let (sector, sub) = (subject.sector.clone(), subject.sub.clone());
                audiences.insert(&subject.sector, Audience { sector, sub, merged_from: Vec::new() });
            }
        }
    }
    audiences.into_values().collect()
}

/// What was recorded of these rows, under their own IDs and under those of whom they were a part for a time.
async fn blank_history(tx: &mut Tx, root: CustomerId, members: &[CustomerId]) -> Result<(), store::Error> {
    let links = tx.link_ids_of(root).await?;
    let former = tx.former_roots(root).await?;
    for customer in members.iter().chain(&former) {
        tx.history_erase(*customer, &links).await?;
    }
    for customer in former {
        tx.plans_erase(customer, members, &links).await?;
    }
    Ok(())
}
