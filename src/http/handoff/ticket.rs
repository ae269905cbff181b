//! The way of a browser on an app's own domain: start there, through the issuer, back with a ticket.
//!
//! `start` and `callback` are reached on the app's domain, through its proxy; `authorize` on the issuer's. The return
//! address is on a registered origin of the destination or refused (spec/protocol.md rule 40).

use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::forward_auth::cookie_name;
use crate::app::App;
use crate::handoff::{Destination, forward_auth};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::login::step::{self, Walk};
use crate::http::session::BrowserSession;
use crate::protocol::params::Params;
use crate::secret;
use crate::session::flow::{Flow, Target};

/// How long a person may take to log in before the way back is closed.
const STATE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// On the app's domain: remembers the browser and sends it to the issuer.
pub async fn start(
    State(app): State<App>,
    context: Context,
    Path(destination): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let Some((destination, return_to)) = proved(&app, &destination, &params) else {
        return Ok(refused(&app, &context));
    };
    let state = secret::random_token();
    let mut url: Url = app.config.server.endpoint(&format!("/handoff/{}", destination.id)).parse()?;
    url.query_pairs_mut().append_pair("rd", return_to.as_str()).append_pair("state", &secret::token_hash(&state));
    let mut response = Redirect::to(url.as_str()).into_response();
    app.cookies.set(&mut response, &state_cookie(&destination), state, STATE_LIFETIME);
    Ok(response)
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
    let state_hash = params.owned("state").filter(|hash| hash.len() == 43);
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
        return Ok(error::expired_page(&app, &context));
    };
    let mut response = Redirect::to(arrived.return_to.as_str()).into_response();
    app.cookies.set(&mut response, &cookie_name(&destination), arrived.cookie, arrived.max_age);
    app.cookies.remove(&mut response, &state_cookie(&destination));
    Ok(response)
}

/// The destination and a return address it owns.
fn proved(app: &App, destination: &str, params: &Params) -> Option<(std::sync::Arc<Destination>, Url)> {
    let destination = app.destinations.find(destination)?;
    let return_to = Url::parse(params.get("rd")?).ok().filter(|url| destination.owns(url))?;
    Some((destination, return_to))
}

fn state_cookie(destination: &Destination) -> String {
    format!("state-{}", destination.id)
}

fn refused(app: &App, context: &Context) -> Response {
    let title = "This link does not lead anywhere we know";
    let text = "The address to return to does not belong to a registered app. Nothing was done.";
    error::plain_page(app, context, StatusCode::BAD_REQUEST, title, text, vec![])
}
