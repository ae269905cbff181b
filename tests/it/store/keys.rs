//! Signing keys: one next and one active per algorithm, whoever makes them.

use samesake::protocol::jwk::SigningAlgorithm;
use samesake::store::{Error, KeyState, SigningKeyRow};
use serde_json::json;

use super::samples::at;
use crate::harness::Env;
use crate::on_both;

fn key(kid: &str, alg: SigningAlgorithm, state: KeyState) -> SigningKeyRow {
    SigningKeyRow {
        kid: kid.to_owned(),
        alg,
        state,
        public_jwk: json!({"kty": "EC", "kid": kid}),
        sealed: vec![0, 1, 2, 255],
        created_at: at(0),
        activates_at: at(1),
        retired_at: None,
        expires_at: None,
    }
}

on_both! {
    async fn keys_read_back_as_written(env: &Env) {
        let store = env.store().await;
        let keys = [
            key("a", SigningAlgorithm::Es256, KeyState::Active),
            key("b", SigningAlgorithm::EdDsa, KeyState::Next),
            key("c", SigningAlgorithm::Rs256, KeyState::Retired),
        ];
        let mut tx = store.begin().await.unwrap();
        for key in &keys {
            assert!(tx.key_insert(key).await.unwrap());
        }
        tx.commit().await.unwrap();
        assert_eq!(store.begin_read().await.unwrap().keys_all().await.unwrap(), keys);
    }

    async fn an_algorithm_has_one_key_in_each_place(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        for (kid, alg, state, added) in [
            ("a", SigningAlgorithm::Es256, KeyState::Active, true),
            ("b", SigningAlgorithm::Es256, KeyState::Active, false),
            ("c", SigningAlgorithm::Es256, KeyState::Next, true),
            ("d", SigningAlgorithm::Es256, KeyState::Next, false),
            ("e", SigningAlgorithm::Rs256, KeyState::Active, true),
            ("f", SigningAlgorithm::Es256, KeyState::Retired, true),
            ("g", SigningAlgorithm::Es256, KeyState::Retired, true),
            ("a", SigningAlgorithm::EdDsa, KeyState::Active, false),
        ] {
            assert_eq!(tx.key_insert(&key(kid, alg, state)).await.unwrap(), added, "{kid}");
        }
        let generations = tx.generations().await.unwrap();
        assert!(generations.contains(&("keys".to_owned(), 5)), "{generations:?}");
    }

    async fn a_rotation_retires_before_it_activates(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        tx.key_insert(&key("old", SigningAlgorithm::Es256, KeyState::Active)).await.unwrap();
        tx.key_insert(&key("new", SigningAlgorithm::Es256, KeyState::Next)).await.unwrap();
        tx.key_state_set("old", KeyState::Retired, at(5), Some(at(50))).await.unwrap();
        tx.key_state_set("new", KeyState::Active, at(5), None).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin().await.unwrap();
        let new = SigningKeyRow { activates_at: at(5), ..key("new", SigningAlgorithm::Es256, KeyState::Active) };
        let old = SigningKeyRow {
            retired_at: Some(at(5)),
            expires_at: Some(at(50)),
            ..key("old", SigningAlgorithm::Es256, KeyState::Retired)
        };
        assert_eq!(tx.keys_all().await.unwrap(), [new.clone(), old]);
        tx.key_delete("old").await.unwrap();
        assert_eq!(tx.keys_all().await.unwrap(), [new]);
        tx.key_insert(&key("third", SigningAlgorithm::Es256, KeyState::Next)).await.unwrap();
        let refused = tx.key_state_set("third", KeyState::Active, at(6), None).await;
        assert!(matches!(refused, Err(Error::Unique)), "{refused:?}");
    }
}
