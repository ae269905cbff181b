//! A connector for any OpenID Provider: authorization code flow with PKCE, nonce and a pinned set of algorithms.
//!
//! What the library leaves to us is checked here and in `id_token`: the callback's `iss` (RFC 9207), userinfo's `sub`, and
//! keys that are not known yet. What one provider does its own way is an [`OidcProvider`]. It must not know customers or
//! sessions.
//! OpenID Connect Core §3.1, RFC 9700 §4.4, spec/protocol.md rules 35, 39 and 49.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdToken, CoreTokenResponse};
use openidconnect::{
    AccessToken, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet,
    IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope,
    TokenResponse,
};
use serde_json::Value;
use url::Url;

use super::breaker::Breaker;
use super::claims::{self, Claims};
use super::discovery::{DOCUMENT_BYTES, Discovery, Provider};
use super::exchange::{TokenEndpoint, check_begun_here, code_or_error, refused_exchange};
use super::id_token::{self, Expected, Unverified};
use super::levels;
use super::native::{self, NativeNonce};
use super::revocation;
use super::security_event::{self, Feed, Notice, NoticeError};
use super::self_check::{self, Finding};
use super::{
    Connector, ConnectorError, PendingUpstream, ResponseMode, UpstreamCallback, UpstreamIdentity, UpstreamRequest,
    UpstreamTokens, Wishes,
};
use crate::clock::Timestamp;
use crate::config::{BirthdateTrust, ConnectorAuthMethod, ConnectorConfig, EmailTrust};
use crate::outbound::{Outbound, OutboundRequest, StatusCode, header};
use crate::protocol::security_event::{AccountEvent, LoggedOut};
use crate::secret::Secret;

type Client = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet, EndpointNotSet>;

/// What one OpenID Provider does its own way. The defaults are the specification's.
pub trait OidcProvider: Send + Sync {
    /// Parameters the provider wants beside those of the specification.
    fn authorization_parameters(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// How the provider answers.
    fn response_mode(&self) -> ResponseMode {
        ResponseMode::Query
    }

    /// The secret for one request to the token endpoint.
    ///
    /// # Errors
    /// If it has to be made, and cannot be.
    fn client_secret(&self, config: &ConnectorConfig, _now: Timestamp) -> Result<Secret<String>, ConnectorError> {
        Ok(config.client_secret.clone())
    }

    /// Whether every ID token has the metadata's issuer. Where not, [`OidcProvider::check`] judges `iss`.
    fn has_one_issuer(&self) -> bool {
        true
    }

    /// By what means the provider tells what happens to its accounts. `issuer` is that of its ID tokens.
    fn feed(&self, _issuer: &str) -> Feed {
        Feed::None
    }

    /// Looks at a token whose signature, audience, times and nonce are right.
    ///
    /// # Errors
    /// In words, if it is not acceptable all the same.
    fn check(&self, _claims: &Claims) -> Result<(), &'static str> {
        Ok(())
    }

    /// The identity, from claims that are proved.
    ///
    /// # Errors
    /// If there is no fit subject among them.
    fn identity(
        &self,
        id_token: Claims,
        userinfo: Option<Claims>,
        _callback: &UpstreamCallback,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        claims::identity(id_token, userinfo)
    }

    /// How far the address of this identity is believed; `configured` is the upper end.
    fn email_trust(&self, configured: EmailTrust, _identity: &UpstreamIdentity) -> EmailTrust {
        configured
    }
}

/// An OpenID Provider that does nothing its own way.
pub struct Standard;

impl OidcProvider for Standard {}

/// A configured OpenID Provider.
pub struct OidcConnector<P> {
    config: ConnectorConfig,
    outbound: Outbound,
    breaker: Breaker,
    discovery: Discovery,
    /// Whose security events are taken, if the provider sends any.
    transmitter: Option<Discovery>,
    provider: P,
}

impl OidcConnector<Standard> {
    /// Builds the connector; the provider is not asked anything yet.
    ///
    /// # Errors
    /// In words, if the issuer is not a URL.
    pub fn new(config: ConnectorConfig, outbound: Outbound) -> Result<Self, String> {
        let issuer = config.issuer.clone();
        Self::of(Standard, &issuer, config, outbound)
    }
}

impl<P: OidcProvider> OidcConnector<P> {
    /// Builds the connector of a provider at its issuer.
    ///
    /// # Errors
    /// In words, if the issuer is not a URL.
    pub(super) fn of(provider: P, issuer: &str, config: ConnectorConfig, outbound: Outbound) -> Result<Self, String> {
        let (breaker, outbound) = Breaker::around(&config, &outbound);
        let discovery = Discovery::new(issuer_url(issuer)?, outbound.clone());
        let transmitter = match provider.feed(issuer) {
            Feed::SecurityEvents { configuration } => {
                let configuration = Url::parse(&configuration).map_err(|error| format!("issuer: {error}"))?;
                Some(Discovery::of_transmitter(configuration, issuer_url(issuer)?, outbound.clone()))
            }
            Feed::None | Feed::Notifications => None,
        };
        Ok(Self { config, outbound, breaker, discovery, transmitter, provider })
    }

    /// The same for metadata that are not where the issuer says.
    ///
    /// # Errors
    /// In words, if one of the addresses is not a URL.
    pub(super) fn with_metadata_at(
        provider: P,
        metadata: &str,
        issuer: &str,
        config: ConnectorConfig,
        outbound: Outbound,
    ) -> Result<Self, String> {
        let metadata = Url::parse(metadata).map_err(|error| format!("issuer: {error}"))?;
        let (breaker, outbound) = Breaker::around(&config, &outbound);
        let discovery = Discovery::new(issuer_url(issuer)?, outbound.clone()).with_metadata_at(metadata);
        Ok(Self { config, outbound, breaker, discovery, transmitter: None, provider })
    }

    fn client(&self, provider: &Provider) -> Client {
        let auth_type = match self.config.auth_method() {
            ConnectorAuthMethod::ClientSecretBasic => AuthType::BasicAuth,
            ConnectorAuthMethod::ClientSecretPost => AuthType::RequestBody,
        };
        let client_id = ClientId::new(self.config.client_id.clone());
        CoreClient::new(client_id, provider.issuer().clone(), Default::default())
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
        now: Timestamp,
    ) -> Result<CoreTokenResponse, ConnectorError> {
        let client_secret = self.provider.client_secret(&self.config, now)?;
        self.client(provider)
            .set_client_secret(ClientSecret::new(client_secret.expose().clone()))
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
        let client_id = &self.config.client_id;
        let expected = Expected {
            client_id,
            parties: std::slice::from_ref(client_id),
            one_issuer: self.provider.has_one_issuer(),
            access_token: Some(access_token),
            now,
        };
        let claims = id_token::verify(provider, id_token, &expected, nonce)?;
        self.provider.check(&claims).map_err(Unverified::Refused)?;
        Ok(claims)
    }

    /// Whether userinfo is worth a request beside this ID token.
    fn wants_userinfo(&self, id_token: &Claims) -> bool {
        self.config.userinfo || claims::wants_userinfo(id_token, &self.config.scopes())
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
impl<P: OidcProvider> Connector for OidcConnector<P> {
    fn config(&self) -> &ConnectorConfig {
        &self.config
    }

    fn email_trust(&self, identity: &UpstreamIdentity) -> EmailTrust {
        self.provider.email_trust(self.config.email_trust(), identity)
    }

    fn response_mode(&self) -> ResponseMode {
        self.provider.response_mode()
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
        let provider = self.discovery.provider(now).await?;
        let pending = PendingUpstream::new(&self.config.id);
        let challenge =
            PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(pending.pkce_verifier.clone()));
        let (state, nonce) = (CsrfToken::new(pending.state.clone()), Nonce::new(pending.nonce.clone()));
        let scopes = self.config.scopes().into_iter().filter(|scope| scope != "openid").map(Scope::new);
        let client = self.client(&provider);
        let mut request = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .add_scopes(scopes)
            .set_pkce_challenge(challenge)
            .set_redirect_uri(Cow::Owned(RedirectUrl::from_url(redirect_uri.clone())));
        let own = self.provider.authorization_parameters();
        let prompt = self.config.prompt.map(|prompt| ("prompt", prompt.as_str().to_owned()));
        let hint = wishes.login_hint.filter(|_| self.config.pass_login_hint);
        let hint = hint.map(|hint| ("login_hint", hint.to_owned()));
        let levels = levels::wanted(&self.config.levels, wishes.levels).map(|levels| ("acr_values", levels));
        let mode = (self.provider.response_mode() == ResponseMode::FormPost).then_some(("response_mode", "form_post"));
        let assured = (self.config.birthdate_trust == BirthdateTrust::VerifiedClaims)
            .then(|| ("claims", claims::assured_birthdate_request(self.config.userinfo)));
        for (name, value) in own.into_iter().chain(prompt).chain(hint).chain(levels).chain(assured) {
            request = request.add_extra_param(name, value);
        }
        if let Some((name, value)) = mode {
            request = request.add_extra_param(name, value);
        }
        let (url, _, _) = request.url();
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
        let provider = self.discovery.provider(now).await?;
        if self.provider.has_one_issuer() {
            check_issuer(callback, &provider)?;
        }
        let code = code_or_error(callback)?;
        let tokens = self.exchange(&provider, code, pending, redirect_uri, now).await?;
        let userinfo_endpoint = provider.userinfo_endpoint().cloned();
        let id_token = self.verify(provider, &tokens, pending, now).await?;
        let userinfo = match (userinfo_endpoint, id_token.get("sub").and_then(Value::as_str)) {
            (Some(url), Some(subject)) if self.wants_userinfo(&id_token) => {
                claims::check_subject(subject)?;
                Some(self.userinfo(&url, tokens.access_token(), subject).await?)
            }
            _ => None,
        };
        let identity = self.provider.identity(id_token, userinfo, callback)?;
        Ok(UpstreamIdentity { tokens: UpstreamTokens::kept(&self.config, &tokens, now), ..identity })
    }

    async fn verify_native(
        &self,
        id_token: &str,
        nonce: &NativeNonce,
        beside: &UpstreamCallback,
        now: Timestamp,
    ) -> Result<UpstreamIdentity, ConnectorError> {
        let _leave = self.breaker.ask(now)?;
        let source = native::Source {
            discovery: &self.discovery,
            client_ids: &self.config.native_client_ids,
            one_issuer: self.provider.has_one_issuer(),
        };
        let claims = native::verify(&source, id_token, nonce, now).await?;
        self.provider.check(&claims).map_err(ConnectorError::invalid)?;
        // Who it is, the ID token has proved: the access token only tells more of the same subject.
        let userinfo = match (&beside.access_token, claims.get("sub").and_then(Value::as_str)) {
            (Some(token), Some(subject)) if self.wants_userinfo(&claims) => {
                let provider = self.discovery.provider(now).await?;
                match provider.userinfo_endpoint() {
                    Some(url) => Some(self.userinfo(url, &AccessToken::new(token.expose().clone()), subject).await?),
                    None => None,
                }
            }
            _ => None,
        };
        self.provider.identity(claims, userinfo, beside)
    }

    async fn refresh(&self, refresh_token: &Secret<String>, now: Timestamp) -> Result<UpstreamTokens, ConnectorError> {
        let _leave = self.breaker.ask(now)?;
        let provider = self.discovery.provider(now).await?;
        let client_secret = self.provider.client_secret(&self.config, now)?;
        let client = self.client(&provider).set_client_secret(ClientSecret::new(client_secret.expose().clone()));
        let refresh_token = RefreshToken::new(refresh_token.expose().clone());
        let request = client.exchange_refresh_token(&refresh_token);
        let answer = request.request_async(&TokenEndpoint(&self.outbound)).await.map_err(refused_exchange)?;
        UpstreamTokens::of(&answer, &self.config.scopes(), now)
    }

    fn feed(&self) -> Feed {
        self.provider.feed(self.discovery.issuer())
    }

    async fn logout_token(&self, token: &str, now: Timestamp) -> Result<Notice<LoggedOut>, NoticeError> {
        // Where every tenant has an issuer of its own, no such token is sent either.
        if !self.provider.has_one_issuer() {
            return Err(NoticeError::NotOffered);
        }
        security_event::logout_token(&self.discovery, &self.config, token, now).await
    }

    async fn account_events(&self, token: &str, now: Timestamp) -> Result<Notice<Vec<AccountEvent>>, NoticeError> {
        let sender = self.transmitter.as_ref().unwrap_or(&self.discovery);
        security_event::account_events(&self.feed(), sender, &self.config, token, now).await
    }

    async fn revoke(&self, token: &Secret<String>, now: Timestamp) -> Result<(), ConnectorError> {
        let provider = self.discovery.provider(now).await?;
        let Some(endpoint) = provider.revocation_endpoint().cloned() else { return Ok(()) };
        let secret = self.provider.client_secret(&self.config, now)?;
        revocation::revoke(&self.outbound, endpoint, &self.config, &secret, token).await
    }

    async fn self_check(&self, redirect_uri: &Url, now: Timestamp) -> Vec<Finding> {
        let mut findings = vec![self_check::redirect_uri(redirect_uri)];
        if let Err(error) = self.provider.client_secret(&self.config, now) {
            findings.push(Finding::wrong("client secret", error.to_string()));
            return findings;
        }
        let provider = match self.discovery.provider(now).await {
            Ok(provider) => provider,
            Err(error) => {
                findings.push(self_check::metadata(&self.discovery.metadata_url(), &error));
                return findings;
            }
        };
        findings.push(Finding::right("metadata", format!("read, of {}", provider.issuer().as_str())));
        findings.push(self_check::keys(provider.keys.keys().len()));
        let pending = PendingUpstream::new(&self.config.id);
        let code = self_check::NO_CODE.to_owned();
        let refused = self.exchange(&provider, code, &pending, redirect_uri, now).await.err();
        findings.push(self_check::token_endpoint(provider.token_endpoint.url(), refused.as_ref()));
        findings.push(self_check::clock(&self.outbound, provider.token_endpoint.url(), now).await);
        findings
    }
}

fn issuer_url(issuer: &str) -> Result<IssuerUrl, String> {
    IssuerUrl::new(issuer.to_owned()).map_err(|error| format!("issuer: {error}"))
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
