//! Provider metadata (OpenID Connect Discovery 1.0 §3, RFC 8414 §2, RFC 9207 §3). One document serves both paths.

use serde::Serialize;

use super::client_metadata::{GrantType, TokenEndpointAuthMethod};
use super::jwk::SigningAlgorithm;

/// What the provider offers. Everything listed works; nothing works unlisted.
#[derive(Clone, Debug, Serialize)]
pub struct ProviderMetadata {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub userinfo_endpoint: String,
    pub jwks_uri: String,
    /// RFC 7662.
    pub introspection_endpoint: String,
    /// RFC 7009.
    pub revocation_endpoint: String,
    /// RFC 9126.
    pub pushed_authorization_request_endpoint: String,
    /// RFC 8628.
    pub device_authorization_endpoint: String,
    pub end_session_endpoint: String,
    /// Ours: where a native app gets the nonce that its provider's SDK puts into the ID token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_nonce_endpoint: Option<String>,
    pub scopes_supported: Vec<String>,
    pub response_types_supported: Vec<&'static str>,
    pub response_modes_supported: Vec<&'static str>,
    pub grant_types_supported: Vec<GrantType>,
    pub subject_types_supported: Vec<&'static str>,
    pub id_token_signing_alg_values_supported: Vec<SigningAlgorithm>,
    pub token_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    pub introspection_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    pub revocation_endpoint_auth_methods_supported: Vec<TokenEndpointAuthMethod>,
    /// Whether every client has to; one by one they may be told so.
    pub require_pushed_authorization_requests: bool,
    pub code_challenge_methods_supported: Vec<&'static str>,
    pub prompt_values_supported: Vec<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub acr_values_supported: Vec<String>,
    pub claim_types_supported: Vec<&'static str>,
    pub claims_supported: Vec<&'static str>,
    pub claims_parameter_supported: bool,
    pub request_parameter_supported: bool,
    pub request_uri_parameter_supported: bool,
    pub authorization_response_iss_parameter_supported: bool,
}
