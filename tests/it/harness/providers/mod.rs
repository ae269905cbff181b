//! Stand-ins for the providers customers really have accounts at, each with the quirks its documentation names.
//!
//! What they share is a [`Desk`]: who is logged in there, which codes and tokens are out, and what was asked last. It is
//! as strict as they are: a code works once, for its redirect URI, and with its PKCE verifier or without any.

pub mod apple;
pub mod facebook;
pub mod generic;
pub mod github;
pub mod google;
pub mod linkedin;
pub mod microsoft;
pub mod x;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use samesake::config::ConnectorConfig;
use samesake::secret::{base64url, random_token, sha256};
use serde_json::{Value, json};
use url::Url;

use super::upstream::BadAnswer;

/// The gateway's name at every stand-in.
pub const CLIENT_ID: &str = "samesake-client";
pub const CLIENT_SECRET: &str = "provider secret: / + % ü";

/// Parameters of a query or a form.
pub type Fields = HashMap<String, String>;

/// A running stand-in, stopped on drop.
pub struct Stand {
    pub desk: Arc<Desk>,
    server: tokio::task::JoinHandle<()>,
}

/// What a provider keeps.
pub struct Desk {
    /// Its origin, without a slash at the end.
    pub base: String,
    model: Mutex<Model>,
}

#[derive(Default)]
struct Model {
    account: Value,
    codes: HashMap<String, Issued>,
    tokens: HashMap<String, Value>,
    authorization: Fields,
    token_request: Fields,
    /// What the redirect back says in place of a code.
    refusal: Option<Vec<(String, String)>>,
    /// Answers by path, in place of the right ones.
    canned: HashMap<String, (u16, Value)>,
    spoiled: HashMap<String, BadAnswer>,
}

/// What a code stands for.
#[derive(Clone)]
pub struct Issued {
    pub account: Value,
    pub request: Fields,
}

/// Starts a stand-in on a free port. `router` is made of the paths it has, for its desk.
pub async fn start(router: impl FnOnce(Arc<Desk>) -> Router) -> Stand {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let desk = Arc::new(Desk { base, model: Mutex::default() });
    let canned = Arc::clone(&desk);
    let router = router(Arc::clone(&desk)).layer(middleware::from_fn(move |request: Request, next: Next| {
        let spoiled = canned.model().spoiled.get(request.uri().path()).cloned();
        let canned = canned.canned(request.uri().path());
        async move {
            if let Some(bad) = spoiled
                && let Some(answer) = bad.response().await
            {
                return answer;
            }
            match canned {
                Some(answer) => answer,
                None => next.run(request).await,
            }
        }
    }));
    let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    Stand { desk, server }
}

impl Drop for Stand {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Stand {
    /// From now on this account is logged in at the provider.
    pub fn log_in_as(&self, account: Value) {
        self.desk.model().account = account;
    }

    /// The customer says no, or something goes wrong there: what the redirect back says from now on.
    pub fn refuse_with(&self, answer: &[(&str, &str)]) {
        let answer = answer.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        self.desk.model().refusal = Some(answer);
    }

    /// From now on this path answers so, whatever it is asked.
    pub fn answer(&self, path: &str, status: u16, body: Value) {
        self.desk.model().canned.insert(path.to_owned(), (status, body));
    }

    /// From now on this path answers right again.
    pub fn forget(&self, path: &str) {
        self.desk.model().canned.remove(path);
    }

    /// From now on this path answers badly, and no other.
    pub fn spoil(&self, path: &str, bad: BadAnswer) {
        self.desk.model().spoiled = HashMap::from([(path.to_owned(), bad)]);
    }

    /// The parameters of the last authorization request.
    pub fn last_authorization(&self) -> Fields {
        self.desk.model().authorization.clone()
    }

    /// The form of the last token request.
    pub fn last_token_request(&self) -> Fields {
        self.desk.model().token_request.clone()
    }

    /// The address of a path here.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.desk.base)
    }

    /// How the product is told about this provider; `more` replaces or adds keys.
    pub fn config(&self, kind: &str, more: Value) -> ConnectorConfig {
        let mut config = json!({
            "id": kind, "name": kind, "kind": kind, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        });
        for (key, value) in more.as_object().unwrap() {
            match value {
                Value::Null => drop(config.as_object_mut().unwrap().remove(key)),
                value => config[key] = value.clone(),
            }
        }
        serde_json::from_value(config).unwrap()
    }
}

impl Desk {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap()
    }

    fn canned(&self, path: &str) -> Option<Response> {
        let (status, body) = self.model().canned.get(path).cloned()?;
        Some((StatusCode::from_u16(status).unwrap(), Json(body)).into_response())
    }

    /// The person at the provider says yes, or no: the redirect URI, and what it is given.
    pub fn authorize(&self, uri: &Uri, pkce: bool) -> (Url, Vec<(String, String)>) {
        let request = fields(uri.query().unwrap_or_default());
        assert_eq!(request.get("response_type").map(String::as_str), Some("code"));
        assert_eq!(request.get("client_id").map(String::as_str), Some(CLIENT_ID));
        assert!(request.get("state").is_some_and(|state| state.len() >= 43), "a state of 32 random bytes");
        assert_eq!(request.get("code_challenge_method").map(String::as_str), pkce.then_some("S256"));
        let back = Url::parse(&request["redirect_uri"]).unwrap();
        let mut answer = vec![("state".to_owned(), request["state"].clone())];
        let mut model = self.model();
        model.authorization.clone_from(&request);
        if let Some(refusal) = &model.refusal {
            answer.extend(refusal.iter().cloned());
            return (back, answer);
        }
        let code = random_token();
        answer.push(("code".to_owned(), code.clone()));
        let issued = Issued { account: model.account.clone(), request };
        model.codes.insert(code, issued);
        (back, answer)
    }

    /// The same as a redirect.
    pub fn redirect(&self, uri: &Uri, pkce: bool) -> Response {
        let (mut back, answer) = self.authorize(uri, pkce);
        back.query_pairs_mut().extend_pairs(answer);
        Redirect::to(back.as_str()).into_response()
    }

    /// What a token request's code stands for, if everything fits. The client has been authenticated.
    pub fn redeem(&self, form: &Fields) -> Option<Issued> {
        let mut model = self.model();
        model.token_request.clone_from(form);
        let issued = model.codes.remove(form.get("code")?)?;
        let challenge = form.get("code_verifier").map(|verifier| base64url(&sha256(&[verifier.as_bytes()])));
        let fits = form.get("grant_type").map(String::as_str) == Some("authorization_code")
            && form.get("redirect_uri") == issued.request.get("redirect_uri")
            && issued.request.get("code_challenge") == challenge.as_ref();
        fits.then_some(issued)
    }

    /// A new access token of an account.
    pub fn access_token(&self, account: &Value) -> String {
        let token = random_token();
        self.model().tokens.insert(token.clone(), account.clone());
        token
    }

    /// Whose access token it is.
    pub fn account_of(&self, token: &str) -> Option<Value> {
        self.model().tokens.get(token).cloned()
    }

    /// The token in the header, and whose it is.
    pub fn bearer(&self, headers: &HeaderMap) -> Option<(String, Value)> {
        let token = headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")?;
        let account = self.model().tokens.get(token).cloned()?;
        Some((token.to_owned(), account))
    }
}

/// Reads a query or a form; twice the same name fails the test.
pub fn fields(text: &str) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()).into_owned() {
        let twice = fields.insert(name.clone(), value);
        assert!(twice.is_none(), "{name} was sent twice");
    }
    fields
}

/// Whether the secret stands in the form, and nowhere else.
pub fn posts_secret(headers: &HeaderMap, form: &Fields) -> bool {
    let says = |name: &str| form.get(name).map(String::as_str);
    !headers.contains_key(header::AUTHORIZATION)
        && says("client_id") == Some(CLIENT_ID)
        && says("client_secret") == Some(CLIENT_SECRET)
}

/// Whether the secret stands in HTTP Basic, form-encoded (RFC 6749 §2.3.1), and nowhere else.
pub fn sends_basic(headers: &HeaderMap, form: &Fields) -> bool {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let expected = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(CLIENT_ID), encoded(CLIENT_SECRET))));
    headers.get(header::AUTHORIZATION).is_some_and(|sent| sent.as_bytes() == expected.as_bytes())
        && !form.contains_key("client_secret")
}

/// An answer with a status.
pub fn json_answer(status: u16, body: Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}
