//! An OAuth 2.0 server of nobody in particular, whose claims have names of their own.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use super::{Desk, Stand, fields, json_answer, sends_basic, start};

/// An account is what its profile says.
pub struct Generic(pub Stand);

impl Generic {
    /// `pkce`: whether it is asked with PKCE.
    pub async fn start(pkce: bool) -> Self {
        let authorize = async move |State(desk): State<Arc<Desk>>, uri: Uri| desk.redirect(&uri, pkce);
        let router = |desk: Arc<Desk>| {
            Router::new()
                .route("/authorize", get(authorize))
                .route("/token", post(token))
                .route("/profile", get(profile))
                .with_state(desk)
        };
        Self(start(router).await)
    }

    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut keys = json!({
            "id": "club", "name": "The Club",
            "authorization_endpoint": self.0.url("/authorize"),
            "token_endpoint": self.0.url("/token"),
            "userinfo_endpoint": self.0.url("/profile"),
            "subject_claim": "member.number",
            "claims": {"name": "member.title", "email": "contact.mail", "email_verified": "contact.checked"},
        });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.config("oauth2", keys)
    }
}

async fn token(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> Response {
    let form = fields(&body);
    if !sends_basic(&headers, &form) {
        return json_answer(401, json!({"error": "invalid_client"}));
    }
    let Some(issued) = desk.redeem(&form) else { return json_answer(400, json!({"error": "invalid_grant"})) };
    let token = desk.access_token(&issued.account);
    json_answer(200, json!({"access_token": token, "token_type": "Bearer", "expires_in": 300}))
}

async fn profile(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match desk.bearer(&headers) {
        Some((_, account)) => json_answer(200, account),
        None => json_answer(401, json!({"error": "invalid_token"})),
    }
}
