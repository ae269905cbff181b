//! Apple: an answer posted from its own page, a client secret that is a JWT, the name once, booleans as text.
//!
//! <https://developer.apple.com/documentation/signinwithapplerestapi>

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use samesake::clock::Clock;
use samesake::config::ConnectorConfig;
use samesake::secret::base64url;
use serde_json::{Value, json};

use super::{CLIENT_ID, Desk, Fields, Stand, fields, json_answer, start};
use crate::harness::jwks;
use crate::harness::upstream::{Algorithm, Key};

const TEAM: &str = "A1B2C3D4E5";
const KEY: &str = "K1K2K3K4K5";
const HALF_A_YEAR: i64 = 15_777_000;

/// An account is the claims of its ID token; with `first`, what the form says beside the code the next time only.
pub struct Apple {
    pub stand: Stand,
    /// The client's key as Apple gives it out.
    pub p8: String,
    shared: Arc<Shared>,
}

struct Shared {
    desk: Arc<Desk>,
    key: Key,
    /// The public half of the client's key.
    client_key: Value,
    /// Every client secret that was presented.
    secrets: Mutex<Vec<String>>,
}

impl Apple {
    pub async fn start() -> Self {
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let (x, y) = pair.public_key().as_ref().split_at(33);
        let (x, y) = (base64url(x.split_at(1).1), base64url(y));
        let client_key = json!({"kty": "EC", "crv": "P-256", "kid": KEY, "x": x, "y": y});
        let body = STANDARD.encode(pkcs8.as_ref());
        let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        let p8 = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"));
        let mut made = None;
        let stand = start(|desk| {
            let key = Key::generate(Algorithm::Rs256, "W6WcOKB");
            let shared = Arc::new(Shared { desk, key, client_key, secrets: Mutex::default() });
            made = Some(Arc::clone(&shared));
            Router::new()
                .route("/.well-known/openid-configuration", get(metadata))
                .route("/auth/keys", get(keys))
                .route("/auth/authorize", get(authorize))
                .route("/auth/token", post(token))
                .with_state(shared)
        })
        .await;
        Self { stand, p8, shared: made.unwrap() }
    }

    pub fn config(&self, more: Value) -> ConnectorConfig {
        let mut keys = json!({
            "name": "Apple", "issuer": self.stand.desk.base, "client_secret": null,
            "team_id": TEAM, "key_id": KEY, "private_key": self.p8,
        });
        keys.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.stand.config("apple", keys)
    }

    /// An ID token as iOS gives it to an app; `claims` replace or add.
    pub fn native_token(&self, claims: Value) -> String {
        let now = Clock::system().now().seconds();
        let mut all = json!({
            "iss": self.stand.desk.base, "aud": "com.example.app", "iat": now, "exp": now + 86_400,
            "nonce_supported": true, "real_user_status": 2,
        });
        all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        self.shared.key.sign(&self.shared.key.header(), &all)
    }

    /// Every client secret that was presented.
    pub fn client_secrets(&self) -> Vec<String> {
        self.shared.secrets.lock().unwrap().clone()
    }
}

async fn metadata(State(shared): State<Arc<Shared>>) -> Response {
    let base = &shared.desk.base;
    json_answer(
        200,
        json!({
            "issuer": base,
            "authorization_endpoint": format!("{base}/auth/authorize"),
            "token_endpoint": format!("{base}/auth/token"),
            "revocation_endpoint": format!("{base}/auth/revoke"),
            "jwks_uri": format!("{base}/auth/keys"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email", "name"],
            "token_endpoint_auth_methods_supported": ["client_secret_post"],
        }),
    )
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    json_answer(200, json!({"keys": [shared.key.public_jwk()]}))
}

/// A page that posts its form by script; without script there is its button.
async fn authorize(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let asked = fields(uri.query().unwrap_or_default());
    if asked.get("response_mode").map(String::as_str) != Some("form_post") {
        let why = "invalid_request: response_mode must be form_post when name or email scope is requested.";
        return json_answer(400, json!(why));
    }
    let (back, mut answer) = shared.desk.authorize(&uri, true);
    let mut model = shared.desk.model();
    if let Some(first) = model.account.as_object_mut().and_then(|account| account.remove("first")) {
        answer.push(("user".to_owned(), first.to_string()));
    }
    let escaped = |text: &str| text.replace('&', "&amp;").replace('"', "&quot;");
    let inputs: String = answer
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", escaped(value)))
        .collect();
    let form = format!("<form id=\"apple\" method=\"post\" action=\"{back}\">{inputs}<button>Continue</button></form>");
    Html(form).into_response()
}

/// Whether the client secret is what Apple documents.
fn client_is_right(shared: &Shared, form: &Fields) -> bool {
    let Some(secret) = form.get("client_secret") else { return false };
    let Ok((header, claims)) = jwks::verify(&json!({"keys": [shared.client_key]}), secret) else { return false };
    shared.secrets.lock().unwrap().push(secret.clone());
    let now = Clock::system().now().seconds();
    let (issued, expires) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    header["alg"] == "ES256"
        && claims["iss"] == TEAM
        && claims["sub"] == CLIENT_ID
        && claims["aud"] == shared.desk.base
        && issued <= now + 5
        && (now..=now + HALF_A_YEAR).contains(&expires)
        && form.get("client_id").map(String::as_str) == Some(CLIENT_ID)
}

async fn token(State(shared): State<Arc<Shared>>, body: String) -> Response {
    let form = fields(&body);
    if !client_is_right(&shared, &form) {
        return json_answer(400, json!({"error": "invalid_client"}));
    }
    let Some(issued) = shared.desk.redeem(&form) else {
        let why = "The code has expired or has been revoked.";
        return json_answer(400, json!({"error": "invalid_grant", "error_description": why}));
    };
    let access_token = shared.desk.access_token(&issued.account);
    let now = Clock::system().now().seconds();
    let mut claims = json!({
        "iss": shared.desk.base, "aud": CLIENT_ID, "iat": now, "exp": now + 86_400, "auth_time": now,
        "nonce": issued.request["nonce"], "nonce_supported": true,
        "at_hash": shared.key.access_token_hash(&access_token),
    });
    let account = issued.account.as_object().unwrap().iter().filter(|(name, _)| *name != "first");
    claims.as_object_mut().unwrap().extend(account.map(|(name, value)| (name.clone(), value.clone())));
    let id_token = shared.key.sign(&shared.key.header(), &claims);
    json_answer(
        200,
        json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 3600,
               "refresh_token": "r0", "id_token": id_token}),
    )
}
