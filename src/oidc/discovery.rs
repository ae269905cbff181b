//! Discovery: the metadata document. It says what this installation is configured to do, so one making serves its life.

use super::Provider;
use crate::protocol::claims;
use crate::protocol::client_metadata::{GrantType, TokenEndpointAuthMethod};
use crate::protocol::jwk::SigningAlgorithm;
use crate::protocol::provider_metadata::ProviderMetadata;

/// Initiating User Registration 1.0 §3: `create` only where an account can be made.
fn prompt_values(provider: &Provider) -> Vec<&'static str> {
    let mut values = vec!["none", "login", "consent", "select_account"];
    values.extend(provider.offers_sign_up.then_some("create"));
    values
}

/// `acr` only where a level can be reached.
fn claims_supported(provider: &Provider) -> Vec<&'static str> {
    let mut claims = claims::SUPPORTED.to_vec();
    claims.extend((!provider.levels.is_empty()).then_some("acr"));
    claims
}

/// What this provider offers (OpenID Connect Discovery 1.0 §3).
pub fn metadata(provider: &Provider) -> ProviderMetadata {
    let at = |path: &str| format!("{}{path}", provider.issuer);
    let with_secret = [TokenEndpointAuthMethod::ClientSecretBasic, TokenEndpointAuthMethod::ClientSecretPost];
    let every_method = [&with_secret[..], &[TokenEndpointAuthMethod::None]].concat();
    ProviderMetadata {
        issuer: provider.issuer.clone(),
        authorization_endpoint: at("/authorize"),
        token_endpoint: at("/token"),
        userinfo_endpoint: at("/userinfo"),
        jwks_uri: at("/jwks.json"),
        introspection_endpoint: at("/introspect"),
        revocation_endpoint: at("/revoke"),
        pushed_authorization_request_endpoint: at("/par"),
        device_authorization_endpoint: at("/device-authorization"),
        end_session_endpoint: at("/end-session"),
        native_nonce_endpoint: provider.connectors.take_native_tokens().then(|| at("/native-nonce")),
        scopes_supported: ["openid", "profile", "email", "offline_access"].map(str::to_owned).to_vec(),
        response_types_supported: vec!["code"],
        response_modes_supported: vec!["query", "form_post"],
        grant_types_supported: GrantType::ALL.into_iter().filter(|grant| provider.offers(*grant)).collect(),
        subject_types_supported: vec!["public", "pairwise"],
        id_token_signing_alg_values_supported: SigningAlgorithm::ALL.to_vec(),
        token_endpoint_auth_methods_supported: every_method.clone(),
        // RFC 7662 §2.1: whoever asks has to prove who they are.
        introspection_endpoint_auth_methods_supported: with_secret.to_vec(),
        revocation_endpoint_auth_methods_supported: every_method,
        require_pushed_authorization_requests: false,
        code_challenge_methods_supported: vec!["S256"],
        prompt_values_supported: prompt_values(provider),
        acr_values_supported: provider.levels.clone(),
        claim_types_supported: vec!["normal"],
        claims_supported: claims_supported(provider),
        claims_parameter_supported: false,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
        authorization_response_iss_parameter_supported: true,
    }
}
