//! Several replicas and one receiver: it is told by one of them at a time, and by another when that one dies.

use std::time::Duration;

use samesake::clock::uuid_v7;
use samesake::store::WebhookProgress;

use super::receiver::Receiver;
use super::{customer, happen, internal, relay, state, whats};
use crate::harness::{Env, until};
use crate::on_both;

on_both! {
    /// The stand-in fails the test if something comes while it is busy with it.
    async fn two_replicas_never_deliver_the_same_at_once(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let one = relay(env, vec![internal("crm", &receiver)]).await;
        let other = relay(env, vec![internal("crm", &receiver)]).await;
        let ann = customer(&store, &env.clock).await;
        for number in 0..30 {
            happen(&store, &env.clock, ann, &number.to_string()).await;
        }
        loop {
            let (one, other) = tokio::join!(one.run_once(), other.run_once());
            if one.unwrap() + other.unwrap() == 0 {
                break;
            }
        }
        let expected: Vec<String> = (0..30).map(|number| number.to_string()).collect();
        assert_eq!(whats(&receiver), expected, "each once, in order");
    }

    async fn the_lease_of_one_who_died_ends(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        customer(&store, &env.clock).await;
        let (now, lease) = (env.clock.now(), Duration::from_secs(60));
        let mut tx = store.begin().await.unwrap();
        tx.outbox_number(10).await.unwrap();
        assert!(tx.webhook_lease("crm", uuid_v7(now), now, now + lease).await.unwrap().is_some());
        tx.commit().await.unwrap();
        // That one is never heard of again.
        env.clock.advance(lease - Duration::from_secs(1));
        assert_eq!(relay.run_once().await.unwrap(), 0);
        assert!(receiver.received().is_empty());
        env.clock.advance(Duration::from_secs(1));
        assert_eq!(relay.run_once().await.unwrap(), 1);
    }

    /// Somebody who was held up so long that another took over writes nothing any more.
    async fn a_lost_lease_writes_nothing(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let ann = customer(&store, &env.clock).await;
        relay.run_once().await.unwrap();
        let gate = receiver.close_gate(None);
        happen(&store, &env.clock, ann, "one").await;
        let late = relay.clone();
        let late = tokio::spawn(async move { late.run_once().await.unwrap() });
        until("the delivery to be under way", async || receiver.busy() == 1).await;
        // While it waits for its answer, its lease ends and another one takes the receiver and goes beyond.
        env.clock.advance(Duration::from_secs(3600));
        let (now, holder) = (env.clock.now(), uuid_v7(env.clock.now()));
        let mut tx = store.begin().await.unwrap();
        tx.webhook_lease("crm", holder, now, now + Duration::from_secs(5)).await.unwrap().unwrap();
        let progress = WebhookProgress {
            cursor: 2,
            attempts: 0,
            refusals: 0,
            aside_in_row: 0,
            failing_since: None,
            next_attempt_at: now,
            last_error: None,
            stopped_at: None,
            lease_until: now,
            delivered: 1,
            delivered_at: Some(now),
        };
        assert_eq!(tx.webhook_save("crm", holder, &progress).await.unwrap(), Some(2));
        tx.commit().await.unwrap();
        gate.send(true).unwrap();
        late.await.unwrap();
        let stands = state(&store, "crm").await;
        assert_eq!((stands.cursor, stands.delivered, stands.delivered_at), (2, 2, Some(now)));
    }

    /// A delivery that could outlast the lease is not begun.
    async fn no_delivery_begins_that_another_could_repeat_at_once(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let ann = customer(&store, &env.clock).await;
        relay.run_once().await.unwrap();
        let gate = receiver.close_gate(None);
        for what in ["one", "two"] {
            happen(&store, &env.clock, ann, what).await;
        }
        let slow = relay.clone();
        let slow = tokio::spawn(async move { slow.run_once().await.unwrap() });
        until("the first to be under way", async || receiver.busy() == 1).await;
        // Nearly over: the second waits until the lease was renewed.
        env.clock.advance(Duration::from_millis(5500));
        gate.send(true).unwrap();
        assert_eq!(slow.await.unwrap(), 2);
        assert_eq!(whats(&receiver), ["one", "two"]);
    }
}
