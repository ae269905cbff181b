//! Microsoft Entra ID: many tenants behind one address, an issuer that is a template, and claims of its own.
//!
//! <https://learn.microsoft.com/entra/identity-platform/v2-protocols-oidc>,
//! <https://learn.microsoft.com/entra/identity-platform/id-token-claims-reference>

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::{get, post};
use samesake::clock::Clock;
use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use super::{CLIENT_ID, Desk, Stand, fields, json_answer, posts_secret, start};
use crate::harness::upstream::{Algorithm, Key};

/// Where all personal accounts live.
pub const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// An account is the claims of its ID token; `tid` decides its issuer, unless it says `iss` itself.
pub struct Microsoft {
    pub stand: Stand,
}

#[derive(Clone)]
struct Shared {
    desk: Arc<Desk>,
    key: Arc<Key>,
}

impl Microsoft {
    pub async fn start() -> Self {
        let key = Arc::new(Key::generate(Algorithm::Rs256, "ms-1"));
        let router = |desk: Arc<Desk>| {
            Router::new()
                .route("/{tenant}/v2.0/.well-known/openid-configuration", get(metadata))
                .route("/{tenant}/discovery/v2.0/keys", get(keys))
                .route("/{tenant}/oauth2/v2.0/authorize", get(authorize))
                .route("/{tenant}/oauth2/v2.0/token", post(token))
                .with_state(Shared { desk, key })
        };
        Self { stand: start(router).await }
    }

    pub fn config(&self, tenant: &str) -> ConnectorConfig {
        let keys = json!({"name": "Microsoft", "issuer": self.stand.desk.base, "tenant": tenant});
        self.stand.config("microsoft", keys)
    }
}

async fn metadata(State(Shared { desk, .. }): State<Shared>, Path(tenant): Path<String>) -> Response {
    let base = &desk.base;
    let issuer = match tenant.as_str() {
        "common" | "organizations" => format!("{base}/{{tenantid}}/v2.0"),
        "consumers" => format!("{base}/{CONSUMERS}/v2.0"),
        tenant => format!("{base}/{tenant}/v2.0"),
    };
    json_answer(
        200,
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{base}/{tenant}/oauth2/v2.0/authorize"),
            "token_endpoint": format!("{base}/{tenant}/oauth2/v2.0/token"),
            "jwks_uri": format!("{base}/{tenant}/discovery/v2.0/keys"),
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "request_uri_parameter_supported": false,
            "tenant_region_scope": null,
            "cloud_instance_name": "microsoftonline.com",
        }),
    )
}

/// The keys say nothing of their algorithm, and whose they are.
async fn keys(State(Shared { desk, key }): State<Shared>) -> Response {
    let mut jwk = key.public_jwk();
    jwk.as_object_mut().unwrap().remove("alg");
    jwk["issuer"] = json!(format!("{}/{{tenantid}}/v2.0", desk.base));
    json_answer(200, json!({"keys": [jwk]}))
}

async fn authorize(State(Shared { desk, .. }): State<Shared>, uri: Uri) -> Response {
    desk.redirect(&uri, true)
}

async fn token(State(Shared { desk, key }): State<Shared>, headers: HeaderMap, body: String) -> Response {
    let form = fields(&body);
    let refusal = |status: u16, code: &str| {
        let why = "AADSTS70000: Provided grant is invalid or malformed.";
        json_answer(status, json!({"error": code, "error_description": why, "error_codes": [70000]}))
    };
    if !posts_secret(&headers, &form) {
        return refusal(401, "invalid_client");
    }
    let Some(issued) = desk.redeem(&form) else { return refusal(400, "invalid_grant") };
    let now = Clock::system().now().seconds();
    let tid = issued.account["tid"].as_str().unwrap_or_default();
    let mut claims = json!({
        "iss": format!("{}/{tid}/v2.0", desk.base), "aud": CLIENT_ID, "iat": now, "nbf": now, "exp": now + 3600,
        "ver": "2.0", "sub": "a-subject-of-this-app-only", "nonce": issued.request["nonce"],
    });
    let account: serde_json::Map<String, Value> = issued.account.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(account);
    let id_token = key.sign(&key.header(), &claims);
    let access_token = desk.access_token(&issued.account);
    json_answer(
        200,
        json!({"token_type": "Bearer", "scope": "openid profile email", "expires_in": 3600, "ext_expires_in": 3600,
               "access_token": access_token, "id_token": id_token}),
    )
}
