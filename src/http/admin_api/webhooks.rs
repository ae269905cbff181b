//! Receivers of events: how far each has got, what was put aside for it, and delivering that again.
//!
//! Handoff specification, rule 17. Bodies of events are not shown here: they are for their receivers.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, tag};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{Id, Time};
use crate::app::App;
use crate::board::deliveries;
use crate::board::role::Act;
use crate::events::redelivery::Redelivered;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::{DeadLetter, Numbering, WebhookState};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "webhook_list",
        method: Method::Get,
        path: "/webhooks",
        summary: "Every receiver of events, and how far it has got.",
        access: Access::Needs(Act::SeeDeliveries),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<WebhookView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "webhook_get",
        method: Method::Get,
        path: "/webhooks/{webhook}",
        summary: "A receiver of events, and how far it has got.",
        access: Access::Needs(Act::SeeDeliveries),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<WebhookView>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "webhook_dead_letters",
        method: Method::Get,
        path: "/webhooks/{webhook}/dead-letters",
        summary: "Events that the receiver would not take, oldest first.",
        access: Access::Needs(Act::SeeDeliveries),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<DeadLetterView>>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::InvalidCursor],
        route: || get(dead_letters),
    },
    Operation {
        id: "webhook_retry",
        method: Method::Post,
        path: "/webhooks/{webhook}/retry",
        summary: "Deliver again what was put aside: one event, behind those that go before it, or all; in their order.",
        access: Access::Needs(Act::Redeliver),
        query: &[],
        conditions: Conditions::Key,
        body: Some(schema_of::<Retry>),
        answer: schema_of::<Retried>,
        tagged: false,
        problems: &[ProblemKind::NotFound],
        route: || post(retry),
    },
];

/// Which events are to be delivered again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Of one event; what was put aside of the same customer before goes first. Without it all of the receiver's.
    #[schemars(range(min = 1))]
    pub sequence: Option<i64>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Retried {
    /// How many were taken.
    pub delivered: i64,
    /// Why the first that was refused again stays aside, and what has to come after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// A receiver as it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WebhookView {
    pub id: String,
    /// `up to date`, `delivering`, `failing`, `stopped`, or `not configured` any more.
    pub state: String,
    /// Every event up to this number is done with.
    pub cursor: i64,
    /// How many events have come since.
    pub behind: i64,
    pub delivered: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Time>,
    /// Failures in a row.
    pub attempts: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Time>,
    /// How many events were put aside.
    pub put_aside: i64,
}

/// An event that was put aside.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetterView {
    pub sequence: i64,
    pub event: Id,
    pub reason: String,
    pub put_aside_at: Time,
}

impl WebhookView {
    fn new(app: &App, state: WebhookState, numbering: Numbering) -> Self {
        let is_configured = app.relay.receiver_ids().any(|id| id == state.id);
        Self {
            state: deliveries::word(&state, is_configured, numbering).to_owned(),
            id: state.id,
            cursor: state.cursor,
            behind: numbering.last.saturating_sub(state.cursor),
            delivered: state.delivered,
            delivered_at: state.delivered_at.map(Time::from),
            attempts: state.attempts,
            next_attempt_at: state.failing_since.map(|_| state.next_attempt_at.into()),
            failing_since: state.failing_since.map(Time::from),
            last_error: state.last_error,
            stopped_at: state.stopped_at.map(Time::from),
            put_aside: state.dead_letters,
        }
    }
}

impl From<DeadLetter> for DeadLetterView {
    fn from(letter: DeadLetter) -> Self {
        Self {
            sequence: letter.sequence,
            event: letter.event.into(),
            reason: letter.reason,
            put_aside_at: letter.put_aside_at.into(),
        }
    }
}

async fn list(State(app): State<App>, _: Call, query: Query) -> Result<Json<Page<WebhookView>>, Problem> {
    let after: String = query.place(&app)?.unwrap_or_default();
    let limit = query.limit()?;
    let mut tx = app.store().begin_read().await?;
    let numbering = tx.outbox_numbering().await?;
    // As many as are configured: few.
    let states = tx.webhooks_all().await?.into_iter().filter(|state| state.id > after).take(limit);
    let items: Vec<WebhookView> = states.map(|state| WebhookView::new(&app, state, numbering)).collect();
    let next = items.last().filter(|_| items.len() == limit).map(|last| last.id.clone());
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

async fn see(State(app): State<App>, _: Call, Named(id): Named<String>, _: Query) -> Result<Response, Problem> {
    let mut tx = app.store().begin_read().await?;
    let numbering = tx.outbox_numbering().await?;
    let state = tx.webhooks_all().await?.into_iter().find(|state| state.id == id).ok_or_else(Problem::not_found)?;
    let version = format!("{}.{}.{}", state.cursor, state.attempts, state.dead_letters);
    Ok(([(ETAG, tag(version))], Json(WebhookView::new(&app, state, numbering))).into_response())
}

async fn dead_letters(
    State(app): State<App>,
    _: Call,
    Named(id): Named<String>,
    query: Query,
) -> Result<Json<Page<DeadLetterView>>, Problem> {
    let after: i64 = query.place(&app)?.unwrap_or_default();
    let (limit, mut tx) = (query.limit()?, app.store().begin_read().await?);
    if !tx.webhooks_all().await?.iter().any(|state| state.id == id) {
        return Err(Problem::not_found());
    }
    let letters = tx.webhook_dead_letters_page(&id, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let next = letters.last().filter(|_| letters.len() == limit).map(|last| last.sequence);
    Ok(Json(Page::new(&app, &query.scope, letters.into_iter().map(DeadLetterView::from).collect(), next)))
}

async fn retry(
    State(app): State<App>,
    call: Call,
    Named(id): Named<String>,
    change: Change<Retry>,
) -> Result<Response, Problem> {
    let effect = async {
        let redelivered = match change.body.sequence {
            Some(sequence) => app.relay.redeliver(&id, sequence).await?,
            None => app.relay.redeliver_all(&id).await?,
        };
        let Redelivered { taken, reason } = redelivered.ok_or_else(Problem::not_found)?;
        Ok(Answer::new(&Retried { delivered: taken, refused: reason }))
    };
    change.carry_out(app.store(), &call, effect).await
}
