//! Merge requests: customers who have shown that two accounts are theirs and ask that they become one.
//!
//! Identity specification, rule 16. An admin merges them by `merges`, or declines: then both accounts are told, and the
//! reason stays in the audit log.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::Call;
use super::change::{Answer, Change, Reason, Turn, tag};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{Id, Time};
use crate::app::App;
use crate::board::admin;
use crate::board::notices::Notices;
use crate::board::queue::{self, Settled};
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::identity::merge_request::Proved;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::retry::retry;
use crate::store::{MergeRequest, MergeRequestState};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "merge_request_list",
        method: Method::Get,
        path: "/merge-requests",
        summary: "Customers who ask that two accounts of theirs become one, oldest first.",
        access: Access::Needs(Act::SeeQueue),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<MergeRequestView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "merge_request_get",
        method: Method::Get,
        path: "/merge-requests/{request}",
        summary: "A request, with how each side was proved.",
        access: Access::Needs(Act::SeeQueue),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<MergeRequestView>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "merge_request_decline",
        method: Method::Post,
        path: "/merge-requests/{request}/decline",
        summary: "Leave the two accounts two, and tell both so by mail.",
        access: Access::Needs(Act::Dismiss),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Decline>),
        answer: schema_of::<Declined>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(decline),
    },
];

/// Why the two stay two. It is for the audit log and not in the mail.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    pub reason: Reason,
}

/// A request that came to nothing.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Declined {
    pub request: Id,
}

/// A request of a customer's.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MergeRequestView {
    pub id: Id,
    pub a: Id,
    pub b: Id,
    pub proofs: Vec<ProofView>,
    pub opened_at: Time,
    pub state: RequestState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Time>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RequestState {
    Open,
    Declined,
    /// The two are one, or there is nothing to join any more.
    Closed,
}

/// How somebody showed to be one of the two.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProofView {
    pub customer: Id,
    /// The namespace of what was proved, such as `social:google` or `email`.
    pub via: String,
    /// The methods, in the words of RFC 8176.
    pub amr: Vec<String>,
    pub at: Time,
}

impl From<MergeRequest> for MergeRequestView {
    fn from(request: MergeRequest) -> Self {
        let proofs: Vec<Proved> = serde_json::from_value(request.proofs).unwrap_or_default();
        let view = |proof: Proved| ProofView {
            customer: proof.customer.into(),
            via: proof.via,
            amr: proof.amr,
            at: proof.at.into(),
        };
        let state = match request.state {
            MergeRequestState::Open => RequestState::Open,
            MergeRequestState::Closed if request.declined => RequestState::Declined,
            MergeRequestState::Closed => RequestState::Closed,
        };
        Self {
            id: request.id.into(),
            a: request.a.into(),
            b: request.b.into(),
            proofs: proofs.into_iter().map(view).collect(),
            opened_at: request.opened_at.into(),
            state,
            closed_at: request.closed_at.map(Time::from),
        }
    }
}

async fn list(State(app): State<App>, call: Call, query: Query) -> Result<Json<Page<MergeRequestView>>, Problem> {
    let after: Option<(Timestamp, Uuid)> = query.place(&app)?;
    let limit = query.limit()?;
    let mut tx = app.store().begin().await?;
    let requests = tx.merge_requests_page(after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let seen: Vec<_> = requests.iter().flat_map(|request| [request.a, request.b]).collect();
    admin::record_look(&mut tx, &call.admin, call.operation.id, &seen, call.now).await?;
    tx.commit().await?;
    let next = requests.last().filter(|_| requests.len() == limit).map(|last| (last.opened_at, last.id));
    let items = requests.into_iter().map(MergeRequestView::from).collect();
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

async fn see(State(app): State<App>, call: Call, Named(id): Named<Uuid>, _: Query) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    let request = tx.merge_request_find(id).await?.ok_or_else(Problem::not_found)?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[request.a, request.b], call.now).await?;
    tx.commit().await?;
    Ok(([(ETAG, tag(version(&request)))], Json(MergeRequestView::from(request))).into_response())
}

fn version(request: &MergeRequest) -> String {
    match request.closed_at {
        None => "open".to_owned(),
        Some(at) => format!("closed.{}", at.micros()),
    }
}

async fn decline(
    State(app): State<App>,
    call: Call,
    Named(id): Named<Uuid>,
    change: Change<Decline>,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        let request = tx.merge_request_find(id).await?.ok_or_else(Problem::not_found)?;
        change.check_tag(&version(&request))?;
        let notices = Notices::new(&app.config, &app.secrets.mail);
        let deed = (&call.admin.actor(), change.body.reason.as_str());
        match queue::decline(&mut tx, &notices, id, deed, call.now).await? {
            Settled::Done => {
                let response = change.finish(tx, &call, Answer::new(&Declined { request: id.into() })).await?;
                app.mail_queued.notify_one();
                Ok(response)
            }
            Settled::Already => Err(Problem::new(ProblemKind::Refused).detail("The request is settled by now.")),
            Settled::Unknown => Err(Problem::not_found()),
        }
    })
    .await
}
