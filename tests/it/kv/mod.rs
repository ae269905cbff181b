//! What the key-value store promises, checked on every backend.

mod connection;
mod in_process;
mod operations;
mod races;
mod sessions;

use std::time::Duration;

/// Longer than any test.
const LONG: Duration = Duration::from_secs(600);
