//! What a connector finds out about itself without a customer, in words for whoever set it up.
//!
//! The token endpoint is asked with a code that nobody was given: it must refuse the code, and does so only after it
//! has accepted the client. Nothing said here holds a secret.

use std::fmt;

use url::Url;

use super::ConnectorError;
use crate::clock::Timestamp;
use crate::outbound::{Outbound, OutboundRequest, header};

/// A code that no provider has given out.
pub(super) const NO_CODE: &str = "samesake-self-check";

/// How far clocks may be apart: ID tokens and client secrets are judged with a minute of leeway.
const LEEWAY_SECONDS: u64 = 60;
/// More than any page a token endpoint answers to a GET with.
const PAGE_BYTES: usize = 256 * 1024;

/// What refuses the client, not the code.
const CLIENT_ERRORS: [&str; 5] =
    ["invalid_client", "unauthorized_client", "incorrect_client_credentials", "OAuthException.1", "OAuthException.101"];
const REDIRECT_ERRORS: [&str; 2] = ["redirect_uri_mismatch", "invalid_redirect_uri"];

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub what: String,
    pub verdict: Verdict,
    /// What was found, and what to do about it.
    pub words: String,
}

/// How it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Right,
    Wrong,
    /// Could not be decided, or is for people to do.
    Note,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Right => "ok",
            Self::Wrong => "wrong",
            Self::Note => "note",
        })
    }
}

impl Finding {
    pub(super) fn right(what: &str, words: impl Into<String>) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Right, words: words.into() }
    }

    pub(super) fn wrong(what: &str, words: impl Into<String>) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Wrong, words: words.into() }
    }

    pub(super) fn note(what: &str, words: impl Into<String>) -> Self {
        Self { what: what.to_owned(), verdict: Verdict::Note, words: words.into() }
    }
}

/// What only people can do.
pub(super) fn redirect_uri(redirect_uri: &Url) -> Finding {
    Finding::note("redirect URI", format!("{redirect_uri} must be registered at the provider, letter by letter"))
}

/// Why there are no metadata.
pub(super) fn metadata(url: &str, error: &ConnectorError) -> Finding {
    let advice = match error {
        ConnectorError::Unavailable { .. } => {
            "check the issuer, this machine's way out, and outbound.allow if the provider is on a private network"
        }
        _ => "the issuer must be written exactly as the provider writes it in its metadata",
    };
    Finding::wrong("metadata", format!("{url}: {error}; {advice}"))
}

/// Whether there is a key an ID token could be verified with.
pub(super) fn keys(count: usize) -> Finding {
    match count {
        0 => Finding::wrong("keys", "the provider publishes no key that can be used"),
        1 => Finding::right("keys", "1 key is published"),
        count => Finding::right("keys", format!("{count} keys are published")),
    }
}

/// What the token endpoint made of a code that nobody was given.
pub(super) fn token_endpoint(url: &Url, refused: Option<&ConnectorError>) -> Finding {
    let what = "token endpoint";
    let host = url.host_str().unwrap_or_default();
    match refused {
        Some(ConnectorError::Provider { code }) if CLIENT_ERRORS.contains(&code.as_str()) => Finding::wrong(
            what,
            format!("{host} refuses the client ({code}): client_id, the secret or key, or auth_method is wrong"),
        ),
        Some(ConnectorError::Provider { code }) if REDIRECT_ERRORS.contains(&code.as_str()) => {
            Finding::wrong(what, format!("{host} refuses the redirect URI ({code}): register the one above"))
        }
        Some(ConnectorError::Provider { code }) => {
            Finding::right(what, format!("{host} accepts the client and refuses a made-up code ({code})"))
        }
        Some(error @ ConnectorError::Unavailable { .. }) => {
            Finding::wrong(what, format!("{error}; check token_endpoint and this machine's way out"))
        }
        Some(error) => Finding::wrong(what, format!("{host}: {error}; is it really the token endpoint?")),
        None => Finding::wrong(what, format!("{host} accepted a made-up code: it is not a provider to be trusted")),
    }
}

/// Compares our clock with the `Date` of an answer.
pub(super) async fn clock(outbound: &Outbound, url: &Url, now: Timestamp) -> Finding {
    let what = "clock";
    let unknown = || Finding::note(what, "the provider does not say what time it has");
    let Ok(response) = outbound.send(OutboundRequest::get_json(url.clone(), PAGE_BYTES)).await else {
        return unknown();
    };
    let date = response.headers.get(header::DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
    let Some(theirs) = date else { return unknown() };
    let apart = now.seconds().abs_diff(theirs);
    let direction = if now.seconds() > theirs { "ahead of" } else { "behind" };
    if apart > LEEWAY_SECONDS {
        let words = format!("this machine is {apart} s {direction} the provider: logins fail until it is set right");
        return Finding::wrong(what, words);
    }
    Finding::right(what, format!("{apart} s apart"))
}

/// Seconds since 1970 of an IMF-fixdate (RFC 9110 §5.6.7).
fn http_date(date: &str) -> Option<i64> {
    let form = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    Some(time::PrimitiveDateTime::parse(date, form).ok()?.assume_utc().unix_timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_token_endpoint_says_is_put_into_words() {
        let url = Url::parse("https://idp.example/token").unwrap();
        let provider = |code: &str| Some(ConnectorError::Provider { code: code.to_owned() });
        let verdict = |refused: Option<ConnectorError>| token_endpoint(&url, refused.as_ref()).verdict;
        assert_eq!(verdict(provider("invalid_grant")), Verdict::Right);
        assert_eq!(verdict(provider("bad_verification_code")), Verdict::Right);
        for code in ["invalid_client", "incorrect_client_credentials", "redirect_uri_mismatch"] {
            assert_eq!(verdict(provider(code)), Verdict::Wrong, "{code}");
        }
        assert_eq!(verdict(Some(ConnectorError::Unavailable { reason: "no".to_owned() })), Verdict::Wrong);
        assert_eq!(verdict(Some(ConnectorError::invalid("no"))), Verdict::Wrong);
        assert_eq!(verdict(None), Verdict::Wrong);
    }

    #[test]
    fn dates_of_answers_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("yesterday"), None);
    }
}
