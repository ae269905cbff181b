//! Joining keys: an absorbed side proves that it is the survivor too (spec/identity.md rule 25).
//!
//! Until then a login by the absorbed side sees its own side only. One step up the tree is proved at a time: who proves
//! a channel of the very customer that absorbed the side has proved nothing of anyone further up.

use super::own::Letters;
use super::subjects;
use super::tree::Tree;
use crate::clock::Timestamp;
use crate::events::{self, Actor, Event};
use crate::identity::namespace::Namespace;
use crate::ids::CustomerId;
use crate::store::retry::retry;
use crate::store::{self, CustomerState, Link, Store, Tx};

/// Whether the keys of two sides are one now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// They were joined by this proof, or before.
    Whole { side: CustomerId },
    /// The proof is of no channel of the survivor.
    NotTheSurvivor,
}

/// Joins the keys of the side that `session` is on with its survivor's, which the same person has just proved through
/// a channel of `proved`: the two rows must be of one customer. Both sides are told by mail.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn join_keys(
    store: &Store,
    session: CustomerId,
    proved: CustomerId,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<Joined, store::Error> {
    retry(|| once(store, session, proved, letters, now)).await
}

async fn once(
    store: &Store,
    session: CustomerId,
    proved: CustomerId,
    letters: Letters<'_>,
    now: Timestamp,
) -> Result<Joined, store::Error> {
    let mut tx = store.begin().await?;
    let Some(root) = tx.customer_lock(session).await?.filter(|root| root.state == CustomerState::Active) else {
        return Ok(Joined::NotTheSurvivor);
    };
    let rows = tx.members_of(root.id).await?;
    let tree = Tree::new(&rows);
    let side = tree.leader(session);
    if tree.get(proved).is_none() {
        return Ok(Joined::NotTheSurvivor);
    }
    let other = tree.leader(proved);
    if side == other {
        return Ok(Joined::Whole { side });
    }
    let hangs_under = |lower: CustomerId, upper: CustomerId| {
        tree.get(lower).and_then(|row| row.absorbed_by).is_some_and(|parent| tree.leader(parent) == upper)
    };
    let lower = match (hangs_under(side, other), hangs_under(other, side)) {
        (true, _) => side,
        (_, true) => other,
        _ => return Ok(Joined::NotTheSurvivor),
    };
    let Some(merge) = tx.merge_of(lower).await? else { return Err(store::Error::Contention) };
    if tx.member_keys_join(lower).await? {
        tx.merge_keys_joined(merge.id, now).await?;
        let upper = if lower == side { other } else { side };
        let audiences = if upper == root.id { subjects::unite(&mut tx, root.id, now).await? } else { Vec::new() };
        let joined = Event::KeysJoined { merge: merge.id, side: lower, audiences };
        events::record(&mut tx, root.id, Actor::Customer, joined, now).await?;
        letters.queue(&mut tx, lower, now).await?;
    }
    tx.commit().await?;
    Ok(Joined::Whole { side: if lower == side { other } else { side } })
}

/// The proved addresses by which somebody who sees one side only can prove the side above it; none if they see the whole
/// customer.
///
/// # Errors
/// If the database fails.
pub async fn channels(tx: &mut Tx, session: CustomerId) -> Result<Vec<Link>, store::Error> {
    let rows = tx.members_of(session).await?;
    let tree = Tree::new(&rows);
    let parent = tree.get(tree.leader(session)).and_then(|side| side.absorbed_by);
    let Some((parent, root)) = parent.zip(rows.first().map(|row| row.canonical)) else { return Ok(Vec::new()) };
    let above = tree.leader(parent);
    let email = Namespace::Email.to_string();
    let mut links = tx.links_live(root).await?;
    links.retain(|link| {
        let usable = link.verified_at.is_some() && link.disabled_at.is_none() && link.mail_stopped_at.is_none();
        usable && link.namespace == email && tree.leader(link.customer) == above
    });
    Ok(links)
}
