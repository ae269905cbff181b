//! A stand-in OpenID Provider on a free port, with people to choose from and faults to switch on.
//!
//! `/authorize` shows no page: it answers at once for the person last chosen. Everything else is done as a strict
//! provider does it: the redirect URI and PKCE are bound to the code, a code works once, the client authenticates.

pub mod faults;
pub mod keys;
pub mod notices;
mod tokens;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use samesake::clock::Clock;
use samesake::config::ConnectorConfig;
use samesake::secret::{base64url, random_token, sha256};
use serde_json::{Value, json};
use url::Url;

pub use self::faults::{BadAnswer, Endpoint, Fault, Faults};
pub use self::keys::{Algorithm, Key};

const CLIENT_ID: &str = "samesake at upstream";
/// Needs form-encoding inside HTTP Basic (RFC 6749 §2.3.1).
const CLIENT_SECRET: &str = "s3cret/+ %:&=ü";

/// The running provider; it stops when dropped.
pub struct Upstream {
    shared: Arc<Shared>,
    server: tokio::task::JoinHandle<()>,
}

/// How often each endpoint was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    pub discovery: usize,
    pub jwks: usize,
    pub authorize: usize,
    pub token: usize,
    pub userinfo: usize,
}

struct Shared {
    issuer: String,
    clock: Clock,
    faults: Faults,
    state: Mutex<Model>,
    counts: [AtomicUsize; 5],
}

struct Model {
    keys: Vec<Arc<Key>>,
    people: HashMap<String, Value>,
    chosen: Option<String>,
    codes: HashMap<String, Grant>,
    access_tokens: HashMap<String, String>,
    last_authorization: HashMap<String, String>,
    refreshing: tokens::Refreshing,
}

/// What a code stands for.
struct Grant {
    subject: String,
    request: HashMap<String, String>,
}

impl Upstream {
    /// Starts a provider on the system's time that signs with ES256 and knows nobody.
    pub async fn start() -> Self {
        Self::start_at(Clock::system(), Algorithm::Es256).await
    }

    /// Starts a provider on a clock that the test may move.
    pub async fn start_at(clock: Clock, algorithm: Algorithm) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let state = Model {
            keys: vec![Arc::new(Key::generate(algorithm, "upstream-1"))],
            people: HashMap::new(),
            chosen: None,
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            last_authorization: HashMap::new(),
            refreshing: tokens::Refreshing::default(),
        };
        let shared = Arc::new(Shared {
            issuer,
            clock,
            faults: Faults::default(),
            state: Mutex::new(state),
            counts: Default::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/.well-known/risc-configuration", get(notices::risc_configuration))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .route("/userinfo", get(userinfo))
            .with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, server }
    }

    /// The issuer; its text form has a slash at the end that the true issuer has not.
    pub fn issuer(&self) -> Url {
        Url::parse(&self.shared.issuer).unwrap()
    }

    /// The issuer as metadata and tokens spell it.
    pub fn issuer_text(&self) -> &str {
        &self.shared.issuer
    }

    /// Adds a person, or replaces their claims. The first one added is the one chosen.
    pub fn add_person(&self, sub: &str, claims: Value) {
        let mut state = self.shared.state();
        state.people.insert(sub.to_owned(), claims);
        state.chosen.get_or_insert_with(|| sub.to_owned());
    }

    /// For whom the next authorization answers.
    pub fn choose(&self, sub: &str) {
        let mut state = self.shared.state();
        assert!(state.people.contains_key(sub), "nobody is called {sub}");
        state.chosen = Some(sub.to_owned());
    }

    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    pub fn counts(&self) -> Counts {
        let [discovery, jwks, authorize, token, userinfo] =
            self.shared.counts.each_ref().map(|count| count.load(Ordering::SeqCst));
        Counts { discovery, jwks, authorize, token, userinfo }
    }

    pub fn count_of_token_requests(&self) -> usize {
        self.counts().token
    }

    /// The parameters of the last authorization request.
    pub fn last_authorization(&self) -> HashMap<String, String> {
        self.shared.state().last_authorization.clone()
    }

    /// From now on signs with a new key, and publishes it beside the old ones.
    pub fn rotate_keys(&self, algorithm: Algorithm) {
        let mut state = self.shared.state();
        let kid = format!("upstream-{}", state.keys.len() + 1);
        state.keys.push(Arc::new(Key::generate(algorithm, &kid)));
    }

    /// How the product is told about this provider.
    pub fn config(&self, id: &str) -> ConnectorConfig {
        let config = json!({
            "id": id,
            "name": format!("Upstream {id}"),
            "kind": "oidc",
            "issuer": self.shared.issuer,
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "auth_method": "client_secret_basic",
            "email_trust": "verified",
        });
        serde_json::from_value(config).unwrap()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, Model> {
        self.state.lock().unwrap()
    }

    /// Counts the request; the answer if a fault has one.
    async fn arrive(&self, endpoint: Endpoint) -> Option<Response> {
        if let Some(count) = self.counts.get(endpoint as usize) {
            count.fetch_add(1, Ordering::SeqCst);
        }
        self.faults.spoil(endpoint).await
    }

    fn id_token(&self, grant: &Grant, access_token: &str) -> String {
        let state = self.state();
        let key = Arc::clone(state.keys.last().unwrap());
        let now = self.clock.now().seconds();
        let lean = self.faults.find(|fault| matches!(fault, Fault::LeanIdToken).then_some(())).is_some();
        let mut claims = if lean { json!({}) } else { state.people.get(&grant.subject).cloned().unwrap_or(json!({})) };
        let token_claims = json!({
            "iss": self.issuer, "sub": grant.subject, "aud": grant.request.get("client_id"),
            "exp": now + 300, "iat": now, "auth_time": now, "nonce": grant.request.get("nonce"),
            "at_hash": key.access_token_hash(access_token), "amr": ["pwd"],
        });
        claims.as_object_mut().unwrap().extend(token_claims.as_object().unwrap().clone());
        faults::edit(
            &mut claims,
            self.faults.edits(|fault| match fault {
                Fault::Claim(name, value) => Some((name, value.clone())),
                _ => None,
            }),
        );
        let mut header = key.header();
        faults::edit(
            &mut header,
            self.faults.edits(|fault| match fault {
                Fault::Header(name, value) => Some((name, value.clone())),
                _ => None,
            }),
        );
        self.faults.find(|fault| forged(fault, &key, &header, &claims)).unwrap_or_else(|| key.sign(&header, &claims))
    }
}

/// The token as a fault of its signature makes it.
fn forged(fault: &Fault, key: &Key, header: &Value, claims: &Value) -> Option<String> {
    let unsigned = || keys::signing_input(header, claims);
    Some(match fault {
        Fault::WrongSignature => {
            let token = key.sign(header, claims);
            let (input, signature) = token.rsplit_once('.').unwrap();
            let mut signature = samesake::secret::from_base64url(signature).unwrap();
            *signature.last_mut().unwrap() ^= 1;
            format!("{input}.{}", base64url(&signature))
        }
        Fault::EmptySignature => unsigned() + ".",
        Fault::ZeroSignature => format!("{}.{}", unsigned(), base64url(&[0; 64])),
        Fault::ForeignKey => Key::generate(Algorithm::Es256, &key.kid).sign(header, claims),
        Fault::EmbeddedKey => {
            let own = Key::generate(Algorithm::Es256, "embedded");
            own.sign(&json!({"alg": "ES256", "kid": "embedded", "jwk": own.public_jwk()}), claims)
        }
        Fault::AlgorithmNone => keys::signing_input(&json!({"alg": "none"}), claims) + ".",
        Fault::Hs256WithClientSecret => keys::sign_hs256(CLIENT_SECRET.as_bytes(), None, claims),
        Fault::Hs256WithPublicKey => keys::sign_hs256(&key.public_bytes(), Some(&key.kid), claims),
        _ => return None,
    })
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(bad) = shared.arrive(Endpoint::Discovery).await {
        return bad;
    }
    let issuer = &shared.issuer;
    let mut metadata = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["none", "HS256", "RS256", "PS256", "ES256", "EdDSA", "XX999"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
        "authorization_response_iss_parameter_supported": true,
    });
    faults::edit(
        &mut metadata,
        shared.faults.edits(|fault| match fault {
            Fault::Metadata(name, value) => Some((name, value.clone())),
            _ => None,
        }),
    );
    Json(metadata).into_response()
}

async fn jwks(State(shared): State<Arc<Shared>>) -> Response {
    if let Some(bad) = shared.arrive(Endpoint::Jwks).await {
        return bad;
    }
    let mut published = faults::useless_keys(&shared.faults);
    published.extend(shared.state().keys.iter().map(|key| key.public_jwk()));
    Json(json!({"keys": published})).into_response()
}

async fn authorize(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    if let Some(bad) = shared.arrive(Endpoint::Authorize).await {
        return bad;
    }
    let request = form(uri.query().unwrap_or_default());
    let says = |name: &str| request.get(name).map(String::as_str).unwrap_or_default();
    let right = says("client_id") == CLIENT_ID
        && says("response_type") == "code"
        && says("scope").split(' ').any(|scope| scope == "openid")
        && says("code_challenge_method") == "S256"
        && says("code_challenge").len() == 43
        && says("state").len() >= 43
        && says("nonce").len() >= 43;
    let (true, Ok(mut back)) = (right, Url::parse(says("redirect_uri"))) else {
        return (StatusCode::BAD_REQUEST, "not a good authorization request").into_response();
    };
    let iss = shared.faults.find(|fault| match fault {
        Fault::CallbackIssuer(iss) => Some(iss.map(str::to_owned)),
        _ => None,
    });
    back.query_pairs_mut().append_pair("state", says("state"));
    if let Some(iss) = iss.unwrap_or_else(|| Some(shared.issuer.clone())) {
        back.query_pairs_mut().append_pair("iss", &iss);
    }
    let error = shared.faults.find(|fault| match fault {
        Fault::AuthorizeError(code) => Some(*code),
        _ => None,
    });
    let mut state = shared.state();
    state.last_authorization.clone_from(&request);
    // Many browsers at once say for themselves who sits before them.
    let subject = request.get("person").filter(|person| state.people.contains_key(*person)).cloned();
    match (error, subject.or_else(|| state.chosen.clone())) {
        (Some(error), _) => {
            back.query_pairs_mut().append_pair("error", error).append_pair("error_description", "as told");
        }
        (None, Some(subject)) => {
            let code = random_token();
            back.query_pairs_mut().append_pair("code", &code);
            state.codes.insert(code, Grant { subject, request });
        }
        (None, None) => return (StatusCode::INTERNAL_SERVER_ERROR, "nobody was added").into_response(),
    }
    Redirect::to(back.as_str()).into_response()
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    if let Some(bad) = shared.arrive(Endpoint::Token).await {
        return bad;
    }
    let form = form(&body);
    let says = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let error = shared.faults.find(|fault| match fault {
        Fault::TokenError(code) => Some(*code),
        _ => None,
    });
    if let Some(error) = error {
        return refusal(StatusCode::BAD_REQUEST, error);
    }
    if !client_is_authenticated(&headers, &form) {
        return refusal(StatusCode::UNAUTHORIZED, "invalid_client");
    }
    if says("grant_type") == "refresh_token" {
        return shared.refresh(says("refresh_token"));
    }
    let grant = shared.state().codes.remove(says("code"));
    let fits = |grant: &Grant| {
        says("grant_type") == "authorization_code"
            && grant.request.get("redirect_uri").map(String::as_str) == Some(says("redirect_uri"))
            && grant.request.get("code_challenge") == Some(&base64url(&sha256(&[says("code_verifier").as_bytes()])))
    };
    let Some(grant) = grant.filter(fits) else { return refusal(StatusCode::BAD_REQUEST, "invalid_grant") };
    let access_token = shared
        .faults
        .find(|fault| match fault {
            Fault::AccessToken(token) => Some((*token).to_owned()),
            _ => None,
        })
        .unwrap_or_else(random_token);
    shared.state().access_tokens.insert(access_token.clone(), grant.subject.clone());
    let mut answer = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 300});
    if let Some(refresh_token) = shared.refresh_token(&grant.subject) {
        answer["refresh_token"] = json!(refresh_token);
    }
    if shared.faults.find(|fault| matches!(fault, Fault::NoIdToken).then_some(())).is_none() {
        faults::edit(&mut answer, [("id_token", Some(json!(shared.id_token(&grant, &access_token))))].into());
    }
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn form(text: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(text.as_bytes()).into_owned().collect()
}

fn refusal(status: StatusCode, code: &str) -> Response {
    (status, Json(json!({"error": code, "error_description": "as told"}))).into_response()
}

/// RFC 6749 §2.3.1: ID and secret are form-encoded inside HTTP Basic. One method, not both.
fn client_is_authenticated(headers: &HeaderMap, form: &HashMap<String, String>) -> bool {
    let posted = form.get("client_id").zip(form.get("client_secret"));
    let Some(basic) = headers.get(header::AUTHORIZATION) else {
        return posted.is_some_and(|(id, secret)| id == CLIENT_ID && secret == CLIENT_SECRET);
    };
    let basic = basic.to_str().unwrap().strip_prefix("Basic ").unwrap();
    let basic = String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap();
    let (id, secret) = basic.split_once(':').unwrap();
    let decoded = |text: &str| {
        let pairs = format!("v={text}");
        let (_, value) = url::form_urlencoded::parse(pairs.as_bytes()).next().unwrap();
        value.into_owned()
    };
    posted.is_none() && decoded(id) == CLIENT_ID && decoded(secret) == CLIENT_SECRET
}

async fn userinfo(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(bad) = shared.arrive(Endpoint::Userinfo).await {
        return bad;
    }
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let state = shared.state();
    let Some(subject) = bearer.and_then(|token| state.access_tokens.get(token)) else {
        return (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer error=\"invalid_token\"")])
            .into_response();
    };
    let mut claims = state.people.get(subject).cloned().unwrap_or(json!({}));
    let told = shared.faults.find(|fault| match fault {
        Fault::UserinfoSubject(subject) => Some(*subject),
        _ => None,
    });
    let subject = told.unwrap_or(Some(subject));
    faults::edit(&mut claims, [("sub", subject.map(|subject| json!(subject)))].into());
    Json(claims).into_response()
}
