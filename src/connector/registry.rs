//! The configured connectors, built once at start.
//!
//! Building asks no provider anything: one that is down must not keep the gateway from starting. It names the kinds
//! and must not know how any of them works.

use std::sync::Arc;

use super::oidc::OidcConnector;
use super::{SharedConnector, apple, configured, facebook, github, google, linkedin, microsoft, x};
use crate::config::{ConnectorConfig, ConnectorKind};
use crate::outbound::Outbound;

/// All connectors, in the order in which customers see them.
#[derive(Clone, Default)]
pub struct Registry {
    connectors: Arc<[SharedConnector]>,
}

/// A connector that cannot be built from its configuration.
#[derive(Debug, thiserror::Error)]
#[error("connector `{id}`: {reason}")]
pub struct RegistryError {
    pub id: String,
    pub reason: String,
}

impl Registry {
    /// Builds every configured connector.
    ///
    /// # Errors
    /// The first connector that cannot be built, or whose ID another one has.
    pub fn from_config(configs: &[ConnectorConfig], outbound: Outbound) -> Result<Self, RegistryError> {
        let mut connectors: Vec<SharedConnector> = Vec::with_capacity(configs.len());
        for config in configs {
            let refuse = |reason: String| RegistryError { id: config.id.clone(), reason };
            if connectors.iter().any(|other| other.id() == config.id) {
                return Err(refuse("another connector has this ID".to_owned()));
            }
            connectors.push(build(config.clone(), &outbound).map_err(refuse)?);
        }
        Ok(Self { connectors: connectors.into() })
    }

    /// The connector with this ID.
    pub fn get(&self, id: &str) -> Option<SharedConnector> {
        self.connectors.iter().find(|connector| connector.id() == id).cloned()
    }

    /// Whether ID tokens of native apps are taken from any of them.
    pub fn take_native_tokens(&self) -> bool {
        self.connectors.iter().any(|connector| !connector.config().native_client_ids.is_empty())
    }

    /// Whether the tokens of any of them are kept.
    pub fn keep_tokens(&self) -> bool {
        self.connectors.iter().any(|connector| connector.config().store_tokens)
    }

    /// All connectors, in configuration order.
    pub fn list(&self) -> &[SharedConnector] {
        &self.connectors
    }
}

fn build(config: ConnectorConfig, outbound: &Outbound) -> Result<SharedConnector, String> {
    let outbound = config.timeout.map_or_else(|| outbound.clone(), |timeout| outbound.with_timeout(timeout));
    Ok(match config.kind {
        ConnectorKind::Oidc => Arc::new(OidcConnector::new(config, outbound)?),
        ConnectorKind::OAuth2 => Arc::new(configured::connector(config, outbound)?),
        ConnectorKind::Google => Arc::new(google::connector(config, outbound)?),
        ConnectorKind::Apple => Arc::new(apple::connector(config, outbound)?),
        ConnectorKind::Facebook => Arc::new(facebook::connector(config, outbound)?),
        ConnectorKind::X => Arc::new(x::connector(config, outbound)?),
        ConnectorKind::GitHub => Arc::new(github::connector(config, outbound)?),
        ConnectorKind::Microsoft => Arc::new(microsoft::connector(config, outbound)?),
        ConnectorKind::LinkedIn => Arc::new(linkedin::connector(config, outbound)?),
    })
}
