//! GitHub: refusals with status 200, forms for whoever does not ask for JSON, numeric IDs, addresses apart.
//!
//! <https://docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps>

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use super::{Desk, Stand, fields, json_answer, posts_secret, start};

/// An account is `{"user": …, "emails": [...]}`; without `emails` the permission is withheld.
pub struct GitHub(pub Stand);

impl GitHub {
    pub async fn start() -> Self {
        let router = |desk: Arc<Desk>| {
            Router::new()
                .route(
                    "/login/oauth/authorize",
                    get(async |State(desk): State<Arc<Desk>>, uri: Uri| desk.redirect(&uri, true)),
                )
                .route("/login/oauth/access_token", post(token))
                .route("/user", get(user))
                .route("/user/emails", get(emails))
                .with_state(desk)
        };
        Self(start(router).await)
    }

    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut keys = json!({
            "name": "GitHub",
            "authorization_endpoint": self.0.url("/login/oauth/authorize"),
            "token_endpoint": self.0.url("/login/oauth/access_token"),
            "userinfo_endpoint": self.0.url("/user"),
            "emails_endpoint": self.0.url("/user/emails"),
        });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.config("github", keys)
    }
}

async fn token(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> Response {
    let form = fields(&body);
    let refusal = |code: &str| {
        let uri = "https://docs.github.com/apps/troubleshooting";
        json_answer(200, json!({"error": code, "error_description": "as told", "error_uri": uri}))
    };
    if !posts_secret(&headers, &form) {
        return refusal("incorrect_client_credentials");
    }
    let Some(issued) = desk.redeem(&form) else { return refusal("bad_verification_code") };
    let token = desk.access_token(&issued.account);
    if headers.get(header::ACCEPT).is_none_or(|accept| accept != "application/json") {
        return format!("access_token={token}&scope=user%3Aemail&token_type=bearer").into_response();
    }
    json_answer(200, json!({"access_token": token, "scope": "read:user,user:email", "token_type": "bearer"}))
}

/// The account of a request to the API, or the API's refusal.
fn caller(desk: &Desk, headers: &HeaderMap) -> Result<Value, Response> {
    if !headers.contains_key(header::USER_AGENT) {
        return Err(json_answer(403, json!({"message": "Request forbidden by administrative rules."})));
    }
    desk.bearer(headers)
        .map(|(_, account)| account)
        .ok_or_else(|| json_answer(401, json!({"message": "Bad credentials", "status": "401"})))
}

async fn user(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    caller(&desk, &headers).map_or_else(|refusal| refusal, |account| json_answer(200, account["user"].clone()))
}

async fn emails(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    caller(&desk, &headers).map_or_else(
        |refusal| refusal,
        |account| match &account["emails"] {
            Value::Null => json_answer(404, json!({"message": "Not Found", "status": "404"})),
            emails => json_answer(200, emails.clone()),
        },
    )
}
