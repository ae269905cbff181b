//! Events again (spec/handoff.md rules 16 and 17, spec/identity.md rule 45).

use std::collections::{BTreeMap, BTreeSet};

use samesake::events::relay::{self, Replay};
use serde_json::json;

use super::receiver::{Delivery, Receiver};
use super::{customer, happen, internal, relay, start, state, webhook, whats};
use crate::harness::upstream::Upstream;
use crate::harness::{Env, TestApp, invariants, until};
use crate::identity::{log_in_and_prove, log_in_as, person};
use crate::on_both;

/// Which live identifier leads to which customer, by what the events say alone.
pub fn partition(deliveries: &[Delivery]) -> BTreeMap<(String, String), String> {
    let (mut links, mut roots) = (BTreeMap::new(), BTreeMap::new());
    let mut seen = BTreeSet::new();
    for delivery in deliveries.iter().filter(|delivery| seen.insert(delivery.id.clone())) {
        let data = &delivery.body["data"];
        let text = |name: &str| data[name].as_str().unwrap_or_else(|| panic!("{delivery:?}")).replace('-', "");
        let identifier =
            || (data["namespace"].as_str().unwrap().to_owned(), data["external_id"].as_str().unwrap().to_owned());
        let all = |name: &str| -> Vec<String> {
            let ids = data[name].as_array().unwrap_or_else(|| panic!("{delivery:?}"));
            ids.iter().map(|id| id.as_str().unwrap().replace('-', "")).collect()
        };
        match delivery.kind() {
            "customer.created" => assert_eq!(roots.insert(text("customer_id"), text("customer_id")), None),
            "link.added" => assert_eq!(links.insert(text("link"), (identifier(), text("customer_id"))), None),
            "link.removed" => assert!(links.remove(&text("link")).is_some()),
            "customer.merged" => {
                for id in all("moved") {
                    roots.insert(id, text("customer_id"));
                }
            }
            "customer.unmerged" => {
                for id in all("moved") {
                    roots.insert(id, text("restored"));
                }
                for link in all("links") {
                    links.get_mut(&link).unwrap().1 = text("restored");
                }
            }
            _ => {}
        }
    }
    links.into_values().map(|(identifier, customer)| (identifier, roots[&customer].clone())).collect()
}

on_both! {
    async fn a_replay_brings_the_same_events_under_the_same_ids(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let ann = customer(&store, &env.clock).await;
        for what in ["one", "two", "three"] {
            happen(&store, &env.clock, ann, what).await;
        }
        assert_eq!(relay.run_once().await.unwrap(), 4);
        assert_eq!(relay::replay(&store, "crm", Some(3), env.clock.now()).await.unwrap(), Replay::Begun);
        // Asked for twice it comes once.
        assert_eq!(relay::replay(&store, "crm", Some(3), env.clock.now()).await.unwrap(), Replay::Begun);
        assert_eq!(relay.run_once().await.unwrap(), 2);
        assert_eq!(relay.run_once().await.unwrap(), 0);
        let received = receiver.received();
        let content = |delivery: &Delivery| (delivery.id.clone(), delivery.text.clone());
        let first: Vec<_> = received[2..4].iter().map(content).collect();
        let again: Vec<_> = received[4..].iter().map(content).collect();
        assert_eq!(first, again);
        let now = env.clock.now();
        assert_eq!(relay::replay(&store, "nobody", Some(1), now).await.unwrap(), Replay::Unknown);
        for beyond in [0, 6] {
            assert_eq!(relay::replay(&store, "crm", Some(beyond), now).await.unwrap(), Replay::Beyond { first: 1, last: 4 });
        }
    }

    /// Whoever is delivering just now takes it up, and what it has just done does not undo it.
    async fn a_replay_in_the_middle_of_a_round_is_not_lost(env: &Env) {
        let (store, receiver) = (env.store().await, Receiver::start().await);
        let relay = relay(env, vec![internal("crm", &receiver)]).await;
        let ann = customer(&store, &env.clock).await;
        relay.run_once().await.unwrap();
        let gate = receiver.close_gate(None);
        happen(&store, &env.clock, ann, "it").await;
        let running = relay.clone();
        let running = tokio::spawn(async move { running.run_once().await.unwrap() });
        until("the delivery to be under way", async || receiver.busy() == 1).await;
        assert_eq!(relay::replay(&store, "crm", Some(1), env.clock.now()).await.unwrap(), Replay::Begun);
        gate.send(true).unwrap();
        running.await.unwrap();
        assert_eq!(relay.run_once().await.unwrap(), 2);
        assert_eq!(receiver.kinds(), ["customer.created", "conflict.opened", "customer.created", "conflict.opened"]);
        assert_eq!(state(&store, "crm").await.cursor, 2);
    }

    async fn a_new_receiver_hears_what_happens_from_now_on_and_the_rest_on_demand(env: &Env) {
        let (store, first, second) = (env.store().await, Receiver::start().await, Receiver::start().await);
        let ann = customer(&store, &env.clock).await;
        happen(&store, &env.clock, ann, "before").await;
        let relay = relay(env, vec![internal("first", &first), internal("second", &second)]).await;
        happen(&store, &env.clock, ann, "after").await;
        assert_eq!(relay.run_once().await.unwrap(), 2);
        assert_eq!(whats(&first), ["after"]);
        assert_eq!(relay::replay(&store, "first", Some(1), env.clock.now()).await.unwrap(), Replay::Begun);
        assert_eq!(relay.run_once().await.unwrap(), 3);
        assert_eq!((whats(&first), whats(&second)), (
            ["after", "before", "after"].map(str::to_owned).to_vec(),
            vec!["after".to_owned()],
        ));
    }

    /// Rule 45, by what left the house: first logins, another provider, and its end.
    async fn replaying_the_events_from_empty_rebuilds_the_partition(env: &Env) {
        let (google, chirp, receiver) = (Upstream::start().await, Upstream::start().await, Receiver::start().await);
        for (upstream, name) in [(&google, "google"), (&chirp, "chirp")] {
            for who in ["ann", "bob"] {
                upstream.add_person(&format!("{name}-{who}"), person(&format!("{who}@shop.example")));
            }
        }
        let builder = TestApp::builder(env).web_client("shop");
        let builder = builder.connector(google.config("google")).connector(chirp.config("chirp"));
        let app = start(builder.configure(webhook("crm", &receiver, json!({"internal": true})))).await;
        let rp = app.relying_party("shop").await;
        for who in ["ann", "bob"] {
            log_in_as(&rp, &google, "google", &format!("google-{who}")).await;
        }
        log_in_and_prove(&app, &rp, &chirp, "chirp", "chirp-ann", "ann@shop.example").await;
        let graph = invariants::check(env).await;
        until("everything to be told", async || receiver.taken().len() == graph.events.len()).await;
        let store = app.store.background();
        assert_eq!(relay::replay(&store, "crm", Some(1), env.clock.now()).await.unwrap(), Replay::Begun);
        until("everything to be told again", async || receiver.taken().len() == 2 * graph.events.len()).await;
        let expected: BTreeMap<_, _> = graph
            .links
            .iter()
            .filter(|link| link.live)
            .map(|link| ((link.namespace.clone(), link.external_id.clone()), link.root.clone()))
            .collect();
        assert!(expected.len() >= 5, "{expected:?}");
        assert_eq!(partition(&receiver.taken()[graph.events.len()..]), expected);
    }
}
