//! `[password]`: sign-in and sign-up by password, and the cost of its hash.
//!
//! NIST SP 800-63B §3.1.1 for lengths, RFC 9106 for argon2id. The hash policy bounds memory: threads × memory_kib.

use serde::Deserialize;

use super::problem::Problems;

/// The `[password]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PasswordConfig {
    /// Whether customers may sign in by password at all.
    pub enabled: bool,
    /// Whether visitors may make an account with e-mail address and password.
    pub sign_up: bool,
    /// Shortest new password, in characters.
    pub min_length: usize,
    /// Threads that do nothing but hash.
    pub threads: usize,
    /// Hashes waiting for a thread; one more is answered 503.
    pub queue: usize,
    /// argon2id memory per hash, in KiB.
    pub memory_kib: u32,
    /// argon2id passes.
    pub iterations: u32,
}

impl PasswordConfig {
    pub(super) fn check(&self, problems: &mut Problems) {
        let mut range = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                problems.add(
                    format!("password.{key}"),
                    format!("{value} is out of range"),
                    format!("{least} to {most}"),
                );
            }
        };
        range("min_length", self.min_length as u64, 8, 128);
        range("threads", self.threads as u64, 1, 256);
        range("queue", self.queue as u64, 1, 100_000);
        // RFC 9106 §3.1: at least 8 KiB per lane; above 1 GiB is a slip of the unit.
        range("memory_kib", u64::from(self.memory_kib), 8, 1_048_576);
        range("iterations", u64::from(self.iterations), 1, 100);
    }
}
