//! `[database]` and `[redis]`: where state lives.
//!
//! Only the addresses are here; the store and the key-value layer know what to do with them.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::problem::Problems;
use super::secret_file::{SecretFiles, no_secret};
use crate::secret::Secret;

/// The `[database]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// `postgres://user:password@host/name?sslmode=verify-full` or `sqlite://path`.
    #[serde(default = "no_secret")]
    pub url: Secret<String>,
    /// A file that holds `url`.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
}

/// The `[redis]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedisConfig {
    /// `redis://` or `rediss://`. Absent: state is kept in this process, for one replica only.
    #[serde(default)]
    pub url: Option<Secret<String>>,
    /// A file that holds `url`.
    #[serde(default)]
    pub url_file: Option<PathBuf>,
    /// Put before every key, so that installations can share one Redis.
    pub prefix: String,
}

impl DatabaseConfig {
    /// Whether this is the embedded database.
    pub fn is_sqlite(&self) -> bool {
        self.url.expose().starts_with("sqlite:")
    }

    pub(super) fn resolve(&mut self, files: &SecretFiles, problems: &mut Problems) {
        let given = Some(self.url.clone()).filter(|url| !url.expose().is_empty());
        let url = files.fill("database.url", given, self.url_file.as_deref(), problems);
        self.url = url.unwrap_or_else(no_secret);
    }

    /// Puts a relative SQLite path below `dir`.
    pub(super) fn place_in(&mut self, dir: &Path) {
        let Some(path) = self.url.expose().strip_prefix("sqlite://") else { return };
        if !path.starts_with('/') {
            self.url = Secret::new(format!("sqlite://{}", dir.join(path).display()));
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let url = self.url.expose();
        let known = match url.strip_prefix("sqlite://") {
            Some(path) => !path.is_empty(),
            None => Url::parse(url)
                .is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql") && url.host_str().is_some()),
        };
        if !known {
            let expected = "postgres://user:password@host/name?sslmode=verify-full, or sqlite://path";
            problems.add("database.url", "names no database that is supported", expected);
        }
    }
}

impl RedisConfig {
    pub(super) fn resolve(&mut self, files: &SecretFiles, problems: &mut Problems) {
        self.url = files.fill("redis.url", self.url.take(), self.url_file.as_deref(), problems);
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if let Some(url) = &self.url
            && !Url::parse(url.expose())
                .is_ok_and(|url| matches!(url.scheme(), "redis" | "rediss") && url.host_str().is_some())
        {
            problems.add("redis.url", "is no Redis address", "redis://host:6379 or rediss://user:password@host:6379");
        }
        if !self.prefix.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}') {
            problems.add(
                "redis.prefix",
                "holds a character that keys may not have",
                "printable ASCII without spaces or braces, such as \"samesake:\"",
            );
        }
    }
}
