//! The order in which events arrive (spec/handoff.md rules 16 and 19, spec/identity.md rule 31).

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use samesake::clock::Clock;
use samesake::events::redelivery::Redelivered;
use samesake::events::{self, Actor, Event, relay};
use samesake::ids::{CustomerId, EventId};
use samesake::store::{DeadLetter, OutboxRow, Store};
use serde_json::{Value, json};

use super::receiver::{Delivery, Receiver, Reply};
use super::{customer, happen, internal, relay, start, webhook, whats};
use crate::harness::{Env, TestApp, until};
use crate::identity::races::Dice;
use crate::{on_both, on_servers};

/// An event with any payload, as one that joins customers.
pub async fn happen_as(store: &Store, clock: &Clock, root: CustomerId, event_type: &str, payload: Value) {
    let now = clock.now();
    let mut tx = store.begin().await.unwrap();
    let root_seq = tx.customer_advance(root, 1, now).await.unwrap().unwrap();
    let event = OutboxRow {
        id: EventId::new(now),
        aggregatetype: "customer".to_owned(),
        aggregateid: root.to_string(),
        event_type: event_type.to_owned(),
        payload,
        root,
        root_seq,
        position: 0,
        created_at: now,
    };
    tx.outbox_append(&event).await.unwrap();
    tx.commit().await.unwrap();
}

/// Fails unless the first arrivals of each customer's events are without gap and in order.
pub fn assert_in_order(deliveries: &[Delivery]) -> BTreeMap<String, i64> {
    let mut last: BTreeMap<String, i64> = BTreeMap::new();
    let mut seen = HashSet::new();
    for delivery in deliveries.iter().filter(|delivery| seen.insert(delivery.id.clone())) {
        let (customer, number) = delivery.place();
        let before = last.insert(customer.clone(), number).unwrap_or_default();
        assert_eq!(number, before + 1, "of customer {customer}");
    }
    last
}

on_servers! {
    /// A position is given at insertion: what commits later may stand before what has been delivered.
    async fn what_is_committed_late_is_not_skipped(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let (ann, bob) = (customer(&store, &env.clock).await, customer(&store, &env.clock).await);
        let now = env.clock.now();
        let mut slow = store.begin().await.unwrap();
        let event = Event::ConflictOpened { kind: "first, committed last".to_owned() };
        events::record(&mut slow, ann, Actor::System, event, now).await.unwrap();
        happen(&store, &env.clock, bob, "second, committed first").await;
        relay.run_once().await.unwrap();
        assert_eq!(whats(&receiver), ["second, committed first"]);
        slow.commit().await.unwrap();
        happen(&store, &env.clock, bob, "third").await;
        relay.run_once().await.unwrap();
        // The two are of different customers, so either may arrive first; their numbers are as they were committed.
        let mut told = receiver.taken();
        told.sort_by_key(Delivery::sequence);
        let told: Vec<&str> = told.iter().filter_map(|delivery| delivery.body["data"]["kind"].as_str()).collect();
        assert_eq!(told, ["second, committed first", "first, committed last", "third"]);
        let mut tx = store.begin_read().await.unwrap();
        let placed = tx.outbox_after(0, 10).await.unwrap();
        let sequence = tx.outbox_sequenced(0, "", 10).await.unwrap();
        let positions = |what: &str| placed.iter().find(|row| row.payload["kind"] == what).unwrap().position;
        assert!(positions("first, committed last") < positions("second, committed first"), "or it shows nothing");
        assert_eq!(sequence.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4, 5], "without gaps");
    }

    /// Many writers at two replicas, both of which deliver, to a receiver that is not always there.
    async fn events_of_one_customer_arrive_in_order_from_two_replicas(env: &Env) {
        const CUSTOMERS: usize = 12;
        const EVENTS: usize = 20;
        let receiver = Receiver::start().await;
        let one = start(TestApp::builder(env).configure(webhook("crm", &receiver, json!({"internal": true})))).await;
        let other = one.replica(env).await;
        let stores = [one.store.background(), other.store.background()];
        let mut customers = Vec::new();
        for _ in 0..CUSTOMERS {
            customers.push(customer(&stores[0], &env.clock).await);
        }
        // Every fortieth delivery fails.
        let (count, failures) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let failed = Arc::clone(&failures);
        receiver.answer(move |_| {
            let fails = count.fetch_add(1, Ordering::SeqCst) % 40 == 39;
            failed.fetch_add(usize::from(fails), Ordering::SeqCst);
            Reply::Status(if fails { 503 } else { 200 })
        });
        let writers = (0..8).map(|writer| {
            let (store, clock, customers) = (stores[writer % 2].clone(), env.clock.clone(), customers.clone());
            tokio::spawn(async move {
                let mut dice = Dice(writer as u64 + 1);
                for _ in 0..CUSTOMERS * EVENTS / 8 {
                    happen(&store, &clock, customers[dice.roll(CUSTOMERS)], "x").await;
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
        let total = CUSTOMERS * (EVENTS + 1);
        let mut forgiven = 0;
        until("everything to arrive", async || {
            // Nobody waits for the next attempt.
            if failures.load(Ordering::SeqCst) > forgiven {
                forgiven += 1;
                env.clock.advance(Duration::from_secs(2));
            }
            receiver.taken().iter().map(|delivery| delivery.id.clone()).collect::<HashSet<_>>().len() == total
        })
        .await;
        let last = assert_in_order(&receiver.taken());
        assert_eq!(last.len(), CUSTOMERS);
        assert_eq!(usize::try_from(last.values().sum::<i64>()).unwrap(), total);
        assert!(failures.load(Ordering::SeqCst) >= 3);
    }
}

/// Puts these events aside, as if the receiver had refused them.
pub async fn put_aside(env: &Env, sequences: &[i64]) {
    let store = env.store().await;
    let mut tx = store.begin().await.unwrap();
    for &sequence in sequences {
        let event = tx.outbox_sequenced(sequence - 1, "", 1).await.unwrap().remove(0).id;
        let letter =
            DeadLetter { sequence, event, reason: "it answered 422".to_owned(), put_aside_at: env.clock.now() };
        tx.webhook_put_aside("crm", &letter).await.unwrap();
    }
    tx.commit().await.unwrap();
}

on_both! {
    /// Rule 31: what was put aside comes late, but none of a customer's before an older one of theirs.
    async fn what_was_put_aside_goes_in_the_order_of_each_customer(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let (ann, bob) = (customer(&store, &env.clock).await, customer(&store, &env.clock).await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        for (whose, what) in [(ann, "ann 1"), (bob, "bob 1"), (ann, "ann 2"), (bob, "bob 2"), (ann, "ann 3")] {
            happen(&store, &env.clock, whose, what).await;
        }
        relay::number(&store, usize::MAX).await.unwrap();
        put_aside(env, &[3, 4, 5, 6, 7]).await;
        let refuses = |what: &'static str| receiver.answer(move |body| Reply::Status(if body["data"]["kind"] == what { 422 } else { 200 }));
        let redelivered = |taken, reason: Option<&str>| Some(Redelivered { taken, reason: reason.map(str::to_owned) });
        // One is asked for: those of the same customer before it go first, and where one of them is refused, it waits.
        refuses("ann 1");
        let waits = redelivered(0, Some("event 3 goes before it: it answered 422"));
        assert_eq!(relay.redeliver("crm", 5).await.unwrap(), waits);
        assert_eq!(relay.redeliver("crm", 6).await.unwrap(), redelivered(2, None), "Bob's do not wait for Ann's");
        assert_eq!(whats(&receiver), ["bob 1", "bob 2"]);
        put_aside(env, &[4, 6]).await;
        assert_eq!(relay.redeliver_all("crm").await.unwrap(), redelivered(2, Some("it answered 422")));
        assert_eq!(whats(&receiver)[2..], ["bob 1", "bob 2"], "the others go on");
        receiver.take_all();
        assert_eq!(relay.redeliver("crm", 5).await.unwrap(), redelivered(2, None));
        assert_eq!(relay.redeliver_all("crm").await.unwrap(), redelivered(1, None));
        assert_eq!(whats(&receiver)[4..], ["ann 1", "ann 2", "ann 3"]);
        assert_eq!(relay.redeliver("crm", 5).await.unwrap(), None);
    }

    /// A merge goes behind everything before it and before everything after it, also from there.
    async fn a_merge_that_was_put_aside_is_passed_by_nothing(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let (ann, bob) = (customer(&store, &env.clock).await, customer(&store, &env.clock).await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        happen(&store, &env.clock, bob, "bob before").await;
        happen_as(&store, &env.clock, ann, "customer.merged", json!({ "kind": "merged", "audiences": [] })).await;
        happen(&store, &env.clock, ann, "ann after").await;
        relay::number(&store, usize::MAX).await.unwrap();
        put_aside(env, &[3, 4, 5]).await;
        for refused in ["bob before", "merged"] {
            receiver.answer(move |body| Reply::Status(if body["data"]["kind"] == refused { 422 } else { 200 }));
            let all = relay.redeliver_all("crm").await.unwrap().unwrap();
            assert_eq!(all.reason.as_deref(), Some("it answered 422"), "{refused}");
            let last = relay.redeliver("crm", 5).await.unwrap().unwrap();
            assert!(last.reason.is_some_and(|reason| reason.contains("goes before it")), "{refused}");
        }
        assert_eq!(whats(&receiver), ["bob before"]);
        receiver.take_all();
        assert_eq!(relay.redeliver("crm", 5).await.unwrap(), Some(Redelivered { taken: 2, reason: None }));
        assert_eq!(whats(&receiver), ["bob before", "merged", "ann after"]);
    }

    /// Customers do not wait for one another, but for whoever becomes one with them.
    async fn what_joins_customers_comes_after_all_before_it_and_before_all_after_it(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let (ann, bob) = (customer(&store, &env.clock).await, customer(&store, &env.clock).await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let gate = receiver.close_gate(Some("ann before"));
        happen(&store, &env.clock, ann, "ann before").await;
        happen(&store, &env.clock, bob, "bob before").await;
        let merged = json!({ "kind": "merged", "audiences": [] });
        happen_as(&store, &env.clock, ann, "customer.merged", merged).await;
        happen(&store, &env.clock, bob, "bob after").await;
        let running = relay.clone();
        let running = tokio::spawn(async move { running.run_once().await.unwrap() });
        until("the one who is not held up", async || whats(&receiver) == ["bob before"]).await;
        gate.send(true).unwrap();
        assert_eq!(running.await.unwrap(), 4);
        assert_eq!(whats(&receiver), ["bob before", "ann before", "merged", "bob after"]);
    }
}
