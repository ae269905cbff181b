//! `[server]`: where the gateway listens and what it calls itself.
//!
//! The issuer is one origin without a path: cookies with the `__Host-` prefix and every endpoint hang below it.
//! OpenID Connect Discovery 1.0 §3, RFC 8414 §2.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::forms;
use super::problem::Problems;

/// The `[server]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port of the listener. TLS ends at the proxy in front.
    pub listen: SocketAddr,
    /// The public origin. `Url` adds a slash, so take the issuer itself from [`ServerConfig::issuer_text`].
    #[serde(deserialize_with = "forms::url")]
    pub issuer: Url,
    /// Peers whose `X-Forwarded-*` headers are believed.
    #[serde(deserialize_with = "forms::networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// Connections open at a time; further ones wait in the kernel's queue.
    pub max_connections: usize,
    /// How long a connection may wait for the headers of its first or next request. To be longer than the proxy in
    /// front keeps an unused connection, or a request sent while we close it is lost.
    #[serde(deserialize_with = "forms::duration")]
    pub header_timeout: Duration,
    /// A request that takes longer is answered 503.
    #[serde(deserialize_with = "forms::duration")]
    pub request_timeout: Duration,
    /// How long requests under way may still take after SIGTERM.
    #[serde(deserialize_with = "forms::duration")]
    pub shutdown_grace: Duration,
    /// Largest request body, in bytes.
    pub max_body_bytes: usize,
}

impl ServerConfig {
    /// The issuer as it stands in metadata and tokens: the origin without a slash at its end.
    pub fn issuer_text(&self) -> &str {
        self.issuer.as_str().trim_end_matches('/')
    }

    /// The absolute URL of a path (which starts with a slash) below the issuer.
    pub fn endpoint(&self, path: &str) -> String {
        format!("{}{path}", self.issuer_text())
    }

    /// Where a connector's provider sends the browser back to: the redirect URI to be registered there.
    ///
    /// # Errors
    /// Never for a connector ID that passed the checks.
    pub fn callback(&self, connector: &str) -> Result<Url, url::ParseError> {
        self.endpoint(&format!("/callback/{connector}")).parse()
    }

    /// Makes the issuer the address of the listener, for the embedded default on another port.
    pub(super) fn follow_listener(&mut self) {
        if let Ok(issuer) = Url::parse(&format!("http://{}", self.listen)) {
            self.issuer = issuer;
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if let Err(problem) = forms::origin_problem(&self.issuer) {
            problems.add(
                "server.issuer",
                problem,
                "an origin without path, query or user, such as https://id.example.com",
            );
        }
        if self.max_connections == 0 {
            problems.add("server.max_connections", "0 would admit nobody", "a number from 1, such as 10000");
        }
        if self.max_body_bytes < 4096 {
            problems.add("server.max_body_bytes", "too small for a login form", "at least 4096");
        }
        for (key, value) in
            [("server.header_timeout", self.header_timeout), ("server.request_timeout", self.request_timeout)]
        {
            forms::check_range(problems, key, value, Duration::from_secs(1)..=Duration::from_secs(600));
        }
        forms::check_range(
            problems,
            "server.shutdown_grace",
            self.shutdown_grace,
            Duration::ZERO..=Duration::from_secs(600),
        );
    }
}
