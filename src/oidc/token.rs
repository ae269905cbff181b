//! The token endpoint: one fixed pipeline. Authenticate the client, let the grant fill in its part, sign, answer.

use super::Provider;
use super::client::Client;
use super::grants::token_exchange::{self, Exchanged};
use super::grants::{Granted, authorization_code, client_credentials, device_code, refresh_token};
use crate::clock::Timestamp;
use crate::protocol::client_metadata::GrantType;
use crate::protocol::jwk::SigningAlgorithm;
use crate::protocol::params::Params;
use crate::protocol::token::{AccessTokenClaims, Audience, IdTokenClaims, TokenResponse, TokenType};
use crate::protocol::token_exchange::ExchangeTokenType;
use crate::protocol::{ErrorCode, OAuthError};
use crate::secret;

/// Answers a token request: its `Authorization` header and its form body.
///
/// # Errors
/// The errors of RFC 6749 §5.2.
pub async fn answer(
    provider: &Provider,
    authorization: Option<&str>,
    params: &Params,
    now: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    params.refuse_repeated()?;
    let client = super::client_auth::authenticate(authorization, params, &provider.clients)?;
    let grant_type = grant_type(provider, params)?;
    if !client.may_use(grant_type) {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client may not use this grant type"));
    }
    let granted = match grant_type {
        GrantType::AuthorizationCode => authorization_code::redeem(provider, &client, params, now).await?,
        GrantType::RefreshToken => refresh_token::rotate(provider, &client, params, now).await?,
        GrantType::ClientCredentials => client_credentials::grant(&client, params)?,
        GrantType::DeviceCode => device_code::redeem(provider, &client, params, now).await?,
        GrantType::TokenExchange => match token_exchange::exchange(provider, &client, params, now).await? {
            Exchanged::SignedIn(granted) => {
                let issued = Some(ExchangeTokenType::AccessToken);
                let response = sign(provider, &client, *granted, now)?;
                return Ok(TokenResponse { issued_token_type: issued, ..response });
            }
            Exchanged::Upstream(response) => return Ok(response),
        },
    };
    sign(provider, &client, granted, now)
}

fn grant_type(provider: &Provider, params: &Params) -> Result<GrantType, OAuthError> {
    let name = params.required("grant_type")?;
    GrantType::ALL
        .into_iter()
        .find(|grant| grant.as_str() == name && provider.offers(*grant))
        .ok_or_else(|| OAuthError::new(ErrorCode::UnsupportedGrantType, "this grant type is not supported"))
}

fn sign(provider: &Provider, client: &Client, granted: Granted, now: Timestamp) -> Result<TokenResponse, OAuthError> {
    let mut expires_at = now + provider.lifetimes.access_token;
    if let Some(not_after) = granted.not_after {
        expires_at = expires_at.min(not_after);
    }
    let claims = access_token(provider, client, &granted, now, expires_at);
    let algorithm = client.metadata.access_token_signed_response_alg;
    let access_token = provider.keys.sign(algorithm, "at+jwt", &claims).map_err(OAuthError::server_error)?;
    let id_token = match &granted.authentication {
        Some(_) if granted.scope.contains("openid") => Some(id_token(provider, client, &granted, &access_token, now)?),
        _ => None,
    };
    Ok(TokenResponse {
        access_token,
        token_type: TokenType::Bearer,
        issued_token_type: None,
        expires_in: Some(expires_at.since(now).as_secs()),
        refresh_token: granted.refresh_token,
        id_token,
        scope: granted.scope,
    })
}

fn access_token(
    provider: &Provider,
    client: &Client,
    granted: &Granted,
    now: Timestamp,
    expires_at: Timestamp,
) -> AccessTokenClaims {
    let mut audience = granted.resources.clone();
    if audience.is_empty() {
        audience.push(provider.issuer.clone());
    }
    let authentication = granted.authentication.as_ref();
    AccessTokenClaims {
        iss: provider.issuer.clone(),
        sub: granted.subject.clone(),
        aud: Audience::from_list(audience),
        client_id: client.id().to_owned(),
        scope: granted.scope.clone(),
        iat: now.seconds(),
        exp: expires_at.seconds(),
        jti: format!("{}.{}", granted.grant, secret::base64url(&crate::clock::random::<9>())),
        auth_time: authentication.map(|a| a.auth_time.seconds()),
        acr: authentication.and_then(|a| a.acr.clone()),
        amr: authentication.map(|a| a.amr.clone()).unwrap_or_default(),
        sid: granted.bound_to.as_ref().map(|sid| sid.as_str().to_owned()),
    }
}

fn id_token(
    provider: &Provider,
    client: &Client,
    granted: &Granted,
    access_token: &str,
    now: Timestamp,
) -> Result<String, OAuthError> {
    let algorithm = client.metadata.id_token_signed_response_alg;
    let authentication = granted.authentication.as_ref();
    let claims = IdTokenClaims {
        iss: provider.issuer.clone(),
        sub: granted.subject.clone(),
        aud: Audience::One(client.id().to_owned()),
        iat: now.seconds(),
        exp: (now + provider.lifetimes.id_token).seconds(),
        auth_time: authentication.map(|a| a.auth_time.seconds()).unwrap_or_default(),
        nonce: granted.nonce.clone(),
        acr: authentication.and_then(|a| a.acr.clone()),
        amr: authentication.map(|a| a.amr.clone()).unwrap_or_default(),
        sid: granted.sid.as_ref().map(|sid| sid.as_str().to_owned()),
        at_hash: Some(at_hash(algorithm, access_token)),
        merged_from: granted.merged_from.clone(),
    };
    provider.keys.sign(algorithm, "JWT", &claims).map_err(OAuthError::server_error)
}

/// OpenID Connect Core §3.1.3.6: the left half of the digest that belongs to the algorithm; SHA-512 for Ed25519.
fn at_hash(algorithm: SigningAlgorithm, access_token: &str) -> String {
    let text = access_token.as_bytes();
    match algorithm {
        SigningAlgorithm::EdDsa => secret::base64url(secret::sha512(text).first_chunk::<32>().unwrap_or(&[0; 32])),
        _ => secret::base64url(secret::sha256(&[text]).first_chunk::<16>().unwrap_or(&[0; 16])),
    }
}
