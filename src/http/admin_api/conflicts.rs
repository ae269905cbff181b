//! Conflict cases: what the rules could not decide about two customers, left for a person to look into.
//!
//! Identity specification, rules 13 and 33. Closing one changes nothing about the two: what there was to do is done by
//! other operations before.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::access::Call;
use super::change::{Answer, Change, Reason, Turn, tag};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{Id, Time};
use crate::app::App;
use crate::board::admin;
use crate::board::queue::{self, Settled};
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::Conflict;
use crate::store::retry::retry;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "conflict_list",
        method: Method::Get,
        path: "/conflicts",
        summary: "Conflict cases that wait for somebody to look into them, oldest first.",
        access: Access::Needs(Act::SeeQueue),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<ConflictView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "conflict_get",
        method: Method::Get,
        path: "/conflicts/{conflict}",
        summary: "A conflict case.",
        access: Access::Needs(Act::SeeQueue),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<ConflictView>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "conflict_close",
        method: Method::Post,
        path: "/conflicts/{conflict}/close",
        summary: "Close a conflict case that somebody has looked into.",
        access: Access::Needs(Act::Dismiss),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Close>),
        answer: schema_of::<Closed>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(close),
    },
];

/// What was found out, or done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Close {
    pub reason: Reason,
}

/// A case that is closed now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Closed {
    pub conflict: Id,
}

/// A doubt about two customers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConflictView {
    pub id: Id,
    /// `address_reassigned` or `value_taken`.
    pub kind: String,
    /// Who came later.
    pub customer: Id,
    /// Who was there before.
    pub other: Id,
    pub detail: Value,
    pub created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
}

impl From<Conflict> for ConflictView {
    fn from(conflict: Conflict) -> Self {
        Self {
            id: conflict.id.into(),
            kind: conflict.kind.as_str().to_owned(),
            customer: conflict.customer.into(),
            other: conflict.other.into(),
            detail: conflict.detail,
            created_at: conflict.created_at.into(),
            closed_at: conflict.closed_at.map(Time::from),
        }
    }
}

async fn list(State(app): State<App>, call: Call, query: Query) -> Result<Json<Page<ConflictView>>, Problem> {
    let after: Option<(Timestamp, Uuid)> = query.place(&app)?;
    let limit = query.limit()?;
    let mut tx = app.store().begin().await?;
    let conflicts = tx.conflicts_page(after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let seen: Vec<_> = conflicts.iter().flat_map(|conflict| [conflict.customer, conflict.other]).collect();
    admin::record_look(&mut tx, &call.admin, call.operation.id, &seen, call.now).await?;
    tx.commit().await?;
    let next = conflicts.last().filter(|_| conflicts.len() == limit).map(|last| (last.created_at, last.id));
    let items = conflicts.into_iter().map(ConflictView::from).collect();
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

async fn see(State(app): State<App>, call: Call, Named(id): Named<Uuid>, _: Query) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    let conflict = tx.conflict_find(id).await?.ok_or_else(Problem::not_found)?;
    let both = [conflict.customer, conflict.other];
    admin::record_look(&mut tx, &call.admin, call.operation.id, &both, call.now).await?;
    tx.commit().await?;
    Ok(([(ETAG, tag(version(&conflict)))], Json(ConflictView::from(conflict))).into_response())
}

const fn version(conflict: &Conflict) -> &'static str {
    if conflict.closed_at.is_none() { "open" } else { "closed" }
}

async fn close(
    State(app): State<App>,
    call: Call,
    Named(id): Named<Uuid>,
    change: Change<Close>,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        let conflict = tx.conflict_find(id).await?.ok_or_else(Problem::not_found)?;
        change.check_tag(version(&conflict))?;
        let deed = (&call.admin.actor(), change.body.reason.as_str());
        match queue::close_conflict(&mut tx, id, deed, call.now).await? {
            Settled::Done => change.finish(tx, &call, Answer::new(&Closed { conflict: id.into() })).await,
            Settled::Already => Err(Problem::new(ProblemKind::Refused).detail("The case is closed already.")),
            Settled::Unknown => Err(Problem::not_found()),
        }
    })
    .await
}
