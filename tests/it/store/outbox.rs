//! The outbox: events in order, each number of a root used once.

use samesake::store::{Change, Error, OutboxRow};

use super::samples::{event, stored_customer};
use crate::harness::Env;
use crate::on_both;

/// An event as read, but for the position that the database gave it.
fn placeless(row: OutboxRow) -> OutboxRow {
    OutboxRow { position: 0, ..row }
}

on_both! {
    async fn events_come_back_in_order(env: &Env) {
        let store = env.store().await;
        let (first, second) = (stored_customer(&store).await, stored_customer(&store).await);
        let events = [event(first, 1), event(second, 1), event(first, 2)];
        let mut tx = store.begin().await.unwrap();
        for event in &events {
            tx.outbox_append(event).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        let all = tx.outbox_after(0, 10).await.unwrap();
        let positions: Vec<i64> = all.iter().map(|row| row.position).collect();
        assert!(positions.is_sorted_by(|one, next| one < next), "{positions:?}");
        assert_eq!(all.into_iter().map(placeless).collect::<Vec<_>>(), events);
        let page = tx.outbox_after(*positions.first().unwrap(), 1).await.unwrap();
        assert_eq!(page.into_iter().map(placeless).collect::<Vec<_>>(), events.get(1..2).unwrap());
        assert_eq!(tx.outbox_after(*positions.last().unwrap(), 10).await.unwrap(), []);
    }

    async fn whoever_follows_sees_to_whom_something_happened(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        assert_eq!(tx.outbox_end().await.unwrap(), 0);
        for number in 1..=3 {
            tx.outbox_append(&event(root, number)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let mut tx = store.begin_read().await.unwrap();
        let all = tx.outbox_after(0, 10).await.unwrap();
        let seen = |row: &OutboxRow| Change { root, position: row.position, created_at: row.created_at };
        let changes: Vec<Change> = all.iter().map(seen).collect();
        assert_eq!(tx.outbox_changes(0, 10).await.unwrap(), changes);
        assert_eq!(tx.outbox_changes(changes[0].position, 1).await.unwrap(), changes[1..2]);
        assert_eq!(tx.outbox_end().await.unwrap(), changes[2].position);
    }

    /// Identity rule 45.
    async fn a_number_of_a_root_is_used_once(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        let mut tx = store.begin().await.unwrap();
        tx.outbox_append(&event(root, 1)).await.unwrap();
        assert!(matches!(tx.outbox_append(&event(root, 1)).await, Err(Error::Unique)));
    }

    async fn an_event_id_is_used_once(env: &Env) {
        let store = env.store().await;
        let root = stored_customer(&store).await;
        let first = event(root, 1);
        let mut tx = store.begin().await.unwrap();
        tx.outbox_append(&first).await.unwrap();
        assert!(matches!(tx.outbox_append(&OutboxRow { root_seq: 2, ..first }).await, Err(Error::Unique)));
    }
}
