//! What the buttons of the account page do, once whoever pressed them has logged in lately: at once, or when a login that
//! was asked for first has led back here (spec/identity.md rules 15 to 19).
//!
//! A button that waits is kept in the flow, on our side: the login leads on to it only for the same customer in the same
//! session, once, and within ten minutes. No page can make it wait without the session's own form token.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use uuid::Uuid;

use super::joining::{provider_name, tell};
use super::{both_mine, see_other, social, unchanged, whole};
use crate::app::App;
use crate::connector::{Connector, ConnectorError, Wishes};
use crate::http::admin;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::identity::merge::side;
use crate::identity::unlinking::{self, Authority, Unlinked, Ways};
use crate::ids::LinkId;
use crate::jobs::{self, First, Task};
use crate::mail::templates;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target, UpstreamFlow};
use crate::session::pending::{Action, AddressOf};
use crate::store;
use crate::store::retry::retry;

/// Does what was pressed. `flow` holds it no longer.
///
/// # Errors
/// If a store does not answer.
pub async fn go_on(
    app: &App,
    context: &Context,
    flow: Flow,
    session: &SsoSession,
    action: Action,
) -> Result<Response, Failure> {
    match action {
        Action::Desk(action) => admin::acts::go_on(app, context, session, *action).await,
        // The flow came by without a login: the page is there to press again.
        _ if !session.is_recent(context.now) => Ok(to_account()),
        Action::Connect(connector) => connect(app, context, session, &connector).await,
        Action::Disconnect(link) => disconnect(app, context, session, link).await,
        Action::AddAddress(hint) => add_address(app, context, session, hint).await,
        Action::RequestMerge => both_mine::request(app, context, flow, session).await,
        Action::ProveWhole(link) => whole::begin(app, context, flow, session, link).await,
    }
}

/// Back to the account page.
pub fn to_account() -> Response {
    Redirect::to("/account").into_response()
}

/// Connects another account: to the provider first. The flow remembers for whom, and in which session.
///
/// # Errors
/// If a store does not answer.
pub async fn connect(app: &App, context: &Context, session: &SsoSession, connector: &str) -> Result<Response, Failure> {
    let Some(connector) = app.connectors.get(connector) else { return Ok(error::expired_page(app, context)) };
    let mut browser = app.cookies.browser(&context.cookies);
    let target = Target::Link { customer: session.customer, sid: session.sid.clone() };
    let flow = Flow::new(browser.hash.clone(), target, context.now);
    let redirect_uri = social::redirect_uri(app, connector.id())?;
    let upstream = match connector.authorization_request(&redirect_uri, Wishes::default(), context.now).await {
        Ok(upstream) => upstream,
        Err(error) => return Ok(failed(app, context, connector.as_ref(), &error)),
    };
    app.kv().run(vec![flow.save(context.now)?]).await?;
    UpstreamFlow { pending: upstream.pending, flow }.save(app.kv()).await?;
    let mut response = Redirect::to(upstream.url.as_str()).into_response();
    app.cookies.introduce(&mut response, &mut browser);
    Ok(response)
}

/// The page for a customer whose account at a provider could not be connected, because of the provider or themselves.
pub fn failed(app: &App, context: &Context, connector: &dyn Connector, error: &ConnectorError) -> Response {
    let name = connector.name();
    match error {
        ConnectorError::Denied => {
            let text = format!("You turned back at {name}, so nothing was connected. Your account is as it was.");
            unchanged(app, context, StatusCode::OK, "Nothing was connected", &text)
        }
        error => {
            // That it is left alone for a while was said when that began.
            if *error != ConnectorError::Paused {
                tracing::warn!(connector = connector.id(), error = %error, "an account at a provider was not connected");
            }
            let text = format!(
                "{name} did not answer as it should, so nothing was connected. Your account is as it was. Please try \
                 again in a few minutes."
            );
            unchanged(app, context, StatusCode::SERVICE_UNAVAILABLE, "That didn’t work", &text)
        }
    }
}

/// Disconnects an account and ends what came in through it.
///
/// # Errors
/// If a store does not answer.
pub async fn disconnect(app: &App, context: &Context, session: &SsoSession, link: LinkId) -> Result<Response, Failure> {
    match retry(|| disconnect_once(app, context, session, link)).await? {
        Ok(queued) => {
            app.mail_queued.notify_one();
            app.worker.finish_all(queued).await?;
            Ok(to_account())
        }
        Err(NotGone::LastWay) => Ok(unchanged(
            app,
            context,
            StatusCode::CONFLICT,
            "That’s your only way to sign in",
            "Without it you could not sign in any more. Connect another account first. What counts: another connected \
             account, or a password together with a confirmed address.",
        )),
        Err(NotGone::Unproved) => Ok(unchanged(
            app,
            context,
            StatusCode::FORBIDDEN,
            "Sign in with it first",
            "It belongs to an account that was joined with yours. Connect it here once more: whoever can sign in with it \
             can disconnect it.",
        )),
        // Done before, by a double click or in another tab.
        Err(NotGone::NotThere) => Ok(to_account()),
    }
}

/// Why a link is still there, or was not.
enum NotGone {
    LastWay,
    Unproved,
    NotThere,
}

async fn disconnect_once(
    app: &App,
    context: &Context,
    session: &SsoSession,
    link: LinkId,
) -> Result<Result<Vec<(Uuid, Task)>, NotGone>, store::Error> {
    let mut tx = app.store().begin().await?;
    let links = side::links(&mut tx, session.customer).await?;
    let connector = links.iter().find(|candidate| candidate.id == link).and_then(unlinking::connector_of);
    let name = provider_name(app, &connector.unwrap_or_default());
    // Queued before the change: an address that only this link proved is told too, and all of it is one transaction.
    let url = app.config.server.endpoint("/account");
    let message = |to: &_| templates::account_disconnected(&app.letterhead, to, &name, &url);
    tell(app, &mut tx, session.customer, context, message).await?;
    let ways = Ways::offered(&app.config);
    match unlinking::remove(&mut tx, session.customer, link, &ways, Authority::Customer, context.now).await? {
        Unlinked::Removed(tasks) => {
            let queued = jobs::queue_all(&mut tx, &app.secrets.task, tasks, First::Caller, context.now).await?;
            tx.commit().await?;
            Ok(Ok(queued))
        }
        Unlinked::LastWay => Ok(Err(NotGone::LastWay)),
        Unlinked::Unproved => Ok(Err(NotGone::Unproved)),
        Unlinked::NotThere => Ok(Err(NotGone::NotThere)),
    }
}

/// Begins to add an address: the page that asks for it.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn add_address(
    app: &App,
    context: &Context,
    session: &SsoSession,
    hint: String,
) -> Result<Response, Failure> {
    let mut browser = app.cookies.browser(&context.cookies);
    let mut flow = Flow::new(browser.hash.clone(), Target::Account, context.now);
    let of = AddressOf::Customer { customer: session.customer, sid: session.sid.clone() };
    flow.await_address(of, Some(hint).filter(|hint| !hint.is_empty()), context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    let mut response = see_other("/address", &flow);
    app.cookies.introduce(&mut response, &mut browser);
    Ok(response)
}
