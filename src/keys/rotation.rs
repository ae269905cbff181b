//! When keys change: next → active → retired → gone.
//!
//! What to do is decided purely, from the rows and the time; then the database carries it out in one transaction,
//! which begins by moving the generation "keys". That row is the lock: of two replicas at it at once, the second sees
//! what the first has done. Keys are made before the transaction, because RSA takes its time.

use std::time::Duration;

use super::material::{KeyKind, NewKey};
use super::{Error, Result};
use crate::clock::Timestamp;
use crate::secret::{DerivedKey, MasterKey};
use crate::store::{KeyState, SigningKeyRow, Store, Tx};

/// Every replica has taken over a change by then. Until then one may serve the old key set or sign with the old key.
const REPLICAS_WITHIN: Duration = Duration::from_secs(5);

/// How long keys live in each state.
#[derive(Clone, Copy, Debug)]
pub struct KeyPolicy {
    /// The `max-age` with which the key set is served: a verifier may know it for this long.
    pub jwks_max_age: Duration,
    /// The longest lifetime of anything signed.
    pub longest_token: Duration,
    /// How long a key signs before `rotate_when_due` replaces it.
    pub rotate_after: Duration,
}

/// What a planned rotation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// It took place.
    Done(Changes),
    /// A verifier may still hold a key set without the next key.
    TooEarly {
        /// When it will be possible.
        ready_at: Timestamp,
    },
}

/// The keys that changed, by `kid`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// These sign from now on.
    pub activated: Vec<String>,
    /// These sign no more, and still verify.
    pub retired: Vec<String>,
    /// These were made, and published as the next.
    pub published: Vec<String>,
    /// These are gone: nothing they signed verifies.
    pub removed: Vec<String>,
}

/// The planned rotation: each next key becomes active, each active one retires until its last token has expired, a
/// new next key is published. Retired keys that have expired are removed.
///
/// # Errors
/// `Generate`, `Store`.
pub async fn rotate(store: &Store, master: &MasterKey, policy: KeyPolicy, now: Timestamp) -> Result<Rotation> {
    if let Err(ready_at) = plan(&store.begin_read().await?.keys_all().await?, policy, now) {
        return Ok(Rotation::TooEarly { ready_at });
    }
    let wanted = KeyKind::ALL.map(|kind| (kind, KeyState::Next));
    let made = make(&wanted, &sealing_key(master), policy, now).await?;
    let mut tx = store.begin().await?;
    tx.generation_bump("keys").await?;
    match plan(&tx.keys_all().await?, policy, now) {
        Err(ready_at) => Ok(Rotation::TooEarly { ready_at }),
        Ok(plan) => {
            let changes = plan.carry_out(&mut tx, made, now).await?;
            tx.commit().await?;
            Ok(Rotation::Done(changes))
        }
    }
}

/// The planned rotation if an active key has signed for `policy.rotate_after`; `None` if none has.
///
/// # Errors
/// As `rotate`.
pub async fn rotate_when_due(
    store: &Store,
    master: &MasterKey,
    policy: KeyPolicy,
    now: Timestamp,
) -> Result<Option<Rotation>> {
    let rows = store.begin_read().await?.keys_all().await?;
    let due = rows.iter().any(|row| row.state == KeyState::Active && row.activates_at + policy.rotate_after <= now);
    if due { rotate(store, master, policy, now).await.map(Some) } else { Ok(None) }
}

/// After a key has leaked: every key is removed at once, the next and the retired ones too because they were kept in
/// the same place, and new ones sign. Everything signed before stops verifying; relying parties that hold an old key
/// set fetch the new one when they meet an unknown `kid`. It needs no old key to be opened, so it also serves when the
/// master key is lost.
///
/// # Errors
/// `Generate`, `Store`.
pub async fn emergency_rotate(store: &Store, master: &MasterKey, policy: KeyPolicy, now: Timestamp) -> Result<Changes> {
    let made = make(&complete_set(), &sealing_key(master), policy, now).await?;
    let mut tx = store.begin().await?;
    tx.generation_bump("keys").await?;
    let mut changes = Changes::default();
    for row in tx.keys_all().await? {
        tx.key_delete(&row.kid).await?;
        changes.removed.push(row.kid);
    }
    for row in made {
        tx.key_insert(&row).await?;
        match row.state {
            KeyState::Active => changes.activated.push(row.kid),
            KeyState::Next | KeyState::Retired => changes.published.push(row.kid),
        }
    }
    tx.commit().await?;
    Ok(changes)
}

/// Makes the keys that are missing, and gives all there are.
pub(super) async fn fill(
    store: &Store,
    seal: &DerivedKey,
    policy: KeyPolicy,
    now: Timestamp,
) -> Result<Vec<SigningKeyRow>> {
    let rows = store.begin_read().await?.keys_all().await?;
    let wanted = missing(&rows);
    if wanted.is_empty() {
        return Ok(rows);
    }
    let made = make(&wanted, seal, policy, now).await?;
    let mut tx = store.begin().await?;
    tx.generation_bump("keys").await?;
    let still = missing(&tx.keys_all().await?);
    for row in made {
        // Another replica may have been first; then its keys are ours.
        if still.contains(&(KeyKind::of(row.alg), row.state)) {
            tx.key_insert(&row).await?;
        }
    }
    let rows = tx.keys_all().await?;
    tx.commit().await?;
    Ok(rows)
}

/// The key under which private keys are sealed.
pub(super) fn sealing_key(master: &MasterKey) -> DerivedKey {
    master.derive("signing-keys")
}

/// A new key as it is stored.
pub(super) fn new_row(
    kind: KeyKind,
    state: KeyState,
    seal: &DerivedKey,
    now: Timestamp,
    activates_at: Timestamp,
) -> Result<SigningKeyRow> {
    let NewKey { kid, public, pkcs8 } = NewKey::generate(kind)?;
    Ok(SigningKeyRow {
        alg: kind.algorithm(),
        state,
        public_jwk: serde_json::to_value(&public).map_err(|_| Error::Generate)?,
        sealed: seal.seal(kid.as_bytes(), &pkcs8),
        kid,
        created_at: now,
        activates_at,
        retired_at: None,
        expires_at: None,
    })
}

async fn make(
    wanted: &[(KeyKind, KeyState)],
    seal: &DerivedKey,
    policy: KeyPolicy,
    now: Timestamp,
) -> Result<Vec<SigningKeyRow>> {
    let (wanted, seal) = (wanted.to_vec(), seal.clone());
    let generate = move || {
        let row = |(kind, state)| {
            let activates_at = if state == KeyState::Next { ready_at(now, policy) } else { now };
            new_row(kind, state, &seal, now, activates_at)
        };
        wanted.into_iter().map(row).collect()
    };
    tokio::task::spawn_blocking(generate).await.map_err(|_| Error::Generate)?
}

/// When a key published at `published_at` is known to every verifier.
fn ready_at(published_at: Timestamp, policy: KeyPolicy) -> Timestamp {
    published_at + policy.jwks_max_age + REPLICAS_WITHIN
}

fn complete_set() -> Vec<(KeyKind, KeyState)> {
    KeyKind::ALL.into_iter().flat_map(|kind| [(kind, KeyState::Active), (kind, KeyState::Next)]).collect()
}

fn find(rows: &[SigningKeyRow], kind: KeyKind, state: KeyState) -> Option<&SigningKeyRow> {
    rows.iter().find(|row| row.state == state && KeyKind::of(row.alg) == kind)
}

fn missing(rows: &[SigningKeyRow]) -> Vec<(KeyKind, KeyState)> {
    complete_set().into_iter().filter(|(kind, state)| find(rows, *kind, *state).is_none()).collect()
}

/// What a planned rotation does.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) retire: Vec<String>,
    pub(super) activate: Vec<String>,
    pub(super) remove: Vec<String>,
    /// When the retired keys' last token has expired.
    pub(super) retired_until: Option<Timestamp>,
}

/// Decides the planned rotation, or says when it will be possible.
pub(super) fn plan(rows: &[SigningKeyRow], policy: KeyPolicy, now: Timestamp) -> std::result::Result<Plan, Timestamp> {
    let mut plan = Plan { retired_until: Some(now + policy.longest_token + REPLICAS_WITHIN), ..Plan::default() };
    for kind in KeyKind::ALL {
        let Some(next) = find(rows, kind, KeyState::Next) else { continue };
        // The policy of today and the one under which the key was published: the longer cache counts.
        let ready_at = next.activates_at.max(ready_at(next.created_at, policy));
        if ready_at > now {
            return Err(ready_at);
        }
        plan.retire.extend(find(rows, kind, KeyState::Active).map(|row| row.kid.clone()));
        plan.activate.push(next.kid.clone());
    }
    let expired = rows.iter().filter(|row| row.expires_at.is_some_and(|expires_at| expires_at <= now));
    plan.remove = expired.map(|row| row.kid.clone()).collect();
    Ok(plan)
}

impl Plan {
    /// In this order, because there is never more than one active and one next key of a kind.
    async fn carry_out(self, tx: &mut Tx, made: Vec<SigningKeyRow>, now: Timestamp) -> Result<Changes> {
        for kid in &self.remove {
            tx.key_delete(kid).await?;
        }
        for kid in &self.retire {
            tx.key_state_set(kid, KeyState::Retired, now, self.retired_until).await?;
        }
        for kid in &self.activate {
            tx.key_state_set(kid, KeyState::Active, now, None).await?;
        }
        let mut published = Vec::new();
        for row in made {
            if tx.key_insert(&row).await? {
                published.push(row.kid);
            }
        }
        Ok(Changes { activated: self.activate, retired: self.retire, published, removed: self.remove })
    }
}
