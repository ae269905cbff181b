//! Facebook: `#_=_` behind the redirect, no PKCE, refusals that are objects, and a Graph API that wants
//! `appsecret_proof`.
//!
//! <https://developers.facebook.com/docs/facebook-login/guides/advanced/manual-flow>,
//! <https://developers.facebook.com/docs/graph-api/guides/secure-requests>

use std::sync::Arc;

use aws_lc_rs::hmac;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use samesake::clock::Clock;
use samesake::config::ConnectorConfig;
use serde_json::{Map, Value, json};

use super::{CLIENT_SECRET, Desk, Stand, fields, json_answer, posts_secret, start};
use crate::harness::upstream::{Algorithm, Key};

/// An account is what `/me` can say; the key signs Limited Login's tokens.
pub struct Facebook(pub Stand, Arc<Key>);

impl Facebook {
    pub async fn start() -> Self {
        let key = Arc::new(Key::generate(Algorithm::Rs256, "limited-1"));
        let keys = json!({"keys": [key.public_jwk()]});
        let router = |desk: Arc<Desk>| {
            Router::new()
                .route("/v23.0/dialog/oauth", get(dialog))
                .route("/v23.0/oauth/access_token", post(token))
                .route("/v23.0/me", get(me))
                .route("/limited/keys", get(async move || json_answer(200, keys)))
                .with_state(desk)
        };
        Self(start(router).await, key)
    }

    /// An ID token as Limited Login gives it to an app; `claims` replace or add.
    pub fn limited_token(&self, claims: Value) -> String {
        let now = Clock::system().now().seconds();
        let mut all = json!({
            "iss": self.0.desk.base, "aud": "app-1", "iat": now, "exp": now + 3600, "jti": "j",
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.1.sign(&self.1.header(), &all)
    }

    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut keys = json!({
            "name": "Facebook",
            "authorization_endpoint": self.0.url("/v23.0/dialog/oauth"),
            "token_endpoint": self.0.url("/v23.0/oauth/access_token"),
            "userinfo_endpoint": self.0.url("/v23.0/me"),
            // Both are https at Facebook, and an https issuer has no http keys.
            "issuer": self.0.desk.base,
            "jwks_uri": self.0.url("/limited/keys"),
        });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.0.config("facebook", keys)
    }
}

async fn dialog(State(desk): State<Arc<Desk>>, uri: Uri) -> Response {
    let (mut back, answer) = desk.authorize(&uri, false);
    back.query_pairs_mut().extend_pairs(answer);
    back.set_fragment(Some("_=_"));
    Redirect::to(back.as_str()).into_response()
}

fn refusal(status: u16, kind: &str, code: i64, message: &str) -> Response {
    let error = json!({"message": message, "type": kind, "code": code, "fbtrace_id": "AbCdEfGhIjK"});
    json_answer(status, json!({ "error": error }))
}

async fn token(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: String) -> Response {
    let form = fields(&body);
    if !posts_secret(&headers, &form) {
        return refusal(400, "OAuthException", 1, "Error validating client secret.");
    }
    if form.get("grant_type").map(String::as_str) == Some("fb_exchange_token") {
        let Some(account) = desk.account_of(&form["fb_exchange_token"]) else {
            return refusal(400, "OAuthException", 190, "Invalid OAuth access token.");
        };
        let token = desk.access_token(&account);
        return json_answer(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 5_183_944}));
    }
    if form.contains_key("code_verifier") {
        let why = "code_verifier param is provided without a code_challenge in authorization request.";
        return refusal(400, "OAuthException", 100, why);
    }
    let Some(issued) = desk.redeem(&form) else {
        return refusal(400, "OAuthException", 100, "This authorization code has been used.");
    };
    let token = desk.access_token(&issued.account);
    json_answer(200, json!({"access_token": token, "token_type": "bearer", "expires_in": 5_400}))
}

async fn me(State(desk): State<Arc<Desk>>, headers: HeaderMap, uri: Uri) -> Response {
    let query = fields(uri.query().unwrap_or_default());
    let Some((token, account)) = desk.bearer(&headers) else {
        return refusal(400, "OAuthException", 190, "Invalid OAuth access token.");
    };
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, CLIENT_SECRET.as_bytes()), token.as_bytes());
    let proof: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    if query.get("appsecret_proof") != Some(&proof) {
        return refusal(400, "GraphMethodException", 100, "Invalid appsecret_proof provided in the API argument");
    }
    let mut said = Map::new();
    for field in query["fields"].split(',') {
        let name = field.split('.').next().unwrap();
        if let Some(value) = account.get(name) {
            said.insert(name.to_owned(), value.clone());
        }
    }
    json_answer(200, Value::Object(said))
}
