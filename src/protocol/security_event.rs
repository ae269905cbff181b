//! What providers tell us about accounts after a login: logout tokens and security event tokens, as claims.
//!
//! Owns the words of OpenID Connect Back-Channel Logout 1.0, of RFC 8417 and 8935, of the RISC and OAuth event types, and
//! of Apple's notifications. It reads claims that somebody else has verified; what follows from them is not known here.

use serde_json::{Map, Value};

/// The member of `events` that makes a token a logout token (Back-Channel Logout §2.4).
const LOGOUT_EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const RISC: &str = "https://schemas.openid.net/secevent/risc/event-type/";
const OAUTH: &str = "https://schemas.openid.net/secevent/oauth/event-type/";
/// No name, no address and no state is longer.
const MAX_TEXT: usize = 512;
/// No token tells more at once.
const MAX_EVENTS: usize = 20;

/// The claims of a verified token.
pub type Claims = Map<String, Value>;

/// Why claims are not what they should be, for logs and for the sender's developers.
pub type Unfit = &'static str;

/// Whose sessions a logout token ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// One session at the provider.
    Session(String),
    /// All sessions of a subject.
    Subject(String),
}

impl LoggedOut {
    /// Reads the claims of a logout token (Back-Channel Logout §2.4, §2.6). If it names both, the session is meant.
    ///
    /// # Errors
    /// In words, the first rule that they break.
    pub fn parse(claims: &Claims) -> Result<Self, Unfit> {
        // §2.4: so that an ID token is never taken for a logout token, nor the other way about.
        if claims.contains_key("nonce") {
            return Err("a logout token has no nonce");
        }
        let event = claims.get("events").and_then(|events| events.get(LOGOUT_EVENT));
        if !event.is_some_and(Value::is_object) {
            return Err("there is no logout event");
        }
        for (name, read) in [("sid", Self::Session as fn(String) -> Self), ("sub", Self::Subject)] {
            if claims.contains_key(name) {
                return text(claims.get(name)).map(read).ok_or("sid or sub is not a text of a fit length");
            }
        }
        Err("there is neither sid nor sub")
    }
}

/// One thing that happened to an account at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountEvent {
    /// The provider's subject; absent where the event names something else, such as a token.
    pub subject: Option<String>,
    pub happened: Happened,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    SessionsRevoked,
    /// All tokens of the account, or one of them.
    TokensRevoked,
    TokenRevoked,
    /// Closed by the provider, which may say why.
    Disabled(Cause),
    Enabled,
    /// Gone for good.
    Deleted,
    /// The customer took back what they had allowed.
    ConsentRevoked,
    /// The provider saw something and made the customer change their password or more.
    CredentialChangeRequired,
    /// The address that the provider forwards from does so no longer, or again.
    EmailDisabled(Option<String>),
    EmailEnabled(Option<String>),
    /// A test of the connection (RISC; Google's `verify`).
    Verification,
    /// A type that is not known here.
    Unknown(String),
}

/// Why an account was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    Hijacking,
    BulkAccount,
    Unsaid,
}

/// Reads the events of a security event token (RFC 8417 §2.2). `issuer` is the one of subjects that are meant.
///
/// # Errors
/// In words, if there are none, too many, or a subject is of another issuer.
pub fn security_events(claims: &Claims, issuers: &[&str]) -> Result<Vec<AccountEvent>, Unfit> {
    let Some(events) = claims.get("events").and_then(Value::as_object) else {
        return Err("there are no events");
    };
    if events.is_empty() || events.len() > MAX_EVENTS {
        return Err("there are no events, or too many");
    }
    events
        .iter()
        .map(|(name, event)| {
            Ok(AccountEvent { subject: subject(claims, event, issuers)?, happened: risc(name, event) })
        })
        .collect()
}

/// The subject of one event: in the event (RISC as Google sends it), or in the token (`sub_id`, RFC 9493).
fn subject(claims: &Claims, event: &Value, issuers: &[&str]) -> Result<Option<String>, Unfit> {
    let Some(named) = event.get("subject").or_else(|| claims.get("sub_id")) else { return Ok(None) };
    let kind = named.get("subject_type").or_else(|| named.get("format")).and_then(Value::as_str).unwrap_or_default();
    if !matches!(kind, "iss-sub" | "iss_sub" | "id_token_claims" | "id-token-claims") {
        return Ok(None);
    }
    // The link key is (connector, subject): a subject of somebody else's must never pass for one of this provider's.
    if !named.get("iss").and_then(Value::as_str).is_some_and(|iss| issuers.contains(&iss)) {
        return Err("a subject is of another issuer");
    }
    text(named.get("sub")).map(Some).ok_or("a subject is not a text of a fit length")
}

fn risc(name: &str, event: &Value) -> Happened {
    let known = name.strip_prefix(RISC).or_else(|| name.strip_prefix(OAUTH));
    match known.unwrap_or_default() {
        "sessions-revoked" => Happened::SessionsRevoked,
        "tokens-revoked" => Happened::TokensRevoked,
        "token-revoked" => Happened::TokenRevoked,
        "account-disabled" => Happened::Disabled(match event.get("reason").and_then(Value::as_str) {
            Some("hijacking") => Cause::Hijacking,
            Some("bulk-account") => Cause::BulkAccount,
            _ => Cause::Unsaid,
        }),
        "account-enabled" => Happened::Enabled,
        "account-purged" => Happened::Deleted,
        "account-credential-change-required" => Happened::CredentialChangeRequired,
        "verification" => Happened::Verification,
        _ => Happened::Unknown(plain(name)),
    }
}

/// Reads the event of one of Apple's notifications: `events` is JSON within a text. Answers when it happened, too, in
/// seconds. <https://developer.apple.com/documentation/signinwithapple/processing-changes-for-sign-in-with-apple-accounts>
///
/// # Errors
/// In words, if it cannot be read.
pub fn apple_event(claims: &Claims) -> Result<(AccountEvent, Option<i64>), Unfit> {
    let event: Value = match claims.get("events") {
        Some(Value::String(events)) => serde_json::from_str(events).map_err(|_| "events cannot be read")?,
        Some(events) => events.clone(),
        None => return Err("there are no events"),
    };
    let Some(subject) = text(event.get("sub")) else { return Err("the event names no subject") };
    let email = || text(event.get("email"));
    let happened = match event.get("type").and_then(Value::as_str).unwrap_or_default() {
        "email-disabled" => Happened::EmailDisabled(email()),
        "email-enabled" => Happened::EmailEnabled(email()),
        "consent-revoked" => Happened::ConsentRevoked,
        // The documentation has had both spellings.
        "account-delete" | "account-deleted" => Happened::Deleted,
        other => Happened::Unknown(plain(other)),
    };
    // Documented in seconds, sent in milliseconds.
    let at = event.get("event_time").and_then(Value::as_i64).filter(|at| *at > 0);
    let at = at.map(|at| if at > 100_000_000_000 { at / 1000 } else { at });
    Ok((AccountEvent { subject: Some(subject), happened }, at))
}

/// A text that can be a name of something: not empty, not long, no control characters.
fn text(value: Option<&Value>) -> Option<String> {
    let text = value?.as_str()?;
    let fits = !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
}

/// A type from outside as it may stand in a log.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_graphic()).take(120).collect()
}

/// How a delivered token is refused (RFC 8935 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryError {
    InvalidRequest,
    InvalidKey,
    InvalidIssuer,
    InvalidAudience,
}

impl DeliveryError {
    /// The code as it stands in the answer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_logout_token_has_its_event_no_nonce_and_a_session_or_a_subject() {
        let logout = json!({LOGOUT_EVENT: {}});
        let read = |value| LoggedOut::parse(&claims(value));
        assert_eq!(read(json!({"events": logout, "sid": "s", "sub": "ann"})), Ok(LoggedOut::Session("s".to_owned())));
        assert_eq!(read(json!({"events": logout, "sub": "ann"})), Ok(LoggedOut::Subject("ann".to_owned())));
        for unfit in [
            json!({"events": logout, "sub": "ann", "nonce": "n"}),
            json!({"events": logout, "sub": "ann", "nonce": null}),
            json!({"events": logout}),
            json!({"events": logout, "sub": 7}),
            json!({"events": logout, "sid": "", "sub": "ann"}),
            json!({"events": logout, "sub": "x".repeat(MAX_TEXT + 1)}),
            json!({"events": {LOGOUT_EVENT: true}, "sub": "ann"}),
            json!({"events": {"other": {}}, "sub": "ann"}),
            json!({"events": LOGOUT_EVENT, "sub": "ann"}),
            json!({"sub": "ann"}),
        ] {
            assert!(read(unfit.clone()).is_err(), "{unfit}");
        }
    }

    #[test]
    fn each_risc_event_is_read_and_others_are_unknown() {
        let read =
            |name: &str, event: Value| security_events(&claims(json!({"events": {name: event}})), &["https://g/"]);
        let subject = json!({"subject_type": "iss-sub", "iss": "https://g/", "sub": "7"});
        for (name, happened) in [
            ("sessions-revoked", Happened::SessionsRevoked),
            ("account-enabled", Happened::Enabled),
            ("account-purged", Happened::Deleted),
            ("account-disabled", Happened::Disabled(Cause::Unsaid)),
            ("account-credential-change-required", Happened::CredentialChangeRequired),
            ("new-thing", Happened::Unknown(format!("{RISC}new-thing"))),
        ] {
            let events = read(&format!("{RISC}{name}"), json!({"subject": subject})).unwrap();
            assert_eq!(events, [AccountEvent { subject: Some("7".to_owned()), happened }]);
        }
        let hijacked = read(&format!("{RISC}account-disabled"), json!({"subject": subject, "reason": "hijacking"}));
        assert_eq!(hijacked.unwrap()[0].happened, Happened::Disabled(Cause::Hijacking));
        let token = json!({"subject": {"subject_type": "oauth_token", "token": "h"}});
        assert_eq!(read(&format!("{OAUTH}token-revoked"), token).unwrap()[0].subject, None);
        let foreign = json!({"subject": {"subject_type": "iss-sub", "iss": "https://evil/", "sub": "7"}});
        assert!(read(&format!("{RISC}account-disabled"), foreign).is_err());
        assert!(security_events(&claims(json!({"events": {}})), &[]).is_err());
        assert!(security_events(&claims(json!({"events": "{}"})), &[]).is_err());
    }

    #[test]
    fn apples_event_is_json_within_a_text_and_its_time_is_in_milliseconds() {
        let event = json!({"type": "consent-revoked", "sub": "001.a", "event_time": 1_611_765_847_700_i64});
        let expected = AccountEvent { subject: Some("001.a".to_owned()), happened: Happened::ConsentRevoked };
        for events in [json!(event.to_string()), event] {
            assert_eq!(apple_event(&claims(json!({"events": events}))), Ok((expected.clone(), Some(1_611_765_847))));
        }
        for unfit in [json!({}), json!({"events": "{"}), json!({"events": "{\"type\":\"consent-revoked\"}"})] {
            assert!(apple_event(&claims(unfit)).is_err());
        }
    }
}
