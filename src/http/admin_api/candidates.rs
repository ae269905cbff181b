//! Candidates: pairs of customers that may be one person, with what speaks for it, and what an admin says of them.
//!
//! Identity specification, rules 35, 36 and 39. Dismissing remembers that the two are not the same person; putting on
//! watch takes the pair off the queue until more speaks for it. Merging them is in `merges`.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::candidate_view::{CandidateDetail, CandidateView};
use super::change::{Answer, Change, Reason, Turn, tag};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, Parameter, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use crate::app::App;
use crate::board::role::Act;
use crate::board::{admin, queue};
use crate::identity::not_same::{self, Marked};
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::retry::retry;
use crate::store::{CandidateLine, CandidateState, Tx};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "candidate_list",
        method: Method::Get,
        path: "/candidates",
        summary: "Pairs of customers that may be one person, the likeliest first.",
        access: Access::Needs(Act::SeeQueue),
        query: &[
            Parameter {
                name: "band",
                required: false,
                words: "`queue` for those that wait for a decision, `watch` for those that wait for more to become known, \
                        `automatic` for those that a rule is to merge.",
                schema: r#"{"type":"string","enum":["queue","watch","automatic"],"default":"queue"}"#,
            },
            LIMIT,
            CURSOR,
        ],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<CandidateView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "candidate_get",
        method: Method::Get,
        path: "/candidates/{a}/{b}",
        summary: "A pair, in whichever order, with what each field contributed to its score.",
        access: Access::Needs(Act::SeeQueue),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<CandidateDetail>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "candidate_dismiss",
        method: Method::Post,
        path: "/candidates/{a}/{b}/dismiss",
        summary: "Say that the two are not the same person: the pair is not proposed again.",
        access: Access::Needs(Act::Dismiss),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Judgment>),
        answer: schema_of::<CandidateNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(dismiss),
    },
    Operation {
        id: "candidate_watch",
        method: Method::Post,
        path: "/candidates/{a}/{b}/watch",
        summary: "Take the pair off the queue until more speaks for it than now.",
        access: Access::Needs(Act::Dismiss),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Judgment>),
        answer: schema_of::<CandidateNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(watch),
    },
    Operation {
        id: "customer_candidates",
        method: Method::Get,
        path: "/customers/{customer}/candidates",
        summary: "With whom a customer may be one person, the likeliest first.",
        access: Access::Needs(Act::SeeQueue),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<CandidateView>>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::InvalidCursor],
        route: || get(of_customer),
    },
];

/// Why a pair is settled this way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Judgment {
    pub reason: Reason,
}

/// Where a pair is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CandidateNow {
    pub state: PairState,
    pub band: String,
}

/// What became of a pair.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PairState {
    Open,
    Dismissed,
    Merged,
}

impl From<CandidateState> for PairState {
    fn from(state: CandidateState) -> Self {
        match state {
            CandidateState::Open => Self::Open,
            CandidateState::Dismissed => Self::Dismissed,
            CandidateState::Merged => Self::Merged,
        }
    }
}

async fn list(State(app): State<App>, call: Call, query: Query) -> Result<Json<Page<CandidateView>>, Problem> {
    let band = query.text("band").unwrap_or("queue");
    if !matches!(band, "queue" | "watch" | "automatic") {
        return Err(Problem::new(ProblemKind::InvalidRequest).fault("band", "is queue, watch or automatic"));
    }
    let after = place(&app, &query)?;
    let (limit, mut tx) = (query.limit()?, app.store().begin().await?);
    let lines = tx.candidates_page(band, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    look(&mut tx, &call, &lines).await?;
    tx.commit().await?;
    Ok(page(&app, &query, limit, &lines))
}

async fn of_customer(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    query: Query,
) -> Result<Json<Page<CandidateView>>, Problem> {
    let after = place(&app, &query)?;
    let (limit, mut tx) = (query.limit()?, app.store().begin().await?);
    let living = tx.customer_living(id).await?.ok_or_else(Problem::not_found)?;
    let lines = tx.candidates_of(living.id, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    look(&mut tx, &call, &lines).await?;
    tx.commit().await?;
    Ok(page(&app, &query, limit, &lines))
}

/// Behind which pair a page begins. The score is in its bits: JSON would round it, and the place would be another.
fn place(app: &App, query: &Query) -> Result<Option<(f64, CustomerId, CustomerId)>, Problem> {
    let place: Option<(u64, CustomerId, CustomerId)> = query.place(app)?;
    Ok(place.map(|(bits, a, b)| (f64::from_bits(bits), a, b)))
}

fn page(app: &App, query: &Query, limit: usize, lines: &[CandidateLine]) -> Json<Page<CandidateView>> {
    let last = lines.last().filter(|_| lines.len() == limit).map(|line| &line.candidate);
    let next = last.map(|last| (last.same.to_bits(), last.a, last.b));
    Json(Page::new(app, &query.scope, lines.iter().map(CandidateView::from).collect(), next))
}

async fn see(
    State(app): State<App>,
    call: Call,
    Named((a, b)): Named<(CustomerId, CustomerId)>,
    _: Query,
) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    let line = tx.candidate_find(a, b).await?.ok_or_else(Problem::not_found)?;
    look(&mut tx, &call, std::slice::from_ref(&line)).await?;
    tx.commit().await?;
    Ok(([(ETAG, tag(version(&line)))], Json(CandidateDetail::from(line))).into_response())
}

/// A scan that comes to another score makes another version of it.
fn version(line: &CandidateLine) -> String {
    format!("{}.{}", line.candidate.state.as_str(), line.candidate.updated_at.micros())
}

async fn look(tx: &mut Tx, call: &Call, lines: &[CandidateLine]) -> Result<(), Problem> {
    let mut seen: Vec<CustomerId> = lines.iter().flat_map(|line| [line.candidate.a, line.candidate.b]).collect();
    seen.sort();
    seen.dedup();
    Ok(admin::record_look(tx, &call.admin, call.operation.id, &seen, call.now).await?)
}

/// The pair, if it is open and as it was seen.
async fn open<T: Send>(
    tx: &mut Tx,
    change: &Change<T>,
    (a, b): (CustomerId, CustomerId),
) -> Result<(CustomerId, CustomerId), Problem> {
    let line = tx.candidate_find(a, b).await?.ok_or_else(Problem::not_found)?;
    change.check_tag(&version(&line))?;
    match line.candidate.state {
        CandidateState::Open => Ok((line.candidate.a, line.candidate.b)),
        settled => Err(Problem::new(ProblemKind::Refused).detail(format!("The pair is {}.", settled.as_str()))),
    }
}

async fn dismiss(
    State(app): State<App>,
    call: Call,
    Named(pair): Named<(CustomerId, CustomerId)>,
    change: Change<Judgment>,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        let pair = open(&mut tx, &change, pair).await?;
        let reason = change.body.reason.as_str();
        match not_same::mark_within(&mut tx, pair, call.admin.actor(), reason, call.now).await? {
            Marked::Done | Marked::Already => settle(tx, &change, &call, pair).await,
            Marked::Merged => {
                Err(Problem::new(ProblemKind::Refused).detail("They are one customer: undo the merge first."))
            }
            Marked::Unknown => Err(Problem::not_found()),
        }
    })
    .await
}

async fn watch(
    State(app): State<App>,
    call: Call,
    Named(pair): Named<(CustomerId, CustomerId)>,
    change: Change<Judgment>,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        let pair = open(&mut tx, &change, pair).await?;
        let deed = (&call.admin.actor(), change.body.reason.as_str());
        if !queue::watch(&mut tx, pair, deed, call.now).await? {
            return Err(Problem::new(ProblemKind::Refused).detail("The pair is settled by now."));
        }
        settle(tx, &change, &call, pair).await
    })
    .await
}

async fn settle(
    mut tx: Tx,
    change: &Change<Judgment>,
    call: &Call,
    (a, b): (CustomerId, CustomerId),
) -> Result<Response, Problem> {
    let line = tx.candidate_find(a, b).await?.ok_or_else(Problem::not_found)?.candidate;
    let answer = Answer::new(&CandidateNow { state: line.state.into(), band: line.band });
    change.finish(tx, call, answer).await
}
