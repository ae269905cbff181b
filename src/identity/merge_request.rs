//! "Both are mine": somebody has proved, in one session and within ten minutes, to be two customers, and asks that they
//! become one (spec/identity.md rules 11 and 16).
//!
//! This file judges the proofs and writes the request down, once for each pair. It moves nothing: `merge::own` makes the
//! full union of rule 25 of it, or leaves it open for whoever looks after customers (`merge_requests_open`). A merge of
//! the two, by whomever, closes it. It knows nothing of flows and pages.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::merge::side;
use crate::clock::{Timestamp, uuid_v7};
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::store::{self, Customer, CustomerState, Link, MergeRequest, MergeRequestState, Tx};

/// How long a proof of one side counts for a merge (rule 25).
pub const FRESH: Duration = Duration::from_secs(10 * 60);

/// How somebody proved to be a customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proved {
    /// The very row that was proved, not who that is today.
    pub customer: CustomerId,
    /// The namespace of what was proved, such as `social:google` or `email`.
    pub via: String,
    /// That link itself: it must still be the customer's when the request is made.
    pub link: Option<LinkId>,
    /// The methods, as RFC 8176 names them.
    pub amr: Vec<String>,
    pub at: Timestamp,
}

impl Proved {
    /// Whether it still counts.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now && now.since(self.at) <= FRESH
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// It waits from now on.
    Opened { request: Uuid, customers: [CustomerId; 2] },
    /// It waits already: nothing happened.
    Already { request: Uuid },
    /// The two are one by now.
    SameCustomer,
    /// A proof is too old, or what it rests on is the customer's no more.
    Stale,
    /// One of the two may not log in, or they are marked as two people (rules 30 and 35).
    Refused,
}

/// Asks that two customers become one.
///
/// # Errors
/// If the database fails; `Contention` if somebody merged one of the two meanwhile.
pub async fn open(tx: &mut Tx, one: &Proved, other: &Proved, now: Timestamp) -> Result<Requested, store::Error> {
    if !one.is_fresh(now) || !other.is_fresh(now) {
        return Ok(Requested::Stale);
    }
    let roots = (tx.customer_living(one.customer).await?, tx.customer_living(other.customer).await?);
    let (Some(first), Some(second)) = roots else { return Ok(Requested::Stale) };
    if first.id == second.id {
        return Ok(Requested::SameCustomer);
    }
    let pair = lock_both(tx, first.id, second.id).await?.ok_or(store::Error::Contention)?;
    if pair.iter().any(|customer| customer.state != CustomerState::Active) {
        return Ok(Requested::Refused);
    }
    if !still_holds(tx, first.id, one).await? || !still_holds(tx, second.id, other).await? {
        return Ok(Requested::Stale);
    }
    let [a, b] = pair.map(|customer| customer.id);
    if tx.is_marked_not_same(a, b).await? {
        return Ok(Requested::Refused);
    }
    let request = MergeRequest {
        id: uuid_v7(now),
        a,
        b,
        proofs: json!([one, other]),
        opened_at: now,
        state: MergeRequestState::Open,
        closed_at: None,
        declined: false,
    };
    if !tx.merge_request_open(&request).await? {
        let waiting = tx.merge_request_of(a, b).await?;
        return Ok(waiting.map_or(Requested::Stale, |waiting| Requested::Already { request: waiting.id }));
    }
    for (customer, with) in [(a, b), (b, a)] {
        let event = Event::MergeRequested { request: request.id, with };
        events::record(tx, customer, Actor::Customer, event, now).await?;
    }
    Ok(Requested::Opened { request: request.id, customers: [a, b] })
}

/// Locks two living customers, the lesser ID first as everybody does, and answers them in that order. `None` if one of
/// them was absorbed meanwhile.
async fn lock_both(tx: &mut Tx, one: CustomerId, other: CustomerId) -> Result<Option<[Customer; 2]>, store::Error> {
    let (lesser, greater) = (one.min(other), one.max(other));
    let first = tx.customer_lock(lesser).await?.filter(|customer| customer.id == lesser);
    let second = tx.customer_lock(greater).await?.filter(|customer| customer.id == greater);
    Ok(first.zip(second).map(|(first, second)| [first, second]))
}

/// Whether what was proved is still that customer's, and the login still counts.
pub(super) async fn still_holds(tx: &mut Tx, root: CustomerId, proved: &Proved) -> Result<bool, store::Error> {
    let rows = tx.members_of(root).await?;
    let row = rows.iter().find(|row| row.id == proved.customer);
    if row.is_none_or(|row| row.sessions_from.is_some_and(|from| proved.at < from)) {
        return Ok(false);
    }
    let Some(link) = proved.link else { return Ok(true) };
    let links = tx.links_live(root).await?;
    // What opens one side of an earlier merge proves no other side.
    let theirs = |live: &Link| live.id == link && side::is_same(&rows, live.customer, proved.customer);
    Ok(links.iter().any(theirs))
}
