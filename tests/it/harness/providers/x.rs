//! X: HTTP Basic, PKCE, answers wrapped in `data`, and an address only for apps that may see it.
//!
//! <https://docs.x.com/fundamentals/authentication/oauth-2-0/authorization-code>, <https://docs.x.com/x-api/users/get-me>

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use samesake::config::ConnectorConfig;
use serde_json::{Map, Value, json};

use super::{Desk, Stand, fields, json_answer, sends_basic, start};

/// An account is what `/2/users/me` can say.
pub struct X(pub Stand);

impl X {
    pub async fn start() -> Self {
        let router = |desk: Arc<Desk>| {
            Router::new()
                .route(
                    "/i/oauth2/authorize",
                    get(async |State(desk): State<Arc<Desk>>, uri: Uri| desk.redirect(&uri, true)),
                )
                .route("/2/oauth2/token", post(token))
                .route("/2/users/me", get(me))
                .with_state(desk)
        };
        Self(start(router).await)
    }

    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut keys = json!({
            "name": "X",
            "authorization_endpoint": self.0.url("/i/oauth2/authorize"),
            "token_endpoint": self.0.url("/2/oauth2/token"),
            "userinfo_endpoint": self.0.url("/2/users/me"),
        });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.config("x", keys)
    }
}

async fn token(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> Response {
    let form = fields(&body);
    if !sends_basic(&headers, &form) {
        let why = "Missing valid authorization header";
        return json_answer(401, json!({"error": "unauthorized_client", "error_description": why}));
    }
    let Some(issued) = desk.redeem(&form) else {
        let why = "Value passed for the authorization code was invalid.";
        return json_answer(400, json!({"error": "invalid_request", "error_description": why}));
    };
    // What was granted travels with the token.
    let mut account = issued.account;
    let scope = &issued.request["scope"];
    account["scope"] = json!(scope);
    let token = desk.access_token(&account);
    json_answer(200, json!({"token_type": "bearer", "expires_in": 7200, "access_token": token, "scope": scope}))
}

async fn me(State(desk): State<Arc<Desk>>, headers: HeaderMap, uri: Uri) -> Response {
    let query = fields(uri.query().unwrap_or_default());
    let Some((_, account)) = desk.bearer(&headers) else {
        return json_answer(401, json!({"title": "Unauthorized", "type": "about:blank", "status": 401}));
    };
    let granted = |scope: &str| account["scope"].as_str().unwrap().split(' ').any(|granted| granted == scope);
    let mut data = Map::new();
    for field in query["user.fields"].split(',') {
        if field == "confirmed_email" && !granted("users.email") {
            continue;
        }
        if let Some(value) = account.get(field) {
            data.insert(field.to_owned(), value.clone());
        }
    }
    json_answer(200, json!({ "data": data }))
}
