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

    /// `given`, or the secret in the file at `path`, for `key` (named without `_file`). None of both: none.
    pub(super) fn fill(
        &self,
        key: &str,
        given: Option<Secret<String>>,
        path: Option<&Path>,
        problems: &mut Problems,
    ) -> Option<Secret<String>> {
        let Some(path) = path else { return given };
        let name = key.rsplit('.').next().unwrap_or(key);
        let key = format!("{key}_file");
        if given.is_some() {
            problems.add(key, format!("is given beside {name}"), format!("one of {name} and {name}_file"));
            return given;
        }
        let path = self.base.join(path);
        match read_line(&path) {
            Ok(text) => Some(Secret::new(text)),
            Err(problem) => {
                let expected = "a readable text file that holds the secret";
                problems.add(key, format!("`{}` {problem}", path.display()), expected);
                None
            }
        }
    }
}

fn read_line(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read ({error})");
    if fs::metadata(path).map_err(unreadable)?.len() > MAX_BYTES {
        return Err("is too large for a secret".to_owned());
    }
    let mut text = fs::read_to_string(path).map_err(unreadable)?;
    if text.ends_with('\n') {
        text.pop();
    }
    if text.ends_with('\r') {
        text.pop();
    }
    if text.is_empty() { Err("is empty".to_owned()) } else { Ok(text) }
}

/// Stands for a secret that was not given; the checks refuse it.
pub(super) fn no_secret() -> Secret<String> {
    Secret::new(String::new())
}
