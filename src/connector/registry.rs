//! The configured connectors, built once at start.
//!
//! Building asks no provider anything: one that is down must not keep the gateway from starting. It must not know
//! how any kind of provider works.

use std::sync::Arc;

use super::SharedConnector;
use super::oidc::OidcConnector;
use crate::config::ConnectorConfig;
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
            let connector = OidcConnector::new(config.clone(), outbound.clone()).map_err(refuse)?;
            connectors.push(Arc::new(connector));
        }
        Ok(Self { connectors: connectors.into() })
    }

    /// The connector with this ID.
    pub fn get(&self, id: &str) -> Option<SharedConnector> {
        self.connectors.iter().find(|connector| connector.id() == id).cloned()
    }

    /// All connectors, in configuration order.
    pub fn list(&self) -> &[SharedConnector] {
        &self.connectors
    }
}
