//! Who is asking, and whether they may: the check in front of every operation that is not public.
//!
//! RFC 6750 for the token and its scope, then the role, read at each request, then RFC 9470 where the operation wants a
//! fresh login. A handler is reached only with a [`Call`], so that none can forget to ask.

use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::operation::Operation;
use super::{PREFIX, audience};
use crate::app::App;
use crate::board::admin::{self, Admin, FRESH_FOR};
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::http::oidc::userinfo::bearer;
use crate::oidc::access_token;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::protocol::{ErrorCode, OAuthError};

/// The scope of a token for this API.
pub const SCOPE: &str = "admin";

/// What stands before one operation.
#[derive(Clone)]
pub struct Gate {
    pub app: App,
    pub operation: &'static Operation,
    pub act: Act,
}

/// A request that was let in.
#[derive(Clone)]
pub struct Call {
    pub operation: &'static Operation,
    pub admin: Admin,
    /// The one time of this request.
    pub now: Timestamp,
}

impl FromRequestParts<App> for Call {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::new(ProblemKind::ServerError))
    }
}

/// Lets a request through to its operation, or says why not.
pub async fn guard(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let call = match admit(&gate, request.headers()).await {
        Ok(call) => call,
        Err(problem) => return problem.into_response(),
    };
    request.extensions_mut().insert(call);
    let mut response = next.run(request).await;
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn admit(gate: &Gate, headers: &HeaderMap) -> Result<Call, Problem> {
    let (app, now) = (&gate.app, gate.app.clock.now());
    let token = bearer(headers).map_err(|error| refused(app, &error, SCOPE))?;
    let token = token
        .ok_or_else(|| Problem::new(ProblemKind::Unauthenticated).challenge(challenge(app, &[("scope", SCOPE)])))?;
    let claims = access_token::check(&app.provider, token, &audience(app), now).await;
    let (claims, live) = claims.map_err(|error| refused(app, &error, SCOPE))?;
    let client = app.provider.clients.find(&claims.client_id);
    let client = client.ok_or_else(|| refused(app, &access_token::invalid("the client is gone"), SCOPE))?;
    if !claims.scope.contains(SCOPE) {
        return Err(refused(app, &OAuthError::new(ErrorCode::InsufficientScope, "the scope admin is needed"), SCOPE));
    }
    let needed = gate.act.needs();
    let too_low = || Problem::new(ProblemKind::RoleTooLow).with("needs", needed.as_str());
    let admin = admin::of_token(app.store(), &client, &claims, live.customer).await?.ok_or_else(too_low)?;
    if !admin.may(gate.act) {
        return Err(too_low());
    }
    if gate.act.needs_fresh_login() && !admin.is_fresh(now) {
        return Err(too_old(app));
    }
    Ok(Call { operation: gate.operation, admin, now })
}

/// RFC 6750 §3.1: why a token is not good here, where `scope` is needed.
pub fn refused(app: &App, error: &OAuthError, scope: &str) -> Problem {
    let kind = match error.code {
        ErrorCode::InvalidRequest => ProblemKind::InvalidRequest,
        ErrorCode::InsufficientScope => ProblemKind::InsufficientScope,
        ErrorCode::ServerError | ErrorCode::TemporarilyUnavailable => {
            tracing::error!(cause = ?error.source, "an access token could not be checked");
            return Problem::new(ProblemKind::Unavailable);
        }
        _ => ProblemKind::Unauthenticated,
    };
    tracing::info!(error = error.code.as_str(), detail = error.detail.as_deref(), "access token refused");
    let mut parameters = vec![("error", error.code.as_str()), ("error_description", error.description.as_str())];
    if kind == ProblemKind::InsufficientScope {
        parameters.push(("scope", scope));
    }
    Problem::new(kind).detail(error.description.clone()).challenge(challenge(app, &parameters))
}

/// RFC 9470 §3.
fn too_old(app: &App) -> Problem {
    let seconds = FRESH_FOR.as_secs().to_string();
    let parameters = [
        ("error", "insufficient_user_authentication"),
        ("error_description", "a more recent login is needed"),
        ("max_age", seconds.as_str()),
    ];
    Problem::new(ProblemKind::LoginTooOld).challenge(challenge(app, &parameters))
}

/// RFC 9728 §5.1: the challenge says where the API is described.
pub fn challenge(app: &App, parameters: &[(&str, &str)]) -> String {
    let mut text = format!(
        "Bearer realm=\"samesake\", resource_metadata=\"{}/.well-known/oauth-protected-resource{PREFIX}\"",
        app.provider.issuer
    );
    for (name, value) in parameters {
        text.push_str(&format!(", {name}=\"{value}\""));
    }
    text
}
