//! The device authorization response (RFC 8628 §3.2) and the user code in it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a device is given to show and to ask with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceAuthorization {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    /// Seconds.
    pub expires_in: u64,
    /// Seconds between two questions at the token endpoint.
    pub interval: u64,
}

/// RFC 8628 §6.1: no vowels, so that no words come about, and nothing that looks like something else.
pub const USER_CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LENGTH: usize = 8;

/// Eight letters that a person copies from one screen to another: some 34 bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserCode(String);

impl UserCode {
    /// A code of these letters, each given by its number.
    pub fn of(numbers: [u8; LENGTH]) -> Self {
        let letter = |number: u8| USER_CODE_LETTERS.get(usize::from(number) % USER_CODE_LETTERS.len());
        Self(numbers.into_iter().filter_map(letter).map(|letter| char::from(*letter)).collect())
    }

    /// Reads what a person typed: case does not matter, nor do spaces and hyphens.
    pub fn parse(typed: &str) -> Option<Self> {
        let mut letters = String::with_capacity(LENGTH);
        for c in typed.chars().take(64).filter(|c| !c.is_whitespace() && !matches!(c, '-' | '–' | '.')) {
            letters.push(c.to_ascii_uppercase());
        }
        let is_letter = |byte: u8| USER_CODE_LETTERS.contains(&byte);
        (letters.len() == LENGTH && letters.bytes().all(is_letter)).then_some(Self(letters))
    }

    /// The letters without the hyphen.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at_checked(LENGTH / 2).unwrap_or((&self.0, ""));
        write!(f, "{first}-{second}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_however_it_is_typed() {
        let code = UserCode::of([0, 1, 2, 3, 4, 5, 6, 19]);
        assert_eq!(code.to_string(), "BCDF-GHJZ");
        for typed in ["BCDF-GHJZ", "bcdfghjz", " b c d f g h j z ", "BCDF–GHJZ", "bcdf.ghjz"] {
            assert_eq!(UserCode::parse(typed).as_ref(), Some(&code), "{typed}");
        }
        for typed in ["", "BCDF-GHJ", "BCDF-GHJZZ", "ACDF-GHJZ", "BCDF-GHJ1", "ßßßß", &"B".repeat(100)] {
            assert_eq!(UserCode::parse(typed), None, "{typed}");
        }
    }
}
