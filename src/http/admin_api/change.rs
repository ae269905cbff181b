//! Changing requests: a JSON body of exactly the known members, the version that was seen, and a key for repeating.
//!
//! RFC 9110 §13.1.1 for `If-Match`. A key (`Idempotency-Key`) is claimed and its answer kept in the transaction that has
//! the effect: a repetition gets the same answer, two at once have one effect, and a refusal leaves the key free.

use std::borrow::Cow;
use std::fmt::Display;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::access::Call;
use super::operation::Conditions;
use crate::app::App;
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::secret;
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
        let known = known.ok_or_else(|| Problem::new(ProblemKind::InProgress).detail("Try again."))?;
        if known.request_hash != self.hash {
            return Err(Problem::new(ProblemKind::KeyReused));
        }
        // Whoever claimed it before did not come to answer: what the effect itself is keyed by keeps it from being had
        // twice.
        let Some(answer) = known.answer else { return Ok(Turn::Ours) };
        let answer: Answer = serde_json::from_value(answer).map_err(|_| Problem::new(ProblemKind::ServerError))?;
        let mut response = answer.into_response();
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
        Ok(Turn::Answered(response))
    }

    /// Claims the key for an effect that has transactions of its own. [`Change::keep`] or [`Change::release`] follows.
    pub async fn claim(&self, store: &Store, call: &Call) -> Result<Turn, Problem> {
        let mut tx = store.begin().await?;
        let turn = self.begin(&mut tx, call).await?;
        tx.commit().await?;
        Ok(turn)
    }

    /// By which such an effect knows its own repetition: another text for every actor and key.
    pub fn effect_key(&self, call: &Call) -> String {
        let actor = call.admin.actor().as_text();
        secret::base64url(&secret::sha256(&[b"admin api\n", actor.as_bytes(), b"\n", self.key.as_bytes()]))
    }

    /// Keeps the answer to such an effect.
    pub async fn keep(self, store: &Store, call: &Call, answer: Answer) -> Result<Response, Problem> {
        let tx = store.begin().await?;
        self.finish(tx, call, answer).await
    }

    /// Gives the key back: there was no effect, and a repetition may have it.
    pub async fn release(self, store: &Store, call: &Call, problem: Problem) -> Result<Response, Problem> {
        let mut tx = store.begin().await?;
        tx.idempotency_release(&call.admin.actor().as_text(), &self.key).await?;
        tx.commit().await?;
        Err(problem)
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
    pub async fn finish(self, mut tx: Tx, call: &Call, answer: Answer) -> Result<Response, Problem> {
        let actor = call.admin.actor().as_text();
        let kept = serde_json::to_value(&answer).unwrap_or_default();
        tx.idempotency_settle(&actor, &self.key, &kept).await?;
        tx.commit().await?;
        Ok(answer.into_response())
    }
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
        if parts.uri.query().is_some_and(|query| !query.is_empty()) {
            return Err(Problem::new(ProblemKind::InvalidRequest).fault("query", "there are no parameters here"));
        }
        if !is_json(&parts.headers) {
            return Err(Problem::new(ProblemKind::UnsupportedMediaType));
        }
        let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
        let bytes = Bytes::from_request(Request::from_parts(parts, body), app).await;
        let bytes = bytes.map_err(|rejection| Problem::new(ProblemKind::of_status(rejection.status().as_u16())))?;
        let hash = secret::sha256(&[method.as_str().as_bytes(), b"\n", path.as_bytes(), b"\n", &bytes]);
        Ok(Self { body: content(&bytes)?, key, hash, versions })
    }
}

/// The body of a request that only asks.
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Asked<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::new(ProblemKind::UnsupportedMediaType));
        }
        let bytes = Bytes::from_request(request, app).await;
        let bytes = bytes.map_err(|rejection| Problem::new(ProblemKind::of_status(rejection.status().as_u16())))?;
        Ok(Self(content(&bytes)?))
    }
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
    media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}

fn content<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(bytes).map_err(|error| {
        let kind = if error.is_data() { ProblemKind::InvalidContent } else { ProblemKind::InvalidRequest };
        Problem::new(kind).fault("body", error.to_string())
    })
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
        match text.trim() {
            "" => Err("a reason must not be empty"),
            sound if sound.chars().count() > 500 => Err("a reason has at most 500 characters"),
            sound if sound.chars().any(|c| c.is_control() && c != '\n') => Err("a reason holds no control character"),
            sound => Ok(Self(sound.to_owned())),
        }
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
            "description": "Why, for whoever reads the audit log.", "type": "string", "minLength": 1, "maxLength": 500,
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
    fn a_reason_is_a_sentence() {
        let read = |text: &str| Reason::try_from(text.to_owned());
        assert_eq!(read(" asked by mail \n").unwrap().as_str(), "asked by mail");
        for bad in ["", "  ", "a\0b", &"x".repeat(501)] {
            assert!(read(bad).is_err());
        }
    }
}
