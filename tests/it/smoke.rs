//! The harness itself: each test has back ends of its own.

use std::time::Duration;

use crate::harness::Env;
use crate::on_both;

on_both! {
    /// Two tests never meet, in the database or in the key-value store, and both find it migrated.
    async fn each_test_has_its_own_back_ends(env: &Env) {
        let other = Env::new(env.pair);
        assert_ne!(env.database_url().await, other.database_url().await);
        for env in [env, &other] {
            assert!(!env.store().await.migrations_pending().await.unwrap());
            let taken = env.kv().await.set_new("key", b"value".to_vec(), Duration::from_secs(60)).await.unwrap();
            assert!(taken, "another test has been here");
            assert!(env.kv().await.get("key").await.unwrap().is_some(), "the test sees its own keys");
        }
        other.close().await;
    }
}
