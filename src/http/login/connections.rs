//! The account page: what a customer logs in with, connecting another account at a provider, and disconnecting one
//! (spec/identity.md rules 15 to 19).
//!
//! Both changes need a login of the last ten minutes; an older session is sent through the login page first. The forms
//! carry a token of the session, so that no other site, and no other session, can post them.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::link::tell;
use super::posted;
use super::step::{self, Walk};
use crate::app::App;
use crate::connector::Wishes;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{AccountPage, Action, ConnectionLine, ConnectorButton, Message, View};
use crate::http::session::BrowserSession;
use crate::identity::import::Differs;
use crate::identity::linking::{self, Claim, Linked, Proof};
use crate::identity::merge::side;
use crate::identity::namespace::Namespace;
use crate::identity::other_names::is_other_name;
use crate::identity::unlinking::{self, Unlinked, Ways};
use crate::ids::LinkId;
use crate::mail::templates;
use crate::protocol::params::Params;
use crate::secret;
use crate::session::flow::{Flow, Target, UpstreamFlow};
use crate::session::{self, SsoSession};
use crate::store::Link;

/// How old a login may be for changes to how one logs in.
const RECENT: Duration = Duration::from_secs(10 * 60);

/// The page.
pub async fn get(State(app): State<App>, context: Context, browser: BrowserSession) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else { return log_in(&app, &context).await };
    let links = side::links(&mut app.store().begin_read().await?, session.customer).await?;
    let connectors = app.connectors.list().iter();
    let page = AccountPage {
        brand: &app.brand,
        account: super::consent::account(&app, session.customer).await?,
        token: form_token(&app, &session),
        connections: links.iter().filter(|link| !is_other_name(link)).filter_map(|link| line(&app, link)).collect(),
        connectors: connectors
            .map(|connector| ConnectorButton {
                id: connector.id().to_owned(),
                name: connector.name().to_owned(),
                kind: connector.config().kind.as_str().to_owned(),
            })
            .collect(),
    };
    Ok(page.page().into_response())
}

/// One way in, as the page lists it. Hints are none.
fn line(app: &App, link: &Link) -> Option<ConnectionLine> {
    let shown = link.display.clone();
    let (provider, label, unlink) = match Namespace::parse(&link.namespace)? {
        Namespace::Social(id) => {
            let name = app.connectors.get(&id).map_or_else(|| id.clone(), |connector| connector.name().to_owned());
            (name, shown.unwrap_or_default(), Some(link.id.0.to_string()))
        }
        Namespace::Email => (shown.unwrap_or_else(|| link.external_id.clone()), String::new(), None),
        _ => return None,
    };
    let day = |at: crate::clock::Timestamp| at.to_string().chars().take(10).collect::<String>();
    Some(ConnectionLine { provider, label, since: day(link.first_seen), last_used: day(link.last_seen), unlink })
}

/// Sends the browser through the login page and back here.
async fn log_in(app: &App, context: &Context) -> Result<Response, Failure> {
    let mut browser = app.cookies.browser(&context.cookies);
    let flow = Flow::new(browser.hash.clone(), Target::Account, context.now);
    let mut response = step::advance(Walk { app, context, flow, session: None, ops: vec![] }).await?;
    app.cookies.introduce(&mut response, &mut browser);
    Ok(response)
}

fn form_token(app: &App, session: &SsoSession) -> String {
    secret::base64url(&app.secrets.form.mac(&[b"account", session.sid.as_str().as_bytes()]))
}

/// The fields of a form of this page and who sent it. Whoever has not logged in lately is sent to do it first.
async fn posted_recently(
    app: &App,
    context: &Context,
    browser: &BrowserSession,
    body: &[u8],
) -> Result<(Params, SsoSession), Failure> {
    let params = posted(app, context, body)?;
    let Some(session) = browser.current(app, context.now).await? else {
        return Err(Failure::answer(log_in(app, context).await?));
    };
    let token = params.get("token").unwrap_or_default();
    if !secret::constant_time_eq(token.as_bytes(), form_token(app, &session).as_bytes()) {
        return Err(Failure::answer(error::expired_page(app, context)));
    }
    if context.now.since(session.authentication.auth_time) > RECENT {
        return Err(Failure::answer(log_in(app, context).await?));
    }
    Ok((params, session))
}

/// Connects another account: to the provider first. The flow remembers for whom, and in which session.
pub async fn connect(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    body: Bytes,
) -> Result<Response, Failure> {
    let (params, session) = posted_recently(&app, &context, &browser, &body).await?;
    let Some(connector) = params.get("connector").and_then(|id| app.connectors.get(id)) else {
        return Ok(error::expired_page(&app, &context));
    };
    let mut this_browser = app.cookies.browser(&context.cookies);
    let target = Target::Link { customer: session.customer, sid: session.sid };
    let flow = Flow::new(this_browser.hash.clone(), target, context.now);
    let redirect_uri = super::social::redirect_uri(&app, connector.id())?;
    let Ok(upstream) = connector.authorization_request(&redirect_uri, Wishes::default(), context.now).await else {
        let text = format!("{} does not answer at the moment. Nothing was changed.", connector.name());
        return Ok(refused(&app, &context, StatusCode::SERVICE_UNAVAILABLE, "That didn’t work", &text));
    };
    app.kv().run(vec![flow.save(context.now)?]).await?;
    UpstreamFlow { pending: upstream.pending, flow }.save(app.kv()).await?;
    let mut response = Redirect::to(upstream.url.as_str()).into_response();
    app.cookies.introduce(&mut response, &mut this_browser);
    Ok(response)
}

/// The customer is back from the provider: links the account, if the session that asked for it is still the browser's.
/// Nothing of another customer who has it is told (rule 16).
pub async fn returned(
    app: &App,
    context: &Context,
    browser: &BrowserSession,
    flow: &Flow,
    claim: &Claim,
) -> Result<Response, Failure> {
    let Target::Link { customer, sid } = &flow.target else { return Ok(error::expired_page(app, context)) };
    let session = browser.current(app, context.now).await?;
    if !session.is_some_and(|session| session.customer == *customer && session.sid == *sid) {
        return Ok(error::expired_page(app, context));
    }
    let name = provider_name(app, &claim.connector);
    let mut tx = app.store().begin().await?;
    let conflict = |title: &str, text: &str| Ok(refused(app, context, StatusCode::CONFLICT, title, text));
    match linking::add(&mut tx, *customer, claim, Proof::Login, context.now).await? {
        Linked::Added { customer, .. } => {
            let url = app.config.server.endpoint("/account");
            let message = |to: &_| templates::account_connected(&app.letterhead, to, &name, &url);
            tell(app, &mut tx, customer, context, message).await?;
            tx.commit().await?;
            app.mail_queued.notify_one();
            Ok(Redirect::to("/account").into_response())
        }
        Linked::Already { .. } => Ok(Redirect::to("/account").into_response()),
        Linked::Taken => conflict(
            "That account is already in use",
            &format!(
                "It is connected to another account here, so it was not connected to yours. Nothing was changed. To free it, \
             sign in with {name} and disconnect it there."
            ),
        ),
        Linked::Full => conflict(
            "Too many connected accounts",
            &format!("Your account is connected with as many accounts of {name} as it can be. Disconnect one first."),
        ),
        Linked::Missing(claims) => {
            conflict("Something is missing", &Message::ClaimsMissing { name, claims }.text(app.brand.text))
        }
        Linked::Differs(Differs(claim)) => conflict(
            "That account says something else about you",
            &Message::ClaimDiffers { name, claim }.text(app.brand.text),
        ),
        Linked::Refused => Ok(error::expired_page(app, context)),
    }
}

fn provider_name(app: &App, id: &str) -> String {
    app.connectors.get(id).map_or_else(|| id.to_owned(), |connector| connector.name().to_owned())
}

/// Disconnects an account and ends what came in through it.
pub async fn disconnect(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    body: Bytes,
) -> Result<Response, Failure> {
    let (params, session) = posted_recently(&app, &context, &browser, &body).await?;
    let Some(link) = params.get("link").and_then(|id| id.parse::<uuid::Uuid>().ok()).map(LinkId) else {
        return Ok(error::expired_page(&app, &context));
    };
    let ways = Ways {
        connectors: app.connectors.list().iter().map(|connector| connector.id().to_owned()).collect(),
        password: app.config.password.enabled,
    };
    let mut tx = app.store().begin().await?;
    let links = side::links(&mut tx, session.customer).await?;
    let connector = links.iter().find(|candidate| candidate.id == link).and_then(unlinking::connector_of);
    let name = provider_name(&app, &connector.unwrap_or_default());
    // Queued before the change: an address that only this link proved is told too, and all of it is one transaction.
    let url = app.config.server.endpoint("/account");
    let message = |to: &_| templates::account_disconnected(&app.letterhead, to, &name, &url);
    tell(&app, &mut tx, session.customer, &context, message).await?;
    match unlinking::remove(&mut tx, session.customer, link, &ways, context.now).await? {
        Unlinked::Removed { customer, links } => {
            for link in &links {
                tx.grants_revoke_link(customer, *link, context.now).await?;
            }
            tx.commit().await?;
            app.mail_queued.notify_one();
            for link in links {
                session::end_all_of_link(app.kv(), customer, link).await?;
            }
            Ok(Redirect::to("/account").into_response())
        }
        Unlinked::LastWay => Ok(refused(
            &app,
            &context,
            StatusCode::CONFLICT,
            "That’s your only way to sign in",
            "Without it you could not sign in any more. Connect another account first. What counts: another connected \
             account, or a password together with a confirmed address.",
        )),
        // Done before, by a double click or in another tab.
        Unlinked::NotThere => Ok(Redirect::to("/account").into_response()),
    }
}

fn refused(app: &App, context: &Context, status: StatusCode, title: &str, text: &str) -> Response {
    let back = Action { label: "Back to your account".to_owned(), href: "/account".to_owned() };
    error::plain_page(app, context, status, title, text, vec![back])
}
