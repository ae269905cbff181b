//! `[outbound]`: limits on the requests we make ourselves.
//!
//! Addresses of the local and private networks are refused unless allowed here (RFC 9700 §4.11 and SSRF in general).

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;

use super::forms;
use super::problem::Problems;

/// The `[outbound]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboundConfig {
    /// Hosts, addresses and networks that may be called although they are local or private.
    pub allow: Vec<String>,
    #[serde(deserialize_with = "forms::duration")]
    pub connect_timeout: Duration,
    /// For the whole exchange, body included.
    #[serde(deserialize_with = "forms::duration")]
    pub timeout: Duration,
}

impl OutboundConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        let range = Duration::from_millis(100)..=Duration::from_secs(60);
        forms::check_range(problems, "outbound.connect_timeout", self.connect_timeout, range.clone());
        forms::check_range(problems, "outbound.timeout", self.timeout, range);
        for (index, entry) in self.allow.iter().enumerate() {
            if !is_host_or_network(entry) {
                problems.add(
                    format!("outbound.allow[{index}]"),
                    format!("`{entry}` is neither host nor network"),
                    "a host name, an address or a network, such as \"idp.internal\" or \"10.0.0.0/8\"",
                );
            }
        }
    }
}

fn is_host_or_network(entry: &str) -> bool {
    if entry.parse::<IpNet>().is_ok() || entry.parse::<IpAddr>().is_ok() {
        return true;
    }
    !entry.is_empty() && entry.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}
