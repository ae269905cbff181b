//! Customers: every ID ever issued answers, with the customer it means today.

use samesake::store::{CustomerState, Error};
use serde_json::json;

use super::samples::{at, customer, merge, refused, stored_customer};
use crate::harness::Env;
use crate::on_both;

on_both! {
    /// What is read is what was written, to the microsecond and the last digit.
    async fn a_customer_reads_back_as_written(env: &Env) {
        let store = env.store().await;
        let mut written = customer();
        written.profile = json!({"name": "Ada \u{1F469}", "nested": {"list": [1, null, true, "x"]}});
        written.created_at = samesake::clock::Timestamp::from_micros(1_795_000_000_123_457);
        let mut tx = store.begin().await.unwrap();
        tx.customer_insert(&written).await.unwrap();
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        assert_eq!(tx.customer_find(written.id).await.unwrap(), Some(written.clone()));
        assert_eq!(tx.customer_living(written.id).await.unwrap(), Some(written));
        assert_eq!(tx.customer_find(customer().id).await.unwrap(), None);
        assert_eq!(tx.customer_living(customer().id).await.unwrap(), None);
    }

    async fn a_customer_id_is_never_issued_twice(env: &Env) {
        let store = env.store().await;
        let customer = customer();
        let mut tx = store.begin().await.unwrap();
        tx.customer_insert(&customer).await.unwrap();
        assert!(matches!(tx.customer_insert(&customer).await, Err(Error::Unique)));
    }

    /// Identity rule 24; and rule 22: one hop, whatever the length of the chain of merges.
    async fn a_retired_id_finds_the_living_customer(env: &Env) {
        let store = env.store().await;
        let first = stored_customer(&store).await;
        let mut survivor = first;
        for _ in 0..3 {
            let next = stored_customer(&store).await;
            merge(env, next, survivor).await;
            survivor = next;
        }
        let mut tx = store.begin_read().await.unwrap();
        let living = tx.customer_living(first).await.unwrap().unwrap();
        assert_eq!((living.id, living.state), (survivor, CustomerState::Active));
        let own = tx.customer_find(first).await.unwrap().unwrap();
        assert_eq!((own.id, own.canonical, own.state), (first, survivor, CustomerState::Merged));
    }

    async fn profile_and_state_change_on_a_root_only(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin().await.unwrap();
        for id in [survivor, absorbed] {
            tx.customer_profile_set(id, &json!({"name": "Grace"}), at(5)).await.unwrap();
            tx.customer_state_set(id, CustomerState::Blocked, at(6)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        let changed = tx.customer_find(survivor).await.unwrap().unwrap();
        assert_eq!(changed.profile, json!({"name": "Grace"}));
        assert_eq!((changed.state, changed.updated_at), (CustomerState::Blocked, at(6)));
        let kept = tx.customer_find(absorbed).await.unwrap().unwrap();
        assert_eq!(kept.profile, json!({"name": "Ada"}));
        assert_eq!((kept.state, kept.updated_at), (CustomerState::Merged, at(0)));
    }

    /// Identity rule 45: the numbers of a root's events have no gaps.
    async fn event_numbers_are_taken_in_order(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.customer_advance(root, 1, at(1)).await.unwrap(), Some(1));
        assert_eq!(tx.customer_advance(root, 3, at(2)).await.unwrap(), Some(4));
        assert_eq!(tx.customer_advance(customer().id, 1, at(2)).await.unwrap(), None);
        tx.commit().await.unwrap();
        let mut rolled_back = store.begin().await.unwrap();
        assert_eq!(rolled_back.customer_advance(root, 1, at(3)).await.unwrap(), Some(5));
        drop(rolled_back);
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.customer_advance(root, 1, at(4)).await.unwrap(), Some(5));
        tx.commit().await.unwrap();
        let row = store.begin_read().await.unwrap().customer_find(root).await.unwrap().unwrap();
        assert_eq!((row.version, row.event_seq, row.updated_at), (6, 5, at(4)));
    }

    async fn an_absorbed_customer_takes_no_event_numbers(env: &Env) {
        let store = env.store().await;
        let (survivor, absorbed) = (stored_customer(&store).await, stored_customer(&store).await);
        merge(env, survivor, absorbed).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.customer_advance(absorbed, 1, at(1)).await.unwrap(), None);
    }

    /// Identity rule 44, as far as a single row can hold it.
    async fn the_table_refuses_a_merged_root_and_an_unmerged_pointer(env: &Env) {
        let store = env.store().await;
        stored_customer(&store).await;
        assert!(refused(env, "UPDATE customers SET state = 'merged'").await);
        assert!(refused(env, "UPDATE customers SET state = 'happy'").await);
    }
}
