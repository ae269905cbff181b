//! `levels` of a connector: what the provider's word about how it authenticated the customer is worth here.
//!
//! An `acr` of theirs is a word of their own, so none counts unless it is listed (spec/protocol.md rule 7). The list is
//! read from its beginning: the first entry that fits names the level, so the strongest stands first.

use serde::Deserialize;

use super::problem::Problems;

/// One entry: the provider's `acr`, or one of its `amr` values, and what we call it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelRule {
    /// Theirs (OpenID Connect Core §2).
    #[serde(default)]
    pub acr: Option<String>,
    /// Theirs (RFC 8176).
    #[serde(default)]
    pub amr: Option<String>,
    /// The `acr` that apps are told, and ask for in `acr_values`.
    #[serde(default)]
    pub level: String,
}

const MAX_WORD: usize = 255;

/// A word of `acr_values`, a list between spaces.
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_WORD && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl LevelRule {
    pub(super) fn check(&self, key: &str, problems: &mut Problems) {
        let expected = "printable ASCII without spaces, such as \"urn:example:mfa\"";
        let theirs = match (&self.acr, &self.amr) {
            (Some(theirs), None) | (None, Some(theirs)) => theirs,
            _ => {
                let expected = "{ acr = \"theirs\", level = \"ours\" } or { amr = \"theirs\", level = \"ours\" }";
                return problems.add(key, "needs either acr or amr", expected);
            }
        };
        if !is_word(theirs) {
            let member = if self.acr.is_some() { "acr" } else { "amr" };
            problems.add(format!("{key}.{member}"), "is no authentication level or method", expected);
        }
        if !is_word(&self.level) {
            problems.add(format!("{key}.level"), "is missing, or no level", expected);
        }
    }
}
