//! `[mail]`: how messages to customers leave.
//!
//! The section is flat in the file; here the transport holds what it needs, so that none is half configured.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use url::Url;

use super::problem::Problems;
use super::secret_file::{SecretFiles, no_secret};
use crate::secret::Secret;

/// The `[mail]` section.
#[derive(Clone, Debug)]
pub struct MailConfig {
    pub transport: MailTransport,
    /// Sender of every message: `name@example.com` or `Name <name@example.com>`.
    pub from: String,
}

/// The ways out for mail.
#[derive(Clone, Debug)]
pub enum MailTransport {
    /// `smtp://` (STARTTLS by `?tls=required`) or `smtps://user:password@host`.
    Smtp { url: Secret<String> },
    /// One `.eml` file per message, for development.
    File { dir: PathBuf },
    /// Kept in memory, for tests.
    Memory,
    /// Dropped: what needs a mailed code is not offered.
    None,
}

impl MailTransport {
    /// The word of the configuration file.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Smtp { .. } => "smtp",
            Self::File { .. } => "file",
            Self::Memory => "memory",
            Self::None => "none",
        }
    }
}

/// The section as it stands in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MailSection {
    transport: TransportName,
    #[serde(default)]
    smtp_url: Option<Secret<String>>,
    #[serde(default)]
    smtp_url_file: Option<PathBuf>,
    #[serde(default)]
    dir: Option<PathBuf>,
    from: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TransportName {
    Smtp,
    File,
    Memory,
    None,
}

impl MailSection {
    /// Reads the secret file and puts the transport together.
    pub(super) fn resolve(self, files: &SecretFiles, problems: &mut Problems) -> MailConfig {
        let url = files.fill("mail.smtp_url", self.smtp_url, self.smtp_url_file.as_deref(), problems);
        let transport = match self.transport {
            TransportName::Smtp => MailTransport::Smtp { url: url.unwrap_or_else(no_secret) },
            TransportName::File => MailTransport::File { dir: self.dir.unwrap_or_default() },
            TransportName::Memory => MailTransport::Memory,
            TransportName::None => MailTransport::None,
        };
        MailConfig { transport, from: self.from }
    }
}

impl MailConfig {
    /// Puts a relative directory of messages below `dir`.
    pub(super) fn place_in(&mut self, dir: &Path) {
        if let MailTransport::File { dir: messages } = &mut self.transport {
            *messages = dir.join(&*messages);
        }
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let address = match self.from.rsplit_once('<') {
            Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
            None => self.from.as_str(),
        };
        let plausible = address.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
            && !address.contains(char::is_whitespace)
            && !self.from.contains(char::is_control);
        if !plausible {
            let expected = "an address, such as \"Example <no-reply@example.com>\"";
            problems.add("mail.from", "is no mail address", expected);
        }
        match &self.transport {
            MailTransport::Smtp { url } if url.expose().is_empty() => problems.add(
                "mail.smtp_url",
                "is missing, and transport is \"smtp\"",
                "smtps://user:password@host, or smtp_url_file",
            ),
            MailTransport::Smtp { url } if !is_smtp(url.expose()) => {
                problems.add(
                    "mail.smtp_url",
                    "is no SMTP address",
                    "smtps://user:password@host or smtp://host:587?tls=required",
                );
            }
            MailTransport::File { dir } if dir.as_os_str().is_empty() => {
                problems.add("mail.dir", "is missing, and transport is \"file\"", "a directory, such as \"mail\"");
            }
            _ => {}
        }
    }
}

fn is_smtp(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "smtp" | "smtps") && url.host_str().is_some())
}
