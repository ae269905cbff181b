//! "Both accounts are mine": somebody who is signed in as one customer has just proved to be another one as well, and may
//! say that the two are to become one (spec/identity.md rules 11 and 16).
//!
//! Both proofs are of this session and not older than ten minutes; what they were is kept in the flow, so they are one
//! browser's. Until both are there, nothing of the other customer is shown, and nothing at all is changed. Then the
//! customer sees what joining does (`becoming_one`); what may not be is left open, as a request, for somebody to look at.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::becoming_one::{self, Told};
use super::extract::{OfFlow, PostedFlow};
use super::{see_other, unchanged};
use crate::app::App;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{BothMinePage, Hindrance, ProvedBy, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::merge::Refusal;
use crate::identity::merge::own::{self, Letters, Own, Preview};
use crate::identity::merge_request::{Proved, Requested};
use crate::identity::namespace::Namespace;
use crate::mail::templates;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};
use crate::session::pending::{Action, MergeStep, PendingMerge};

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
    flow.merge = Some(PendingMerge { customer, sid, other, by, step: MergeStep::Asked });
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
    let Some(session) = browser.current(&app, context.now).await? else {
        // The reply that brought the new session may have been lost.
        let joined = flow.merge.as_ref().is_some_and(|pending| pending.step.is_done());
        return Ok(if joined { see_other("/login", &flow) } else { error::expired_page(&app, &context) });
    };
    let Some(pending) = flow.pending_merge(&session) else { return Ok(error::expired_page(&app, &context)) };
    match &pending.step {
        MergeStep::Asked if !pending.other.is_fresh(context.now) => Ok(stale(&app, &context)),
        MergeStep::Asked => Ok(page(&app, &flow, pending, None)),
        MergeStep::Previewed => becoming_one::preview(&app, &context, &flow, &session, pending).await,
        MergeStep::Waits(refusals) => Ok(page(&app, &flow, pending, Some(hindrance(refusals)))),
        MergeStep::Joined => Ok(becoming_one::joined(&app, Told::ByMail)),
        MergeStep::United => Ok(becoming_one::joined(&app, Told::Here)),
    }
}

fn page(app: &App, flow: &Flow, pending: &PendingMerge, waits: Option<Hindrance>) -> Response {
    let by = match pending.other.via == Namespace::Email.to_string() {
        true => ProvedBy::Address(pending.by.clone()),
        false => ProvedBy::Provider(pending.by.clone()),
    };
    let page = BothMinePage { brand: &app.brand, flow: flow.id.clone(), by, waits };
    let status = if waits.is_some() { StatusCode::OK } else { StatusCode::CONFLICT };
    page.page().with_status(status).into_response()
}

/// What of the reasons the customer is told: not that a court, say, holds an account.
fn hindrance(refusals: &[Refusal]) -> Hindrance {
    let told = |refusal: &Refusal| match refusal {
        Refusal::TwoBirthDates | Refusal::MinorWithAdult => Some(Hindrance::Births),
        Refusal::TwoIds { .. } | Refusal::OverLimit { .. } => Some(Hindrance::Numbers),
        Refusal::WalledBrands { .. } => Some(Hindrance::Brands),
        _ => None,
    };
    refusals.iter().find_map(told).unwrap_or(Hindrance::Other)
}

/// "Both accounts are mine". Whoever has not logged in lately does it first; the button waits.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, flow, .. }: PostedFlow,
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
    log_in_first(&app, &context, flow, &session).await
}

/// Asks for a fresh login; what would be done is shown after it.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn log_in_first(
    app: &App,
    context: &Context,
    mut flow: Flow,
    session: &SsoSession,
) -> Result<Response, Failure> {
    flow.wait_for_login(session, Action::RequestMerge, context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/login", &flow))
}

/// Shows what joining the two does, or leaves a request where it may not be.
///
/// # Errors
/// If a store does not answer.
pub async fn request(app: &App, context: &Context, flow: Flow, session: &SsoSession) -> Result<Response, Failure> {
    let Some(pending) = flow.pending_merge(session) else { return Ok(error::expired_page(app, context)) };
    let (one, other) = (session.proof(), pending.other.clone());
    let own = Own { one: &one, other: &other };
    match own::preview(app.store(), &app.config.merge, own, context.now).await? {
        Preview::Possible(_) => go_on(app, context, flow, MergeStep::Previewed).await,
        Preview::Refused(plan) => leave(app, context, flow, own, plan.refusals).await,
        Preview::One => becoming_one::unite(app, context, flow, session).await,
        Preview::Stale => Ok(stale(app, context)),
    }
}

/// Leaves the request for somebody to look at, and tells both by mail.
///
/// # Errors
/// If a store does not answer.
pub async fn leave(
    app: &App,
    context: &Context,
    flow: Flow,
    own: Own<'_>,
    refusals: Vec<Refusal>,
) -> Result<Response, Failure> {
    if refusals.contains(&Refusal::NotProved) {
        return Ok(partial(app, context));
    }
    let url = app.config.server.endpoint("/account");
    let write = |to: &EmailAddress| templates::merge_requested(&app.letterhead, to, &url);
    let letters = Letters { key: &app.secrets.mail, write: &write };
    match own::ask(app.store(), own, letters, context.now).await? {
        Requested::Opened { customers, .. } => {
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
    go_on(app, context, flow, MergeStep::Waits(refusals)).await
}

/// Remembers how far they are, and shows it.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn go_on(app: &App, context: &Context, mut flow: Flow, step: MergeStep) -> Result<Response, Failure> {
    if let Some(pending) = &mut flow.merge {
        pending.step = step;
    }
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/both-mine", &flow))
}

/// The page for proofs that are too old by now.
pub fn stale(app: &App, context: &Context) -> Response {
    let text = "To join two accounts you show that both are yours within ten minutes. Nothing was changed. Go back to \
                your account and start again.";
    unchanged(app, context, StatusCode::CONFLICT, "That took a little too long", text)
}

/// The page for somebody who has proved a part of an account, not all of it.
pub fn partial(app: &App, context: &Context) -> Response {
    let text = "One of the two is part of a larger account, and you have shown that the part is yours, not all of it. \
                Nothing was changed. Sign in with what you use for the larger account, and try again.";
    unchanged(app, context, StatusCode::CONFLICT, "Not all of it is shown to be yours", text)
}
