//! `[secrets]`: the master key, from which every symmetric key is derived.
//!
//! For the embedded default the key is made once and kept in a file only its owner can read.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::problem::Problems;
use super::secret_file::SecretFiles;
use crate::secret::{MasterKey, Secret};

/// The file in the data directory that holds a generated master key.
pub const MASTER_KEY_FILE: &str = "master.key";

/// The `[secrets]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretsConfig {
    /// 32 random bytes, base64. After loading it also holds what `master_key_file` said.
    #[serde(default)]
    pub master_key: Option<Secret<String>>,
    /// A file that holds `master_key`.
    #[serde(default)]
    pub master_key_file: Option<PathBuf>,
}

impl SecretsConfig {
    /// The configured key, if there is one.
    pub fn master_key(&self) -> Option<MasterKey> {
        MasterKey::parse(self.master_key.as_ref()?.expose())
    }

    pub(super) fn resolve(&mut self, files: &SecretFiles, problems: &mut Problems) {
        let path = self.master_key_file.as_deref();
        self.master_key = files.fill("secrets.master_key", self.master_key.take(), path, problems);
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        if self.master_key.is_some() && self.master_key().is_none() {
            problems.add(
                "secrets.master_key",
                "is not a key of 32 bytes",
                "32 random bytes in base64, made by: openssl rand -base64 32",
            );
        }
    }
}

/// The master key kept in `dir`, made at the first call. `dir` is made too, closed to others.
///
/// # Errors
/// If the directory or the file cannot be written or read, or the file holds no key.
pub fn load_or_generate(dir: &Path) -> io::Result<MasterKey> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let path = dir.join(MASTER_KEY_FILE);
    if !path.try_exists()? {
        publish(dir, &path)?;
    }
    let text = zeroize::Zeroizing::new(fs::read_to_string(&path)?);
    MasterKey::parse(&text)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no master key", path.display())))
}

/// Writes the key whole under another name, then links it into place: of two processes that start at once, one wins
/// and neither reads half a key.
fn publish(dir: &Path, path: &Path) -> io::Result<()> {
    let draft = dir.join(format!("{MASTER_KEY_FILE}.{}", crate::secret::random_token()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let text = MasterKey::generate().to_text();
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
