//! The kinds of upstream provider, and what each is by default.
//!
//! Endpoints are not here: a connector knows its own. What a provider's word about e-mail addresses is worth is
//! decided here (spec/identity.md rule 8) and can be changed per connector.

use serde::Deserialize;

use super::connector::{ConnectorAuthMethod, EmailTrust};

/// What an upstream speaks, and whose quirks it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ConnectorKind {
    /// Any OpenID Provider with discovery.
    #[default]
    Oidc,
    /// Any OAuth 2.0 server with an endpoint that says who the customer is.
    OAuth2,
    Google,
    Apple,
    Facebook,
    X,
    GitHub,
    Microsoft,
    LinkedIn,
}

impl ConnectorKind {
    /// All of them, as the documentation lists them.
    pub const ALL: [Self; 9] = [
        Self::Oidc,
        Self::OAuth2,
        Self::Google,
        Self::Apple,
        Self::Facebook,
        Self::X,
        Self::GitHub,
        Self::Microsoft,
        Self::LinkedIn,
    ];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oidc => "oidc",
            Self::OAuth2 => "oauth2",
            Self::Google => "google",
            Self::Apple => "apple",
            Self::Facebook => "facebook",
            Self::X => "x",
            Self::GitHub => "github",
            Self::Microsoft => "microsoft",
            Self::LinkedIn => "linkedin",
        }
    }

    /// Whether logins end in an ID token that is verified against the provider's published keys.
    pub const fn is_oidc(self) -> bool {
        matches!(self, Self::Oidc | Self::Google | Self::Apple | Self::Microsoft)
    }

    /// What is asked for where the configuration does not say.
    pub(super) const fn scopes(self) -> &'static [&'static str] {
        match self {
            Self::Oidc | Self::Google | Self::Microsoft | Self::LinkedIn => &["openid", "email", "profile"],
            Self::Apple => &["openid", "email", "name"],
            Self::Facebook => &["public_profile", "email"],
            // `users.email` would have to be granted to the app first.
            Self::X => &["users.read", "tweet.read"],
            Self::GitHub => &["read:user", "user:email"],
            Self::OAuth2 => &[],
        }
    }

    /// How far an address from here goes where the configuration does not say. It is the upper end: a provider that
    /// does not call one address verified makes it a hint, whatever stands here.
    pub(super) const fn email_trust(self) -> EmailTrust {
        match self {
            // For gmail.com and hosted domains; the connector lowers it for all other addresses.
            Self::Google => EmailTrust::Authoritative,
            // Microsoft calls an address verified by `xms_edov` only, GitHub per address.
            Self::Apple | Self::GitHub | Self::Microsoft | Self::LinkedIn => EmailTrust::Verified,
            Self::Oidc | Self::OAuth2 | Self::Facebook | Self::X => EmailTrust::Unverified,
        }
    }

    /// How the token endpoint wants to be asked.
    pub(super) const fn auth_method(self) -> ConnectorAuthMethod {
        match self {
            Self::Oidc | Self::OAuth2 | Self::X => ConnectorAuthMethod::ClientSecretBasic,
            Self::Google | Self::Apple | Self::Facebook | Self::GitHub | Self::Microsoft | Self::LinkedIn => {
                ConnectorAuthMethod::ClientSecretPost
            }
        }
    }
}
