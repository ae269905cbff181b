//! A provider's metadata and keys: fetched when first needed, kept for an hour, refreshed by one caller at a time.
//!
//! A refresh that fails leaves the old answer in use for a day; without one, attempts back off. An unknown key ID
//! fetches the keys again, once and at a bounded rate. It must not know what the keys verify.
//! OpenID Connect Discovery 1.0 §4, RFC 8414, spec/protocol.md rules 48 and 49.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJsonWebKeySet, CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreJwsSigningAlgorithm,
    CoreResponseMode, CoreResponseType, CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, IssuerUrl, ProviderMetadata, TokenUrl};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use url::Url;

use super::ConnectorError;
use crate::clock::Timestamp;
use crate::outbound::{Outbound, OutboundRequest, StatusCode};
use crate::secret::from_base64url;

/// What we verify with, whatever else a provider offers: asymmetric ones only, so that no secret and no public key
/// can be taken for a MAC key (RFC 8725 §3.1).
const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// The longest metadata document or key set that is read.
pub(super) const DOCUMENT_BYTES: usize = 256 * 1024;
/// More keys than any provider needs: a larger set is an attack on whoever searches it.
const MAX_KEYS: usize = 100;
const MIN_RSA_BITS: usize = 2048;

const FRESH: Duration = Duration::from_secs(60 * 60);
const USABLE: Duration = Duration::from_secs(24 * 60 * 60);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
const KEY_REFETCH_INTERVAL: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct MoreMetadata {
    /// RFC 9207 §3.
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    /// RFC 8414 §2.
    #[serde(default)]
    revocation_endpoint: Option<Url>,
}

impl AdditionalProviderMetadata for MoreMetadata {}

type Metadata = ProviderMetadata<
    MoreMetadata,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What is known of a provider at one moment.
pub(super) struct Provider {
    metadata: Arc<Metadata>,
    pub(super) token_endpoint: TokenUrl,
    /// What its ID tokens may be signed with.
    pub(super) algorithms: Vec<CoreJwsSigningAlgorithm>,
    pub(super) keys: CoreJsonWebKeySet,
}

impl Provider {
    pub(super) fn issuer(&self) -> &IssuerUrl {
        self.metadata.issuer()
    }

    pub(super) fn authorization_endpoint(&self) -> &openidconnect::AuthUrl {
        self.metadata.authorization_endpoint()
    }

    pub(super) fn userinfo_endpoint(&self) -> Option<&Url> {
        self.metadata.userinfo_endpoint().map(|endpoint| endpoint.url())
    }

    /// Where tokens are given back (RFC 7009), if the provider has it.
    pub(super) fn revocation_endpoint(&self) -> Option<&Url> {
        self.metadata.additional_metadata().revocation_endpoint.as_ref()
    }

    /// Whether every authorization response of this provider carries `iss` (RFC 9207).
    pub(super) fn names_itself(&self) -> bool {
        self.metadata.additional_metadata().authorization_response_iss_parameter_supported
    }

    fn check(metadata: Metadata, keys: CoreJsonWebKeySet, issuer: &IssuerUrl) -> Result<Self, ConnectorError> {
        // OpenID Connect Discovery §4.3: exactly the issuer the configuration was asked of.
        if metadata.issuer() != issuer {
            return Err(ConnectorError::invalid("the metadata is of another issuer"));
        }
        let Some(token_endpoint) = metadata.token_endpoint().cloned() else {
            return Err(ConnectorError::invalid("the metadata has no token endpoint"));
        };
        let endpoints = [Some(metadata.authorization_endpoint().url()), Some(token_endpoint.url())]
            .into_iter()
            .chain([Some(metadata.jwks_uri().url()), metadata.userinfo_endpoint().map(|endpoint| endpoint.url())])
            .chain([metadata.additional_metadata().revocation_endpoint.as_ref()]);
        if endpoints.flatten().any(|endpoint| !is_as_safe_as(endpoint, issuer.url())) {
            return Err(ConnectorError::invalid("an endpoint in the metadata is not an https URL"));
        }
        let offered = metadata.id_token_signing_alg_values_supported();
        let algorithms: Vec<_> = ALGORITHMS.into_iter().filter(|algorithm| offered.contains(algorithm)).collect();
        if algorithms.is_empty() {
            return Err(ConnectorError::invalid("the provider offers no signature algorithm we accept"));
        }
        Ok(Self { metadata: Arc::new(metadata), token_endpoint, algorithms, keys })
    }

    fn with_keys(&self, keys: CoreJsonWebKeySet) -> Self {
        Self {
            metadata: Arc::clone(&self.metadata),
            token_endpoint: self.token_endpoint.clone(),
            algorithms: self.algorithms.clone(),
            keys,
        }
    }
}

fn is_as_safe_as(endpoint: &Url, issuer: &Url) -> bool {
    endpoint.scheme() == "https" || (endpoint.scheme() == "http" && issuer.scheme() == "http")
}

/// The cache for one provider.
pub struct Discovery {
    issuer: IssuerUrl,
    /// Where the metadata are, if not where the issuer says.
    metadata: Option<Url>,
    /// The metadata themselves, of a provider that publishes none we could use.
    fixed: Option<Metadata>,
    /// Whether the metadata are those of who sends security events: its issuer and keys, and no more.
    is_transmitter: bool,
    outbound: Outbound,
    state: RwLock<State>,
    /// Held by whoever is fetching.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct State {
    provider: Option<Arc<Provider>>,
    fetched_at: Option<Timestamp>,
    /// The last attempt, if it failed.
    failure: Option<Failure>,
    keys_refetched_at: Option<Timestamp>,
}

#[derive(Clone)]
struct Failure {
    at: Timestamp,
    /// Failures in a row.
    count: u32,
    error: ConnectorError,
}

/// What to do about a wish for the metadata.
#[derive(Debug, PartialEq, Eq)]
enum Due {
    /// The answer at hand is good.
    No,
    /// The answer at hand serves while somebody fetches a newer one.
    Soon,
    /// There is nothing to serve before somebody has fetched it.
    Now,
    /// There is nothing to serve, and the last failure is too recent to ask again.
    Later,
}

impl State {
    fn due(&self, now: Timestamp) -> Due {
        let may_ask = self.failure.as_ref().is_none_or(|failure| now.since(failure.at) >= failure.backoff());
        match self.fetched_at.map(|at| now.since(at)) {
            Some(age) if age < FRESH => Due::No,
            Some(age) if age < USABLE => {
                if may_ask {
                    Due::Soon
                } else {
                    Due::No
                }
            }
            _ => {
                if may_ask {
                    Due::Now
                } else {
                    Due::Later
                }
            }
        }
    }
}

impl Failure {
    /// 1 s after the first failure, then twice as long each time.
    fn backoff(&self) -> Duration {
        let doublings = self.count.saturating_sub(1).min(16);
        Duration::from_secs(1 << doublings).min(MAX_BACKOFF)
    }
}

impl Discovery {
    pub(super) fn new(issuer: IssuerUrl, outbound: Outbound) -> Self {
        let flight = tokio::sync::Mutex::default();
        Self { issuer, metadata: None, fixed: None, is_transmitter: false, outbound, state: RwLock::default(), flight }
    }

    /// Keys only: what else is known of the provider is given here.
    ///
    /// # Errors
    /// In words, if these are no metadata.
    pub(super) fn of_keys(issuer: &str, metadata: Value, outbound: Outbound) -> Result<Self, String> {
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|error| format!("issuer: {error}"))?;
        let metadata = serde_json::from_value(metadata).map_err(|error| format!("metadata: {error}"))?;
        Ok(Self { fixed: Some(metadata), ..Self::new(issuer, outbound) })
    }

    /// The issuer and the keys of a provider's security event tokens, from its own document (OpenID RISC Profile §3;
    /// Google's `risc-configuration`). The issuer may be spelled with a slash at the end, unlike that of its ID tokens.
    pub(super) fn of_transmitter(configuration: Url, issuer: IssuerUrl, outbound: Outbound) -> Self {
        Self { metadata: Some(configuration), is_transmitter: true, ..Self::new(issuer, outbound) }
    }

    /// The same with the metadata elsewhere. They still have to be of exactly the issuer.
    pub(super) fn with_metadata_at(self, url: Url) -> Self {
        Self { metadata: Some(url), ..self }
    }

    /// Whose metadata they are, as ID tokens spell it.
    pub(super) fn issuer(&self) -> &str {
        self.issuer.as_str()
    }

    /// Where the metadata are, as text for people.
    pub(super) fn metadata_url(&self) -> String {
        match &self.metadata {
            Some(url) => url.to_string(),
            None => format!("{}/.well-known/openid-configuration", self.issuer.as_str().trim_end_matches('/')),
        }
    }

    /// The provider's metadata and keys.
    ///
    /// # Errors
    /// If there is no answer at hand and none to be had; the last error while attempts back off.
    pub(super) async fn provider(&self, now: Timestamp) -> Result<Arc<Provider>, ConnectorError> {
        let state = self.read();
        let due = state.due(now);
        let _flight = match (due, state.provider) {
            (Due::No, Some(provider)) => return Ok(provider),
            (Due::Soon, Some(provider)) => match self.flight.try_lock() {
                Ok(flight) => flight,
                Err(_) => return Ok(provider),
            },
            _ => self.flight.lock().await,
        };
        // Whoever held the lock before may have fetched, or failed.
        let state = self.read();
        match (state.due(now), state.provider, state.failure) {
            (Due::No, Some(provider), _) => return Ok(provider),
            (Due::Later, _, Some(failure)) => return Err(failure.error),
            _ => {}
        }
        let fetched = self.fetch().await;
        self.remember(fetched, now)
    }

    /// The provider with keys newer than those of `seen`; `None` if they were fetched again too recently.
    ///
    /// # Errors
    /// If the key set cannot be fetched or read.
    pub(super) async fn newer_keys(
        &self,
        seen: &Arc<Provider>,
        now: Timestamp,
    ) -> Result<Option<Arc<Provider>>, ConnectorError> {
        let _flight = self.flight.lock().await;
        let state = self.read();
        if let Some(provider) = state.provider.filter(|provider| !Arc::ptr_eq(provider, seen)) {
            return Ok(Some(provider));
        }
        if state.keys_refetched_at.is_some_and(|at| now.since(at) < KEY_REFETCH_INTERVAL) {
            return Ok(None);
        }
        self.write(|state| state.keys_refetched_at = Some(now));
        let keys = self.fetch_keys(seen.metadata.jwks_uri().url()).await?;
        let provider = Arc::new(seen.with_keys(keys));
        self.write(|state| state.provider = Some(Arc::clone(&provider)));
        Ok(Some(provider))
    }

    async fn fetch(&self) -> Result<Provider, ConnectorError> {
        let metadata = match &self.fixed {
            Some(metadata) => metadata.clone(),
            None => self.fetch_metadata().await?,
        };
        let jwks_uri = metadata.jwks_uri().url().clone();
        // The metadata is judged before any other address of it is asked.
        let spelled = metadata.issuer().clone();
        let is_ours = |issuer: &IssuerUrl| issuer.trim_end_matches('/') == self.issuer.trim_end_matches('/');
        let issuer = if self.is_transmitter && is_ours(&spelled) { &spelled } else { &self.issuer };
        let provider = Provider::check(metadata, CoreJsonWebKeySet::default(), issuer)?;
        Ok(provider.with_keys(self.fetch_keys(&jwks_uri).await?))
    }

    async fn fetch_metadata(&self) -> Result<Metadata, ConnectorError> {
        let url = match &self.metadata {
            Some(url) => url.clone(),
            None => (self.issuer.join(".well-known/openid-configuration"))
                .map_err(|_| ConnectorError::invalid("the issuer is not a URL that can be extended"))?,
        };
        let unreadable = "the metadata cannot be read";
        if !self.is_transmitter {
            return self.fetch_json(url, unreadable).await;
        }
        let mut document: Map<String, Value> = self.fetch_json(url, unreadable).await?;
        // What only a provider has that somebody signs in at: none of it is used.
        let unused = self.issuer.as_str();
        for (name, value) in [
            ("authorization_endpoint", json!(unused)),
            ("token_endpoint", json!(unused)),
            ("response_types_supported", json!([])),
            ("subject_types_supported", json!([])),
            ("id_token_signing_alg_values_supported", json!(["RS256"])),
        ] {
            document.insert(name.to_owned(), value);
        }
        serde_json::from_value(Value::Object(document)).map_err(|_| ConnectorError::invalid(unreadable))
    }

    async fn fetch_keys(&self, jwks_uri: &Url) -> Result<CoreJsonWebKeySet, ConnectorError> {
        read_keys(self.fetch_json(jwks_uri.clone(), "the key set cannot be read").await?)
    }

    async fn fetch_json<T: DeserializeOwned>(&self, url: Url, unreadable: &'static str) -> Result<T, ConnectorError> {
        let response = self.outbound.send(OutboundRequest::get_json(url, DOCUMENT_BYTES)).await?;
        if response.status != StatusCode::OK {
            return Err(ConnectorError::Unavailable { reason: format!("status {}", response.status.as_u16()) });
        }
        serde_json::from_slice(&response.body).map_err(|_| ConnectorError::invalid(unreadable))
    }

    /// Keeps the outcome; a failure is served over by what is at hand.
    fn remember(
        &self,
        fetched: Result<Provider, ConnectorError>,
        now: Timestamp,
    ) -> Result<Arc<Provider>, ConnectorError> {
        match fetched {
            Ok(provider) => {
                let provider = Arc::new(provider);
                let kept = Arc::clone(&provider);
                self.write(|state| {
                    *state = State { provider: Some(kept), fetched_at: Some(now), ..State::default() };
                });
                Ok(provider)
            }
            Err(error) => {
                tracing::warn!(provider.issuer = %self.issuer.as_str(), %error, "provider metadata not refreshed");
                let mut usable = None;
                self.write(|state| {
                    let count = state.failure.as_ref().map_or(0, |failure| failure.count).saturating_add(1);
                    state.failure = Some(Failure { at: now, count, error: error.clone() });
                    if state.due(now) == Due::No {
                        usable = state.provider.clone();
                    }
                });
                usable.ok_or(error)
            }
        }
    }

    fn read(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// Reads a JWK set (RFC 7517 §5): keys of kinds we do not know are skipped, weak ones too.
fn read_keys(set: KeySet) -> Result<CoreJsonWebKeySet, ConnectorError> {
    if set.keys.len() > MAX_KEYS {
        return Err(ConnectorError::invalid("the key set has too many keys"));
    }
    let keys = set.keys.into_iter().filter(is_strong).filter_map(|key| serde_json::from_value(key).ok());
    Ok(CoreJsonWebKeySet::new(keys.collect()))
}

/// RFC 7518 §3.3: an RSA key of 2048 bits or more. The other kinds have one size.
fn is_strong(key: &Value) -> bool {
    if key.get("kty").and_then(Value::as_str) != Some("RSA") {
        return true;
    }
    let modulus = key.get("n").and_then(Value::as_str).and_then(from_base64url).unwrap_or_default();
    let first = modulus.iter().position(|byte| *byte != 0).unwrap_or(modulus.len());
    let bits = modulus.get(first..).map_or(0, |rest| {
        (rest.len() * 8).saturating_sub(rest.first().map_or(0, |byte| byte.leading_zeros() as usize))
    });
    bits >= MIN_RSA_BITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::base64url;
    use serde_json::json;

    const START: Timestamp = Timestamp::from_seconds(1_800_000_000);

    fn state(age: Option<u64>, failure: Option<(u64, u32)>) -> State {
        State {
            fetched_at: age.map(|age| START - Duration::from_secs(age)),
            failure: failure.map(|(age, count)| Failure {
                at: START - Duration::from_secs(age),
                count,
                error: ConnectorError::invalid("test"),
            }),
            ..State::default()
        }
    }

    #[test]
    fn an_answer_serves_an_hour_then_a_day_while_it_is_renewed() {
        assert_eq!(state(None, None).due(START), Due::Now);
        assert_eq!(state(Some(0), None).due(START), Due::No);
        assert_eq!(state(Some(3599), None).due(START), Due::No);
        assert_eq!(state(Some(3600), None).due(START), Due::Soon);
        assert_eq!(state(Some(3600), Some((0, 1))).due(START), Due::No);
        assert_eq!(state(Some(86_400), None).due(START), Due::Now);
        assert_eq!(state(Some(86_400), Some((0, 1))).due(START), Due::Later);
    }

    #[test]
    fn failures_back_off_up_to_a_minute() {
        for (count, seconds) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (u32::MAX, 60)] {
            assert_eq!(state(None, Some((seconds - 1, count))).due(START), Due::Later, "{count}");
            assert_eq!(state(None, Some((seconds, count))).due(START), Due::Now, "{count}");
        }
    }

    #[test]
    fn weak_keys_are_left_out_and_too_many_refuse_the_set() {
        let rsa = |bytes: usize, kid: &str| {
            let mut modulus = vec![0xff; bytes];
            modulus.insert(0, 0);
            json!({"kty": "RSA", "kid": kid, "use": "sig", "n": base64url(&modulus), "e": "AQAB"})
        };
        let odd = json!({"kty": "mystery", "kid": "odd"});
        let keys =
            read_keys(KeySet { keys: vec![rsa(128, "weak"), rsa(255, "nearly"), rsa(256, "good"), odd] }).unwrap();
        let names: Vec<_> = keys.keys().iter().filter_map(|key| openidconnect::JsonWebKey::key_id(key)).collect();
        assert_eq!(names.iter().map(|kid| kid.as_str()).collect::<Vec<_>>(), ["good"]);
        let many = KeySet { keys: vec![json!({}); MAX_KEYS + 1] };
        assert_eq!(read_keys(many).map(|_| ()), Err(ConnectorError::invalid("the key set has too many keys")));
    }

    #[test]
    fn an_https_issuer_has_no_http_endpoint() {
        let [https, http, other] =
            ["https://a.example/", "http://a.example/", "ftp://a.example/"].map(|url| Url::parse(url).unwrap());
        assert!(is_as_safe_as(&https, &https) && is_as_safe_as(&https, &http) && is_as_safe_as(&http, &http));
        assert!(!is_as_safe_as(&http, &https) && !is_as_safe_as(&other, &http));
    }
}
