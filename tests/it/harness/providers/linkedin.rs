//! LinkedIn: OpenID Connect with an ID token nobody's library accepts, no `token_type`, and no patience with PKCE.
//!
//! <https://learn.microsoft.com/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2>

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use super::{CLIENT_ID, Desk, Stand, fields, json_answer, posts_secret, start};
use crate::harness::upstream::keys::signing_input;

/// An account is what userinfo says.
pub struct LinkedIn(pub Stand);

impl LinkedIn {
    pub async fn start() -> Self {
        let router = |desk: Arc<Desk>| {
            Router::new()
                .route(
                    "/oauth/v2/authorization",
                    get(async |State(desk): State<Arc<Desk>>, uri: Uri| desk.redirect(&uri, false)),
                )
                .route("/oauth/v2/accessToken", post(token))
                .route("/v2/userinfo", get(userinfo))
                .with_state(desk)
        };
        Self(start(router).await)
    }

    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut keys = json!({
            "name": "LinkedIn",
            "authorization_endpoint": self.0.url("/oauth/v2/authorization"),
            "token_endpoint": self.0.url("/oauth/v2/accessToken"),
            "userinfo_endpoint": self.0.url("/v2/userinfo"),
        });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.config("linkedin", keys)
    }
}

async fn token(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> Response {
    let form = fields(&body);
    // A verifier is taken for another flow, in which this client is unknown.
    if !posts_secret(&headers, &form) || form.contains_key("code_verifier") {
        let why = "Client authentication failed";
        return json_answer(401, json!({"error": "invalid_client", "error_description": why}));
    }
    let Some(issued) = desk.redeem(&form) else {
        let why =
            "Unable to retrieve access token: appid/redirect uri/code verifier does not match authorization code.";
        return json_answer(400, json!({"error": "invalid_request", "error_description": why}));
    };
    let token = desk.access_token(&issued.account);
    let mut claims = json!({"iss": "https://www.linkedin.com/oauth", "aud": CLIENT_ID, "iat": 1, "exp": 2});
    claims.as_object_mut().unwrap().extend(issued.account.as_object().unwrap().clone());
    let id_token = signing_input(&json!({"alg": "RS256", "kid": "d929668a"}), &claims) + ".c2lnbmF0dXJl";
    let scope = "email,openid,profile";
    json_answer(200, json!({"access_token": token, "expires_in": 5_183_999, "scope": scope, "id_token": id_token}))
}

async fn userinfo(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Response {
    match desk.bearer(&headers) {
        Some((_, account)) => json_answer(200, account),
        None => json_answer(401, json!({"status": 401, "code": "INVALID_ACCESS_TOKEN", "message": "Invalid"})),
    }
}
