//! What must not run in production, each refusal with a name by which it can be waived.
//!
//! The embedded default is exempt because it listens on loopback only; that is checked instead.

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;

use super::problem::{Problem, Problems};
use super::{Config, MailTransport, forms};
use crate::protocol::client_metadata::ApplicationType;
use crate::secret::{Secret, from_base64url};

/// Shortest client secret that cannot be guessed (OpenID Connect Core §10.1 asks for a key's worth of entropy).
const MIN_CLIENT_SECRET: usize = 32;

/// Fewer different bytes than random keys of 32 bytes ever have.
const MIN_DISTINCT_KEY_BYTES: usize = 16;

/// Least product of argon2id memory (KiB) and passes: 7 MiB, 5 passes, the lightest of OWASP's equal choices.
const MIN_HASH_COST: u64 = 7168 * 5;

/// One refusal, by the name `unsafe_allow` waives it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Danger {
    /// The issuer is not https.
    HttpIssuer,
    /// Sessions live in this process: one replica, nobody stays signed in over a restart.
    InProcessState,
    /// The database is a local file.
    Sqlite,
    /// The database is reached over the network without TLS.
    DatabasePlaintext,
    /// Redis is reached over the network without TLS.
    RedisPlaintext,
    /// The master key is missing or predictable.
    MasterKey,
    /// Customers may sign up, but no mail leaves.
    MailTransport,
    /// Mail leaves without TLS.
    MailPlaintext,
    /// A client secret is short enough to guess.
    ClientSecret,
    /// A web client returns to loopback.
    LoopbackRedirect,
    /// An upstream provider is reached over http.
    ConnectorHttp,
    /// Events leave over http.
    WebhookHttp,
    /// Every peer is believed about its address.
    TrustedProxies,
    /// Every private address may be called.
    OutboundAllow,
    /// Password hashes are cheap to attack.
    WeakPasswordHash,
}

impl Danger {
    /// All of them, in the order of the checks.
    pub const ALL: [Self; 15] = [
        Self::HttpIssuer,
        Self::InProcessState,
        Self::Sqlite,
        Self::DatabasePlaintext,
        Self::RedisPlaintext,
        Self::MasterKey,
        Self::MailTransport,
        Self::MailPlaintext,
        Self::ClientSecret,
        Self::LoopbackRedirect,
        Self::ConnectorHttp,
        Self::WebhookHttp,
        Self::TrustedProxies,
        Self::OutboundAllow,
        Self::WeakPasswordHash,
    ];

    /// The name in `unsafe_allow`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HttpIssuer => "http_issuer",
            Self::InProcessState => "in_process_state",
            Self::Sqlite => "sqlite",
            Self::DatabasePlaintext => "database_plaintext",
            Self::RedisPlaintext => "redis_plaintext",
            Self::MasterKey => "master_key",
            Self::MailTransport => "mail_transport",
            Self::MailPlaintext => "mail_plaintext",
            Self::ClientSecret => "client_secret",
            Self::LoopbackRedirect => "loopback_redirect",
            Self::ConnectorHttp => "connector_http",
            Self::WebhookHttp => "webhook_http",
            Self::TrustedProxies => "trusted_proxies",
            Self::OutboundAllow => "outbound_allow",
            Self::WeakPasswordHash => "weak_password_hash",
        }
    }
}

impl Config {
    /// What is unfit for production and not waived.
    pub fn check_production(&self) -> Vec<Problem> {
        let mut refusals = Refusals { config: self, problems: Problems::new(self.origins.clone()) };
        if self.embedded {
            refusals.embedded();
        } else {
            refusals.addresses();
            refusals.state();
            refusals.secrets();
            refusals.mail();
            refusals.neighbors();
        }
        refusals.problems.into_list()
    }
}

struct Refusals<'a> {
    config: &'a Config,
    problems: Problems,
}

impl Refusals<'_> {
    fn add(&mut self, danger: Danger, key: impl Into<String>, problem: &str, expected: &str) {
        if !self.config.allows(danger) {
            let expected = format!("{expected}; or \"{}\" in unsafe_allow", danger.as_str());
            self.problems.add(key, problem, expected);
        }
    }

    fn embedded(&mut self) {
        if !self.config.server.listen.ip().is_loopback() {
            self.problems.add(
                "server.listen",
                format!("`{}` is not loopback, and there is no configuration file", self.config.server.listen),
                "127.0.0.1:8080, or a file (--config) made from config/example.production.toml",
            );
        }
    }

    fn addresses(&mut self) {
        let server = &self.config.server;
        if server.issuer.scheme() != "https" {
            self.add(Danger::HttpIssuer, "server.issuer", "is not https", "https://id.example.com");
        }
        if has_everything(server.trusted_proxies.iter().copied()) {
            let expected = "the networks of your proxies, such as [\"10.1.0.0/16\"]";
            self.add(Danger::TrustedProxies, "server.trusted_proxies", "believes every peer", expected);
        }
        if has_everything(self.config.outbound.allow.iter().filter_map(|entry| entry.parse().ok())) {
            let expected = "the hosts and networks that are needed";
            self.add(Danger::OutboundAllow, "outbound.allow", "opens every address", expected);
        }
    }

    fn state(&mut self) {
        let config = self.config;
        if config.database.is_sqlite() {
            let expected = "postgres://user:password@host/name?sslmode=verify-full";
            self.add(Danger::Sqlite, "database.url", "is a local SQLite file", expected);
        } else if is_remote(&config.database.url) && !has_tls_mode(&config.database.url) {
            let expected = "sslmode=verify-full in the URL";
            self.add(Danger::DatabasePlaintext, "database.url", "does not insist on TLS", expected);
        }
        match &config.redis.url {
            None => {
                let problem = "is missing, so sessions would live in this process only";
                self.add(Danger::InProcessState, "redis.url", problem, "redis://host:6379 or rediss://host:6379");
            }
            Some(url) if is_remote(url) && url.expose().starts_with("redis:") => {
                self.add(Danger::RedisPlaintext, "redis.url", "is without TLS", "rediss://host:6379");
            }
            Some(_) => {}
        }
    }

    fn secrets(&mut self) {
        let config = self.config;
        let expected = "32 random bytes in base64 (openssl rand -base64 32), best by master_key_file";
        match config.secrets.master_key() {
            None => self.add(Danger::MasterKey, "secrets.master_key", "is missing", expected),
            Some(key) if distinct_bytes(&key.to_text()) < MIN_DISTINCT_KEY_BYTES => {
                self.add(Danger::MasterKey, "secrets.master_key", "is not random", expected);
            }
            Some(_) => {}
        }
        for client in &config.clients {
            let key = format!("clients[{}]", client.metadata.client_id);
            if client.client_secret.as_ref().is_some_and(|secret| secret.expose().len() < MIN_CLIENT_SECRET) {
                let expected = "at least 32 random characters (openssl rand -base64 32)";
                self.add(Danger::ClientSecret, format!("{key}.client_secret"), "is too short", expected);
            }
            let loopback = |uri: &String| Url::parse(uri).is_ok_and(|url| url.scheme() == "http");
            if client.metadata.application_type == ApplicationType::Web
                && client.metadata.redirect_uris.iter().any(loopback)
            {
                let problem = "returns a web client to plain http";
                let expected = "https, or application_type = \"native\"";
                self.add(Danger::LoopbackRedirect, format!("{key}.redirect_uris"), problem, expected);
            }
        }
        let password = &config.password;
        if password.enabled && u64::from(password.memory_kib) * u64::from(password.iterations) < MIN_HASH_COST {
            let expected = "memory_kib = 19456 with iterations = 2, or more";
            self.add(Danger::WeakPasswordHash, "password.memory_kib", "makes hashes cheap to attack", expected);
        }
    }

    fn mail(&mut self) {
        let config = self.config;
        match &config.mail.transport {
            MailTransport::Smtp { url } => {
                let text = url.expose();
                if is_remote(url) && text.starts_with("smtp:") && !text.contains("tls=required") {
                    let expected = "smtps://host or smtp://host:587?tls=required";
                    self.add(Danger::MailPlaintext, "mail.smtp_url", "does not insist on TLS", expected);
                }
            }
            transport if config.password.sign_up => {
                let problem = format!("is \"{}\", and password.sign_up needs mail that arrives", transport.as_str());
                let expected = "\"smtp\", or password.sign_up = false";
                self.add(Danger::MailTransport, "mail.transport", &problem, expected);
            }
            _ => {}
        }
    }

    fn neighbors(&mut self) {
        for connector in &self.config.connectors {
            for (member, _) in connector.addresses().filter(|(_, address)| !address.starts_with("https://")) {
                let key = format!("connectors[{}].{member}", connector.id);
                self.add(Danger::ConnectorHttp, key, "is not https", "an https address");
            }
        }
        for webhook in &self.config.webhooks {
            if webhook.url.as_ref().is_some_and(|url| url.scheme() != "https") {
                let key = format!("webhooks[{}].url", webhook.id);
                self.add(Danger::WebhookHttp, key, "is not https", "an https address");
            }
        }
    }
}

fn has_everything(mut networks: impl Iterator<Item = IpNet>) -> bool {
    networks.any(|network| network.prefix_len() == 0)
}

fn is_remote(url: &Secret<String>) -> bool {
    Url::parse(url.expose()).is_ok_and(|url| !forms::is_loopback(&url))
}

fn has_tls_mode(url: &Secret<String>) -> bool {
    Url::parse(url.expose()).is_ok_and(|url| {
        url.query_pairs()
            .any(|(name, value)| name == "sslmode" && matches!(&*value, "require" | "verify-ca" | "verify-full"))
    })
}

fn distinct_bytes(key: &str) -> usize {
    from_base64url(key).unwrap_or_default().into_iter().collect::<std::collections::BTreeSet<u8>>().len()
}
