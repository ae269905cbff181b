//! "Both accounts are mine": somebody who is signed in as one customer has just proved to be another one as well, and may
//! ask that the two become one (spec/identity.md rules 11 and 16).
//!
//! Both proofs are of this session and not older than ten minutes; what they were is kept in the flow, so they are one
//! browser's. Until both are there, nothing of the other customer is shown, and nothing at all is changed: what is left
//! behind is a request (`identity::merge_request`), which whoever merges takes from there.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::extract::{OfFlow, PostedFlow};
use super::joining::tell;
use super::{see_other, unchanged};
use crate::app::App;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{BothMinePage, ProvedBy, View};
use crate::http::session::BrowserSession;
use crate::identity::merge_request::{self, Proved, Requested};
use crate::identity::namespace::Namespace;
use crate::mail::templates;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};
use crate::session::pending::{Action, PendingMerge};

/// Keeps the proof of the other customer, and asks whether both are this one's. `by` is what proved it, in the
/// customer's words.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn ask(
    app: &App,
    context: &Context,
    mut flow: Flow,
    session: &SsoSession,
    other: Proved,
    by: String,
) -> Result<Response, Failure> {
    let (customer, sid) = (session.customer, session.sid.clone());
    flow.merge = Some(PendingMerge { customer, sid, other, by, requested: false });
    flow.target = Target::Account;
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/both-mine", &flow))
}

/// The question; once it is answered, what happens next.
pub async fn get(
    State(app): State<App>,
    browser: BrowserSession,
    OfFlow { context, flow, .. }: OfFlow,
) -> Result<Response, Failure> {
    let session = browser.current(&app, context.now).await?;
    let pending = session.as_ref().and_then(|session| flow.pending_merge(session));
    let Some(pending) = pending else { return Ok(error::expired_page(&app, &context)) };
    if !pending.requested && !pending.other.is_fresh(context.now) {
        return Ok(stale(&app, &context));
    }
    let by = match pending.other.via == Namespace::Email.to_string() {
        true => ProvedBy::Address(pending.by.clone()),
        false => ProvedBy::Provider(pending.by.clone()),
    };
    let page = BothMinePage { brand: &app.brand, flow: flow.id.clone(), by, requested: pending.requested };
    let status = if pending.requested { StatusCode::OK } else { StatusCode::CONFLICT };
    Ok(page.page().with_status(status).into_response())
}

/// "Both accounts are mine". Whoever has not logged in lately does it first; the button waits.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, mut flow, .. }: PostedFlow,
) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else {
        return Ok(error::expired_page(&app, &context));
    };
    if flow.pending_merge(&session).is_none() {
        return Ok(error::expired_page(&app, &context));
    }
    if session.is_recent(context.now) {
        return request(&app, &context, flow, &session).await;
    }
    flow.wait_for_login(&session, Action::RequestMerge, context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/login", &flow))
}

/// Asks that the two become one, and tells both by mail.
///
/// # Errors
/// If a store does not answer.
pub async fn request(app: &App, context: &Context, mut flow: Flow, session: &SsoSession) -> Result<Response, Failure> {
    let Some(pending) = flow.pending_merge(session).cloned() else { return Ok(error::expired_page(app, context)) };
    let one = session.proof();
    let mut tx = app.store().begin().await?;
    match merge_request::open(&mut tx, &one, &pending.other, context.now).await? {
        Requested::Opened { customers, .. } => {
            let url = app.config.server.endpoint("/account");
            for customer in customers {
                let letter = |to: &_| templates::merge_requested(&app.letterhead, to, &url);
                tell(app, &mut tx, customer, context, letter).await?;
            }
            tx.commit().await?;
            app.mail_queued.notify_one();
            tracing::info!(customers = ?customers.map(|customer| customer.to_string()), "a customer asked for a merge");
        }
        Requested::Already { .. } => {}
        Requested::SameCustomer => return Ok(super::acting::to_account()),
        Requested::Stale => return Ok(stale(app, context)),
        Requested::Refused => {
            let text = "These two accounts can’t be joined here, and nothing was changed. Please contact us: we’ll look \
                        at it with you.";
            return Ok(unchanged(app, context, StatusCode::CONFLICT, "Please contact us", text));
        }
    }
    flow.merge = Some(PendingMerge { requested: true, ..pending });
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/both-mine", &flow))
}

fn stale(app: &App, context: &Context) -> Response {
    let text = "To join two accounts you show that both are yours within ten minutes. Nothing was changed. Go back to \
                your account and start again.";
    unchanged(app, context, StatusCode::CONFLICT, "That took a little too long", text)
}
