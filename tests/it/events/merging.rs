//! Merges as they are told (spec/identity.md rules 23, 31 and 45): once to each audience that must know, in its own
//! subjects; whoever hears everything can say who is who, whatever is merged and undone; and a replay tells what was told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use samesake::events::relay::{Receiver as Configured, Relay, Replay, Whose, replay};
use samesake::identity::merge::Undone;
use samesake::identity::namespace::Namespace;
use samesake::ids::CustomerId;
use serde_json::{Value, json};

use super::receiver::{Delivery, Receiver, Reply};
use super::replay::partition;
use super::{internal, relay};
use crate::harness::{Env, invariants, until};
use crate::identity::merge::Board;
use crate::on_both;

fn sector(id: &str, receiver: &Receiver) -> Configured {
    Configured { whose: Whose::Sector(id.to_owned()), timeout: Duration::from_millis(300), ..internal(id, receiver) }
}

/// What was told of this kind.
fn told(receiver: &Receiver, kind: &str) -> Vec<Value> {
    let of_kind = receiver.taken().into_iter().filter(|delivery| delivery.kind() == kind);
    of_kind.map(|delivery| delivery.body["data"].clone()).collect()
}

/// Delivers until nothing is left, however often it has to be tried.
async fn settle(env: &Env, relay: &Relay, receivers: &[&Receiver]) {
    for _ in 0..10 {
        while relay.run_once().await.unwrap() > 0 {}
        // Whoever was hung up on has noticed it before the next try.
        until("the receivers to be free", async || receivers.iter().all(|receiver| receiver.busy() == 0)).await;
        env.clock.advance(Duration::from_secs(3600));
    }
}

/// Ann and Bob. The shop knows both, the club Bob alone, the bank Ann alone.
async fn known(board: &Board, env: &Env) -> (CustomerId, CustomerId) {
    let now = env.clock.now();
    let (ann, bob) = (board.customer("ann", now).await, board.customer("bob", now).await);
    for (sector, customer, sub) in
        [("shop", ann, "shop-ann"), ("shop", bob, "shop-bob"), ("club", bob, "club-bob"), ("bank", ann, "bank-ann")]
    {
        board.subject(sector, customer, sub, now).await;
    }
    (ann, bob)
}

/// Each delivery that was taken, once, by its ID.
fn once(receiver: &Receiver) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let taken = receiver.taken().into_iter().filter(|delivery| seen.insert(delivery.id.clone()));
    taken.map(|delivery: Delivery| (delivery.id, delivery.text)).collect()
}

on_both! {
    async fn a_merge_is_told_once_to_each_audience_that_must_know(env: &Env) {
        let (shop, club, third, crm) =
            (Receiver::start().await, Receiver::start().await, Receiver::start().await, Receiver::start().await);
        let receivers =
            vec![sector("shop", &shop), sector("club", &club), sector("third", &third), internal("crm", &crm)];
        let relay = relay(env, receivers).await;
        let (board, now) = (Board::new(env.store().await), || env.clock.now());
        let (ann, bob) = known(&board, env).await;
        let merge = board.merge(ann, bob, now()).await;
        assert!(board.merge(ann, bob, now()).await.repeated);
        board.password(ann, "phc", now()).await;
        settle(env, &relay, &[&shop, &club, &third, &crm]).await;
        assert_eq!(told(&shop, "customer.merged"), [json!({"sub": "shop-ann", "merged_from": ["shop-bob"]})]);
        assert_eq!(told(&crm, "customer.merged").len(), 1);
        assert_eq!(told(&club, "customer.merged"), Vec::<Value>::new(), "it keeps the name it knew and hears nothing");
        let password = |sub: &str| json!({"sub": sub, "kind": "password"});
        assert_eq!(told(&shop, "credential.added"), [password("shop-ann")]);
        assert_eq!(told(&club, "credential.added"), [password("club-bob")], "one customer now");
        assert!(third.received().is_empty());

        let undone = board.undo(merge.merge, now()).await;
        assert!(matches!(undone, Undone::Done { repeated: false, .. }), "{undone:?}");
        settle(env, &relay, &[&shop, &club, &third, &crm]).await;
        assert_eq!(told(&shop, "customer.unmerged"), [json!({"restored": "shop-bob", "parted_from": "shop-ann"})]);
        let (ann, bob) = (ann.to_string(), bob.to_string());
        for delivery in [&shop, &club].into_iter().flat_map(Receiver::received) {
            assert!(!delivery.text.contains(&ann) && !delivery.text.contains(&bob), "{}", delivery.text);
        }
        invariants::check(env).await;
    }

    /// A receiver that fails, and one whose answers are lost: what comes twice has the ID it had, and nothing overtakes.
    async fn a_merge_that_is_hard_to_deliver_is_still_one_and_in_its_place(env: &Env) {
        let shop = Receiver::start().await;
        let relay = relay(env, vec![sector("shop", &shop)]).await;
        let (board, now) = (Board::new(env.store().await), || env.clock.now());
        let (ann, bob) = known(&board, env).await;
        board.password(bob, "phc", now()).await;
        let merge = board.merge(ann, bob, now()).await;
        board.link(bob, Namespace::Visitor("shop".to_owned()), "browser", now()).await;
        board.undo(merge.merge, now()).await;
        let tried = AtomicUsize::new(0);
        shop.answer(move |body| {
            let turns = matches!(body["type"].as_str(), Some("customer.merged" | "customer.unmerged"));
            match if turns { tried.fetch_add(1, Ordering::SeqCst) % 3 } else { 2 } {
                0 => Reply::Status(503),
                1 => Reply::Hang,
                _ => Reply::Status(204),
            }
        });
        settle(env, &relay, &[&shop]).await;
        let all = shop.received();
        for kind in ["customer.merged", "customer.unmerged"] {
            let tries: Vec<&Delivery> = all.iter().filter(|delivery| delivery.kind() == kind).collect();
            assert_eq!(tries.len(), 3, "refused, lost, taken: {all:#?}");
            assert!(tries.iter().all(|delivery| (&delivery.id, &delivery.text) == (&tries[0].id, &tries[0].text)));
        }
        let story: Vec<(&str, &str)> = ["credential.added", "customer.merged", "link.added", "customer.unmerged"]
            .into_iter()
            .zip(["shop-bob", "shop-ann", "shop-ann", ""])
            .collect();
        let taken: Vec<Delivery> = all.into_iter().filter(|delivery| delivery.status == 204).collect();
        let heard: Vec<(&str, &str)> = taken
            .iter()
            .filter(|delivery| delivery.kind() != "customer.created" && !before_the_story(delivery))
            .map(|delivery| (delivery.kind(), delivery.body["data"]["sub"].as_str().unwrap_or_default()))
            .collect();
        assert_eq!(heard, story);
        invariants::check(env).await;
    }

    /// Rule 31: an app that is told a second time hears what it heard the first time, whatever was merged and undone
    /// since; and what happened before a merge is not told of the other customer after it.
    async fn a_replay_after_merges_tells_what_was_told(env: &Env) {
        let (shop, club, bank) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
        let names = ["shop", "club", "bank"];
        let relay = relay(env, vec![sector("shop", &shop), sector("club", &club), sector("bank", &bank)]).await;
        let (board, now) = (Board::new(env.store().await), || env.clock.now());
        let (ann, bob) = known(&board, env).await;
        let cid = board.customer("cid", now()).await;
        board.password(bob, "phc", now()).await;
        settle(env, &relay, &[&shop, &club, &bank]).await;
        let inner = board.merge(ann, bob, now()).await;
        board.password(ann, "phc", now()).await;
        settle(env, &relay, &[&shop, &club, &bank]).await;
        let outer = board.merge(cid, ann, now()).await;
        board.password(cid, "phc", now()).await;
        settle(env, &relay, &[&shop, &club, &bank]).await;
        assert!(matches!(board.undo(inner.merge, now()).await, Undone::Done { .. }));
        settle(env, &relay, &[&shop, &club, &bank]).await;
        assert!(matches!(board.undo(outer.merge, now()).await, Undone::Done { .. }));
        settle(env, &relay, &[&shop, &club, &bank]).await;
        let password = |sub: &str| json!({"sub": sub, "kind": "password"});
        assert_eq!(told(&bank, "credential.added"), [password("bank-ann"), password("bank-ann")], "Bob's own is not told");
        let first = [&shop, &club, &bank].map(once);
        let counts = [&shop, &club, &bank].map(|receiver| receiver.taken().len());
        for name in names {
            assert_eq!(replay(&board.store, name, Some(1), now()).await.unwrap(), Replay::Begun);
        }
        settle(env, &relay, &[&shop, &club, &bank]).await;
        for ((receiver, first), count) in [&shop, &club, &bank].into_iter().zip(first).zip(counts) {
            let again: Vec<(String, String)> =
                receiver.taken()[count..].iter().map(|delivery| (delivery.id.clone(), delivery.text.clone())).collect();
            assert_eq!(again.iter().collect::<BTreeSet<_>>(), first.iter().collect::<BTreeSet<_>>());
        }
        invariants::check(env).await;
    }

    async fn whoever_hears_everything_can_say_who_is_who_after_merges(env: &Env) {
        let crm = Receiver::start().await;
        let relay = relay(env, vec![internal("crm", &crm)]).await;
        let (board, now) = (Board::new(env.store().await), || env.clock.now());
        let mut customers = Vec::new();
        for name in ["ann", "bob", "cid", "dan", "eve"] {
            customers.push(board.customer(name, now()).await);
        }
        let [ann, bob, cid, dan, eve] = customers.try_into().unwrap();
        let first = board.merge(ann, bob, now()).await;
        board.merge(cid, ann, now()).await;
        // It goes with Bob when he parts, although Cid was the customer when it came.
        board.link(bob, Namespace::App("shop".to_owned()), "bob-at-the-shop", now()).await;
        board.link(ann, Namespace::App("bank".to_owned()), "ann-at-the-bank", now()).await;
        board.merge(dan, eve, now()).await;
        assert!(matches!(board.undo(first.merge, now()).await, Undone::Done { .. }));
        settle(env, &relay, &[&crm]).await;
        let graph = invariants::check(env).await;
        let live = graph.links.iter().filter(|link| link.live);
        let expected: BTreeMap<_, _> =
            live.map(|link| ((link.namespace.clone(), link.external_id.clone()), link.root.clone())).collect();
        let roots = |name: &str| &expected[&("social:google".to_owned(), name.to_owned())];
        assert!(roots("ann") == roots("cid") && roots("dan") == roots("eve") && roots("bob") != roots("ann"));
        assert_eq!(partition(&crm.taken()), expected);
    }
}

/// The links of the beginning: those of Ann and Bob as they were made.
fn before_the_story(delivery: &Delivery) -> bool {
    delivery.kind() == "link.added" && delivery.sequence() <= 6
}
