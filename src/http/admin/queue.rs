//! What waits for a decision: pairs that a search proposes, the likeliest first; what customers asked for; conflicts.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use super::access::{Desk, Visitor};
use super::customer::person;
use super::frame::{Frame, Here, Moment, Person, Rights};
use super::waterfall::Chances;
use crate::board::role::Act;
use crate::http::admin_api::page::{Page, Scope};
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::identity::merge;
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::store::{CandidateLine, ConflictKind, Tx};

/// Pairs on one page.
const PAIRS: usize = 20;
/// Requests and conflicts shown; they are few, and the oldest come first.
const OTHERS: i64 = 50;

#[derive(Template)]
#[template(path = "desk/queue.html", config = ".askama.toml")]
struct QueuePage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    pairs: Vec<Pair>,
    next: Option<String>,
    /// Whether it is the first page: the others hold pairs only.
    first: bool,
    requests: Vec<Waiting>,
    conflicts: Vec<Waiting>,
    proposals: usize,
}

impl View for QueuePage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

impl QueuePage<'_> {
    fn is_empty(&self) -> bool {
        self.first && self.pairs.is_empty() && self.requests.is_empty() && self.conflicts.is_empty()
    }
}

/// Two who may be one person.
struct Pair {
    a: Person,
    b: Person,
    chances: Chances,
}

/// Two about whom something waits.
struct Waiting {
    id: Uuid,
    a: Person,
    b: Person,
    what: &'static str,
    at: Moment,
}

/// The page.
pub async fn get(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeQueue)?;
    let scope = Scope::of("/admin", &BTreeMap::new());
    let place: Option<(u64, CustomerId, CustomerId)> =
        desk.params.get("cursor").and_then(|cursor| scope.open(&desk.app.secrets.cursor, cursor));
    let mut tx = desk.app.store().begin_read().await?;
    let after = place.map(|(same, a, b)| (f64::from_bits(same), a, b));
    let limit = i64::try_from(PAIRS).unwrap_or(i64::MAX);
    let mut lines = tx.candidates_page("queue", after, limit + 1).await?;
    let is_more = lines.len() > PAIRS;
    lines.truncate(PAIRS);
    // As its bits: JSON would round it, and the place would be another.
    let last = lines.last().map(|line| &line.candidate).map(|last| (last.same.to_bits(), last.a, last.b));
    let (requests, conflicts) = match place {
        None => (requests(&mut tx).await?, conflicts(&mut tx).await?),
        Some(_) => (Vec::new(), Vec::new()),
    };
    drop(tx);
    let proposals = merge::proposals(desk.app.store(), OTHERS, desk.context.now).await?.len();
    let pairs: Vec<Pair> = lines.iter().map(pair).collect();
    look(&desk, &pairs, requests.iter().chain(&conflicts)).await?;
    let page = QueuePage {
        frame: Frame::of(&desk, Here::Queue).await?,
        rights: Rights::from(&desk),
        pairs,
        next: Page::<()>::new(&desk.app, &scope, Vec::new(), last.filter(|_| is_more)).next,
        first: place.is_none(),
        requests,
        conflicts,
        proposals,
    };
    Ok(page.page().into_response())
}

async fn look<'a>(desk: &Desk, pairs: &[Pair], others: impl Iterator<Item = &'a Waiting>) -> Result<(), Failure> {
    let mut seen: Vec<CustomerId> = pairs.iter().flat_map(|pair| [pair.a.id, pair.b.id]).collect();
    seen.extend(others.flat_map(|waiting| [waiting.a.id, waiting.b.id]));
    seen.sort();
    seen.dedup();
    desk.looked("desk: queue", &seen).await
}

fn pair(line: &CandidateLine) -> Pair {
    let side = |id, profile| Person::named(id, &Profile::from_json(profile));
    let candidate = &line.candidate;
    Pair {
        a: side(candidate.a, &line.a_profile),
        b: side(candidate.b, &line.b_profile),
        chances: Chances::of(candidate),
    }
}

async fn requests(tx: &mut Tx) -> Result<Vec<Waiting>, Failure> {
    let mut waiting = Vec::new();
    for request in tx.merge_requests_open(OTHERS).await? {
        waiting.push(Waiting {
            id: request.id,
            a: person(tx, request.a).await?,
            b: person(tx, request.b).await?,
            what: "proved both to be theirs and asks for one account",
            at: Moment(request.opened_at),
        });
    }
    Ok(waiting)
}

async fn conflicts(tx: &mut Tx) -> Result<Vec<Waiting>, Failure> {
    let mut waiting = Vec::new();
    for conflict in tx.conflicts_open(OTHERS).await? {
        waiting.push(Waiting {
            id: conflict.id,
            a: person(tx, conflict.other).await?,
            b: person(tx, conflict.customer).await?,
            what: match conflict.kind {
                ConflictKind::AddressReassigned => {
                    "a provider gave the second an address that it had vouched for to the first"
                }
                ConflictKind::ValueTaken => {
                    "the second was restored from a merge, and the first has an address of theirs by now"
                }
                ConflictKind::ProofAged => "the second proved a number that the first had proved too long ago to keep",
            },
            at: Moment(conflict.created_at),
        });
    }
    Ok(waiting)
}
