//! Changing requests: a JSON body of exactly the known members, the version that was seen, and a key for repeating.
//!
//! RFC 9110 §13.1.1 for `If-Match`. A key (`Idempotency-Key`) is claimed and its answer kept in the transaction that has
//! the effect: a repetition gets the same answer, two at once have one effect, and a refusal leaves the key free, also
//! where others stood in the way. An effect with transactions of its own is carried out between claiming and answering.

use std::borrow::Cow;
use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::access::Call;
use super::operation::Conditions;
use crate::app::App;
use crate::board::reason;
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::secret;
use crate::store::retry::retry;
use crate::store::{Customer, Store, Tx};

/// The longest key.
const MAX_KEY: usize = 255;
/// More than a hash in text needs.
const MAX_HASH: usize = 100;

/// A changing request with its body.
pub struct Change<T> {
    pub body: T,
    key: String,
    /// Of everything that decides what the request does.
    hash: [u8; 32],
    versions: Option<Versions>,
}

/// Whether the effect is still to be had.
pub enum Turn {
    /// This request is to have it.
    Ours,
    /// This one too: an earlier one claimed the key and has not come to answer, or not yet.
    Inherited,
    /// An earlier one had it, and was answered with this.
    Answered(Response),
}

impl<T: Send> Change<T> {
    /// Claims the key. Everything until [`Change::finish`] belongs to the same transaction.
    pub async fn begin(&self, tx: &mut Tx, call: &Call) -> Result<Turn, Problem> {
        let actor = call.admin.actor().as_text();
        if tx.idempotency_claim(&actor, &self.key, &self.hash, call.now).await? {
            return Ok(Turn::Ours);
        }
        let known = tx.idempotency_find(&actor, &self.key).await?;
        // It was given back since.
        let known = known.ok_or_else(|| Problem::new(ProblemKind::Contention))?;
        if known.request_hash != self.hash {
            return Err(Problem::new(ProblemKind::KeyReused));
        }
        // What the effect itself is keyed by keeps it from being had twice.
        match known.answer {
            None => Ok(Turn::Inherited),
            Some(answer) => Ok(Turn::Answered(replayed(answer)?)),
        }
    }

    /// Has an effect that has transactions of its own: claims the key before, and keeps the answer after. Where there was
    /// no effect, the key is given back, and another request may use it.
    pub async fn carry_out(
        &self,
        store: &Store,
        call: &Call,
        effect: impl Future<Output = Result<Answer, Problem>>,
    ) -> Result<Response, Problem> {
        let claim = || async {
            let mut tx = store.begin().await?;
            let turn = self.begin(&mut tx, call).await?;
            tx.commit().await?;
            Ok::<Turn, Problem>(turn)
        };
        let turn = retry(claim).await?;
        if let Turn::Answered(response) = turn {
            return Ok(response);
        }
        match effect.await {
            Ok(answer) => retry(|| async { self.finish(store.begin().await?, call, answer.clone()).await }).await,
            // It may have been had, or somebody else is having it: then the key stays theirs.
            Err(problem) if problem.kind.leaves_open() || matches!(turn, Turn::Inherited) => Err(problem),
            Err(problem) => {
                let mut tx = store.begin().await?;
                tx.idempotency_release(&call.admin.actor().as_text(), &self.key).await?;
                tx.commit().await?;
                Err(problem)
            }
        }
    }

    /// By which such an effect knows its own repetition: another text for every actor and key.
    pub fn effect_key(&self, call: &Call) -> String {
        let actor = call.admin.actor().as_text();
        secret::base64url(&secret::sha256(&[b"admin api\n", actor.as_bytes(), b"\n", self.key.as_bytes()]))
    }

    /// Refuses unless the customer is as the request saw them.
    pub fn check_version(&self, version: i64) -> Result<(), Problem> {
        self.check_tag(&version.to_string()).map_err(|problem| problem.with("version", version))
    }

    /// Locks the living customer behind an ID, and refuses unless they are as the request saw them: nothing comes between
    /// that and the change.
    pub async fn lock(&self, tx: &mut Tx, customer: CustomerId) -> Result<Customer, Problem> {
        let living = tx.customer_lock(customer).await?.ok_or_else(Problem::not_found)?;
        self.check_version(living.version)?;
        Ok(living)
    }

    /// Refuses unless anything else is as the request saw it.
    pub fn check_tag(&self, version: &str) -> Result<(), Problem> {
        match &self.versions {
            Some(Versions::Any) => Ok(()),
            Some(Versions::These(seen)) if seen.iter().any(|seen| seen == version) => Ok(()),
            _ => Err(Problem::new(ProblemKind::VersionMismatch)),
        }
    }

    /// Keeps the answer beside the effect, and commits both.
    pub async fn finish(&self, mut tx: Tx, call: &Call, answer: Answer) -> Result<Response, Problem> {
        let actor = call.admin.actor().as_text();
        let kept = serde_json::to_value(&answer).unwrap_or_default();
        if !tx.idempotency_settle(&actor, &self.key, &kept).await?
            && let Some(first) = tx.idempotency_find(&actor, &self.key).await?.and_then(|known| known.answer)
        {
            // Another one with the same key came to answer before.
            return replayed(first);
        }
        tx.commit().await?;
        Ok(answer.into_response())
    }
}

/// What was answered before.
fn replayed(answer: Value) -> Result<Response, Problem> {
    let answer: Answer = serde_json::from_value(answer).map_err(|_| Problem::new(ProblemKind::ServerError))?;
    let mut response = answer.into_response();
    response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    Ok(response)
}

/// What a request that changed something is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Answer {
    body: Value,
}

impl Answer {
    /// With a body.
    pub fn new(body: &impl Serialize) -> Self {
        Self { body: serde_json::to_value(body).unwrap_or_default() }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        axum::Json(self.body).into_response()
    }
}

/// The entity tag of something in one of its versions: a customer's number, or a word that names the state of another
/// thing, of visible ASCII without quotation marks.
pub fn tag(version: impl Display) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// What `If-Match` says.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Versions {
    Any,
    These(Vec<String>),
}

impl Versions {
    /// RFC 9110 §13.1.1: compared strongly, so a weak tag matches nothing.
    fn read(headers: &HeaderMap) -> Option<Self> {
        let lines: Vec<&str> = headers.get_all(IF_MATCH).iter().filter_map(|value| value.to_str().ok()).collect();
        match lines.as_slice() {
            [] => None,
            [all] if all.trim() == "*" => Some(Self::Any),
            lines => {
                let tags = lines.iter().flat_map(|line| line.split(',')).map(str::trim);
                let versions = tags.filter_map(|tag| tag.strip_prefix('"')?.strip_suffix('"'));
                Some(Self::These(versions.map(str::to_owned).collect()))
            }
        }
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Change<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let call = <Call as axum::extract::FromRequestParts<App>>::from_request_parts(&mut parts, app).await?;
        let key = key(&parts.headers)?;
        let versions = Versions::read(&parts.headers);
        if call.operation.conditions == Conditions::KeyAndVersion && versions.is_none() {
            return Err(Problem::new(ProblemKind::VersionRequired).fault("If-Match", "is missing"));
        }
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let bytes = sent(Request::from_parts(parts, body), app).await?;
        let hash = secret::sha256(&[method.as_str().as_bytes(), b"\n", path.as_bytes(), b"\n", &bytes]);
        Ok(Self { body: content(&bytes)?, key, hash, versions })
    }
}

/// The body of a request that only asks.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        Ok(Self(content(&sent(request, app).await?)?))
    }
}

/// The body of a POST, which is JSON, and all that the request says.
async fn sent(request: Request, app: &App) -> Result<Bytes, Problem> {
    if request.uri().query().is_some_and(|query| !query.is_empty()) {
        return Err(Problem::new(ProblemKind::InvalidRequest).fault("query", "there are no parameters here"));
    }
    if !is_json(request.headers()) {
        return Err(Problem::new(ProblemKind::UnsupportedMediaType));
    }
    let bytes = Bytes::from_request(request, app).await;
    bytes.map_err(|rejection| Problem::new(ProblemKind::of_status(rejection.status().as_u16())))
}

/// A structured-field string or the bare text (draft-ietf-httpapi-idempotency-key-header §2.1).
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let wrong = |words: &str| Problem::new(ProblemKind::InvalidRequest).fault("Idempotency-Key", words);
    let mut values = headers.get_all("idempotency-key").iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(wrong("must be there, once"));
    };
    let text = value.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let sound = (1..=MAX_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'"');
    if sound { Ok(text.to_owned()) } else { Err(wrong("must be 1 to 255 printable ASCII characters without spaces")) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // RFC 9110 §8.4: what is coded is not what its type says.
    let is_plain = headers.get_all(CONTENT_ENCODING).iter().all(|coding| coding == "identity");
    is_plain && media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

/// A body is one object. Left to itself, a list of the members' values would do as well.
fn content<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let wrong = |error: &serde_json::Error| {
        let kind = if error.is_data() { ProblemKind::InvalidContent } else { ProblemKind::InvalidRequest };
        Problem::new(kind).fault("body", error.to_string())
    };
    if !bytes.trim_ascii_start().starts_with(b"{") {
        serde_json::from_slice::<IgnoredAny>(bytes).map_err(|error| wrong(&error))?;
        return Err(Problem::new(ProblemKind::InvalidContent).fault("body", "is not an object"));
    }
    serde_json::from_slice(bytes).map_err(|error| wrong(&error))
}

/// The same of an object within a body; for `deserialize_with`.
pub fn object<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let object: Option<serde_json::Map<String, Value>> = Option::deserialize(deserializer)?;
    object.map(|object| T::deserialize(Value::Object(object)).map_err(D::Error::custom)).transpose()
}

/// Why an admin does something: a sentence for whoever reads the audit log.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Reason(String);

impl Reason {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Reason {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        reason::read(&text).map(|sound| Self(sound.to_owned()))
    }
}

impl JsonSchema for Reason {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Reason".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Why, for whoever reads the audit log.", "type": "string", "minLength": 1,
            "maxLength": reason::LONGEST,
            "pattern": "^[^\\u0000-\\u0009\\u000b-\\u001f\\u007f-\\u009f]+$",
        })
    }
}

/// The hash of a plan, as the plan named it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct PlanHash(String);

impl PlanHash {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PlanHash {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        if (1..=MAX_HASH).contains(&text.len()) { Ok(Self(text)) } else { Err("a plan's hash is short") }
    }
}

impl JsonSchema for PlanHash {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "PlanHash".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": MAX_HASH })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_strong_tags_of_versions_match() {
        let read = |values: &[&str]| Versions::read(&headers("if-match", values));
        assert_eq!(read(&[]), None);
        assert_eq!(read(&["*"]), Some(Versions::Any));
        let these = |versions: &[&str]| Some(Versions::These(versions.iter().map(|&one| one.to_owned()).collect()));
        assert_eq!(read(&["\"7\""]), these(&["7"]));
        assert_eq!(read(&["\"7\", \"open.8\"", "\"9\""]), these(&["7", "open.8", "9"]));
        assert_eq!(read(&["*, \"x\""]), these(&["x"]));
        for nothing in ["W/\"7\"", "7", "", "\""] {
            assert_eq!(read(&[nothing]), these(&[]), "{nothing}");
        }
    }

    #[test]
    fn a_key_is_one_short_printable_text() {
        let read = |values: &[&str]| key(&headers("idempotency-key", values)).ok();
        assert_eq!(read(&["\"8e03978e\""]).as_deref(), Some("8e03978e"));
        assert_eq!(read(&["8e03978e"]).as_deref(), Some("8e03978e"));
        for bad in [&[][..], &[""], &["\"\""], &["a b"], &["a\"b"], &["a", "b"], &[&"x".repeat(256)]] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_body_is_one_object() {
        #[derive(Debug, PartialEq, Deserialize)]
        struct Body {
            name: String,
            #[serde(default, deserialize_with = "object")]
            inner: Option<Inner>,
        }
        #[derive(Debug, PartialEq, Deserialize)]
        struct Inner {
            by: String,
        }
        let read = |text: &str| content::<Body>(text.as_bytes()).map_err(|problem| problem.kind);
        assert!(read(r#" {"name":"a"}"#).unwrap().inner.is_none());
        assert_eq!(read(r#"{"name":"a","inner":{"by":"b"}}"#).unwrap().inner.unwrap().by, "b");
        for wrong in [r#"["a"]"#, "null", "7", r#""a""#, r#"{"name":"a","inner":["b"]}"#, r#"{"name":["a"]}"#, "{}"] {
            assert_eq!(read(wrong), Err(ProblemKind::InvalidContent), "{wrong}");
        }
        for broken in ["", "[", "{", r#"{"name":"a"} x"#, "nul"] {
            assert_eq!(read(broken), Err(ProblemKind::InvalidRequest), "{broken}");
        }
    }
}
