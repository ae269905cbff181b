//! Forward-auth (spec/handoff.md rules 11, 12): nginx `auth_request`, Traefik, Caddy, Envoy.
//!
//! 200 with `Samesake-Identity`, or, where the destination asks for a login, 401 or (with `mode=redirect`) a redirect to
//! it. One round trip at most; the statement is reused until half of its life has passed.

use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use crate::app::{App, SUBJECT_KNOWN_FOR};
use crate::clock::Timestamp;
use crate::handoff::forward_auth;
use crate::handoff::signed_identity::{Level, Person, Statement};
use crate::handoff::{Destination, Policy};
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::session_store;
use crate::oidc::subject::{self, Sector};
use crate::protocol::params::Params;
use crate::session::SsoSession;
use crate::store::CustomerState;

/// The header that carries the signed identity.
pub const IDENTITY: &str = "samesake-identity";

/// One look-up.
pub async fn answer(
    State(app): State<App>,
    context: Context,
    Path(destination): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    look_up(&app, &context, &destination, query.as_deref(), &headers).await
}

/// The same, for proxies that append the original path.
pub async fn answer_below(
    State(app): State<App>,
    context: Context,
    Path((destination, _)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    look_up(&app, &context, &destination, query.as_deref(), &headers).await
}

async fn look_up(
    app: &App,
    context: &Context,
    destination: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Response, Failure> {
    let Some(destination) = app.destinations.find(destination) else {
        return Ok((StatusCode::NOT_FOUND, "no such destination").into_response());
    };
    let person = person(app, context, &destination).await?;
    let statement = app.statements.statement(&destination, person.as_ref(), context.now)?;
    if statement.level == Level::Anonymous && destination.policy == Policy::Authenticated {
        return Ok(challenge(&destination, query, headers));
    }
    Ok(vouched(&statement))
}

/// Who the browser is: by its cookie on the app's domain, or by the session itself where the domain is the issuer's.
async fn person(app: &App, context: &Context, destination: &Destination) -> Result<Option<Person>, Failure> {
    let now = context.now;
    if let Some(cookie) = app.cookies.get(&context.cookies, &cookie_name(destination))
        && let Some(session) = forward_auth::look_up(app.kv(), destination, cookie, now).await?
    {
        return Ok(Some(Person::from(session)));
    }
    // A cookie of a session that has ended must not hide a live one.
    let cookie = app.cookies.get(&context.cookies, "session").and_then(session_store::session_id);
    let Some(id) = cookie else { return Ok(None) };
    let record = session_store::load_record(app.kv(), &id, now).await?;
    match record.as_ref().and_then(session_store::sso_session) {
        Some(sso) if sso.is_live(now, app.config.session.idle) => known_person(app, destination, sso, now).await,
        _ => Ok(None),
    }
}

async fn known_person(
    app: &App,
    destination: &Destination,
    sso: SsoSession,
    now: Timestamp,
) -> Result<Option<Person>, Failure> {
    let key = (destination.sector.clone(), sso.customer);
    let known = app.known_subjects.get(&key).filter(|(_, _, at)| now.since(*at) < SUBJECT_KNOWN_FOR && now >= *at);
    let (sub, version) = match known {
        Some((sub, version, _)) => (sub, version),
        None => {
            let sector = Sector { name: &destination.sector, pairwise: destination.pairwise };
            let mut tx = app.store().begin().await?;
            let view = subject::view(&mut tx, sector, sso.customer, &app.provider.subject_key, now).await?;
            tx.commit().await?;
            let Some((view, sub)) = view.filter(|(view, _)| view.state == CustomerState::Active) else {
                return Ok(None);
            };
            app.known_subjects.insert(key, (sub.clone(), view.version, now));
            (sub, view.version)
        }
    };
    let SsoSession { sid, customer, authentication, .. } = sso;
    Ok(Some(Person { customer, sub, sid, version, authentication }))
}

/// The name of the cookie on an app's own domain.
pub fn cookie_name(destination: &Destination) -> String {
    format!("forward-{}", destination.id)
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
fn challenge(destination: &Destination, query: Option<&str>, headers: &HeaderMap) -> Response {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let wanted = original_url(headers).filter(|url| destination.owns(url));
    let mut response = match (params.get("mode"), wanted) {
        (Some("redirect"), Some(wanted)) => {
            let mut start = wanted.clone();
            start.set_path(&format!("/.samesake/{}/start", destination.id));
            start.set_fragment(None);
            start.set_query(None);
            start.query_pairs_mut().append_pair("rd", wanted.as_str());
            Redirect::to(start.as_str()).into_response()
        }
        _ => {
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

/// Where the browser wanted to go, as the proxy tells it. It is used only if it is on a registered origin.
fn original_url(headers: &HeaderMap) -> Option<Url> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(whole) = text("x-original-url") {
        return Url::parse(whole).ok();
    }
    let scheme = text("x-forwarded-proto")?;
    let host = text("x-forwarded-host")?;
    let path = text("x-forwarded-uri").unwrap_or("/");
    Url::parse(&format!("{scheme}://{host}{path}")).ok()
}
