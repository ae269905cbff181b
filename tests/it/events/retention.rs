//! Old events are removed where that is configured, and nobody takes what is missing for nothing (spec/handoff.md rules 17
//! and 18, spec/identity.md rule 45).

use std::time::Duration;

use samesake::clock::uuid_v7;
use samesake::config::Config;
use samesake::events::redelivery::Redelivered;
use samesake::events::relay::{self, Relay, Replay};
use samesake::events::retention::Retention;
use samesake::ids::CustomerId;
use samesake::store::Store;
use serde_json::json;

use super::order::put_aside;
use super::receiver::{Receiver, Reply};
use super::stream::{audience, fetch, log_in, register, token};
use super::{customer, happen, internal, relay, state, webhook, whats};
use crate::harness::browser::http_client;
use crate::harness::{Env, TestApp, invariants};
use crate::{on_both, on_servers};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a gateway with this receiver removes after 30 days.
fn retention(env: &Env, store: &Store, receiver: &Receiver, follow: bool) -> Retention {
    let mut config = Config::load(None, Vec::new()).unwrap();
    assert!(Retention::of(&config, store, env.clock.clone()).is_none(), "without a word everything is kept");
    (config.events.keep, config.duplicates.follow) = (Some(30 * DAY), follow);
    webhook("crm", receiver, json!({"internal": true}))(&mut config);
    Retention::of(&config, store, env.clock.clone()).unwrap()
}

async fn removed(store: &Store) -> i64 {
    store.begin_read().await.unwrap().outbox_numbering().await.unwrap().removed
}

/// A receiver that is told of Ann, and a gateway that keeps events for 30 days.
struct House<'a> {
    env: &'a Env,
    store: Store,
    receiver: Receiver,
    relay: Relay,
    retention: Retention,
    ann: CustomerId,
}

impl House<'_> {
    async fn start(env: &Env) -> House<'_> {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let retention = retention(env, &store, &receiver, false);
        let ann = customer(&store, &env.clock).await;
        House { env, store, receiver, relay, retention, ann }
    }

    /// These happen to Ann, and the receiver is told.
    async fn tell(&self, all: &[&str]) {
        for what in all {
            happen(&self.store, &self.env.clock, self.ann, what).await;
        }
        self.relay.run_once().await.unwrap();
    }

    /// Removes what may go; answers how many that were, and up to which number everything is gone.
    async fn remove(&self) -> (u64, i64) {
        (self.retention.run_once().await.unwrap(), removed(&self.store).await)
    }

    /// Has the receiver told again.
    async fn replay(&self, from: Option<i64>) -> Replay {
        relay::replay(&self.store, "crm", from, self.env.clock.now()).await.unwrap()
    }
}

on_both! {
    async fn old_events_go_when_they_were_told_and_the_numbers_go_on(env: &Env) {
        let house = House::start(env).await;
        house.tell(&["one", "two", "three"]).await;
        env.clock.advance(29 * DAY);
        assert_eq!(house.remove().await, (0, 0), "too young");
        env.clock.advance(2 * DAY);
        happen(&house.store, &env.clock, house.ann, "new").await;
        assert_eq!((house.remove().await, house.remove().await), ((4, 4), (0, 4)));
        assert_eq!(invariants::check(env).await.events.len(), 1);
        // The last one stays, however old it is.
        house.tell(&[]).await;
        env.clock.advance(99 * DAY);
        assert_eq!(house.remove().await, (0, 4));
        house.tell(&["newest"]).await;
        assert_eq!(whats(&house.receiver), ["one", "two", "three", "new", "newest"]);
        assert_eq!(house.receiver.taken().last().unwrap().sequence(), 6);
        assert_eq!(house.remove().await, (1, 5));
        invariants::check(env).await;
    }

    /// Rule 17: an outage costs nobody anything; only who was given up as gone is not waited for.
    async fn a_receiver_that_is_still_tried_holds_events_back(env: &Env) {
        let house = House::start(env).await;
        house.tell(&["one", "two"]).await;
        house.receiver.answer(|_| Reply::Status(503));
        house.tell(&["three", "four"]).await;
        env.clock.advance(99 * DAY);
        assert_eq!(house.remove().await, (3, 3), "what it was told");
        // Told again from there on, it needs what comes after.
        assert_eq!(house.replay(Some(3)).await, Replay::Beyond { first: 4, last: 5 });
        assert_eq!(house.replay(Some(4)).await, Replay::Begun);
        house.receiver.answer(|_| Reply::Status(410));
        house.tell(&[]).await;
        assert!(state(&house.store, "crm").await.stopped_at.is_some());
        assert_eq!(house.remove().await, (1, 4));
        house.receiver.take_all();
        assert_eq!(house.replay(None).await, Replay::Begun);
        house.tell(&[]).await;
        assert_eq!(whats(&house.receiver), ["one", "two", "four"], "what there is");
        invariants::check(env).await;
    }

    async fn the_search_for_duplicates_holds_events_back(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let retention = retention(env, &store, &receiver, true);
        for _ in 0..4 {
            customer(&store, &env.clock).await;
        }
        env.clock.advance(31 * DAY);
        assert_eq!(retention.run_once().await.unwrap(), 0);
        let (now, holder) = (env.clock.now(), uuid_v7(env.clock.now()));
        let mut tx = store.begin().await.unwrap();
        tx.duplicate_follower_lease(holder, now, now + DAY).await.unwrap();
        tx.duplicate_follower_save(holder, 2, now).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!((retention.run_once().await.unwrap(), removed(&store).await), (2, 2));
        // Where nobody follows, it goes on behind what is gone, and has its index made anew.
        let nobody = self::retention(env, &store, &receiver, false);
        assert_eq!((nobody.run_once().await.unwrap(), removed(&store).await), (1, 3));
        let follower = store.begin_read().await.unwrap().duplicate_follower().await.unwrap();
        assert_eq!((follower.cursor, follower.indexed_with), (3, None));
        invariants::check(env).await;
    }

    async fn what_was_put_aside_is_kept_until_it_is_delivered(env: &Env) {
        let house = House::start(env).await;
        house.tell(&["one", "two", "three"]).await;
        put_aside(env, &[2]).await;
        env.clock.advance(31 * DAY);
        assert_eq!(house.remove().await, (2, 3));
        assert_eq!(invariants::check(env).await.events.len(), 2, "that and the last one");
        let redelivered = house.relay.redeliver("crm", 2).await.unwrap();
        assert_eq!(redelivered, Some(Redelivered { taken: 1, reason: None }));
        house.tell(&["more"]).await;
        assert_eq!(whats(&house.receiver), ["one", "two", "three", "one", "more"]);
        env.clock.advance(31 * DAY);
        assert_eq!(house.remove().await, (2, 4));
        assert_eq!(invariants::check(env).await.events.len(), 1);
    }

    /// Rule 18: a cursor is the app's own, and nobody knows it.
    async fn an_app_with_an_older_cursor_is_told_where_to_begin(env: &Env) {
        let builder = TestApp::builder(env);
        let keep = |config: &mut Config| (config.events.keep, config.duplicates.follow) = (Some(30 * DAY), false);
        let app = builder.configure(keep).start().await;
        let shop = register(&app, "shop").await;
        for email in ["ann@shop.example", "bob@shop.example"] {
            app.customer(email, "Somebody").await;
            log_in(&app, &shop, email).await;
        }
        let store = app.store.background();
        app.clock.advance(31 * DAY);
        customer(&store, &app.clock).await;
        let retention = Retention::of(&app.app.config, &app.store, app.clock.clone()).unwrap();
        let gone = i64::try_from(retention.run_once().await.unwrap()).unwrap();
        assert!(gone >= 6 && removed(&store).await == gone, "{gone}");
        let token = token(&shop, &audience(&app), "events").await;
        for after in [0, 1, gone - 1] {
            let refused = fetch(&app, &token, &format!("?after={after}")).await;
            assert_eq!(refused.status.as_u16(), 410, "{}", refused.text);
            assert_eq!((&refused.body["type"], &refused.body["after"]), (&json!("urn:samesake:problem:events-removed"), &json!(gone)));
            let stream = http_client().get(app.url("/api/v1/events")).bearer_auth(&token);
            let stream = stream.header("accept", "text/event-stream").header("last-event-id", after.to_string());
            assert_eq!(stream.send().await.unwrap().status().as_u16(), 410, "a reader does not come back to that");
        }
        for query in [String::new(), format!("?after={gone}"), format!("?after={}", gone + 1)] {
            let page = fetch(&app, &token, &query).await;
            assert_eq!((page.status.as_u16(), &page.body["next"]), (200, &json!(gone + 1)), "{query}: {}", page.text);
        }
        invariants::check(env).await;
    }
}

on_servers! {
    /// Two replicas remove and somebody wants everything told again: each event goes once, or all stay for the receiver.
    async fn a_replay_and_the_removing_do_not_miss_each_other(env: &Env) {
        let house = House::start(env).await;
        let other = retention(env, &env.store().await, &house.receiver, false);
        let mut kept = 0;
        for round in 0..8 {
            for number in 0..5 {
                happen(&house.store, &env.clock, house.ann, &format!("{round}-{number}")).await;
            }
            while house.relay.run_once().await.unwrap() > 0 {}
            env.clock.advance(31 * DAY);
            let last = house.store.begin_read().await.unwrap().outbox_numbering().await.unwrap().last;
            let before = kept;
            let (first, second, replay) =
                tokio::join!(house.retention.run_once(), other.run_once(), house.replay(Some(before + 1)));
            let gone = i64::try_from(first.unwrap() + second.unwrap()).unwrap();
            kept = removed(&house.store).await;
            assert_eq!(kept, before + gone, "each once");
            match replay {
                Replay::Begun => assert_eq!(kept, before, "nothing went that is told again"),
                Replay::Beyond { first, .. } => assert_eq!((first, kept), (last, last - 1)),
                Replay::Unknown => panic!("the receiver is known"),
            }
            invariants::check(env).await;
        }
    }
}
