//! Two accounts of one person become one: the page that says what it does, the button, and the page that it is done
//! (spec/identity.md rules 16, 25 and 28).
//!
//! What is done is what was shown, by its hash. A second click, and a retry after a lost reply, find it done. The
//! browser's session goes on under a new ID, as of now.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::both_mine::{go_on, leave, log_in_first, partial, stale};
use super::extract::PostedFlow;
use super::{connections, consent, see_other, unchanged, whole};
use crate::app::App;
use crate::config::MergedSessions;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{AppLine, JoinPage, JoinedPage, Knew, ValueLine, ValueOf, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::merge::golden::Field;
use crate::identity::merge::own::{self, Joining, Letters, Own, Preview};
use crate::identity::merge::{Joined, Plan, SectorLine};
use crate::mail::templates;
use crate::session::flow::Flow;
use crate::session::pending::{MergeStep, PendingMerge};
use crate::session::{Authentication, SsoSession};

const SECONDS_A_DAY: u64 = 24 * 60 * 60;

/// What joining the two does, in the customer's words.
///
/// # Errors
/// If a store does not answer.
pub async fn preview(
    app: &App,
    context: &Context,
    flow: &Flow,
    session: &SsoSession,
    pending: &PendingMerge,
) -> Result<Response, Failure> {
    if !session.is_recent(context.now) {
        return Ok(stale(app, context));
    }
    let one = session.proof();
    let own = Own { one: &one, other: &pending.other };
    let plan = match own::preview(app.store(), &app.config.merge, own, context.now).await? {
        Preview::Possible(plan) => plan,
        Preview::Refused(_) => return Ok(changed(app, context)),
        Preview::One => return Ok(joined(app, Told::Here)),
        Preview::Stale => return Ok(stale(app, context)),
    };
    let page = JoinPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        plan: plan.hash(),
        account: consent::account(app, session.customer).await?,
        ways: connections::ways(app, pending.other.customer).await?,
        values: plan.fields.iter().filter_map(|field| value(&plan, field)).collect(),
        apps: plan.sectors.iter().flat_map(|line| apps(app, line)).collect(),
        password_rests: plan.moves.password_rests,
        signs_out: app.config.merge.sessions != MergedSessions::Keep,
        undo_days: undo_days(app),
    };
    Ok(page.page().into_response())
}

fn undo_days(app: &App) -> u64 {
    app.config.merge.undo_window.as_secs() / SECONDS_A_DAY
}

/// What a field will say, if the account that stays says something else now or nothing.
fn value(plan: &Plan, field: &Field) -> Option<ValueLine> {
    let of = ValueOf::claim(&field.name)?;
    let chosen = field.candidates.iter().find(|candidate| candidate.customer == field.chosen)?;
    let only = field.candidates.iter().any(|candidate| candidate.customer == plan.survivor);
    (field.differs() || !only).then(|| ValueLine { of, value: chosen.value.as_str().unwrap_or_default().to_owned() })
}

fn apps(app: &App, line: &SectorLine) -> Vec<AppLine> {
    let knew = match (&line.survivor, &line.absorbed) {
        (Some(_), Some(_)) => Knew::Both,
        (None, Some(_)) => Knew::Other,
        _ => Knew::This,
    };
    let clients = app.provider.clients.of_sector(&line.sector);
    clients.iter().map(|client| AppLine { name: client.name().to_owned(), knew }).collect()
}

/// How the customer is told that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// On the page, and by mail to both sides.
    ByMail,
    /// On the page: somebody else did it before.
    Here,
}

/// The page that says it is done.
pub fn joined(app: &App, told: Told) -> Response {
    let mailed = told == Told::ByMail;
    JoinedPage { brand: &app.brand, mailed, undo_days: undo_days(app) }.page().into_response()
}

fn changed(app: &App, context: &Context) -> Response {
    let text = "Something about the two accounts has changed since you looked. Nothing was joined. Go back to your account \
                and start again.";
    unchanged(app, context, StatusCode::CONFLICT, "Please look again", text)
}

/// "Join the accounts": as shown.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else {
        // The first of two clicks has begun the session anew; where it is done, the page says so.
        return Ok(see_other("/both-mine", &flow));
    };
    let Some(pending) = flow.pending_merge(&session).cloned() else { return Ok(error::expired_page(&app, &context)) };
    if pending.step.is_done() {
        return Ok(see_other("/both-mine", &flow));
    }
    if !session.is_recent(context.now) {
        return log_in_first(&app, &context, flow, &session).await;
    }
    let one = session.proof();
    let own = Own { one: &one, other: &pending.other };
    let url = app.config.server.endpoint("/account");
    let write = |to: &EmailAddress| templates::accounts_joined(&app.letterhead, to, &url);
    let letters = Letters { key: &app.secrets.mail, write: &write };
    let agreed = (params.get("plan").unwrap_or_default(), letters);
    match own::join(app.store(), &app.config.merge, own, agreed, context.now).await? {
        Joining::Done(executed) => {
            app.mail_queued.notify_one();
            let (survivor, absorbed) = (executed.survivor, executed.absorbed);
            tracing::info!(customer.id = %survivor, %absorbed, "a customer joined two accounts");
            // Who is signed in has changed: no ID that was there before stands for it (RFC 9700, session fixation).
            let authentication = Authentication { auth_time: context.now, ..session.authentication.clone() };
            browser.start(&app, session.customer, authentication, context.now).await?;
            go_on(&app, &context, flow, MergeStep::Joined).await
        }
        Joining::One => unite(&app, &context, flow, &session).await,
        Joining::Changed => go_on(&app, &context, flow, MergeStep::Previewed).await,
        Joining::Refused(plan) => leave(&app, &context, flow, own, plan.refusals).await,
        Joining::Stale => Ok(stale(&app, &context)),
    }
}

/// Somebody else has made the two one meanwhile: what was proved opens all of it (rule 25).
///
/// # Errors
/// If a store does not answer.
pub async fn unite(app: &App, context: &Context, flow: Flow, session: &SsoSession) -> Result<Response, Failure> {
    let pending = flow.pending_merge(session).filter(|pending| pending.other.is_fresh(context.now));
    let Some(other) = pending.map(|pending| pending.other.customer) else { return Ok(stale(app, context)) };
    match whole::join_keys(app, context, session.customer, other).await? {
        Joined::Whole { .. } => go_on(app, context, flow, MergeStep::United).await,
        Joined::NotTheSurvivor => Ok(partial(app, context)),
    }
}
