//! Signing keys: next, active, retired. The private half arrives sealed and leaves sealed.
//!
//! The database lets one key per algorithm be next and one be active, so replicas that make keys at once end with one
//! set. Every change raises the generation `keys`.

use serde_json::Value;

use super::driver::{exec, fetch_all, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::protocol::jwk::SigningAlgorithm;

word_enum! {
    /// Where a key is in its life.
    pub enum KeyState {
        /// Published, not yet used.
        Next = "next",
        /// Signs.
        Active = "active",
        /// Published for what it signed, until that has expired.
        Retired = "retired",
    }
}

/// One key pair.
#[derive(Clone, Debug, PartialEq)]
pub struct SigningKeyRow {
    pub kid: String,
    pub alg: SigningAlgorithm,
    pub state: KeyState,
    pub public_jwk: Value,
    /// The private key, encrypted under the master key.
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
    /// When it became active, or may.
    pub activates_at: Timestamp,
    pub retired_at: Option<Timestamp>,
    /// When it leaves the published set.
    pub expires_at: Option<Timestamp>,
}

from_row!(SigningKeyRow { kid, alg, state, public_jwk, sealed, created_at, activates_at, retired_at, expires_at });

impl Tx {
    /// Adds a key; `false` if the algorithm has a key in that state already, or the key ID is taken.
    pub async fn key_insert(&mut self, key: &SigningKeyRow) -> Result<bool> {
        let added = exec!(
            self,
            "INSERT INTO signing_keys \
             (kid, alg, state, public_jwk, sealed, created_at, activates_at, retired_at, expires_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING",
            &key.kid,
            key.alg,
            key.state,
            &key.public_jwk,
            &key.sealed,
            key.created_at,
            key.activates_at,
            key.retired_at,
            key.expires_at,
        )?;
        if added == 1 {
            self.generation_bump("keys").await?;
        }
        Ok(added == 1)
    }

    /// Every key, oldest first.
    pub async fn keys_all(&mut self) -> Result<Vec<SigningKeyRow>> {
        fetch_all!(
            self,
            SigningKeyRow,
            "SELECT kid, alg, state, public_jwk, sealed, created_at, activates_at, retired_at, expires_at \
             FROM signing_keys ORDER BY created_at, kid",
        )
    }

    /// Moves a key on. In a rotation the active one is retired first, then the next one made active.
    ///
    /// # Errors
    /// `Unique` if another key of the algorithm is in that state.
    pub async fn key_state_set(
        &mut self,
        kid: &str,
        state: KeyState,
        now: Timestamp,
        expires_at: Option<Timestamp>,
    ) -> Result<()> {
        exec!(
            self,
            "UPDATE signing_keys SET state = $2, expires_at = $4, \
             activates_at = CASE WHEN $2 = 'active' THEN $3 ELSE activates_at END, \
             retired_at = CASE WHEN $2 = 'retired' THEN $3 ELSE NULL END WHERE kid = $1",
            kid,
            state,
            now,
            expires_at,
        )?;
        self.generation_bump("keys").await
    }

    /// Removes a key: nothing it signed verifies any more.
    pub async fn key_delete(&mut self, kid: &str) -> Result<()> {
        exec!(self, "DELETE FROM signing_keys WHERE kid = $1", kid)?;
        self.generation_bump("keys").await
    }
}
