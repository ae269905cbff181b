//! A receiver that does not take what it is told (spec/handoff.md rule 17). The clock is moved; nobody waits.

use std::collections::BTreeSet;
use std::time::Duration;

use samesake::events::relay::{self, Replay};
use samesake::store::DeadLetter;

use super::receiver::{Receiver, Reply};
use super::{customer, happen, internal, relay, relay_by, state, whats};
use crate::harness::{Env, until};
use crate::on_both;

const MINUTE: Duration = Duration::from_secs(60);

on_both! {
    /// The same event again: under the same ID, with the same text, signed anew for the time of the attempt.
    async fn a_failed_delivery_is_tried_again_under_the_same_id(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        receiver.answer(|_| Reply::Status(503));
        customer(&store, &env.clock).await;
        assert_eq!(relay.run_once().await.unwrap(), 0);
        assert_eq!(relay.run_once().await.unwrap(), 0);
        assert_eq!(receiver.received().len(), 1, "it waits first");
        let failing = state(&store, "crm").await;
        assert_eq!((failing.attempts, failing.last_error.as_deref()), (1, Some("it answered 503")));
        receiver.take_all();
        env.clock.advance(Duration::from_secs(5));
        assert_eq!(relay.run_once().await.unwrap(), 1);
        let [first, second] = receiver.received().try_into().unwrap();
        assert_eq!((&first.id, &first.text), (&second.id, &second.text));
        assert_ne!((&first.timestamp, &first.signature), (&second.timestamp, &second.signature));
        let back = state(&store, "crm").await;
        assert_eq!((back.attempts, back.failing_since, back.last_error), (0, None, None));
        assert_eq!((back.cursor, back.delivered), (1, 1));
    }

    /// Rule 19: a consumer's outage of a day loses nothing and changes no order.
    async fn an_outage_of_a_day_loses_nothing(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        receiver.answer(|_| Reply::Status(502));
        let ann = customer(&store, &env.clock).await;
        let mut expected = Vec::new();
        for hour in 0..24 {
            let what = format!("in hour {hour}");
            happen(&store, &env.clock, ann, &what).await;
            expected.push(what);
            for _ in 0..3 {
                relay.run_once().await.unwrap();
                env.clock.advance(20 * MINUTE);
            }
        }
        assert_eq!(receiver.received().iter().map(|it| &it.id).collect::<BTreeSet<_>>().len(), 1, "one shows the outage");
        assert!(state(&store, "crm").await.stopped_at.is_none());
        receiver.take_all();
        env.clock.advance(20 * MINUTE);
        while relay.run_once().await.unwrap() > 0 {}
        assert_eq!(whats(&receiver), expected);
    }

    /// An event that the receiver does not want is kept for people to look at; the others go on.
    async fn an_event_that_is_refused_again_and_again_is_put_aside(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        receiver.answer(|body| Reply::Status(if body["data"]["kind"] == "poison" { 422 } else { 200 }));
        let ann = customer(&store, &env.clock).await;
        for what in ["before", "poison", "after"] {
            happen(&store, &env.clock, ann, what).await;
        }
        for _ in 0..6 {
            relay.run_once().await.unwrap();
            env.clock.advance(MINUTE);
        }
        assert_eq!(whats(&receiver), ["before", "after"]);
        let refused: Vec<_> = receiver.received().into_iter().filter(|delivery| delivery.status == 422).collect();
        assert_eq!(refused.len(), 5);
        let mut tx = store.begin_read().await.unwrap();
        let [letter]: [DeadLetter; 1] = tx.webhook_dead_letters("crm", 10).await.unwrap().try_into().unwrap();
        drop(tx);
        assert_eq!((letter.sequence, letter.reason.as_str()), (refused[0].sequence(), "it answered 422"));
        assert_eq!(letter.event.to_string(), refused[0].id);
        assert_eq!(state(&store, "crm").await.dead_letters, 1);
        // The receiver is mended: everything from there on comes again, and nothing is left aside.
        receiver.take_all();
        let again = relay::replay(&store, "crm", Some(letter.sequence), env.clock.now()).await.unwrap();
        assert_eq!(again, Replay::Begun);
        assert_eq!(relay.run_once().await.unwrap(), 2);
        assert_eq!(whats(&receiver), ["before", "after", "poison", "after"]);
        assert_eq!(state(&store, "crm").await.dead_letters, 0);
    }

    /// A receiver that refuses whatever comes is broken: its events are not thrown after one another.
    async fn a_receiver_that_refuses_everything_is_waited_for(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        receiver.answer(|_| Reply::Status(400));
        let ann = customer(&store, &env.clock).await;
        for number in 0..9 {
            happen(&store, &env.clock, ann, &number.to_string()).await;
        }
        for _ in 0..100 {
            relay.run_once().await.unwrap();
            env.clock.advance(20 * MINUTE);
        }
        let stands = state(&store, "crm").await;
        assert_eq!((stands.dead_letters, stands.cursor), (3, 3));
        receiver.take_all();
        relay.run_once().await.unwrap();
        assert_eq!(whats(&receiver), ["2", "3", "4", "5", "6", "7", "8"], "the first was that they are there");
    }

    async fn a_receiver_that_is_gone_is_told_nothing_until_somebody_says_so(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        receiver.answer(|_| Reply::Status(410));
        customer(&store, &env.clock).await;
        relay.run_once().await.unwrap();
        env.clock.advance(24 * 60 * MINUTE);
        relay.run_once().await.unwrap();
        assert_eq!(receiver.received().len(), 1);
        assert!(state(&store, "crm").await.stopped_at.is_some());
        receiver.take_all();
        assert_eq!(relay::replay(&store, "crm", None, env.clock.now()).await.unwrap(), Replay::Begun);
        assert_eq!(relay.run_once().await.unwrap(), 1);
        assert_eq!(state(&store, "crm").await.stopped_at, None);
    }

    /// One dead receiver delays nobody: each has a place of its own.
    async fn a_dead_receiver_delays_no_other(env: &Env) {
        let (store, dead, alive) = (env.store().await, Receiver::start().await, Receiver::start().await);
        let relay = relay(env, vec![internal("dead", &dead), internal("alive", &alive)]).await;
        let ann = customer(&store, &env.clock).await;
        dead.answer(|_| Reply::Hang);
        for what in ["one", "two", "three"] {
            happen(&store, &env.clock, ann, what).await;
        }
        let running = relay.run_once();
        let alive_has_all = until("the other to have everything", async || whats(&alive) == ["one", "two", "three"]);
        let (delivered, ()) = tokio::join!(running, alive_has_all);
        assert_eq!(delivered.unwrap(), 4);
        assert_eq!(state(&store, "dead").await.last_error.as_deref(), Some("127.0.0.1: no complete answer in time"));
    }

    /// Whatever is no answer of 200 to 299 is none, and nobody is led elsewhere.
    async fn no_bad_answer_counts_as_taken(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let ann = customer(&store, &env.clock).await;
        relay.run_once().await.unwrap();
        for (number, (reply, error)) in [
            (Reply::With(307, "location", "/elsewhere"), "it answered 307"),
            (Reply::Status(404), "it answered 404"),
            (Reply::Status(401), "it answered 401"),
            (Reply::Flood, "127.0.0.1: the answer is longer than 1048576 bytes"),
            (Reply::Status(500), "it answered 500"),
        ]
        .into_iter()
        .enumerate()
        {
            if number == 0 {
                happen(&store, &env.clock, ann, "it").await;
            }
            receiver.answer(move |_| reply.clone());
            assert_eq!(relay.run_once().await.unwrap(), 0);
            assert_eq!(state(&store, "crm").await.last_error.as_deref(), Some(error));
            env.clock.advance(20 * MINUTE);
        }
        receiver.take_all();
        assert_eq!(relay.run_once().await.unwrap(), 1);
    }

    /// A receiver may ask for time.
    async fn a_receiver_that_asks_for_time_gets_it(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        receiver.answer(|_| Reply::With(429, "retry-after", "3600"));
        customer(&store, &env.clock).await;
        relay.run_once().await.unwrap();
        env.clock.advance(59 * MINUTE);
        relay.run_once().await.unwrap();
        assert_eq!(receiver.received().len(), 1);
        receiver.take_all();
        env.clock.advance(2 * MINUTE);
        assert_eq!(relay.run_once().await.unwrap(), 1);
    }

    /// Protocol rule 48: an address of our own network is not told anything, whoever put it there.
    async fn an_address_inside_is_not_delivered_to(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay_by(env, vec![internal("crm", &receiver)], &[]).await;
        customer(&store, &env.clock).await;
        assert_eq!(relay.run_once().await.unwrap(), 0);
        assert!(receiver.received().is_empty());
        let why = "127.0.0.1: its address is not a public one, and not on the list of allowed ones";
        assert_eq!(state(&store, "crm").await.last_error.as_deref(), Some(why));
    }
}
