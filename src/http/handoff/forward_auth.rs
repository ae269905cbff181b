//! Forward-auth (spec/handoff.md rules 11, 12): nginx `auth_request`, Traefik, Caddy, Envoy.
//!
//! 200 with `Samesake-Identity`, or, where the destination or the route (`policy=authenticated`) asks for a login, 401 or
//! (with `mode=redirect`) a redirect to it. One round trip at most; the statement is reused until half of its life has
//! passed.

use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};

use crate::app::App;
use crate::clock::Timestamp;
use crate::handoff::forward_auth;
use crate::handoff::signed_identity::{Level, Person, Statement};
use crate::handoff::{Destination, Policy};
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::session_store;
use crate::ids::{CustomerId, Sid};
use crate::protocol::params::Params;
use crate::session::{Authentication, SsoSession, TOUCH_AFTER};

/// The header that carries the signed identity.
pub const IDENTITY: &str = "samesake-identity";
/// Asks for a redirect where the proxy cannot put `mode=redirect` into the query.
const MODE: &str = "samesake-mode";

/// One look-up.
pub async fn answer(
    State(app): State<App>,
    context: Context,
    Path(destination): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(destination) = app.destinations.find(&destination) else {
        return Ok(refused(StatusCode::NOT_FOUND, "no such destination"));
    };
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let policy = match query.get("policy") {
        None => destination.policy,
        Some("observe") => Policy::Observe,
        Some("authenticated") => Policy::Authenticated,
        Some(_) => return Ok(refused(StatusCode::BAD_REQUEST, "no such policy")),
    };
    let redirect = query.get("mode") == Some("redirect");
    look_up(&app, &context, &destination, Asked { policy, redirect, wanted: forwarded_url(&headers) }).await
}

/// The same, for proxies that append the original path and query to ours (Envoy).
pub async fn answer_below(
    State(app): State<App>,
    context: Context,
    Path(parameters): Path<Vec<(String, String)>>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    let Some(destination) = parameters.first().and_then(|(_, destination)| app.destinations.find(destination)) else {
        return Ok(refused(StatusCode::NOT_FOUND, "no such destination"));
    };
    let redirect = headers.get(MODE).is_some_and(|mode| mode == "redirect");
    let wanted = forwarded_url(&headers).or_else(|| appended_url(&headers, &uri));
    look_up(&app, &context, &destination, Asked { policy: destination.policy, redirect, wanted }).await
}

/// What the proxy tells about the request it asks for.
struct Asked {
    /// The route's own, or else the destination's.
    policy: Policy,
    redirect: bool,
    /// Where the browser wants to go. Used only where it is on a registered origin.
    wanted: Option<String>,
}

/// The proxy is configured wrongly.
fn refused(status: StatusCode, reason: &'static str) -> Response {
    (status, [(CACHE_CONTROL, "private, no-store")], reason).into_response()
}

async fn look_up(
    app: &App,
    context: &Context,
    destination: &Arc<Destination>,
    asked: Asked,
) -> Result<Response, Failure> {
    let person = match person(app, context, destination).await {
        // Never blocks, whatever happens: nobody is vouched for, and the page is shown.
        Err(_) if asked.policy == Policy::Observe => None,
        person => person?,
    };
    let statement = app.statements.statement(destination, person.as_ref(), context.now)?;
    if statement.level != Level::Authenticated && asked.policy == Policy::Authenticated {
        return Ok(challenge(destination, asked));
    }
    Ok(vouched(&statement))
}

/// Who the browser is: by its cookie on the app's domain, or by the session itself where the domain is the issuer's.
async fn person(app: &App, context: &Context, destination: &Destination) -> Result<Option<Person>, Failure> {
    let now = context.now;
    let forwarded = match app.cookies.get(&context.cookies, &cookie_name(destination)) {
        Some(cookie) => forward_auth::look_up(app.kv(), destination, cookie, now).await?,
        None => None,
    };
    let session: Option<(CustomerId, Sid, Authentication)> = match forwarded {
        Some((session, entry)) => {
            if entry.is_due(app.config.session.idle, session.expires_at, now) {
                touch(app, entry.session_key, now);
            }
            Some((session.customer, session.sid, session.authentication))
        }
        // A cookie of a session that has ended must not hide a live one.
        None => own_session(app, context).await?.map(|sso| (sso.customer, sso.sid, sso.authentication)),
    };
    let Some((customer, sid, authentication)) = session else { return Ok(None) };
    let known = app.known_customers.find(app.store(), destination, customer, now).await?;
    let known = known.filter(|known| known.counts(authentication.auth_time));
    Ok(known.map(|known| Person {
        customer,
        sub: known.sub,
        sid,
        version: known.version,
        authentication,
        whole: known.whole,
        merged_from: known.merged_from,
    }))
}

/// The SSO session itself, where the app shares the issuer's domain.
async fn own_session(app: &App, context: &Context) -> Result<Option<SsoSession>, Failure> {
    let cookie = app.cookies.get(&context.cookies, "session").and_then(session_store::session_id);
    let Some(id) = cookie else { return Ok(None) };
    let record = session_store::load_record(app.kv(), &id, context.now).await?;
    let idle = app.config.session.idle;
    let session = record.as_ref().and_then(session_store::sso_session);
    let session = session.filter(|session| session.is_live(context.now, idle));
    if session.as_ref().is_some_and(|session| context.now.since(session.last_seen) > idle / TOUCH_AFTER) {
        touch(app, session_store::session_key(&id), context.now);
    }
    Ok(session)
}

/// Keeps a session in use from idling out. The answer does not wait for it.
fn touch(app: &App, session_key: String, now: Timestamp) {
    let (kv, idle) = (app.kv().background(), app.config.session.idle);
    tokio::spawn(async move {
        if let Err(error) = session_store::touch(&kv, &session_key, idle, now).await {
            tracing::warn!(%error, "a session in use could not be kept from idling out");
        }
    });
}

/// The name of the cookie on an app's own domain.
pub fn cookie_name(destination: &Destination) -> String {
    format!("forward-{}", destination.tag())
}

fn vouched(statement: &Statement) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    headers.insert("samesake-level", HeaderValue::from_static(statement.level.as_str()));
    if let Ok(value) = HeaderValue::from_str(&statement.jwt) {
        headers.insert(IDENTITY, value);
    }
    response
}

/// RFC 9470 §3 in 401 mode; in redirect mode the way to the login, back to where the browser wanted to go.
fn challenge(destination: &Destination, asked: Asked) -> Response {
    let wanted = asked.wanted.filter(|_| asked.redirect).and_then(|wanted| destination.way_back(&wanted));
    let mut response = match wanted {
        Some(wanted) => {
            let mut start = destination.page_on(&wanted, "start");
            start.query_pairs_mut().append_pair("rd", wanted.as_str());
            Redirect::to(start.as_str()).into_response()
        }
        None => {
            let mut response = StatusCode::UNAUTHORIZED.into_response();
            let challenge = "Bearer error=\"insufficient_user_authentication\", \
                             error_description=\"a live session is required\"";
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            response
        }
    };
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    response
}

/// The original address, as nginx is told to send it, or as Traefik and Caddy do.
fn forwarded_url(headers: &HeaderMap) -> Option<String> {
    if let Some(whole) = text(headers, "x-original-url") {
        return Some(whole.to_owned());
    }
    let scheme = text(headers, "x-forwarded-proto")?;
    let host = text(headers, "x-forwarded-host")?;
    let path = text(headers, "x-forwarded-uri").filter(|path| path.starts_with('/'))?;
    Some(format!("{scheme}://{host}{path}"))
}

/// The original address, as Envoy sends it: behind our own path, under its own host.
fn appended_url(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    let host = text(headers, HOST.as_str())?;
    let scheme = text(headers, "x-forwarded-proto").unwrap_or("https");
    let path = uri.path_and_query()?.as_str().strip_prefix("/forward-auth/")?;
    let at = path.find('/')?;
    Some(format!("{scheme}://{host}{}", path.get(at..)?))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
