//! Proof Key for Code Exchange (RFC 7636): the two strings and their form. `plain` is not offered.

use serde::{Deserialize, Serialize};

/// An S256 code challenge: base64url of a SHA-256 digest, 43 characters (§4.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// `None` unless the text has exactly the form of a base64url SHA-256 digest.
    pub fn parse(text: &str) -> Option<Self> {
        let form = text.len() == 43 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        form.then(|| Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A code verifier: 43 to 128 unreserved characters (§4.1).
#[derive(Clone, Copy, Debug)]
pub struct CodeVerifier<'a>(&'a str);

impl<'a> CodeVerifier<'a> {
    /// `None` unless the text has the form of §4.1.
    pub fn parse(text: &'a str) -> Option<Self> {
        let unreserved = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
        ((43..=128).contains(&text.len()) && text.bytes().all(unreserved)).then_some(Self(text))
    }

    /// As text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}
