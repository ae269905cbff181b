//! What the stand-in provider gives beyond a login: refresh tokens that rotate, and ID tokens for native apps.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use samesake::secret::random_token;
use serde_json::{Value, json};

use super::{Shared, Upstream, refusal};

/// The refresh tokens that are out.
#[derive(Default)]
pub struct Refreshing {
    /// Whether a login gives one.
    pub given: bool,
    /// Token to subject; each works once.
    live: HashMap<String, String>,
    asked: usize,
    /// The next answer does not arrive, although the token is used up.
    lose_reply: bool,
    last: Option<String>,
}

impl Upstream {
    /// From now on every login gives a refresh token.
    pub fn give_refresh_tokens(&self) {
        self.shared.state().refreshing.given = true;
    }

    /// From now on none does: the customer has consented before.
    pub fn stop_giving_refresh_tokens(&self) {
        self.shared.state().refreshing.given = false;
    }

    /// How often a token was to be renewed.
    pub fn refreshes(&self) -> usize {
        self.shared.state().refreshing.asked
    }

    /// The next answer to a refresh is lost on its way.
    pub fn lose_next_reply(&self) {
        self.shared.state().refreshing.lose_reply = true;
    }

    /// The customer withdraws at the provider what they allowed.
    pub fn withdraw(&self) {
        self.shared.state().refreshing.live.clear();
    }

    /// The refresh token that was given last.
    pub fn last_refresh_token(&self) -> String {
        self.shared.state().refreshing.last.clone().unwrap()
    }

    /// An access token for the person `sub`, as the provider's SDK gives it to a native app.
    pub fn give_access_token(&self, sub: &str) -> String {
        let token = random_token();
        self.shared.state().access_tokens.insert(token.clone(), sub.to_owned());
        token
    }

    /// Whose access token it is, if it is one of ours.
    pub fn access_token_of(&self, token: &str) -> Option<String> {
        self.shared.state().access_tokens.get(token).cloned()
    }

    /// An ID token as the provider's SDK gives it to a native app, for the person `sub`; `claims` replace or add, and
    /// with `null` leave out.
    pub fn native_token(&self, sub: &str, claims: Value) -> String {
        let state = self.shared.state();
        let key = Arc::clone(state.keys.last().unwrap());
        let now = self.shared.clock.now().seconds();
        let mut all = state.people.get(sub).cloned().unwrap_or(json!({}));
        let token = json!({
            "iss": self.shared.issuer, "sub": sub, "aud": "com.example.app", "iat": now, "exp": now + 3600, "amr": ["pin"],
        });
        for (name, value) in token.as_object().unwrap().iter().chain(claims.as_object().unwrap()) {
            all[name] = value.clone();
        }
        all.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        key.sign(&key.header(), &all)
    }
}

impl Shared {
    /// A new refresh token for a login, if there are any.
    pub fn refresh_token(&self, subject: &str) -> Option<String> {
        let mut state = self.state();
        state.refreshing.given.then(|| state.refreshing.issue(subject))
    }

    /// RFC 6749 §6, with rotation.
    pub fn refresh(&self, presented: &str) -> Response {
        let mut state = self.state();
        state.refreshing.asked += 1;
        let Some(subject) = state.refreshing.live.remove(presented) else {
            return refusal(StatusCode::BAD_REQUEST, "invalid_grant");
        };
        let (access_token, refresh_token) = (random_token(), state.refreshing.issue(&subject));
        state.access_tokens.insert(access_token.clone(), subject);
        if std::mem::take(&mut state.refreshing.lose_reply) {
            return StatusCode::BAD_GATEWAY.into_response();
        }
        let answer = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 300, "refresh_token": refresh_token,
            "scope": "openid mail.read",
        });
        Json(answer).into_response()
    }
}

impl Refreshing {
    fn issue(&mut self, subject: &str) -> String {
        let token = random_token();
        self.live.insert(token.clone(), subject.to_owned());
        self.last = Some(token.clone());
        token
    }
}
