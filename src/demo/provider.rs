//! Chirp, the stand-in social provider: a small OpenID Provider with two people, one client and keys of its own.
//!
//! It checks what a real one checks (redirect URI, client secret, PKCE, single use of a code), so that the gateway's
//! connector is really exercised. Signing in there is choosing who one is. OpenID Connect Core §3.1, RFC 7636.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded;

use super::issuer::Problem;
use super::pages::{Person, ProviderPage};
use super::web;
use crate::clock::Clock;
use crate::keys::KeyRing;
use crate::kv::Kv;
use crate::protocol::jwk::SigningAlgorithm;
use crate::protocol::params::Params;
use crate::protocol::pkce::{CodeChallenge, CodeVerifier};
use crate::secret;

/// The gateway's name at Chirp.
pub(super) const CLIENT_ID: &str = "fernweh";
/// Chirp's name at the gateway.
pub(super) const CONNECTOR: &str = "chirp";

const REQUEST_LIFETIME: Duration = Duration::from_secs(30 * 60);
const CODE_LIFETIME: Duration = Duration::from_secs(60);
const TOKEN_LIFETIME: Duration = Duration::from_secs(10 * 60);

/// Who has an account: ID, given name, family name.
const PEOPLE: [(&str, &str, &str); 2] = [("ronja", "Ronja", "Mattisdotter"), ("birk", "Birk", "Borkason")];

/// The provider.
pub(super) struct Chirp {
    pub(super) issuer: String,
    pub(super) client_secret: String,
    /// The only one that is registered.
    pub(super) redirect_uri: String,
    pub(super) keys: KeyRing,
    pub(super) kv: Kv,
    pub(super) clock: Clock,
}

/// An authorization request that has been checked.
#[derive(Clone, Serialize, Deserialize)]
struct Request {
    state: Option<String>,
    nonce: Option<String>,
    challenge: CodeChallenge,
}

/// What a code stands for.
#[derive(Serialize, Deserialize)]
struct Granted {
    person: String,
    request: Request,
}

/// The provider's routes.
pub(super) fn router(chirp: Chirp) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(metadata))
        .route("/jwks", get(jwks))
        .route("/authorize", get(authorize))
        .route("/choose", post(choose))
        .route("/token", post(token))
        .route("/userinfo", get(userinfo))
        .with_state(Arc::new(chirp))
        .merge(web::style_sheet())
}

async fn metadata(State(chirp): State<Arc<Chirp>>) -> Response {
    let at = |path: &str| format!("{}{path}", chirp.issuer);
    Json(json!({
        "issuer": chirp.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "userinfo_endpoint": at("/userinfo"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "scopes_supported": ["openid", "profile", "email"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn jwks(State(chirp): State<Arc<Chirp>>) -> Response {
    ([(CONTENT_TYPE, "application/jwk-set+json")], chirp.keys.jwks().body.clone()).into_response()
}

/// Shows who can be chosen.
async fn authorize(State(chirp): State<Arc<Chirp>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let ours = params.get("client_id") == Some(CLIENT_ID) && params.get("redirect_uri") == Some(&chirp.redirect_uri);
    if !ours || params.refuse_repeated().is_err() {
        // Never a redirect to an address that is not registered.
        return Ok((StatusCode::BAD_REQUEST, "Chirp does not know this client or redirect URI.\n").into_response());
    }
    let state = params.owned("state");
    let challenge = params.get("code_challenge").and_then(CodeChallenge::parse);
    let openid = params.get("scope").is_some_and(|scope| scope.split(' ').any(|token| token == "openid"));
    let plain = params.get("response_type") == Some("code") && params.get("code_challenge_method") == Some("S256");
    let Some(challenge) = challenge.filter(|_| openid && plain) else {
        return chirp.back(state.as_deref(), ("error", "invalid_request"));
    };
    let request = Request { state, nonce: params.owned("nonce"), challenge };
    let id = secret::random_token();
    chirp.kv.set_json(&format!("request:{id}"), &request, REQUEST_LIFETIME).await?;
    Ok(web::page(&ProviderPage {
        client_name: "Fernweh".to_owned(),
        action: "/choose".to_owned(),
        fields: vec![("request".to_owned(), id)],
        people: PEOPLE.iter().map(|(id, given, family)| person(id, given, family)).collect(),
    }))
}

/// A person was chosen, or none.
async fn choose(State(chirp): State<Arc<Chirp>>, body: Bytes) -> Result<Response, Problem> {
    let params = Params::parse(&body);
    let request: Option<Request> = match params.get("request") {
        Some(id) => chirp.kv.take_json(&format!("request:{id}")).await?,
        None => None,
    };
    let Some(request) = request else {
        let text = "This page is too old. Go back to the app and sign in again.\n";
        return Ok((StatusCode::BAD_REQUEST, text).into_response());
    };
    let person = params.owned("person").filter(|id| PEOPLE.iter().any(|(known, _, _)| known == id));
    let Some(person) = person else {
        return chirp.back(request.state.as_deref(), ("error", "access_denied"));
    };
    let code = secret::random_token();
    let granted = Granted { person, request: request.clone() };
    chirp.kv.set_json(&format!("code:{}", secret::token_hash(&code)), &granted, CODE_LIFETIME).await?;
    chirp.back(request.state.as_deref(), ("code", &code))
}

/// Redeems a code.
async fn token(State(chirp): State<Arc<Chirp>>, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let params = Params::parse(&body);
    if !chirp.is_client(&headers) {
        let challenge = [(WWW_AUTHENTICATE, "Basic realm=\"chirp\"")];
        let error = Json(json!({ "error": "invalid_client" }));
        return Ok((StatusCode::UNAUTHORIZED, challenge, error).into_response());
    }
    if params.get("grant_type") != Some("authorization_code") {
        return Ok(refused("unsupported_grant_type"));
    }
    let code = secret::token_hash(params.get("code").unwrap_or_default());
    // Taken, not read: a code counts once.
    let Some(granted) = chirp.kv.take_json::<Granted>(&format!("code:{code}")).await? else {
        return Ok(refused("invalid_grant"));
    };
    let verifier = params.get("code_verifier").and_then(CodeVerifier::parse);
    let proved = verifier.is_some_and(|verifier| {
        let digest = secret::base64url(&secret::sha256(&[verifier.as_str().as_bytes()]));
        secret::constant_time_eq(digest.as_bytes(), granted.request.challenge.as_str().as_bytes())
    });
    if !proved || params.get("redirect_uri") != Some(&chirp.redirect_uri) {
        return Ok(refused("invalid_grant"));
    }
    let Some(id_token) = chirp.id_token(&granted) else { return Ok(refused("server_error")) };
    let access_token = secret::random_token();
    let key = format!("token:{}", secret::token_hash(&access_token));
    chirp.kv.set_json(&key, &granted.person, TOKEN_LIFETIME).await?;
    let answer = json!({
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME.as_secs(),
        "id_token": id_token,
    });
    Ok(([(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

async fn userinfo(State(chirp): State<Arc<Chirp>>, headers: HeaderMap) -> Result<Response, Problem> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = header.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let person: Option<String> = chirp.kv.get_json(&format!("token:{}", secret::token_hash(token))).await?;
    Ok(match person.and_then(|person| claims(&person)) {
        Some(claims) => Json(claims).into_response(),
        None => (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")]).into_response(),
    })
}

impl Chirp {
    /// Sends the browser back with an answer and the name of who gives it (RFC 9207).
    fn back(&self, state: Option<&str>, answer: (&str, &str)) -> Result<Response, Problem> {
        let mut url = Url::parse(&self.redirect_uri).map_err(|_| Problem::Unreadable("the redirect URI"))?;
        url.query_pairs_mut()
            .append_pair(answer.0, answer.1)
            .append_pair("iss", &self.issuer)
            .extend_pairs(state.map(|state| ("state", state)));
        Ok(web::see_other(url.as_str()))
    }

    /// RFC 6749 §2.3.1: HTTP Basic with ID and secret form-encoded.
    fn is_client(&self, headers: &HeaderMap) -> bool {
        let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let encoded = header.and_then(|value| value.strip_prefix("Basic ")).unwrap_or_default();
        let pair = STANDARD.decode(encoded).ok().and_then(|pair| String::from_utf8(pair).ok()).unwrap_or_default();
        let decode = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(text, _)| text.into_owned());
        let Some((Some(id), Some(given))) = pair.split_once(':').map(|(id, given)| (decode(id), decode(given))) else {
            return false;
        };
        id == CLIENT_ID && secret::constant_time_eq(given.as_bytes(), self.client_secret.as_bytes())
    }

    fn id_token(&self, granted: &Granted) -> Option<String> {
        let now = self.clock.now();
        let mut claims = claims(&granted.person)?;
        let more = claims.as_object_mut()?;
        more.insert("iss".to_owned(), self.issuer.as_str().into());
        more.insert("aud".to_owned(), CLIENT_ID.into());
        more.insert("iat".to_owned(), now.seconds().into());
        more.insert("exp".to_owned(), (now + TOKEN_LIFETIME).seconds().into());
        more.insert("auth_time".to_owned(), now.seconds().into());
        more.extend(granted.request.nonce.as_deref().map(|nonce| ("nonce".to_owned(), nonce.into())));
        self.keys.sign(SigningAlgorithm::Es256, "JWT", &claims).ok()
    }
}

fn person(id: &str, given: &str, family: &str) -> Person {
    Person {
        id: id.to_owned(),
        name: format!("{given} {family}"),
        handle: id.to_owned(),
        email: format!("{id}@chirp.example"),
    }
}

/// What Chirp says about a person.
fn claims(id: &str) -> Option<Value> {
    let (id, given, family) = PEOPLE.iter().find(|(known, _, _)| *known == id)?;
    let person = person(id, given, family);
    Some(json!({
        "sub": person.id,
        "name": person.name,
        "given_name": given,
        "family_name": family,
        "preferred_username": person.handle,
        "email": person.email,
        "email_verified": true,
    }))
}

fn refused(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, [(CACHE_CONTROL, "no-store")], Json(json!({ "error": error }))).into_response()
}
