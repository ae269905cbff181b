//! The keys we sign with: made, sealed at rest, published, used, rotated, and the tokens they verify.
//!
//! One RSA, one P-256 and one Ed25519 key are active, one of each is published as the next, and retired ones stay
//! published until the last token they signed has expired (spec/protocol.md rules 24 and 25). The ring is held in
//! memory and reloaded when the generation "keys" moves. It alone names jsonwebtoken. What a token says is not its
//! matter.

pub mod assertion;
mod material;
mod provider;
mod ring;
mod rotation;
pub mod verify;

#[cfg(test)]
mod tests;

pub use ring::{Jwks, KeyRing};
pub use rotation::{Changes, KeyPolicy, Rotation, emergency_rotate, rotate, rotate_when_due};
pub(crate) use verify::numeric_date;
pub use verify::{Expect, Expiry, TokenError, verify_with_jwks};

use crate::protocol::jwk::SigningAlgorithm;
use crate::store;

/// What can go wrong with keys. No message carries key material.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// A key was sealed with another master key.
    #[error(
        "the signing key {kid} cannot be opened with this master key: set secrets.master_key to the one this \
         database was made with, or replace all keys with `samesake keys rotate --emergency`"
    )]
    MasterKey {
        /// The first key that could not be opened.
        kid: String,
    },
    /// A stored key is not a key.
    #[error("the stored signing key {kid} is damaged")]
    Damaged {
        /// Which one.
        kid: String,
    },
    /// aws-lc-rs made no key.
    #[error("a signing key could not be generated")]
    Generate,
    /// The text is not a private key of the kind that is needed.
    #[error("it is not a P-256 private key in PKCS#8 PEM form")]
    NotAKey,
    /// No active key for the algorithm, or signing with it failed.
    #[error("nothing can be signed with {0}")]
    Sign(SigningAlgorithm),
}

/// The result of an operation on keys.
pub type Result<T> = std::result::Result<T, Error>;
