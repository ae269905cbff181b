//! Client metadata in the words of RFC 7591, as configuration, database rows and commands carry it.

use serde::{Deserialize, Serialize};

use super::admin_role::AdminRole;
use super::jwk::SigningAlgorithm;

/// How a client authenticates at the token endpoint (RFC 7591 §2, OpenID Connect Core §9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpointAuthMethod {
    #[default]
    ClientSecretBasic,
    ClientSecretPost,
    None,
}

/// RFC 7591 §2. Only `native` clients may leave the port of a loopback redirect URI open (RFC 8252 §7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApplicationType {
    #[default]
    Web,
    Native,
}

/// What a client may ask the token endpoint for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    AuthorizationCode,
    RefreshToken,
    ClientCredentials,
    /// RFC 8628 §3.4.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:device_code")]
    DeviceCode,
    /// RFC 8693 §2.1.
    #[serde(rename = "urn:ietf:params:oauth:grant-type:token-exchange")]
    TokenExchange,
}

impl GrantType {
    pub const ALL: [Self; 5] =
        [Self::AuthorizationCode, Self::RefreshToken, Self::ClientCredentials, Self::DeviceCode, Self::TokenExchange];

    /// The `grant_type` value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthorizationCode => "authorization_code",
            Self::RefreshToken => "refresh_token",
            Self::ClientCredentials => "client_credentials",
            Self::DeviceCode => "urn:ietf:params:oauth:grant-type:device_code",
            Self::TokenExchange => "urn:ietf:params:oauth:grant-type:token-exchange",
        }
    }
}

/// OpenID Connect Core §8.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SubjectType {
    /// The customer ID at first issue.
    #[default]
    Public,
    /// Another one per sector, so that sectors cannot join their data.
    Pairwise,
}

/// One client as registered. The secret is kept apart, as a hash.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientMetadata {
    pub client_id: String,
    /// Shown to customers; the client ID if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub redirect_uris: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub post_logout_redirect_uris: Vec<String>,
    #[serde(default = "default_grant_types")]
    pub grant_types: Vec<GrantType>,
    #[serde(default)]
    pub token_endpoint_auth_method: TokenEndpointAuthMethod,
    #[serde(default)]
    pub application_type: ApplicationType,
    /// Space-separated scopes the client may be granted (RFC 6749 §3.3).
    #[serde(default = "default_scope")]
    pub scope: String,
    #[serde(default)]
    pub subject_type: SubjectType,
    /// Clients of one sector share their subjects. The host of the first redirect URI, or the client ID, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    #[serde(default)]
    pub id_token_signed_response_alg: SigningAlgorithm,
    /// ES256 unless a resource server needs another: it is 18 times cheaper to sign than RS256.
    #[serde(default = "default_access_token_alg")]
    pub access_token_signed_response_alg: SigningAlgorithm,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tos_uri: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_uri: Option<String>,
    /// The company's own app: no consent page.
    #[serde(default)]
    pub first_party: bool,
    /// Off only for a legacy confidential client that cannot do PKCE.
    #[serde(default = "yes")]
    pub require_pkce: bool,
    /// Its authorization requests must be pushed (RFC 9126 §6).
    #[serde(default, skip_serializing_if = "is_false")]
    pub require_pushed_authorization_requests: bool,
    /// Resource servers (RFC 8707) this client may ask tokens for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resources: Vec<String>,
    /// What the client's own tokens may do at the admin API. Whoever runs the installation says so, in the
    /// configuration or at the command line; no client may ask it for itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admin_role: Option<AdminRole>,
    /// The connectors whose tokens of its customers this client may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upstream_tokens: Vec<String>,
}

fn default_grant_types() -> Vec<GrantType> {
    vec![GrantType::AuthorizationCode]
}

fn default_scope() -> String {
    "openid profile email".to_owned()
}

fn default_access_token_alg() -> SigningAlgorithm {
    SigningAlgorithm::Es256
}

fn is_false(value: &bool) -> bool {
    !value
}

fn yes() -> bool {
    true
}
