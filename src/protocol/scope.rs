//! Scopes (RFC 6749 §3.3): an ordered set of scope tokens.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens in the order in which they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Scope(Vec<String>);

impl Scope {
    /// Reads space-separated tokens; doubles count once. Tokens with characters outside RFC 6749 §3.3 are dropped like
    /// any other scope nobody knows.
    pub fn parse(text: &str) -> Self {
        let mut tokens: Vec<String> = Vec::new();
        for token in text.split(' ').filter(|t| !t.is_empty() && t.bytes().all(is_scope_byte)) {
            if !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        }
        Self(tokens)
    }

    /// Whether the token is in the set.
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|known| known == token)
    }

    /// Whether every token of this scope is in `other`.
    pub fn is_within(&self, other: &Scope) -> bool {
        self.0.iter().all(|token| other.contains(token))
    }

    /// The tokens that are in both, in this scope's order.
    #[must_use]
    pub fn intersection(&self, other: &Scope) -> Scope {
        Self(self.0.iter().filter(|token| other.contains(token)).cloned().collect())
    }

    /// The tokens of both, this scope's first.
    #[must_use]
    pub fn union(&self, other: &Scope) -> Scope {
        let mut tokens = self.0.clone();
        tokens.extend(other.0.iter().filter(|token| !self.contains(token)).cloned());
        Self(tokens)
    }

    /// This scope without one token.
    #[must_use]
    pub fn without(&self, token: &str) -> Scope {
        Self(self.0.iter().filter(|known| *known != token).cloned().collect())
    }

    /// The tokens.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether no token is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

impl From<String> for Scope {
    fn from(text: String) -> Self {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_an_ordered_set_without_foreign_characters() {
        let scope = Scope::parse("openid  email openid a\"b profile");
        assert_eq!(scope.to_string(), "openid email profile");
        assert!(Scope::parse("email").is_within(&scope));
        assert!(!Scope::parse("email phone").is_within(&scope));
        assert_eq!(scope.intersection(&Scope::parse("profile openid")).to_string(), "openid profile");
    }
}
