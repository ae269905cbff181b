//! Replicas that share a database share its signing keys, whoever makes or rotates them (spec/protocol.md rule 25).

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use samesake::clock::Timestamp;
use samesake::keys::{KeyPolicy, KeyRing, Rotation, emergency_rotate, rotate};
use samesake::secret::MasterKey;
use samesake::store::{KeyState, Store};

use crate::harness::Env;
use crate::on_both;

const HOUR: Duration = Duration::from_secs(3600);
const POLICY: KeyPolicy =
    KeyPolicy { jwks_max_age: HOUR, longest_token: HOUR, rotate_after: Duration::from_secs(86_400) };
const REPLICAS: usize = 4;

async fn kids(store: &Store, state: KeyState) -> BTreeSet<String> {
    let rows = store.begin_read().await.unwrap().keys_all().await.unwrap();
    rows.into_iter().filter(|row| row.state == state).map(|row| row.kid).collect()
}

async fn started(store: &Store, master: &MasterKey, now: Timestamp) -> Vec<KeyRing> {
    let starts = (0..REPLICAS).map(|_| {
        let (store, master) = (store.clone(), master.clone());
        tokio::spawn(async move { KeyRing::load_or_create(&store, &master, POLICY, now).await.unwrap() })
    });
    join_all(starts).await.into_iter().map(Result::unwrap).collect()
}

on_both! {
    async fn replicas_that_start_at_once_end_with_one_set_of_keys(env: &Env) {
        let (store, now) = (env.store().await, env.clock.now());
        let rings = started(&store, &MasterKey::generate(), now).await;
        for ring in &rings {
            assert_eq!(ring.jwks(), rings[0].jwks());
        }
        assert_eq!(kids(&store, KeyState::Active).await.len(), 3);
        assert_eq!(kids(&store, KeyState::Next).await.len(), 3);
    }

    async fn replicas_that_rotate_at_once_rotate_once(env: &Env) {
        let (store, now, master) = (env.store().await, env.clock.now(), MasterKey::generate());
        KeyRing::load_or_create(&store, &master, POLICY, now).await.unwrap();
        let (active, next) = (kids(&store, KeyState::Active).await, kids(&store, KeyState::Next).await);
        let later = now + HOUR * 2;
        let rotations = (0..REPLICAS).map(|_| {
            let (store, master) = (store.clone(), master.clone());
            tokio::spawn(async move { rotate(&store, &master, POLICY, later).await.unwrap() })
        });
        let outcomes = join_all(rotations).await.into_iter().map(Result::unwrap);
        assert_eq!(outcomes.filter(|outcome| matches!(outcome, Rotation::Done(_))).count(), 1);
        assert_eq!(kids(&store, KeyState::Retired).await, active);
        assert_eq!(kids(&store, KeyState::Active).await, next);
        assert_eq!(kids(&store, KeyState::Next).await.len(), 3);
    }

    async fn an_emergency_leaves_none_of_the_old_keys(env: &Env) {
        let (store, now, master) = (env.store().await, env.clock.now(), MasterKey::generate());
        let ring = KeyRing::load_or_create(&store, &master, POLICY, now).await.unwrap();
        let before = ring.jwks();
        let old = kids(&store, KeyState::Active).await;
        emergency_rotate(&store, &master, POLICY, now).await.unwrap();
        ring.reload(&store, now).await.unwrap();
        assert_ne!(ring.jwks(), before);
        assert!(kids(&store, KeyState::Active).await.is_disjoint(&old));
    }
}
