//! Problem details (RFC 9457): what the admin API answers when it does not do what was asked.
//!
//! Each kind has a `type` that never changes, a title, and one status. What is particular to one case is the detail and
//! the faults in what was sent; none of it repeats a secret.

use serde::Serialize;

/// A kind of problem. Kinds are added; none changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProblemKind {
    InvalidRequest,
    InvalidCursor,
    Unauthenticated,
    LoginTooOld,
    InsufficientScope,
    RoleTooLow,
    NotFound,
    MethodNotAllowed,
    Stale,
    Refused,
    ApprovalNeeded,
    Gone,
    EventsRemoved,
    VersionMismatch,
    TooLarge,
    UnsupportedMediaType,
    InvalidContent,
    KeyReused,
    VersionRequired,
    ServerError,
    Unavailable,
    Contention,
}

impl ProblemKind {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::InvalidRequest,
        Self::InvalidCursor,
        Self::Unauthenticated,
        Self::LoginTooOld,
        Self::InsufficientScope,
        Self::RoleTooLow,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Stale,
        Self::Refused,
        Self::ApprovalNeeded,
        Self::Gone,
        Self::EventsRemoved,
        Self::VersionMismatch,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::InvalidContent,
        Self::KeyReused,
        Self::VersionRequired,
        Self::ServerError,
        Self::Unavailable,
        Self::Contention,
    ];

    /// The last part of the `type`.
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// The `type`.
    pub fn uri(self) -> String {
        format!("urn:samesake:problem:{}", self.name())
    }

    /// The same for every problem of the kind.
    pub const fn title(self) -> &'static str {
        self.words().1
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.words().2
    }

    /// What it means, and what whoever asked may do.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::InvalidRequest => "A parameter, a header or the form of the body is wrong; `errors` names it.",
            Self::InvalidCursor => "Cursors come from the page before of the same list. Begin at the first one.",
            Self::Unauthenticated => {
                "There is no access token, it has expired, or it is not for this API. Get another."
            }
            Self::LoginTooOld => "The admin must sign in again: send them through the login with `max_age` (RFC 9470).",
            Self::InsufficientScope => "Ask for an access token with the scope `admin`.",
            Self::RoleTooLow => "`needs` names the lowest role that may do it; an owner gives roles.",
            Self::NotFound => "Nothing has this ID, or never had.",
            Self::MethodNotAllowed => "The header `Allow` names what can be done here.",
            Self::Stale => "`plan` is what would be done now. Look at it, and agree to its hash.",
            Self::Refused => "`detail` says which rule speaks against it. Repeating the request changes nothing.",
            Self::ApprovalNeeded => "The merge is risky: propose it, and somebody else approves.",
            Self::Gone => "The customer's data was erased for good. The ID is never given to anybody else.",
            Self::EventsRemoved => "Read anew what you keep of customers, and go on with the cursor `after`.",
            Self::VersionMismatch => "`If-Match` names another version. Read it again, and decide again.",
            Self::TooLarge => "The body is larger than any request of this API needs.",
            Self::UnsupportedMediaType => "Bodies are `application/json`.",
            Self::InvalidContent => "The body is JSON, but not what this operation takes; `errors` says where.",
            Self::KeyReused => "An `Idempotency-Key` stands for one request. Choose another for another request.",
            Self::VersionRequired => "A change of what is there names the version that was seen, by `If-Match`.",
            Self::ServerError => "It was put on record with the request ID. Repeat the request with the same key.",
            Self::Unavailable => "Wait as long as `Retry-After` says, and repeat the request with the same key.",
            Self::Contention => "Nothing was done. Wait as long as `Retry-After` says, and repeat the request.",
        }
    }

    const fn words(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::InvalidRequest => ("invalid-request", "The request cannot be understood", 400),
            Self::InvalidCursor => ("invalid-cursor", "The cursor is not one of this list", 400),
            Self::Unauthenticated => ("unauthenticated", "A good access token is needed", 401),
            Self::LoginTooOld => ("login-too-old", "A login of the last half hour is needed", 401),
            Self::InsufficientScope => ("insufficient-scope", "The access token lacks a scope", 403),
            Self::RoleTooLow => ("role-too-low", "Your role may not do this", 403),
            Self::NotFound => ("not-found", "There is no such thing", 404),
            Self::MethodNotAllowed => ("method-not-allowed", "This cannot be done here", 405),
            Self::Stale => ("stale-plan", "Something has changed since the plan was made", 409),
            Self::Refused => ("refused", "The rules do not allow it", 409),
            Self::ApprovalNeeded => ("approval-needed", "Somebody else must approve it first", 409),
            Self::Gone => ("gone", "The customer was erased", 410),
            Self::EventsRemoved => ("events-removed", "Events behind this cursor are not kept any more", 410),
            Self::VersionMismatch => ("version-mismatch", "It has changed since it was seen", 412),
            Self::TooLarge => ("too-large", "The request is too large", 413),
            Self::UnsupportedMediaType => ("unsupported-media-type", "The body must be JSON", 415),
            Self::InvalidContent => ("invalid-content", "The content does not fit", 422),
            Self::KeyReused => ("idempotency-key-reused", "The key was used for another request", 422),
            Self::VersionRequired => ("version-required", "The version that was seen must be named", 428),
            Self::ServerError => ("server-error", "Something went wrong on our side", 500),
            Self::Unavailable => ("unavailable", "It cannot be done just now", 503),
            Self::Contention => ("contention", "Others were changing the same thing all the while", 503),
        }
    }

    /// Whether what was asked may have been done all the same.
    pub const fn leaves_open(self) -> bool {
        matches!(self, Self::ServerError | Self::Unavailable)
    }

    /// The kind that says in general what a bare status says.
    pub fn of_status(status: u16) -> Self {
        let by_status = Self::ALL.into_iter().find(|kind| kind.status() == status);
        by_status.unwrap_or(if status < 500 { Self::InvalidRequest } else { Self::ServerError })
    }
}

/// One thing that is wrong with what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The parameter, the header, or a JSON pointer into the body.
    pub at: String,
    pub detail: String,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    pub kind: ProblemKind,
    /// What happened here, for the person who reads it.
    pub detail: Option<String>,
    pub faults: Vec<Fault>,
    /// Members of the kind's own, such as the reasons of a refusal.
    pub more: serde_json::Map<String, serde_json::Value>,
    /// `WWW-Authenticate` (RFC 6750 §3, RFC 9470 §3).
    pub challenge: Option<String>,
}

impl Problem {
    /// Of a kind, without more to say.
    pub fn new(kind: ProblemKind) -> Self {
        Self { kind, detail: None, faults: Vec::new(), more: serde_json::Map::new(), challenge: None }
    }

    /// Says what happened.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names something that is wrong with what was sent.
    #[must_use]
    pub fn fault(mut self, at: impl Into<String>, detail: impl Into<String>) -> Self {
        self.faults.push(Fault { at: at.into(), detail: detail.into() });
        self
    }

    /// Adds a member of the kind's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<serde_json::Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Adds the challenge.
    #[must_use]
    pub fn challenge(mut self, challenge: impl Into<String>) -> Self {
        self.challenge = Some(challenge.into());
        self
    }

    /// Nothing is known by this ID.
    pub fn not_found() -> Self {
        Self::new(ProblemKind::NotFound)
    }

    /// The document.
    pub fn to_json(&self) -> serde_json::Value {
        let mut document = self.more.clone();
        document.insert("type".to_owned(), self.kind.uri().into());
        document.insert("title".to_owned(), self.kind.title().into());
        document.insert("status".to_owned(), self.kind.status().into());
        if let Some(detail) = &self.detail {
            document.insert("detail".to_owned(), detail.as_str().into());
        }
        if !self.faults.is_empty() {
            document.insert("errors".to_owned(), serde_json::to_value(&self.faults).unwrap_or_default());
        }
        document.into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_kinds_share_a_type() {
        let names: BTreeSet<&str> = ProblemKind::ALL.iter().map(|kind| kind.name()).collect();
        assert_eq!(names.len(), ProblemKind::ALL.len());
    }

    #[test]
    fn a_problem_is_a_document_of_the_rfc() {
        let problem = Problem::new(ProblemKind::InvalidContent).detail("no").fault("/reason", "is empty").with("x", 1);
        let expected = serde_json::json!({
            "type": "urn:samesake:problem:invalid-content", "title": "The content does not fit", "status": 422,
            "detail": "no", "errors": [{ "at": "/reason", "detail": "is empty" }], "x": 1,
        });
        assert_eq!(problem.to_json(), expected);
    }

    #[test]
    fn a_bare_status_has_a_kind() {
        assert_eq!(ProblemKind::of_status(404), ProblemKind::NotFound);
        assert_eq!(ProblemKind::of_status(418), ProblemKind::InvalidRequest);
        assert_eq!(ProblemKind::of_status(504), ProblemKind::ServerError);
    }
}
