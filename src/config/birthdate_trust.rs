//! What a provider's word about a birth date is worth.

use serde::Deserialize;

/// Whether a birth date from here is verified: only such a one keeps two customers apart for good, and none that is not
/// verified takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BirthdateTrust {
    /// The provider has looked at an identity document, as an eID or a bank does: every one it says is verified.
    Verified,
    /// The one that it lists among its verified claims is (OpenID Connect for Identity Assurance); it is asked for it.
    VerifiedClaims,
    /// What somebody has typed there.
    #[default]
    Unverified,
}
