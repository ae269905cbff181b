//! Tokens of upstream providers: brought by native apps to sign in with, and kept for back ends that may have them.
//!
//! Both go through token exchange (RFC 8693), driven here as an app's own code would call it.

mod native;
mod native_providers;
pub mod upstream;
mod upstream_refusals;

use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use crate::harness::app::{Builder, web_client};
use crate::harness::relying_party::Answer;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Env, RelyingParty, TestApp};

pub const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
pub const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

/// A provider on the gateway's clock that knows Ann.
pub async fn provider_with_ann(env: &Env) -> Upstream {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Rs256).await;
    upstream.add_person("ann-1", json!({"email": "ann@shop.example", "email_verified": true, "name": "Ann Example"}));
    upstream
}

/// How the gateway knows a provider whose SDK is in the app.
pub fn with_native_apps(upstream: &Upstream, id: &str) -> ConnectorConfig {
    let mut config = upstream.config(id);
    config.native_client_ids = ["com.example.app", "android.example.app"].map(str::to_owned).to_vec();
    config
}

/// A gateway with the native app `app`, the web app `shop`, and more.
pub fn with_apps(env: &Env) -> Builder<'_> {
    let app = json!({
        "token_endpoint_auth_method": "none", "application_type": "native",
        "redirect_uris": ["com.example.app:/callback"], "grant_types": [EXCHANGE, "refresh_token"],
        "sector": "shop.example",
    });
    TestApp::builder(env).web_client("shop").client(web_client("app", app), None)
}

/// The nonce that an app gets for its SDK.
pub async fn nonce(party: &RelyingParty) -> String {
    let answer = party.post("native_nonce_endpoint", &[]).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.body["expires_in"], 600);
    answer.body["nonce"].as_str().unwrap().to_owned()
}

/// Brings an ID token, and answers whatever comes; `changes` replace or add, and empty ones leave out.
pub async fn bring(
    party: &RelyingParty,
    connector: &str,
    token: &str,
    nonce: &str,
    changes: &[(&str, &str)],
) -> Answer {
    let usual = [
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", ID_TOKEN),
        ("connector", connector),
        ("nonce", nonce),
        ("scope", "openid profile email"),
    ];
    let unchanged = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let all: Vec<_> = unchanged.chain(changes).filter(|(_, value)| !value.is_empty()).copied().collect();
    party.token(&all).await
}

/// An app signs this person in, and has its answer.
pub async fn sign_in(party: &RelyingParty, upstream: &Upstream, connector: &str, sub: &str) -> Answer {
    let nonce = nonce(party).await;
    bring(party, connector, &upstream.native_token(sub, json!({"nonce": nonce})), &nonce, &[]).await
}

/// SHA-256 as Apple's and Firebase's SDKs write it.
pub fn hashed(nonce: &str) -> String {
    samesake::secret::sha256(&[nonce.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The error and its description.
pub fn refusal(answer: &Answer) -> (u16, &str, &str) {
    let description = answer.body["error_description"].as_str().unwrap_or_else(|| panic!("{}", answer.text));
    (answer.status.as_u16(), answer.error(), description)
}

/// A member of a JSON answer as text.
pub fn text(answer: &Value) -> String {
    answer.as_str().unwrap_or_else(|| panic!("no text but {answer}")).to_owned()
}
