//! Where a customer is signed in, and ending it: one session, or all of them with every refresh token.
//!
//! Identity specification, rules 19 and 26: sessions keep the customer ID that logged in, so those of a customer are those
//! of all who are this customer today. What is told of a session lets nobody in.

use std::cmp::Reverse;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::Serialize;

use super::access::Call;
use super::change::{Answer, Change, Turn};
use super::keeping::Why;
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{Id, Time};
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::board::sessions::{self, Apps, Ended, Session, Which};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, Sid};
use crate::jobs::{self, First};
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::retry::retry;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "customer_sessions",
        method: Method::Get,
        path: "/customers/{customer}/sessions",
        summary: "Where a customer is signed in, the newest session first.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<SessionView>>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "customer_sessions_end",
        method: Method::Post,
        path: "/customers/{customer}/sessions/end",
        summary: "Sign a customer out everywhere: all sessions end, and every refresh token, those for offline access too.",
        access: Access::Needs(Act::EndSessions),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Why>),
        answer: schema_of::<EndedNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        route: || post(end_all),
    },
    Operation {
        id: "customer_session_end",
        method: Method::Post,
        path: "/customers/{customer}/sessions/{sid}/end",
        summary: "End one session of a customer, and every refresh token that came from it.",
        access: Access::Needs(Act::EndSessions),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Why>),
        answer: schema_of::<EndedNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        route: || post(end_one),
    },
];

/// What ended.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EndedNow {
    /// The living customer.
    pub customer: Id,
    /// How many sessions.
    pub sessions: usize,
    /// How many families of refresh tokens.
    pub refresh_tokens: u64,
    /// Whether there was nothing to end.
    pub repeated: bool,
}

/// One live session.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionView {
    /// As apps know it (`sid`).
    pub sid: String,
    /// The customer ID that logged in.
    pub customer: Id,
    pub kind: SessionKind,
    /// Such as `Firefox on Linux`, as far as the browser says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub browser: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Time>,
    /// When the customer last proved in it who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proved_at: Option<Time>,
    /// The namespace of what was proved, such as `social:google` or `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<String>,
    /// The methods, in the words of RFC 8176.
    pub amr: Vec<String>,
    /// The level that was reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acr: Option<String>,
    /// When it ends if nobody uses it.
    pub expires_at: Time,
    /// The apps with a refresh token from it.
    pub apps: Vec<AppName>,
}

/// Where a session is.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionKind {
    Browser,
    /// An app has signed its customer in by itself.
    App,
}

/// An app by its client.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AppName {
    pub client_id: String,
    /// Absent if it is registered no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl SessionView {
    fn new(app: &App, session: Session, apps: &Apps) -> Self {
        let name = |client: &str| AppName {
            client_id: client.to_owned(),
            name: app.provider.clients.find(client).map(|client| client.name().to_owned()),
        };
        let apps = apps.of_session(&session.sid).map(name).collect();
        let kind = if session.record.is_without_browser() { SessionKind::App } else { SessionKind::Browser };
        let Session { sid, record } = session;
        let told = record.told.as_ref();
        Self {
            sid: sid.to_string(),
            customer: record.customer.into(),
            kind,
            browser: told.and_then(|told| told.browser.clone()),
            began_at: told.map(|told| told.began_at.into()),
            last_seen: told.map(|told| told.last_seen.into()),
            proved_at: record.auth_time.map(Time::from),
            via: told.map(|told| told.via.clone()),
            amr: told.map(|told| told.amr.clone()).unwrap_or_default(),
            acr: told.and_then(|told| told.acr.clone()),
            expires_at: record.expires_at.into(),
            apps,
        }
    }
}

async fn list(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    query: Query,
) -> Result<Json<Page<SessionView>>, Problem> {
    let after: Option<(Option<Timestamp>, Sid)> = query.place(&app)?;
    let limit = query.limit()?;
    let mut tx = app.store().begin().await?;
    let living = tx.customer_living(id).await?.ok_or_else(Problem::not_found)?;
    let members = tx.members_of(living.id).await?;
    let apps = Apps::of(&mut tx, living.id, call.now).await?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[living.id], call.now).await?;
    tx.commit().await?;
    let mut sessions = sessions::live(app.kv(), &members, call.now).await?;
    if let Some((began, sid)) = after {
        sessions.retain(|session| session.order() > (Reverse(began), sid.as_str()));
    }
    let is_more = sessions.len() > limit;
    sessions.truncate(limit);
    let next = sessions.last().filter(|_| is_more).map(|last| (last.began(), last.sid.clone()));
    let items = sessions.into_iter().map(|session| SessionView::new(&app, session, &apps)).collect();
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

async fn end_all(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<Why>,
) -> Result<Response, Problem> {
    end(&app, &call, customer, &Which::All, change).await
}

async fn end_one(
    State(app): State<App>,
    call: Call,
    Named((customer, sid)): Named<(CustomerId, String)>,
    change: Change<Why>,
) -> Result<Response, Problem> {
    let which = Which::one(&sid).ok_or_else(Problem::not_found)?;
    end(&app, &call, customer, &which, change).await
}

async fn end(
    app: &App,
    call: &Call,
    customer: CustomerId,
    which: &Which,
    change: Change<Why>,
) -> Result<Response, Problem> {
    // Sessions are read before: no transaction is open while another server is asked.
    let members = match app.store().begin_read().await?.customer_living(customer).await? {
        Some(living) => app.store().begin_read().await?.members_of(living.id).await?,
        None => return Err(Problem::not_found()),
    };
    let seen = sessions::live(app.kv(), &members, call.now).await?;
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, call).await? {
            return Ok(response);
        }
        change.lock(&mut tx, customer).await?;
        let by = (call.admin.actor(), change.body.reason.as_str());
        let ended = sessions::end(&mut tx, customer, which, Some(&seen), by, call.now).await?;
        let (now, tasks) = match ended {
            Ended::Done { customer, sessions, refresh_tokens, task } => {
                let sessions = sessions.unwrap_or_default();
                (EndedNow { customer: customer.into(), sessions, refresh_tokens, repeated: false }, vec![task])
            }
            // There is no such session of theirs.
            Ended::Already { .. } if *which != Which::All => return Err(Problem::not_found()),
            Ended::Already { customer } => {
                (EndedNow { customer: customer.into(), sessions: 0, refresh_tokens: 0, repeated: true }, Vec::new())
            }
            Ended::Erased { .. } => return Err(Problem::new(ProblemKind::Gone)),
            Ended::Unknown => return Err(Problem::not_found()),
        };
        let queued = jobs::queue_all(&mut tx, &app.secrets.task, tasks, First::Caller, call.now).await?;
        let response = change.finish(tx, call, Answer::new(&now)).await?;
        app.worker.finish_all(queued).await?;
        Ok(response)
    })
    .await
}
