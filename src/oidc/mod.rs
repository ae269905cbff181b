//! What an OpenID Provider decides. Handlers bring the requests, this module answers them.
//!
//! Knows the store, the key-value store and the key ring by their faces; knows no axum, sqlx or redis.

pub mod access_token;
pub mod authorize;
pub mod client;
pub mod client_auth;
pub mod code;
pub mod device;
pub mod discovery;
pub mod grants;
pub mod interaction;
pub mod introspection;
pub mod logout;
pub mod native_nonce;
pub mod pushed;
pub mod revocation;
pub mod subject;
pub mod token;
pub mod userinfo;

use std::time::Duration;

use crate::config::NamespacesConfig;
use crate::connector::Registry;
use crate::identity::upstream_tokens::Keeper;
use crate::keys::KeyRing;
use crate::kv::{self, Kv};
use crate::protocol::OAuthError;
use crate::protocol::client_metadata::GrantType;
use crate::secret::DerivedKey;
use crate::store::retry::Contended;
use crate::store::{self, Store};

/// How long what we issue is good for.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    pub code: Duration,
    pub access_token: Duration,
    pub id_token: Duration,
    pub refresh_idle: Duration,
    pub refresh_absolute: Duration,
    /// How long a rotated token still answers with its identical successor.
    pub refresh_grace: Duration,
    /// The longest that an SSO session lasts.
    pub session: Duration,
}

/// Everything the provider's endpoints work with.
#[derive(Clone)]
pub struct Provider {
    /// The issuer identifier, without a trailing slash.
    pub issuer: String,
    pub store: Store,
    pub kv: Kv,
    pub keys: KeyRing,
    pub clients: client::ClientRegistry,
    pub lifetimes: Lifetimes,
    /// Whether visitors may make an account, which `prompt=create` asks for.
    pub offers_sign_up: bool,
    /// The authentication levels (`acr`) that a login here can reach.
    pub levels: Vec<String>,
    /// Authenticates refresh tokens.
    pub refresh_key: DerivedKey,
    /// Makes and chooses subjects.
    pub subject_key: subject::SubjectKey,
    /// Makes the nonces of native apps.
    pub nonce_key: DerivedKey,
    /// Whose tokens may be exchanged.
    pub connectors: Registry,
    /// The providers' tokens that are kept.
    pub keeper: Keeper,
    /// What the namespaces of links declare.
    pub namespaces: NamespacesConfig,
}

impl Provider {
    /// Whether a grant type leads anywhere with this configuration.
    pub fn offers(&self, grant: GrantType) -> bool {
        match grant {
            GrantType::AuthorizationCode
            | GrantType::RefreshToken
            | GrantType::ClientCredentials
            | GrantType::DeviceCode => true,
            GrantType::TokenExchange => self.connectors.take_native_tokens() || self.connectors.keep_tokens(),
        }
    }
}

impl From<store::Error> for OAuthError {
    fn from(error: store::Error) -> Self {
        if error.passes() { Self::temporarily_unavailable(error) } else { Self::server_error(error) }
    }
}

impl From<kv::Error> for OAuthError {
    fn from(error: kv::Error) -> Self {
        match error {
            kv::Error::Unavailable(_) | kv::Error::Full => Self::temporarily_unavailable(error),
            _ => Self::server_error(error),
        }
    }
}

impl Contended for OAuthError {
    fn is_contention(&self) -> bool {
        let cause = self.source.as_deref().and_then(|source| source.downcast_ref::<store::Error>());
        cause.is_some_and(Contended::is_contention)
    }
}
