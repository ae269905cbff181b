//! Google: the stand-in OpenID Provider, asked as Google is. Its quirks are claims: `hd`, and whose mailboxes it runs.

use samesake::config::{ConnectorConfig, ConnectorKind};

use crate::harness::upstream::Upstream;

/// How the product is told about it.
pub fn config(upstream: &Upstream) -> ConnectorConfig {
    let config = upstream.config("google");
    ConnectorConfig { kind: ConnectorKind::Google, email_trust: None, ..config }
}
