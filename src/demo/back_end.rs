//! The shop's back end: a JSON API that believes a request only by its access token, verified with the gateway's
//! published keys and without a call home (RFC 9068 §4, RFC 6750).

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use super::issuer::{Issuer, Problem};
use crate::protocol::token::AccessTokenClaims;

/// The scope that reading orders takes.
const SCOPE: &str = "orders";

struct BackEnd {
    issuer: Issuer,
    /// This API's own name, which a token must be for.
    audience: String,
}

/// The API's routes.
pub(super) fn router(issuer: Issuer, audience: String) -> Router {
    let about = Json(json!({
        "what": "The shop's back end. It answers GET /orders to whoever brings an access token of the gateway.",
        "audience": audience,
        "scope": SCOPE,
    }));
    Router::new()
        .route("/", get(|| async { about }))
        .route("/orders", get(orders))
        .with_state(Arc::new(BackEnd { issuer, audience }))
}

async fn orders(State(back_end): State<Arc<BackEnd>>, headers: HeaderMap) -> Response {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(token) = header.and_then(|value| value.strip_prefix("Bearer ")) else {
        // RFC 6750 §3.1: no error code where there was no token.
        return refused(StatusCode::UNAUTHORIZED, "Bearer", "an access token is needed");
    };
    let claims = match back_end.issuer.verify::<AccessTokenClaims>(token, "at+jwt", &back_end.audience).await {
        Ok(claims) => claims,
        Err(Problem::Token(error)) => {
            return refused(StatusCode::UNAUTHORIZED, "Bearer error=\"invalid_token\"", &error.to_string());
        }
        Err(problem) => return problem.into_response(),
    };
    if !claims.scope.contains(SCOPE) {
        let challenge = "Bearer error=\"insufficient_scope\", scope=\"orders\"";
        return refused(StatusCode::FORBIDDEN, challenge, "the token may not read orders");
    }
    let orders = json!([
        { "number": "FW-20471", "item": "Almweg 38 pack", "state": "on its way" },
        { "number": "FW-19822", "item": "Grat boot", "state": "delivered" },
    ]);
    let checked = "signature, type, issuer, audience, expiry, scope";
    let body = json!({ "customer_id": claims.sub, "client": claims.client_id, "checked": checked, "orders": orders });
    ([(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

fn refused(status: StatusCode, challenge: &'static str, reason: &str) -> Response {
    (status, [(WWW_AUTHENTICATE, challenge)], Json(json!({ "error": reason }))).into_response()
}
