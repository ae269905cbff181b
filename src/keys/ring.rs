//! The keys in use, in memory: signing, verifying what was signed, and the published key set.
//!
//! A reload builds a new set beside the old one and swaps it in, so that a request sees one or the other and a failed
//! reload changes nothing. Parsed private keys survive reloads.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::material::{KeyKind, PrivateKey, PublicKey, jose};
use super::provider::{self, Handle};
use super::verify::{Expect, TokenError, Unverified};
use super::{Error, KeyPolicy, Result, rotation};
use crate::clock::Timestamp;
use crate::protocol::jwk::SigningAlgorithm;
use crate::secret::{self, DerivedKey, MasterKey};
use crate::store::{KeyState, SigningKeyRow, Store};

/// The signing keys. Clones share them.
#[derive(Clone)]
pub struct KeyRing(Arc<Ring>);

struct Ring {
    /// Opens the private keys.
    seal: DerivedKey,
    set: RwLock<Arc<KeySet>>,
    signatures: AtomicU64,
}

/// The published key set as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jwks {
    /// The JSON document (RFC 7517 §5).
    pub body: Bytes,
    /// A strong entity tag, in quotes.
    pub etag: String,
}

/// One consistent state of the keys.
struct KeySet {
    /// In the order in which they are published.
    published: Vec<Arc<Published>>,
    active: HashMap<KeyKind, Arc<Active>>,
    jwks: Arc<Jwks>,
}

struct Published {
    kid: String,
    jwk: Jwk,
    key: PublicKey,
    /// When the last token signed by a retired key has expired.
    expires_at: Option<Timestamp>,
}

struct Active {
    kid: String,
    handle: Handle,
}

impl KeyRing {
    /// The keys of this installation. Makes those that are missing: all of them at the first start.
    ///
    /// # Errors
    /// `MasterKey` if they were sealed with another one; `Damaged`, `Generate`, `Store`.
    pub async fn load_or_create(store: &Store, master: &MasterKey, policy: KeyPolicy, now: Timestamp) -> Result<Self> {
        let seal = rotation::sealing_key(master);
        let rows = rotation::fill(store, &seal, policy, now).await?;
        Self::of_rows(&rows, seal, now)
    }

    /// Keys that end with this process, for a stand-in provider.
    ///
    /// # Errors
    /// `Generate`.
    pub fn ephemeral(now: Timestamp) -> Result<Self> {
        let seal = rotation::sealing_key(&MasterKey::generate());
        let rows: Result<Vec<_>> =
            KeyKind::ALL.into_iter().map(|kind| rotation::new_row(kind, KeyState::Active, &seal, now, now)).collect();
        Self::of_rows(&rows?, seal, now)
    }

    pub(super) fn of_rows(rows: &[SigningKeyRow], seal: DerivedKey, now: Timestamp) -> Result<Self> {
        provider::install();
        let set = KeySet::build(rows, &seal, None, now)?;
        Ok(Self(Arc::new(Ring { seal, set: RwLock::new(Arc::new(set)), signatures: AtomicU64::new(0) })))
    }

    /// Takes over what the database holds now. To be called when the generation "keys" has moved.
    ///
    /// # Errors
    /// As `load_or_create`; the keys in use then stay as they were.
    pub async fn reload(&self, store: &Store, now: Timestamp) -> Result<()> {
        let rows = store.begin_read().await?.keys_all().await?;
        self.take_over(&rows, now)
    }

    pub(super) fn take_over(&self, rows: &[SigningKeyRow], now: Timestamp) -> Result<()> {
        let set = KeySet::build(rows, &self.0.seal, Some(&self.set()), now)?;
        self.replace(set);
        Ok(())
    }

    /// Stops publishing retired keys whose last token has expired. Costs next to nothing when there are none.
    pub fn drop_expired(&self, now: Timestamp) {
        let set = self.set();
        if set.published.iter().all(|key| key.lives(now)) {
            return;
        }
        let published = set.published.iter().filter(|key| key.lives(now)).cloned().collect();
        self.replace(KeySet::new(published, set.active.clone()));
    }

    /// Signs claims as a JWT with this `typ` by the algorithm's active key.
    ///
    /// # Errors
    /// `Sign`.
    pub fn sign<T: Serialize>(&self, algorithm: SigningAlgorithm, typ: &str, claims: &T) -> Result<String> {
        let set = self.set();
        let key = set.active.get(&KeyKind::of(algorithm)).ok_or(Error::Sign(algorithm))?;
        let mut header = Header::new(jose(algorithm));
        header.typ = Some(typ.to_owned());
        header.kid = Some(key.kid.clone());
        let token = jsonwebtoken::encode(&header, claims, key.handle.encoding()).map_err(|_| Error::Sign(algorithm))?;
        self.0.signatures.fetch_add(1, Ordering::Relaxed);
        Ok(token)
    }

    /// Signatures made so far.
    pub fn signatures(&self) -> u64 {
        self.0.signatures.load(Ordering::Relaxed)
    }

    /// The published keys: the active ones first, then the next, then the retired.
    pub fn jwks(&self) -> Arc<Jwks> {
        Arc::clone(&self.set().jwks)
    }

    /// Verifies a token of ours and reads its claims.
    ///
    /// # Errors
    /// The first rule that the token breaks.
    pub fn verify<T: DeserializeOwned>(&self, token: &str, expect: &Expect<'_>) -> std::result::Result<T, TokenError> {
        let token = Unverified::parse(token, expect)?;
        let set = self.set();
        let found = set.published.iter().find(|key| Some(&key.kid) == token.kid.as_ref() && key.lives(expect.now));
        token.verify(&found.ok_or(TokenError::UnknownKey)?.key, expect)
    }

    fn set(&self) -> Arc<KeySet> {
        Arc::clone(&self.0.set.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, set: KeySet) {
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(set);
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = self.set();
        f.debug_list().entries(set.published.iter().map(|key| &key.kid)).finish()
    }
}

impl KeySet {
    fn build(rows: &[SigningKeyRow], seal: &DerivedKey, previous: Option<&Self>, now: Timestamp) -> Result<Self> {
        let mut rows: Vec<&SigningKeyRow> = rows.iter().collect();
        // Active before next before retired, RSA first: some relying parties take the first key they understand.
        rows.sort_by_key(|row| (publication_rank(row.state), row.alg.as_str() != "RS256", row.created_at));
        let mut published = Vec::with_capacity(rows.len());
        let mut active = HashMap::new();
        for row in rows {
            let key = Published::of_row(row)?;
            if key.lives(now) {
                published.push(Arc::new(key));
            }
            if row.state == KeyState::Active {
                let kind = KeyKind::of(row.alg);
                let kept = previous.and_then(|set| set.active.get(&kind)).filter(|key| key.kid == row.kid);
                let key = match kept {
                    Some(key) => Arc::clone(key),
                    None => Arc::new(Active::of_row(row, kind, seal)?),
                };
                active.insert(kind, key);
            }
        }
        Ok(Self::new(published, active))
    }

    fn new(published: Vec<Arc<Published>>, active: HashMap<KeyKind, Arc<Active>>) -> Self {
        let keys = JwkSet { keys: published.iter().map(|key| key.jwk.clone()).collect() };
        let body = serde_json::to_vec(&keys).unwrap_or_default();
        let etag = format!("\"{}\"", secret::base64url(&secret::sha256(&[&body])));
        Self { published, active, jwks: Arc::new(Jwks { body: body.into(), etag }) }
    }
}

impl Published {
    fn of_row(row: &SigningKeyRow) -> Result<Self> {
        let damaged = || Error::Damaged { kid: row.kid.clone() };
        let jwk: Jwk = serde_json::from_value(row.public_jwk.clone()).map_err(|_| damaged())?;
        let key = PublicKey::from_jwk(&jwk).filter(|key| key.accepts(row.alg)).ok_or_else(damaged)?;
        Ok(Self { kid: row.kid.clone(), jwk, key, expires_at: row.expires_at })
    }

    fn lives(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now)
    }
}

impl Active {
    fn of_row(row: &SigningKeyRow, kind: KeyKind, seal: &DerivedKey) -> Result<Self> {
        let pkcs8 =
            seal.open(row.kid.as_bytes(), &row.sealed).ok_or_else(|| Error::MasterKey { kid: row.kid.clone() })?;
        let key = PrivateKey::parse(kind, &pkcs8).ok_or_else(|| Error::Damaged { kid: row.kid.clone() })?;
        Ok(Self { kid: row.kid.clone(), handle: Handle::new(kind, key) })
    }
}

const fn publication_rank(state: KeyState) -> u8 {
    match state {
        KeyState::Active => 0,
        KeyState::Next => 1,
        KeyState::Retired => 2,
    }
}
