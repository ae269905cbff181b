//! The life of keys in a database (spec/protocol.md rule 25).

use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;
use crate::clock;
use crate::keys::{Error, Rotation, emergency_rotate, rotate, rotate_when_due, verify_with_jwks};
use crate::protocol::jwk::SigningAlgorithm::{EdDsa, Es256, Rs256};
use crate::store::Store;

/// A migrated SQLite file, removed with this.
struct Database {
    store: Store,
    path: PathBuf,
}

impl Database {
    async fn new() -> Self {
        let path = std::env::temp_dir().join(format!("samesake-keys-{}", base64url(&clock::random::<9>())));
        std::fs::create_dir(&path).unwrap();
        let store = Store::connect(&format!("sqlite://{}", path.join("keys.db").display())).await.unwrap();
        store.migrate().await.unwrap();
        Self { store, path }
    }

    async fn rows(&self) -> Vec<SigningKeyRow> {
        self.store.begin_read().await.unwrap().keys_all().await.unwrap()
    }

    async fn generation(&self) -> i64 {
        let all = self.store.begin_read().await.unwrap().generations().await.unwrap();
        all.into_iter().find(|(name, _)| name == "keys").unwrap().1
    }

    async fn kids(&self, state: KeyState) -> Vec<String> {
        let rows = self.rows().await.into_iter().filter(|row| row.state == state);
        let mut kids: Vec<String> = rows.map(|row| row.kid).collect();
        kids.sort();
        kids
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.path).ok();
    }
}

async fn loaded(database: &Database, master: &MasterKey, now: Timestamp) -> KeyRing {
    KeyRing::load_or_create(&database.store, master, POLICY, now).await.unwrap()
}

fn published(ring: &KeyRing) -> Vec<String> {
    let jwks: Value = serde_json::from_slice(&ring.jwks().body).unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signed(ring: &KeyRing, algorithm: SigningAlgorithm, now: Timestamp, lifetime: Duration) -> String {
    let claims = json!({"iss": ISSUER, "aud": "shop", "iat": now.seconds(), "exp": (now + lifetime).seconds()});
    ring.sign(algorithm, "JWT", &claims).unwrap()
}

fn at(now: Timestamp) -> Expect<'static> {
    Expect { now, ..expect() }
}

#[tokio::test]
async fn the_first_start_makes_active_and_next_keys_and_the_second_finds_them() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let first = loaded(&database, &master, NOW).await;
    assert_eq!(database.kids(KeyState::Active).await.len(), 3);
    assert_eq!(database.kids(KeyState::Next).await.len(), 3);
    assert_eq!(published(&first).len(), 6);
    let generation = database.generation().await;
    let second = loaded(&database, &master, NOW + MINUTE).await;
    assert_eq!(first.jwks(), second.jwks());
    assert_eq!(database.generation().await, generation);
    let token = signed(&first, Es256, NOW, HOUR);
    assert!(second.verify::<Value>(&token, &at(NOW)).is_ok());
}

#[tokio::test]
async fn private_keys_are_sealed_at_rest() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    loaded(&database, &master, NOW).await;
    for row in database.rows().await {
        let pkcs8 = sealing_key(&master).open(row.kid.as_bytes(), &row.sealed).unwrap();
        let middle = &pkcs8[pkcs8.len() / 2..][..16];
        assert!(!row.sealed.windows(16).any(|window| window == middle));
        assert!(sealing_key(&master).open(b"another kid", &row.sealed).is_none());
    }
}

#[tokio::test]
async fn another_master_key_is_named_as_the_problem() {
    let database = Database::new().await;
    loaded(&database, &MasterKey::generate(), NOW).await;
    let error = KeyRing::load_or_create(&database.store, &MasterKey::generate(), POLICY, NOW).await.unwrap_err();
    assert!(matches!(error, Error::MasterKey { .. }));
    assert!(error.to_string().contains("master key"), "{error}");
}

#[tokio::test]
async fn a_next_key_signs_only_after_every_cache_has_it() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    loaded(&database, &master, NOW).await;
    let (next, generation) = (database.kids(KeyState::Next).await, database.generation().await);
    let Rotation::TooEarly { ready_at } = rotate(&database.store, &master, POLICY, NOW + MINUTE).await.unwrap() else {
        panic!("rotated a key that caches do not have yet");
    };
    assert!(ready_at >= NOW + POLICY.jwks_max_age);
    assert_eq!(database.generation().await, generation);
    let done = rotate(&database.store, &master, POLICY, ready_at).await.unwrap();
    let Rotation::Done(mut changes) = done else { panic!("did not rotate at the time it gave itself") };
    changes.activated.sort();
    assert_eq!(changes.activated, next);
    assert_eq!(database.kids(KeyState::Active).await, next);
    assert_eq!((changes.retired.len(), changes.published.len(), changes.removed.len()), (3, 3, 0));
    assert!(database.generation().await > generation);
    // The one just published is not ready either.
    let again = rotate(&database.store, &master, POLICY, ready_at + MINUTE).await.unwrap();
    assert!(matches!(again, Rotation::TooEarly { .. }));
}

#[tokio::test]
async fn a_longer_cache_under_the_present_policy_counts() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    loaded(&database, &master, NOW).await;
    let longer = KeyPolicy { jwks_max_age: HOUR * 24, ..POLICY };
    let outcome = rotate(&database.store, &master, longer, NOW + HOUR * 2).await.unwrap();
    assert!(matches!(outcome, Rotation::TooEarly { ready_at } if ready_at >= NOW + HOUR * 24));
    let shorter = KeyPolicy { jwks_max_age: MINUTE, ..POLICY };
    let outcome = rotate(&database.store, &master, shorter, NOW + MINUTE * 2).await.unwrap();
    assert!(matches!(outcome, Rotation::TooEarly { ready_at } if ready_at >= NOW + HOUR));
}

/// Steps through days of rotations. A verifier refetches only when its copy is as old as it may be, and never on an
/// unknown `kid`; a replica takes over changes seconds late. Every token verifies until it expires.
#[tokio::test]
async fn no_planned_rotation_breaks_a_verifier_with_an_old_key_set() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let replica = loaded(&database, &master, NOW).await;
    let late_replica = loaded(&database, &master, NOW).await;
    let mut cached = (NOW, String::from_utf8(replica.jwks().body.to_vec()).unwrap());
    let mut tokens: Vec<(Timestamp, String)> = Vec::new();
    let mut rotations = 0;
    let step = MINUTE * 13;
    let mut now = NOW;
    while rotations < 4 {
        now = now + step;
        let lifetime = POLICY.longest_token;
        // The late replica still has the old keys when the other one rotates and signs.
        if let Rotation::Done(_) = rotate(&database.store, &master, POLICY, now).await.unwrap() {
            rotations += 1;
            let late = now + Duration::from_secs(1);
            tokens.push((late + lifetime, signed(&late_replica, Rs256, late, lifetime)));
        }
        replica.reload(&database.store, now).await.unwrap();
        tokens.push((now + lifetime, signed(&replica, EdDsa, now, lifetime)));
        if now.since(cached.0) > POLICY.jwks_max_age {
            // Fetched from the replica that does not know of this minute's rotation yet.
            cached = (now, String::from_utf8(late_replica.jwks().body.to_vec()).unwrap());
        }
        late_replica.reload(&database.store, now).await.unwrap();
        for algorithm in [Rs256, Es256, EdDsa] {
            let fresh = signed(&replica, algorithm, now, MINUTE);
            assert!(verify_with_jwks::<Value>(&cached.1, &fresh, &at(now)).is_ok());
        }
        tokens.retain(|(expires_at, _)| *expires_at > now + Duration::from_secs(2));
        for (_, token) in &tokens {
            let later = at(now + Duration::from_secs(1));
            assert!(replica.verify::<Value>(token, &later).is_ok());
            let document = replica.jwks();
            assert!(verify_with_jwks::<Value>(std::str::from_utf8(&document.body).unwrap(), token, &later).is_ok());
        }
    }
    assert!(database.kids(KeyState::Retired).await.len() <= 3 * 4);
}

#[tokio::test]
async fn a_retired_key_goes_when_its_last_token_has_expired() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let ring = loaded(&database, &master, NOW).await;
    let old = database.kids(KeyState::Active).await;
    let rotated_at = NOW + HOUR * 2;
    rotate(&database.store, &master, POLICY, rotated_at).await.unwrap();
    ring.reload(&database.store, rotated_at).await.unwrap();
    assert_eq!(published(&ring).len(), 9);
    let before = ring.jwks();
    ring.drop_expired(rotated_at + POLICY.longest_token);
    assert_eq!(ring.jwks(), before);
    ring.drop_expired(rotated_at + POLICY.longest_token + MINUTE);
    assert_eq!(published(&ring).len(), 6);
    assert!(published(&ring).iter().all(|kid| !old.contains(kid)));
    assert_ne!(ring.jwks().etag, before.etag);
    let later = rotated_at + POLICY.longest_token + MINUTE;
    let Rotation::Done(mut changes) = rotate(&database.store, &master, POLICY, later).await.unwrap() else {
        panic!("too early");
    };
    changes.removed.sort();
    assert_eq!(changes.removed, old);
}

#[tokio::test]
async fn a_retired_key_verifies_nothing_after_its_time_even_if_still_held() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let ring = loaded(&database, &master, NOW).await;
    let token = signed(&ring, Es256, NOW, HOUR * 1000);
    rotate(&database.store, &master, POLICY, NOW + HOUR * 2).await.unwrap();
    ring.reload(&database.store, NOW + HOUR * 2).await.unwrap();
    assert!(ring.verify::<Value>(&token, &at(NOW + HOUR * 5)).is_ok());
    assert_eq!(ring.verify::<Value>(&token, &at(NOW + HOUR * 7)), Err(TokenError::UnknownKey));
}

#[tokio::test]
async fn an_emergency_removes_every_key_at_once() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let ring = loaded(&database, &master, NOW).await;
    let token = signed(&ring, Rs256, NOW, HOUR);
    let (old, generation) = (published(&ring), database.generation().await);
    let changes = emergency_rotate(&database.store, &master, POLICY, NOW + MINUTE).await.unwrap();
    assert_eq!((changes.removed.len(), changes.activated.len(), changes.published.len()), (6, 3, 3));
    assert!(database.generation().await > generation);
    ring.reload(&database.store, NOW + MINUTE).await.unwrap();
    assert!(published(&ring).iter().all(|kid| !old.contains(kid)));
    assert_eq!(ring.verify::<Value>(&token, &at(NOW + MINUTE)), Err(TokenError::UnknownKey));
    let token = signed(&ring, Rs256, NOW, HOUR);
    assert!(ring.verify::<Value>(&token, &at(NOW + MINUTE)).is_ok());
}

#[tokio::test]
async fn an_emergency_rotation_recovers_from_a_lost_master_key() {
    let database = Database::new().await;
    loaded(&database, &MasterKey::generate(), NOW).await;
    let master = MasterKey::generate();
    emergency_rotate(&database.store, &master, POLICY, NOW).await.unwrap();
    loaded(&database, &master, NOW).await;
}

#[tokio::test]
async fn keys_rotate_by_themselves_when_they_have_signed_long_enough() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    loaded(&database, &master, NOW).await;
    let due = NOW + POLICY.rotate_after;
    assert_eq!(rotate_when_due(&database.store, &master, POLICY, due - MINUTE).await.unwrap(), None);
    let outcome = rotate_when_due(&database.store, &master, POLICY, due).await.unwrap();
    assert!(matches!(outcome, Some(Rotation::Done(_))));
    assert_eq!(rotate_when_due(&database.store, &master, POLICY, due + HOUR * 2).await.unwrap(), None);
}

#[tokio::test]
async fn a_reload_that_fails_changes_nothing() {
    let (database, master) = (Database::new().await, MasterKey::generate());
    let ring = loaded(&database, &master, NOW).await;
    let before = ring.jwks();
    let mut rows = database.rows().await;
    rows[0].public_jwk = json!({"kty": "none"});
    assert!(matches!(ring.take_over(&rows, NOW), Err(Error::Damaged { .. })));
    assert_eq!(ring.jwks(), before);
    assert!(ring.verify::<Value>(&signed(&ring, Rs256, NOW, HOUR), &at(NOW)).is_ok());
}
