//! Standard claims about the end-user (OpenID Connect Core §5.1), each with its JSON type, and the scopes that ask for
//! them (§5.4).

use serde::{Deserialize, Serialize};

use super::scope::Scope;

/// The claims of a userinfo response.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserinfoClaims {
    pub sub: String,
    #[serde(flatten)]
    pub profile: ProfileClaims,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_verified: Option<bool>,
    /// Subjects by which the client knew another customer who is this one now: ours, no standard claim.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<String>,
}

/// What the scope `profile` asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProfileClaims {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred_username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
}

impl UserinfoClaims {
    /// Leaves only what the scope allows.
    #[must_use]
    pub fn within(mut self, scope: &Scope) -> Self {
        if !scope.contains("profile") {
            self.profile = ProfileClaims::default();
        }
        if !scope.contains("email") {
            self.email = None;
            self.email_verified = None;
        }
        if !scope.contains("phone") {
            self.phone_number = None;
            self.phone_number_verified = None;
        }
        self
    }
}

/// The claims that metadata may promise.
pub const SUPPORTED: &[&str] = &[
    "iss",
    "sub",
    "aud",
    "iat",
    "exp",
    "auth_time",
    "nonce",
    "amr",
    "sid",
    "at_hash",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "picture",
    "locale",
    "updated_at",
    "email",
    "email_verified",
];
