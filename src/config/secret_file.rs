//! Secrets from files (`*_file` keys), as Docker and Kubernetes mount them.
//!
//! Relative paths start at the directory of the configuration file. One line end at the end is not part of the secret.

use std::fs;
use std::path::{Path, PathBuf};

use super::problem::Problems;
use crate::secret::Secret;

/// No secret is longer; a file that is was named by mistake.
const MAX_BYTES: u64 = 64 * 1024;

/// Reads secret files relative to one directory.
#[derive(Debug)]
pub(super) struct SecretFiles {
    base: PathBuf,
}

impl SecretFiles {
    /// `file` is the configuration file, if there is one.
    pub(super) fn beside(file: Option<&Path>) -> Self {
        Self { base: file.and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default() }
    }

    /// The secret in `path`, for `key` (named without `_file`). Absent or unreadable: none, the latter with a problem.
    pub(super) fn read(&self, key: &str, path: Option<&Path>, problems: &mut Problems) -> Option<Secret<String>> {
        let path = self.base.join(path?);
        let expected = "a readable text file that holds the secret";
        let key = format!("{key}_file");
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > MAX_BYTES => {
                problems.add(key, format!("`{}` is too large for a secret", path.display()), expected);
                return None;
            }
            _ => {}
        }
        match fs::read_to_string(&path) {
            Ok(text) => {
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    problems.add(key, format!("`{}` is empty", path.display()), expected);
                    return None;
                }
                Some(Secret::new(text.to_owned()))
            }
            Err(error) => {
                problems.add(key, format!("`{}` cannot be read ({error})", path.display()), expected);
                None
            }
        }
    }
}
