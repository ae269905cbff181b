//! A connector for any OpenID Provider: authorization code flow with PKCE, nonce and a pinned set of algorithms.
//!
//! What the library leaves to us is checked here: clock leeway, `iat`, `nbf`, `azp`, `at_hash`, the callback's `iss`
//! (RFC 9207), userinfo's `sub`, and keys that are not known yet. It must not know customers or sessions.
//! OpenID Connect Core §3.1, RFC 9700 §4.4, spec/protocol.md rules 35, 39 and 49.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreTokenResponse,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AsyncHttpClient, AuthType, AuthorizationCode, ClaimsVerificationError, ClientId,
    ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest, HttpResponse, IssuerUrl, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    SignatureVerificationError, StandardErrorResponse, TokenResponse,
};
use serde_json::Value;
use url::Url;

use super::claims::{self, Claims};
use super::discovery::{DOCUMENT_BYTES, Discovery, Provider};
use super::{Connector, ConnectorError, PendingUpstream, UpstreamCallback, UpstreamIdentity, UpstreamRequest};
use crate::clock::Timestamp;
use crate::config::{ConnectorAuthMethod, ConnectorConfig};
use crate::outbound::{Outbound, OutboundError, OutboundRequest, StatusCode, header};
use crate::secret::{constant_time_eq, from_base64url, random_token};

/// How far the provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);
const MAX_CODE_BYTES: usize = 4096;

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

/// A configured OpenID Provider.
pub struct OidcConnector {
    config: ConnectorConfig,
    outbound: Outbound,
    discovery: Discovery,
}

impl OidcConnector {
    /// Builds the connector; the provider is not asked anything yet.
    ///
    /// # Errors
    /// In words, if the issuer is not a URL.
    pub fn new(config: ConnectorConfig, outbound: Outbound) -> Result<Self, String> {
        let issuer = IssuerUrl::new(config.issuer.clone()).map_err(|error| format!("issuer: {error}"))?;
        let discovery = Discovery::new(issuer, outbound.clone());
        Ok(Self { config, outbound, discovery })
    }

    fn client(&self, provider: &Provider) -> Client {
        let auth_type = match self.config.auth_method {
            ConnectorAuthMethod::ClientSecretBasic => AuthType::BasicAuth,
            ConnectorAuthMethod::ClientSecretPost => AuthType::RequestBody,
        };
        let client_id = ClientId::new(self.config.client_id.clone());
        CoreClient::new(client_id, provider.issuer().clone(), Default::default())
            .set_client_secret(ClientSecret::new(self.config.client_secret.expose().clone()))
            .set_auth_type(auth_type)
            .set_auth_uri(provider.authorization_endpoint().clone())
            .set_token_uri(provider.token_endpoint.clone())
    }

    async fn exchange(
        &self,
        provider: &Provider,
        code: String,
        pending: &PendingUpstream,
        redirect_uri: &Url,
    ) -> Result<CoreTokenResponse, ConnectorError> {
        self.client(provider)
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.pkce_verifier.clone()))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())))
            .request_async(&TokenEndpoint(&self.outbound))
            .await
            .map_err(refused_exchange)
    }

    /// Verifies the ID token, with newer keys if it names one that is not known.
    async fn verify(
        &self,
        provider: Arc<Provider>,
        tokens: &CoreTokenResponse,
        pending: &PendingUpstream,
        now: Timestamp,
    ) -> Result<Claims, ConnectorError> {
        let Some(id_token) = tokens.id_token() else {
            return Err(ConnectorError::invalid("there is no ID token"));
        };
        let nonce = Nonce::new(pending.nonce.clone());
        match self.verify_with(&provider, id_token, tokens.access_token(), &nonce, now) {
            Err(Unverified::UnknownKey) => {}
            Err(Unverified::Refused(what)) => return Err(ConnectorError::invalid(what)),
            Ok(claims) => return Ok(claims),
        }
        let unknown_key = ConnectorError::invalid("the ID token is signed with a key that is not published");
        let Some(provider) = self.discovery.newer_keys(&provider, now).await? else {
            return Err(unknown_key);
        };
        match self.verify_with(&provider, id_token, tokens.access_token(), &nonce, now) {
            Err(Unverified::UnknownKey) => Err(unknown_key),
            Err(Unverified::Refused(what)) => Err(ConnectorError::invalid(what)),
            Ok(claims) => Ok(claims),
        }
    }

    fn verify_with(
        &self,
        provider: &Provider,
        id_token: &CoreIdToken,
        access_token: &AccessToken,
        nonce: &Nonce,
        now: Timestamp,
    ) -> Result<Claims, Unverified> {
        // A public client's verifier: it has no secret that could be taken for a key.
        let client_id = ClientId::new(self.config.client_id.clone());
        let verifier =
            CoreIdTokenVerifier::new_public_client(client_id, provider.issuer().clone(), provider.keys.clone())
                .set_allowed_algs(provider.algorithms.iter().cloned())
                .set_time_fn(move || system_time(now - LEEWAY).into())
                .set_issue_time_verifier_fn(move |issued| {
                    let ahead = SystemTime::from(issued) > system_time(now + LEEWAY);
                    if ahead { Err("issued in the future".to_owned()) } else { Ok(()) }
                });
        let verified = id_token.claims(&verifier, nonce).map_err(|error| unverified(&error))?;
        self.check_authorized_party(verified)?;
        check_access_token_hash(id_token, verified, access_token, &verifier)?;
        let claims = payload(id_token).ok_or(Unverified::Refused("the ID token cannot be read"))?;
        // The library and we have read the same text; they must have seen the same subject.
        if claims.get("sub").and_then(Value::as_str) != Some(verified.subject().as_str()) {
            return Err(Unverified::Refused("the ID token has two subjects"));
        }
        let not_before = claims.get("nbf").and_then(Value::as_f64).unwrap_or(0.0);
        let latest = (now + LEEWAY).seconds() as f64;
        if not_before > latest {
            return Err(Unverified::Refused("the ID token is not valid yet"));
        }
        Ok(claims)
    }

    /// OpenID Connect Core §3.1.3.7, step 5: `azp` names us. Several audiences have been refused by then.
    fn check_authorized_party(&self, verified: &CoreIdTokenClaims) -> Result<(), Unverified> {
        match verified.authorized_party() {
            Some(party) if party.as_str() != self.config.client_id => {
                Err(Unverified::Refused("the ID token was issued to another client"))
            }
            _ => Ok(()),
        }
    }

    async fn userinfo(&self, url: &Url, access_token: &AccessToken, subject: &str) -> Result<Claims, ConnectorError> {
        let bearer = header::HeaderValue::try_from(format!("Bearer {}", access_token.secret()));
        let mut bearer = bearer.map_err(|_| ConnectorError::invalid("the access token is not a token"))?;
        bearer.set_sensitive(true);
        let mut request = OutboundRequest::get_json(url.clone(), DOCUMENT_BYTES);
        request.headers.insert(header::AUTHORIZATION, bearer);
        let response = self.outbound.send(request).await?;
        // Without the answer a customer with an address would look like one without.
        if response.status != StatusCode::OK {
            let reason = format!("userinfo answered with status {}", response.status.as_u16());
            return Err(ConnectorError::Unavailable { reason });
        }
        let claims: Claims =
            serde_json::from_slice(&response.body).map_err(|_| ConnectorError::invalid("userinfo cannot be read"))?;
        // OpenID Connect Core §5.3.2: token substitution.
        if claims.get("sub").and_then(Value::as_str) != Some(subject) {
            return Err(ConnectorError::invalid("userinfo is about another subject"));
        }
        Ok(claims)
    }
}

#[async_trait]
impl Connector for OidcConnector {
    fn config(&self) -> &ConnectorConfig {
        &self.config
    }

    async fn authorization_request(
        &self,
        redirect_uri: &Url,
        now: Timestamp,
    ) -> Result<UpstreamRequest, ConnectorError> {
        let provider = self.discovery.provider(now).await?;
        let pending = PendingUpstream {
            connector: self.config.id.clone(),
            state: random_token(),
            nonce: random_token(),
            pkce_verifier: random_token(),
        };
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pending.pkce_verifier.clone()));
        let (state, nonce) = (CsrfToken::new(pending.state.clone()), Nonce::new(pending.nonce.clone()));
        let scopes = self.config.scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new);
        let client = self.client(&provider);
        let (url, _, _) = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())))
            .url();
        Ok(UpstreamRequest { url, pending })
    }

    async fn finish(
        &self,
        callback: &UpstreamCallback,
        pending: &PendingUpstream,
        redirect_uri: &Url,
        now: Timestamp,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        if pending.connector != self.config.id {
            return Err(ConnectorError::invalid("the login was begun at another provider"));
        }
        let provider = self.discovery.provider(now).await?;
        check_issuer(callback, &provider)?;
        let code = code_or_error(callback)?;
        let tokens = self.exchange(&provider, code, pending, redirect_uri).await?;
        let userinfo_endpoint = provider.userinfo_endpoint().cloned();
        let id_token = self.verify(provider, &tokens, pending, now).await?;
        let userinfo = match (userinfo_endpoint, id_token.get("sub").and_then(Value::as_str)) {
            (Some(url), Some(subject))
                if self.config.userinfo || claims::wants_userinfo(&id_token, &self.config.scopes) =>
            {
                claims::check_subject(subject)?;
                Some(self.userinfo(&url, tokens.access_token(), subject).await?)
            }
            _ => None,
        };
        claims::identity(id_token, userinfo)
    }
}

/// RFC 9207 §2.4: the response comes from the provider the browser was sent to. Also an error has to say so.
fn check_issuer(callback: &UpstreamCallback, provider: &Provider) -> Result<(), ConnectorError> {
    match &callback.iss {
        Some(iss) if iss != provider.issuer().as_str() => {
            Err(ConnectorError::invalid("the callback comes from another provider"))
        }
        None if provider.names_itself() => Err(ConnectorError::invalid("the callback does not name its provider")),
        _ => Ok(()),
    }
}

fn code_or_error(callback: &UpstreamCallback) -> Result<String, ConnectorError> {
    match (&callback.error, &callback.code) {
        (Some(error), _) => Err(match error.as_str() {
            "access_denied" => ConnectorError::Denied,
            "server_error" | "temporarily_unavailable" => ConnectorError::Unavailable { reason: error.clone() },
            code => ConnectorError::provider(code),
        }),
        (None, Some(code)) if !code.is_empty() && code.len() <= MAX_CODE_BYTES => Ok(code.clone()),
        _ => Err(ConnectorError::invalid("the callback has no code")),
    }
}

/// Why an ID token is not accepted.
#[derive(Debug)]
enum Unverified {
    /// It names a key we do not have: maybe a newer one.
    UnknownKey,
    Refused(&'static str),
}

/// The library's messages quote claims; ours must not.
fn unverified(error: &ClaimsVerificationError) -> Unverified {
    use ClaimsVerificationError as Error;
    Unverified::Refused(match error {
        Error::SignatureVerification(SignatureVerificationError::NoMatchingKey) => return Unverified::UnknownKey,
        Error::SignatureVerification(SignatureVerificationError::DisallowedAlg(_)) => {
            "the ID token is signed with an algorithm that is not allowed"
        }
        Error::SignatureVerification(SignatureVerificationError::NoSignature) => "the ID token is not signed",
        Error::SignatureVerification(_) => "the ID token's signature is wrong",
        Error::Expired(_) => "the ID token has expired, or is from the future",
        Error::InvalidAudience(_) => "the ID token is for another audience",
        Error::InvalidIssuer(_) => "the ID token is from another issuer",
        Error::InvalidNonce(_) => "the ID token has another nonce",
        _ => "the ID token is not acceptable",
    })
}

/// OpenID Connect Core §3.1.3.8, where the claim is there.
fn check_access_token_hash(
    id_token: &CoreIdToken,
    verified: &CoreIdTokenClaims,
    access_token: &AccessToken,
    verifier: &CoreIdTokenVerifier<'_>,
) -> Result<(), Unverified> {
    let Some(expected) = verified.access_token_hash() else { return Ok(()) };
    let refused = Unverified::Refused("the ID token belongs to another access token");
    let (Ok(algorithm), Ok(key)) = (id_token.signing_alg(), id_token.signing_key(verifier)) else {
        return Err(refused);
    };
    match AccessTokenHash::from_token(access_token, algorithm, key) {
        Ok(actual) if constant_time_eq(actual.as_bytes(), expected.as_bytes()) => Ok(()),
        _ => Err(refused),
    }
}

/// All claims of a verified ID token; the library's type keeps only those it knows.
fn payload(id_token: &CoreIdToken) -> Option<Claims> {
    let token = id_token.to_string();
    serde_json::from_slice(&from_base64url(token.split('.').nth(1)?)?).ok()
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + at.since(Timestamp::from_micros(0))
}

/// The library's error carries the whole answer, tokens included: nothing of it is passed on but an error code.
fn refused_exchange(error: RequestTokenError<ExchangeError, TokenErrorAnswer>) -> ConnectorError {
    match error {
        RequestTokenError::ServerResponse(answer) => ConnectorError::provider(answer.error().as_ref()),
        RequestTokenError::Request(ExchangeError::Outbound(error)) => error.into(),
        RequestTokenError::Request(ExchangeError::Status(status)) => {
            ConnectorError::Unavailable { reason: format!("the token endpoint answered with status {status}") }
        }
        _ => ConnectorError::invalid("the token endpoint's answer cannot be read"),
    }
}

type TokenErrorAnswer = StandardErrorResponse<openidconnect::core::CoreErrorResponseType>;

#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("status {0}")]
    Status(u16),
}

/// The library's way to our HTTP client.
struct TokenEndpoint<'a>(&'a Outbound);

impl<'c> AsyncHttpClient<'c> for TokenEndpoint<'_> {
    type Error = ExchangeError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, ExchangeError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let url = Url::parse(&parts.uri.to_string()).map_err(|_| OutboundError::Refused {
                host: String::new(),
                reason: "the token endpoint is not a URL",
            })?;
            let request = OutboundRequest {
                method: parts.method,
                url,
                headers: parts.headers,
                body: body.into(),
                max_bytes: DOCUMENT_BYTES,
            };
            let response = self.0.send(request).await?;
            // Overload and failures are not answers of OAuth, whatever their body says.
            if response.status.is_server_error() || response.status == StatusCode::TOO_MANY_REQUESTS {
                return Err(ExchangeError::Status(response.status.as_u16()));
            }
            let mut answer = HttpResponse::new(response.body.into());
            *answer.status_mut() = response.status;
            *answer.headers_mut() = response.headers;
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn callback(code: Option<&str>, error: Option<&str>) -> UpstreamCallback {
        UpstreamCallback {
            code: code.map(str::to_owned),
            error: error.map(str::to_owned),
            ..UpstreamCallback::default()
        }
    }

    #[test]
    fn an_error_wins_over_a_code_and_only_plain_codes_are_repeated() {
        assert_eq!(code_or_error(&callback(Some("c"), None)), Ok("c".to_owned()));
        assert_eq!(code_or_error(&callback(Some("c"), Some("access_denied"))), Err(ConnectorError::Denied));
        let provider = |code: &str| Err(ConnectorError::Provider { code: code.to_owned() });
        assert_eq!(code_or_error(&callback(None, Some("login_required"))), provider("login_required"));
        assert_eq!(code_or_error(&callback(None, Some("<script>"))), provider("unreadable"));
        assert_eq!(code_or_error(&callback(None, Some(""))), provider("unreadable"));
        let unavailable = ConnectorError::Unavailable { reason: "temporarily_unavailable".to_owned() };
        assert_eq!(code_or_error(&callback(None, Some("temporarily_unavailable"))), Err(unavailable));
        for code in [None, Some(""), Some("c".repeat(MAX_CODE_BYTES + 1).as_str())] {
            assert!(matches!(code_or_error(&callback(code, None)), Err(ConnectorError::Invalid { .. })));
        }
    }
}
