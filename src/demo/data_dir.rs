//! Where the gateway of a demonstration keeps its database: a directory of the person's, or a temporary one of ours.
//!
//! Ours is for this user only, and goes when the demonstration ends, however it ends short of a kill.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use crate::clock::random;

/// The directory; a temporary one is removed on drop.
pub(super) struct DataDir {
    path: PathBuf,
    kept: bool,
}

impl DataDir {
    /// Makes the directory if it is not there.
    pub(super) fn open(wanted: Option<PathBuf>) -> io::Result<Self> {
        let kept = wanted.is_some();
        let name = format!("samesake-demo-{}", Uuid::from_bytes(random()).simple());
        let path = wanted.unwrap_or_else(|| std::env::temp_dir().join(name));
        let made = DirBuilder::new().recursive(kept).mode(0o700).create(&path);
        made.map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))?;
        // From here on it is removed even if the rest fails.
        let mut dir = Self { path, kept };
        // SQLite and the configuration file are told an absolute path.
        dir.path = dir.path.canonicalize()?;
        Ok(dir)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn is_kept(&self) -> bool {
        self.kept
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the temporary directory could not be removed");
        }
    }
}
