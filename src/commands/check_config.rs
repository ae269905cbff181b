//! `samesake check-config`: says everything that is wrong with a configuration, or what it amounts to.
//!
//! Reads only: it makes no key and opens no connection, so that it can run in a pipeline.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use crate::cli::{CheckConfig, environment};
use crate::config::{Config, ConfigErrors, MailTransport};

/// Checks the file together with this process's environment, and prints a summary.
///
/// # Errors
/// Every mistake and every setting unfit for production, as [`ConfigErrors`].
pub fn check_config(command: &CheckConfig) -> anyhow::Result<()> {
    let config = Config::load_with(Some(&command.config), &environment())?;
    let problems = config.check_production();
    if !problems.is_empty() {
        return Err(ConfigErrors(problems).into());
    }
    let text = format!("{}: ok\n{}", command.config.display(), summary(&config));
    io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// The configuration in a few lines, without secrets.
fn summary(config: &Config) -> String {
    let state = match &config.redis.url {
        Some(_) => format!("redis, keys start with {}", config.redis.prefix),
        None => "in this process".to_owned(),
    };
    let password = match (config.password.enabled, config.password.sign_up) {
        (false, _) => "off",
        (true, false) => "sign-in",
        (true, true) => "sign-in and sign-up",
    };
    let mail = match &config.mail.transport {
        MailTransport::File { dir } => format!("files in {}", dir.display()),
        transport => transport.as_str().to_owned(),
    };
    let master_key = if config.secrets.master_key.is_some() { "given" } else { "kept in the data directory" };
    let mut text = String::new();
    for (name, value) in [
        ("issuer", config.server.issuer_text().to_owned()),
        ("listen", config.server.listen.to_string()),
        ("database", if config.database.is_sqlite() { "sqlite" } else { "postgres" }.to_owned()),
        ("state", state),
        ("master key", master_key.to_owned()),
        ("password", password.to_owned()),
        ("mail", mail),
        ("clients", list(config.clients.iter().map(|client| client.metadata.client_id.as_str()))),
        ("connectors", list(config.connectors.iter().map(|connector| connector.id.as_str()))),
        ("destinations", list(config.destinations.iter().map(|destination| destination.id.as_str()))),
        ("webhooks", list(config.webhooks.iter().map(|webhook| webhook.id.as_str()))),
        ("waived", list(config.unsafe_allow.iter().map(|danger| danger.as_str()))),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<13} {value}");
    }
    text
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_shows_no_secret() {
        let variables = [
            ("SAMESAKE__DATABASE__URL", "postgres://me:hunter2@db/samesake"),
            ("SAMESAKE__REDIS__URL", "rediss://me:hunter2@redis:6379"),
            ("SAMESAKE__UNSAFE_ALLOW", "sqlite, http_issuer"),
        ];
        let config = Config::load(None, variables.map(|(name, value)| (name.to_owned(), value.to_owned()))).unwrap();
        let text = summary(&config);
        assert!(!text.contains("hunter2"), "{text}");
        assert!(
            text.contains("  database      postgres\n  state         redis, keys start with samesake:\n"),
            "{text}"
        );
        assert!(text.ends_with("  waived        sqlite, http_issuer\n"), "{text}");
    }
}
