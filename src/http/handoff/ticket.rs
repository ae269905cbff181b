//! The way of a browser on an app's own domain: start there, through the issuer, back with a ticket.
//!
//! `start` and `callback` are reached on the app's domain, through its proxy; `authorize` and `expired` on the
//! issuer's. The return address is on a registered origin of the destination or refused (spec/protocol.md rule 40).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use url::Url;

use super::forward_auth::cookie_name;
use crate::app::App;
use crate::handoff::{Destination, forward_auth};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::login::step::{self, Walk, private_redirect};
use crate::http::pages::{ExpiredPage, View};
use crate::http::session::BrowserSession;
use crate::protocol::params::Params;
use crate::secret;
use crate::session::flow::{Flow, Target};

/// How long a person may take to log in before the way back is closed.
const STATE_LIFETIME: Duration = Duration::from_secs(60 * 60);
const STATE_LENGTH: usize = 43;

/// On the app's domain: remembers the browser and sends it to the issuer.
pub async fn start(
    State(app): State<App>,
    context: Context,
    Path(destination): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let query = query.unwrap_or_default();
    let destination = app.destinations.find(&destination);
    let proved = destination.and_then(|destination| {
        let return_to = destination.way_back(&wanted(&query)?)?;
        Some((destination, return_to))
    });
    let Some((destination, return_to)) = proved else { return Ok(refused(&app, &context)) };
    // Another tab may be on its way: both come back to the same cookie.
    let known = app.cookies.get(&context.cookies, &state_cookie(&destination));
    let state = known.filter(|state| state.len() == STATE_LENGTH).map_or_else(secret::random_token, str::to_owned);
    let mut url = destination.path_on(&app.config.server.issuer, &["handoff", &destination.id]);
    url.query_pairs_mut().append_pair("rd", return_to.as_str()).append_pair("state", &secret::token_hash(&state));
    let mut response = private_redirect(&url);
    app.cookies.set(&mut response, &state_cookie(&destination), state, STATE_LIFETIME);
    Ok(response)
}

/// Where the browser wanted to go. nginx cannot encode a variable, so what follows `rd=` may also be the bare address,
/// its own query and all; nothing else comes after it then.
fn wanted(query: &str) -> Option<String> {
    match query.strip_prefix("rd=") {
        Some(bare) if bare.starts_with("https://") || bare.starts_with("http://") => Some(bare.to_owned()),
        _ => Params::parse(query.as_bytes()).owned("rd"),
    }
}

/// On the issuer's origin: logs in if needed, then back with a ticket.
pub async fn authorize(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    Path(destination): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let state_hash = params.owned("state").filter(|hash| hash.len() == STATE_LENGTH);
    let (Some((destination, return_to)), Some(state_hash)) = (proved(&app, &destination, &params), state_hash) else {
        return Ok(refused(&app, &context));
    };
    let mut this_browser = app.cookies.browser(&context.cookies);
    let target = Target::Destination { destination: destination.id.clone(), return_to, state_hash };
    let flow = Flow::new(this_browser.hash.clone(), target, context.now);
    let session = browser.current(&app, context.now).await?;
    let mut response = step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await?;
    app.cookies.introduce(&mut response, &mut this_browser);
    Ok(response)
}

/// On the app's domain again: the ticket becomes a cookie there.
pub async fn callback(
    State(app): State<App>,
    context: Context,
    Path(destination): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let Some(destination) = app.destinations.find(&destination) else { return Ok(refused(&app, &context)) };
    let state = app.cookies.get(&context.cookies, &state_cookie(&destination)).unwrap_or_default();
    let ticket = params.get("ticket").unwrap_or_default();
    let Some(arrived) = forward_auth::redeem_ticket(app.kv(), &destination, ticket, state, context.now).await? else {
        // Pages need their style sheet, and the app's domain has none of ours.
        let issuer = &app.config.server.issuer;
        return Ok(private_redirect(&destination.path_on(issuer, &["handoff", &destination.id, "expired"])));
    };
    let mut response = private_redirect(&arrived.return_to);
    app.cookies.set(&mut response, &cookie_name(&destination), arrived.cookie, arrived.max_age);
    Ok(response)
}

/// On the issuer's origin: a ticket was used, too old, or another browser's.
pub async fn expired(State(app): State<App>, context: Context, Path(destination): Path<String>) -> Response {
    let start_again = app.destinations.find(&destination).and_then(|destination| {
        let origin = destination.origins.first()?.to_string();
        Some((destination.name.clone(), origin))
    });
    let page = ExpiredPage { brand: &app.brand, start_again, request_id: context.request_id };
    page.page().with_status(StatusCode::BAD_REQUEST).into_response()
}

/// The destination and a return address it owns.
fn proved(app: &App, destination: &str, params: &Params) -> Option<(Arc<Destination>, Url)> {
    let destination = app.destinations.find(destination)?;
    let return_to = destination.way_back(params.get("rd")?)?;
    Some((destination, return_to))
}

fn state_cookie(destination: &Destination) -> String {
    format!("state-{}", destination.tag())
}

fn refused(app: &App, context: &Context) -> Response {
    let title = "This link does not lead anywhere we know";
    let text = "The address to return to does not belong to a registered app. Nothing was done.";
    error::plain_page(app, context, StatusCode::BAD_REQUEST, title, text, vec![])
}
