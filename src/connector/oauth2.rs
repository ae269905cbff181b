//! A connector for servers that speak OAuth 2.0 and have an API that says who the customer is.
//!
//! There is no ID token: the identity is what the API answers to an access token that came straight from the token
//! endpoint, for a code bound by `state` and PKCE. What one provider does its own way is an [`OAuth2Provider`], a file
//! of its own. It must not know customers or sessions. RFC 6749 §4.1, RFC 7636, RFC 9700.

use std::borrow::Cow;

use async_trait::async_trait;
use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenResponse, TokenUrl,
};
use serde_json::Value;
use url::Url;

use super::breaker::Breaker;
use super::claims::{self, Claims};
use super::discovery::{DOCUMENT_BYTES, Discovery};
use super::exchange::{TokenEndpoint, check_begun_here, code_or_error, error_code, refused_exchange};
use super::native::{self, NativeNonce};
use super::self_check::{self, Finding};
use super::{
    Connector, ConnectorError, OtherName, PendingUpstream, UpstreamCallback, UpstreamIdentity, UpstreamRequest,
    UpstreamTokens, Wishes,
};
use crate::clock::Timestamp;
use crate::config::{ConnectorAuthMethod, ConnectorConfig};
use crate::outbound::{HeaderMap, Method, Outbound, OutboundRequest, StatusCode, header};
use crate::secret::Secret;

/// What one provider does its own way.
#[async_trait]
pub trait OAuth2Provider: Send + Sync {
    /// Asks the API who the customer is: claims by their OpenID Connect names, with `sub`.
    ///
    /// # Errors
    /// If the API does not answer, or not with an identity.
    async fn customer(&self, api: &Api<'_>) -> Result<Claims, ConnectorError>;

    /// Whether the code is bound by PKCE.
    fn pkce(&self) -> bool {
        true
    }

    /// Parameters the provider wants beside those of the RFC.
    fn authorization_parameters(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What else the provider calls this account. What is of no other use is taken out of the claims.
    fn other_names(&self, _claims: &mut Claims) -> Vec<OtherName> {
        vec![]
    }

    /// Where the keys of ID tokens for native apps are, if there are such tokens.
    fn native_keys(&self) -> Option<&Discovery> {
        None
    }

    /// The claims of such a token in the form in which [`OAuth2Provider::customer`] answers.
    fn native_customer(&self, claims: Claims) -> Claims {
        claims
    }

    /// The grant by which a token is changed for one that lasts longer, where tokens are kept. The token's parameter has
    /// the same name.
    fn longer_lived(&self) -> Option<&'static str> {
        None
    }

    /// What the provider calls `login_hint`.
    fn login_hint(&self) -> &'static str {
        "login_hint"
    }
}

/// Where a provider is asked what.
#[derive(Clone, Debug)]
pub struct Endpoints {
    authorization: Url,
    token: Url,
    userinfo: Url,
}

impl Endpoints {
    /// What the configuration names, else the addresses the kind knows: authorization, token, userinfo.
    ///
    /// # Errors
    /// In words, if one is missing.
    pub(super) fn of(config: &ConnectorConfig, known: [&str; 3]) -> Result<Self, String> {
        let [authorization, token, userinfo] = known;
        Ok(Self {
            authorization: endpoint(config.authorization_endpoint.as_ref(), authorization)?,
            token: endpoint(config.token_endpoint.as_ref(), token)?,
            userinfo: endpoint(config.userinfo_endpoint.as_ref(), userinfo)?,
        })
    }
}

/// An address of the configuration, else the one the kind knows.
///
/// # Errors
/// In words, if there is neither.
pub(super) fn endpoint(configured: Option<&Url>, known: &str) -> Result<Url, String> {
    match configured {
        Some(url) => Ok(url.clone()),
        None => Url::parse(known).map_err(|error| format!("endpoint `{known}`: {error}")),
    }
}

/// A configured OAuth 2.0 server.
pub struct OAuth2Connector<P> {
    config: ConnectorConfig,
    endpoints: Endpoints,
    outbound: Outbound,
    breaker: Breaker,
    provider: P,
}

impl<P: OAuth2Provider> OAuth2Connector<P> {
    /// Builds the connector.
    pub(super) fn new(provider: P, endpoints: Endpoints, config: ConnectorConfig, outbound: Outbound) -> Self {
        let (breaker, outbound) = Breaker::around(&config, &outbound);
        Self { config, endpoints, outbound, breaker, provider }
    }

    async fn exchange(
        &self,
        code: String,
        pending: &PendingUpstream,
        redirect_uri: &Url,
    ) -> Result<BasicTokenResponse, ConnectorError> {
        let client = self.client();
        let mut request = client
            .exchange_code(AuthorizationCode::new(code))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())));
        if self.provider.pkce() {
            request = request.set_pkce_verifier(PkceCodeVerifier::new(pending.pkce_verifier.clone()));
        }
        request.request_async(&TokenEndpoint(&self.outbound)).await.map_err(refused_exchange)
    }

    /// The tokens of a login, if they are kept. A login does not fail over one that could not be changed.
    async fn kept(&self, answer: &BasicTokenResponse, now: Timestamp) -> Option<UpstreamTokens> {
        let kept = UpstreamTokens::kept(&self.config, answer, now)?;
        let Some(grant) = self.provider.longer_lived() else { return Some(kept) };
        match self.prolong(grant, answer.access_token().secret()).await {
            Ok(longer) => UpstreamTokens::kept(&self.config, &longer, now),
            Err(error) => {
                tracing::warn!(connector.id = self.config.id, %error, "the provider's token stays a short-lived one");
                Some(kept)
            }
        }
    }

    async fn prolong(&self, grant: &str, token: &str) -> Result<BasicTokenResponse, ConnectorError> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", grant)
            .append_pair("client_id", &self.config.client_id)
            .append_pair("client_secret", self.config.client_secret.expose())
            .append_pair(grant, token)
            .finish();
        let form = header::HeaderValue::from_static("application/x-www-form-urlencoded");
        let mut request = OutboundRequest::get_json(self.endpoints.token.clone(), DOCUMENT_BYTES);
        request.method = Method::POST;
        request.headers.insert(header::CONTENT_TYPE, form);
        request.body = body.into();
        let response = self.outbound.send(request).await?;
        if response.status != StatusCode::OK {
            return Err(ConnectorError::provider(&format!("status.{}", response.status.as_u16())));
        }
        serde_json::from_slice(&response.body).map_err(|_| ConnectorError::invalid("the answer is no token"))
    }

    fn client(&self) -> BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet> {
        let auth_type = match self.config.auth_method() {
            ConnectorAuthMethod::ClientSecretBasic => AuthType::BasicAuth,
            ConnectorAuthMethod::ClientSecretPost => AuthType::RequestBody,
        };
        BasicClient::new(ClientId::new(self.config.client_id.clone()))
            .set_client_secret(ClientSecret::new(self.config.client_secret.expose().clone()))
            .set_auth_type(auth_type)
            .set_token_uri(TokenUrl::from_url(self.endpoints.token.clone()))
    }
}

#[async_trait]
impl<P: OAuth2Provider> Connector for OAuth2Connector<P> {
    fn config(&self) -> &ConnectorConfig {
        &self.config
    }

    fn is_paused(&self) -> bool {
        self.breaker.is_open()
    }

    async fn authorization_request(
        &self,
        redirect_uri: &Url,
        wishes: Wishes<'_>,
        now: Timestamp,
    ) -> Result<UpstreamRequest, ConnectorError> {
        let _leave = self.breaker.ask(now)?;
        let pending = PendingUpstream::new(&self.config.id);
        let state = CsrfToken::new(pending.state.clone());
        let client = BasicClient::new(ClientId::new(self.config.client_id.clone()))
            .set_auth_uri(AuthUrl::from_url(self.endpoints.authorization.clone()));
        let mut request = client
            .authorize_url(|| state)
            .add_scopes(self.config.scopes().into_iter().map(Scope::new))
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())));
        if self.provider.pkce() {
            let verifier = PkceCodeVerifier::new(pending.pkce_verifier.clone());
            request = request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        let prompt = self.config.prompt.map(|prompt| ("prompt", prompt.as_str().to_owned()));
        let hint = wishes.login_hint.filter(|_| self.config.pass_login_hint);
        let hint = hint.map(|hint| (self.provider.login_hint(), hint.to_owned()));
        for (name, value) in self.provider.authorization_parameters().into_iter().chain(prompt).chain(hint) {
            request = request.add_extra_param(name, value);
        }
        let (url, _) = request.url();
        Ok(UpstreamRequest { url, pending })
    }

    async fn finish(
        &self,
        callback: &UpstreamCallback,
        pending: &PendingUpstream,
        redirect_uri: &Url,
        now: Timestamp,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        check_begun_here(pending, &self.config.id)?;
        let _leave = self.breaker.ask(now)?;
        // RFC 9207 §2.4: whoever names itself must be the one that was asked, as far as we know its name.
        if callback.iss.as_ref().is_some_and(|iss| !self.config.issuer.is_empty() && *iss != self.config.issuer) {
            return Err(ConnectorError::invalid("the callback comes from another provider"));
        }
        let code = code_or_error(callback)?;
        let tokens = self.exchange(code, pending, redirect_uri).await?;
        let access_token = tokens.access_token().secret();
        let api = Api { outbound: &self.outbound, userinfo: &self.endpoints.userinfo, access_token };
        let mut claims = self.provider.customer(&api).await?;
        let other_names = self.provider.other_names(&mut claims);
        let identity = claims::identity(claims, None)?;
        Ok(UpstreamIdentity { other_names, tokens: self.kept(&tokens, now).await, ..identity })
    }

    async fn verify_native(
        &self,
        id_token: &str,
        nonce: &NativeNonce,
        _beside: &UpstreamCallback,
        now: Timestamp,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        let Some(discovery) = self.provider.native_keys() else {
            return Err(ConnectorError::invalid("this kind of provider has no tokens for native apps"));
        };
        let source = native::Source { discovery, client_ids: &self.config.native_client_ids, one_issuer: true };
        let claims = native::verify(&source, id_token, nonce, now).await?;
        claims::identity(self.provider.native_customer(claims), None)
    }

    async fn refresh(&self, refresh_token: &Secret<String>, now: Timestamp) -> Result<UpstreamTokens, ConnectorError> {
        let _leave = self.breaker.ask(now)?;
        let refresh_token = RefreshToken::new(refresh_token.expose().clone());
        let client = self.client();
        let request = client.exchange_refresh_token(&refresh_token);
        let answer = request.request_async(&TokenEndpoint(&self.outbound)).await.map_err(refused_exchange)?;
        UpstreamTokens::of(&answer, &self.config.scopes(), now)
    }

    async fn self_check(&self, redirect_uri: &Url, now: Timestamp) -> Vec<Finding> {
        let pending = PendingUpstream::new(&self.config.id);
        let refused = self.exchange(self_check::NO_CODE.to_owned(), &pending, redirect_uri).await.err();
        vec![
            self_check::redirect_uri(redirect_uri),
            self_check::token_endpoint(&self.endpoints.token, refused.as_ref()),
            self_check::clock(&self.outbound, &self.endpoints.token, now).await,
        ]
    }
}

/// The provider's API, with one customer's access token.
pub struct Api<'a> {
    outbound: &'a Outbound,
    /// Where the API says who the customer is.
    pub userinfo: &'a Url,
    /// For proofs made over it.
    pub access_token: &'a str,
}

impl Api<'_> {
    /// Asks for a JSON object.
    ///
    /// # Errors
    /// Refusals as [`ConnectorError::Provider`]; `Unavailable`; `Invalid` if the answer is something else.
    pub async fn object(&self, url: Url) -> Result<Claims, ConnectorError> {
        match self.value(url).await? {
            Value::Object(object) => Ok(object),
            _ => Err(ConnectorError::invalid("the API's answer is not an object")),
        }
    }

    /// Asks for any JSON.
    ///
    /// # Errors
    /// The same.
    pub async fn value(&self, url: Url) -> Result<Value, ConnectorError> {
        let bearer = header::HeaderValue::try_from(format!("Bearer {}", self.access_token));
        let mut bearer = bearer.map_err(|_| ConnectorError::invalid("the access token is not a token"))?;
        bearer.set_sensitive(true);
        let mut headers = HeaderMap::from_iter([(header::AUTHORIZATION, bearer)]);
        headers.extend(OutboundRequest::get_json(url.clone(), DOCUMENT_BYTES).headers);
        let request = OutboundRequest { headers, ..OutboundRequest::get_json(url, DOCUMENT_BYTES) };
        let response = self.outbound.send(request).await?;
        let answer = serde_json::from_slice::<Value>(&response.body);
        if response.status == StatusCode::OK {
            return answer.map_err(|_| ConnectorError::invalid("the API's answer cannot be read"));
        }
        if response.status.is_server_error() || response.status == StatusCode::TOO_MANY_REQUESTS {
            let reason = format!("the API answered with status {}", response.status.as_u16());
            return Err(ConnectorError::Unavailable { reason });
        }
        let code = answer.ok().and_then(|answer| answer.get("error").and_then(error_code));
        Err(ConnectorError::provider(&code.unwrap_or_else(|| format!("status.{}", response.status.as_u16()))))
    }
}

/// An ID that is text, or a whole number that JSON carried exactly (spec/identity.md rule 3): beyond 2^64 a parser may
/// have rounded it, and a rounded ID is somebody else's.
pub(super) fn exact_id(id: Option<&Value>) -> Result<String, ConnectorError> {
    match id {
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Number(id)) if id.is_u64() || id.is_i64() => Ok(id.to_string()),
        Some(Value::Number(_)) => Err(ConnectorError::invalid("the subject is a number that is not exact")),
        _ => Err(ConnectorError::invalid("there is no subject")),
    }
}

/// Claims from pairs of a name and what the provider says, without what it does not say.
pub(super) fn claims_of<const N: usize>(subject: String, pairs: [(&'static str, Option<&Value>); N]) -> Claims {
    let subject = ("sub".to_owned(), Value::String(subject));
    let said = pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.clone())));
    std::iter::once(subject).chain(said.filter(|(_, value)| !value.is_null())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_exact_or_refused() {
        let id = |text: &str| exact_id(Some(&serde_json::from_str(text).unwrap()));
        assert_eq!(id("9007199254740993"), Ok("9007199254740993".to_owned()));
        assert_eq!(id("18446744073709551615"), Ok("18446744073709551615".to_owned()));
        assert_eq!(id("\"00042\""), Ok("00042".to_owned()));
        for text in ["18446744073709551616", "1.0", "1e3", "true", "null", "[1]"] {
            assert!(id(text).is_err(), "{text}");
        }
        assert!(exact_id(None).is_err());
    }
}
