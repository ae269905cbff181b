//! Idempotency keys: claimed once, answered for, and forgotten after their time.

use serde_json::json;

use super::samples::at;
use crate::harness::Env;
use crate::on_both;

on_both! {
    async fn a_key_is_claimed_once_by_each_actor(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.idempotency_claim("ann", "k", b"hash", at(0)).await.unwrap());
        assert!(!tx.idempotency_claim("ann", "k", b"other", at(1)).await.unwrap());
        assert!(tx.idempotency_claim("ben", "k", b"other", at(1)).await.unwrap());
        tx.idempotency_settle("ann", "k", &json!({ "a": 1 })).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        let known = tx.idempotency_find("ann", "k").await.unwrap().unwrap();
        assert_eq!((known.request_hash.as_slice(), known.answer), (b"hash".as_slice(), Some(json!({ "a": 1 }))));
        assert_eq!(tx.idempotency_find("ben", "k").await.unwrap().unwrap().answer, None);
        assert_eq!(tx.idempotency_find("ben", "x").await.unwrap(), None);
    }

    async fn a_claim_that_is_not_committed_is_none(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        assert!(tx.idempotency_claim("ann", "k", b"hash", at(0)).await.unwrap());
        drop(tx);
        assert!(store.begin().await.unwrap().idempotency_claim("ann", "k", b"other", at(0)).await.unwrap());
    }

    async fn old_keys_are_forgotten_in_batches(env: &Env) {
        let store = env.store().await;
        let mut tx = store.begin().await.unwrap();
        for (number, age) in [0, 1, 2, 10].into_iter().enumerate() {
            assert!(tx.idempotency_claim("ann", &number.to_string(), b"hash", at(age)).await.unwrap());
        }
        assert_eq!(tx.idempotency_purge(at(10), 2).await.unwrap(), 2);
        assert_eq!(tx.idempotency_purge(at(10), 2).await.unwrap(), 1);
        assert_eq!(tx.idempotency_purge(at(10), 2).await.unwrap(), 0);
        assert!(tx.idempotency_find("ann", "3").await.unwrap().is_some());
    }
}
