//! Passwords: hashing with argon2id, and what a new password must be.
//!
//! A few threads of their own do all hashing, each with memory that it keeps, behind a queue with a limit: under a
//! flood the answer is `Overloaded` long before memory runs out. Verifying for an unknown customer costs the same
//! hash as for a known one (spec/protocol.md rule 50). Rules for new passwords follow NIST SP 800-63B §3.1.1.2:
//! length and a list of the commonest, nothing about composition. Who a password belongs to is not known here.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::clock;
use crate::secret::{self, Secret};

/// The longest password in bytes, as typed. It bounds the work on what anybody may send.
pub const MAX_PASSWORD_BYTES: usize = 1024;
const HASH_BYTES: usize = 32;
/// The most that a stored hash of other parameters (an imported one) may ask for.
const MAX_FOREIGN_MEMORY_KIB: u32 = 256 * 1024;
const MAX_FOREIGN_ITERATIONS: u32 = 16;

/// The commonest passwords, in lower case, one a line.
const COMMON_PASSWORDS: &str = include_str!("common_passwords.txt");
/// Rows along which fingers and alphabets run.
const RUNS: &[&str] = &[
    "12345678901234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
];

/// How passwords are hashed, and how long a new one must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    /// Memory of one hash in KiB. Each thread holds as much from its first hash on.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub iterations: u32,
    /// Hashing threads: how many hashes run at once.
    pub threads: usize,
    /// How many may wait. One more is answered `Overloaded`.
    pub queue: usize,
    /// The least number of characters of a new password.
    pub min_length: usize,
}

impl Default for HashPolicy {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, threads: 2, queue: 64, min_length: 8 }
    }
}

/// Why the hashing threads did not start.
#[derive(Debug, thiserror::Error)]
pub enum HasherError {
    /// argon2 does not take these numbers, or there is to be no thread.
    #[error("the password hashing policy is not usable: {0}")]
    Policy(String),
    /// The operating system gave no thread.
    #[error("a password hashing thread did not start")]
    Thread(#[source] std::io::Error),
}

/// Too many passwords are waiting to be hashed; nothing is known about this one. The caller may try again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many passwords are waiting to be hashed")]
pub struct Overloaded;

/// Whether a password is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is. `rehash`: the stored hash has other parameters than the policy, and should be replaced.
    Right { rehash: bool },
    /// It is not, or there is no such customer.
    Wrong,
}

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// Fewer characters than the policy asks for.
    #[error("use at least {min} characters")]
    TooShort { min: usize },
    /// More bytes than anybody types.
    #[error("use at most {max} bytes")]
    TooLong { max: usize },
    /// One of the commonest, or one character over and over, or a run along the keyboard.
    #[error("this password is among the first that anybody would guess")]
    Common,
}

/// The hashing threads. Clones share them; they end with the last clone.
#[derive(Clone)]
pub struct Hasher {
    jobs: SyncSender<Job>,
    hashes: Arc<AtomicU64>,
    min_length: usize,
}

impl Hasher {
    /// Starts the threads.
    ///
    /// # Errors
    /// `Policy` if argon2 does not take the numbers, `Thread` if a thread does not start.
    pub fn new(policy: HashPolicy) -> Result<Self, HasherError> {
        let params = Params::new(policy.memory_kib, policy.iterations, 1, None)
            .map_err(|error| HasherError::Policy(error.to_string()))?;
        if policy.threads == 0 {
            return Err(HasherError::Policy("at least one thread".to_owned()));
        }
        let (jobs, waiting) = sync_channel(policy.queue);
        let hasher = Self { jobs, hashes: Arc::default(), min_length: policy.min_length };
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..policy.threads {
            let mut bench = Bench { params: params.clone(), memory: Vec::new(), hashes: Arc::clone(&hasher.hashes) };
            let waiting = Arc::clone(&waiting);
            thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || bench.work(&waiting))
                .map_err(HasherError::Thread)?;
        }
        Ok(hasher)
    }

    /// Hashes a password that `check_new` has accepted, with a new salt. Answers a PHC string.
    ///
    /// # Errors
    /// `Overloaded` if the queue is full.
    pub async fn hash(&self, password: Secret<String>) -> Result<String, Overloaded> {
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Hash { password: normalize(password.expose()), answer })?;
        answered.await.map_err(|_| Overloaded)
    }

    /// Compares a password with a stored hash. Without one (the customer is unknown, or has no password) it hashes
    /// all the same and answers `Wrong`, so that the cost does not tell.
    ///
    /// # Errors
    /// `Overloaded` if the queue is full.
    pub async fn verify(&self, password: Secret<String>, phc: Option<String>) -> Result<Verdict, Overloaded> {
        // Whoever the customer is: no accepted password is as long, so nothing is given away by not hashing.
        if password.expose().len() > MAX_PASSWORD_BYTES {
            return Ok(Verdict::Wrong);
        }
        let (answer, answered) = oneshot::channel();
        self.submit(Job::Verify { password: normalize(password.expose()), phc, answer })?;
        answered.await.map_err(|_| Overloaded)
    }

    /// Whether this may become somebody's password.
    ///
    /// # Errors
    /// `WeakPassword` says what to change, in words for the customer.
    pub fn check_new(&self, password: &str) -> Result<(), WeakPassword> {
        check_new(password, self.min_length)
    }

    /// How many hashes were computed so far.
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    fn submit(&self, job: Job) -> Result<(), Overloaded> {
        self.jobs.try_send(job).map_err(|_| Overloaded)
    }
}

enum Job {
    Hash { password: Zeroizing<String>, answer: oneshot::Sender<String> },
    Verify { password: Zeroizing<String>, phc: Option<String>, answer: oneshot::Sender<Verdict> },
}

/// What one thread works with.
struct Bench {
    params: Params,
    /// Kept from hash to hash: allocating it anew costs a fifth of the time, and memory that glibc keeps.
    memory: Vec<Block>,
    hashes: Arc<AtomicU64>,
}

impl Bench {
    fn work(&mut self, waiting: &Mutex<Receiver<Job>>) {
        loop {
            let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match job {
                Err(_) => return,
                // Whoever no longer waits for the answer (the connection is gone) costs nothing.
                Ok(Job::Hash { answer, .. }) if answer.is_closed() => {}
                Ok(Job::Verify { answer, .. }) if answer.is_closed() => {}
                Ok(Job::Hash { password, answer }) => match self.hash(&password) {
                    Ok(phc) => drop(answer.send(phc)),
                    Err(error) => tracing::error!(%error, "a password could not be hashed"),
                },
                Ok(Job::Verify { password, phc, answer }) => match self.verify(&password, phc.as_deref()) {
                    Ok(verdict) => drop(answer.send(verdict)),
                    Err(error) => tracing::error!(%error, "a password could not be verified"),
                },
            }
        }
    }

    fn hash(&mut self, password: &str) -> argon2::Result<String> {
        let recipe = self.policy_recipe();
        let digest = self.compute(password, &recipe)?;
        let phc = PasswordHash {
            algorithm: recipe.algorithm.ident(),
            version: Some(recipe.version.into()),
            params: ParamsString::try_from(&recipe.params).map_err(|_| argon2::Error::AlgorithmInvalid)?,
            salt: Some(Salt::new(&recipe.salt).map_err(|_| argon2::Error::SaltTooLong)?),
            hash: Some(Output::new(&digest).map_err(|_| argon2::Error::OutputTooLong)?),
        };
        Ok(phc.to_string())
    }

    fn verify(&mut self, password: &str, phc: Option<&str>) -> argon2::Result<Verdict> {
        let stored = phc.and_then(|phc| {
            let stored = Stored::parse(phc);
            if stored.is_none() {
                tracing::error!("a stored password hash is not usable; its owner needs a reset");
            }
            stored
        });
        let Some(stored) = stored else {
            let recipe = self.policy_recipe();
            self.compute(password, &recipe)?;
            return Ok(Verdict::Wrong);
        };
        let digest = self.compute(password, &stored.recipe)?;
        if !secret::constant_time_eq(&digest, &stored.digest) {
            return Ok(Verdict::Wrong);
        }
        Ok(Verdict::Right { rehash: !stored.recipe.is_like(&self.policy_recipe()) })
    }

    /// The policy's parameters with a new salt.
    fn policy_recipe(&self) -> Recipe {
        Recipe {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            params: self.params.clone(),
            salt: clock::random::<16>().to_vec(),
            length: HASH_BYTES,
        }
    }

    fn compute(&mut self, password: &str, recipe: &Recipe) -> argon2::Result<Zeroizing<Vec<u8>>> {
        let blocks = recipe.params.block_count();
        if self.memory.len() < blocks {
            self.memory.resize(blocks, Block::default());
        }
        let mut digest = Zeroizing::new(vec![0; recipe.length]);
        let argon2 = Argon2::new(recipe.algorithm, recipe.version, recipe.params.clone());
        let memory = self.memory.get_mut(..blocks).unwrap_or_default();
        let result = argon2.hash_password_into_with_memory(password.as_bytes(), &recipe.salt, &mut digest, memory);
        self.hashes.fetch_add(1, Ordering::Relaxed);
        // An imported hash may have needed more than the policy's: that much is not kept.
        self.memory.truncate(self.params.block_count());
        self.memory.shrink_to_fit();
        result.map(|()| digest)
    }
}

/// Everything but the password that a hash is computed from.
struct Recipe {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    length: usize,
}

impl Recipe {
    fn is_like(&self, other: &Self) -> bool {
        let numbers = |recipe: &Self| (recipe.params.m_cost(), recipe.params.t_cost(), recipe.params.p_cost());
        self.algorithm == other.algorithm
            && self.version == other.version
            && self.length == other.length
            && numbers(self) == numbers(other)
    }
}

/// A stored hash, read.
struct Stored {
    recipe: Recipe,
    digest: Vec<u8>,
}

impl Stored {
    /// `None` if it is not an argon2 hash, or one that would cost more than any hash may.
    fn parse(phc: &str) -> Option<Self> {
        let phc = PasswordHash::new(phc).ok()?;
        let params = Params::try_from(&phc).ok()?;
        if params.m_cost() > MAX_FOREIGN_MEMORY_KIB || params.t_cost() > MAX_FOREIGN_ITERATIONS {
            return None;
        }
        let digest = phc.hash?.as_bytes().to_vec();
        let recipe = Recipe {
            algorithm: Algorithm::try_from(phc.algorithm.as_str()).ok()?,
            // Before version 1.3 the PHC string carried none: it means 1.0.
            version: phc.version.map_or(Ok(Version::V0x10), Version::try_from).ok()?,
            params,
            salt: phc.salt?.to_vec(),
            length: digest.len(),
        };
        Some(Self { recipe, digest })
    }
}

/// The same password typed on two keyboards is the same text (NIST SP 800-63B §3.1.1.2).
fn normalize(password: &str) -> Zeroizing<String> {
    // Room for the longest expansion that occurs in practice, so that no copy is left behind by growing.
    let mut normalized = Zeroizing::new(String::with_capacity(password.len() * 3));
    normalized.extend(password.nfkc());
    normalized
}

fn check_new(password: &str, min_length: usize) -> Result<(), WeakPassword> {
    if password.len() > MAX_PASSWORD_BYTES {
        return Err(WeakPassword::TooLong { max: MAX_PASSWORD_BYTES });
    }
    let normalized = normalize(password);
    if normalized.chars().count() < min_length {
        return Err(WeakPassword::TooShort { min: min_length });
    }
    let lower = Zeroizing::new(normalized.to_lowercase());
    if is_common(&lower) || is_monotonous(&lower) { Err(WeakPassword::Common) } else { Ok(()) }
}

fn is_common(lower: &str) -> bool {
    // "password2026!" is "password" to everybody who guesses.
    let word = lower.trim_end_matches(|c: char| !c.is_alphabetic());
    COMMON_PASSWORDS.lines().any(|common| common == lower || (!word.is_empty() && common == word))
}

fn is_monotonous(lower: &str) -> bool {
    let mut seen: Vec<char> = Vec::new();
    for c in lower.chars() {
        if !seen.contains(&c) {
            seen.push(c);
        }
    }
    let backward: String = lower.chars().rev().collect();
    seen.len() < 4 || RUNS.iter().any(|run| run.contains(lower) || run.contains(&backward))
}

#[cfg(test)]
mod tests;
