//! What each sector calls whom, where sides of a merge have names of their own (rules 23, 25, 31 and 33): when their keys
//! are joined, when another merge is undone, and when the customer is erased.

use samesake::clock::Timestamp;
use samesake::events::Actor;
use samesake::identity::customer;
use samesake::identity::erase::{self, Erased};
use samesake::identity::merge::{self, Joined, Undone};
use samesake::identity::namespace::{Namespace, Rules};
use samesake::identity::not_same;
use samesake::ids::CustomerId;
use samesake::secret::MasterKey;
use serde_json::{Value, json};

use super::{Board, at, join_keys};
use crate::harness::invariants::Graph;
use crate::harness::{Env, invariants};
use crate::on_both;

impl Board {
    /// A login by one side alone at a sector that does not know it yet.
    async fn own_side(&self, sector: &str, side: CustomerId, sub: &str, now: Timestamp) {
        let root = self.living(side).await;
        let mut tx = self.store.begin().await.unwrap();
        assert_eq!(tx.subject_issue_own_side(sector, side, root, sub, now).await.unwrap(), sub);
        tx.commit().await.unwrap();
    }

    async fn join(&self, side: CustomerId, proved: CustomerId, now: Timestamp) {
        let joined = join_keys(&self.store, side, proved, now).await;
        assert!(matches!(joined, Joined::Whole { .. }), "{joined:?}");
    }

    /// What a sector that listens from the beginning is told now: kind and subject of each event.
    async fn heard(&self, sector: &str) -> Vec<(String, Option<String>)> {
        let mut tx = self.store.begin().await.unwrap();
        tx.outbox_number(1000).await.unwrap();
        let events = tx.outbox_sequenced(0, sector, 1000).await.unwrap();
        tx.commit().await.unwrap();
        events.into_iter().map(|event| (event.event_type, event.sub)).collect()
    }

    async fn retired(&self, sector: &str, customer: CustomerId, now: Timestamp) -> Vec<String> {
        let rows = self.store.begin_read().await.unwrap().members_seen(sector, customer).await.unwrap();
        merge::side::see(&rows, customer, &self.config, now).unwrap().merged_from
    }
}

/// The audiences of the only event of this kind.
fn audiences(graph: &Graph, kind: &str) -> Value {
    let events: Vec<_> = graph.events.iter().filter(|event| event.kind == kind).collect();
    assert_eq!(events.len(), 1, "{events:?}");
    events[0].payload["audiences"].clone()
}

on_both! {
    /// A sector that knew the side alone hears nothing and goes on with its name; one that knew both is told.
    async fn a_side_that_proves_the_whole_brings_its_name_along(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        let merge = board.merge(ann, bob, at(1)).await;
        board.own_side("club", bob, "club-bob", at(2)).await;
        board.own_side("shop", bob, "shop-bob", at(2)).await;
        board.subject("shop", ann, "shop-ann", at(3)).await;
        board.password(ann, "phc", at(4)).await;
        assert_eq!(board.sub("club", ann, at(4)).await, None, "what a side was given alone is not the customer's");
        let before = (board.heard("club").await, board.heard("shop").await);

        board.join(bob, ann, at(5)).await;
        for id in [ann, bob] {
            assert_eq!(board.sub("club", id, at(6)).await.as_deref(), Some("club-bob"), "no `sub` changes silently");
            assert_eq!(board.sub("shop", id, at(6)).await.as_deref(), Some("shop-ann"));
            assert_eq!(board.retired("shop", id, at(6)).await, ["shop-bob"]);
            assert_eq!(board.retired("club", id, at(6)).await, Vec::<String>::new());
        }
        let told = audiences(&invariants::check(env).await, "customer.keys_joined");
        assert_eq!(told, json!([{"sector": "shop", "sub": "shop-ann", "merged_from": ["shop-bob"]}]));
        board.link(ann, Namespace::App("shop".to_owned()), "a-1", at(7)).await;
        let after = (board.heard("club").await, board.heard("shop").await);
        assert!(after.0.starts_with(&before.0) && after.1.starts_with(&before.1), "a replay tells what was told");
        assert_eq!(after.0.last().unwrap().1.as_deref(), Some("club-bob"));

        assert!(matches!(board.undo(merge.merge, at(8)).await, Undone::Done { repeated: false, .. }));
        for (sector, id, sub) in
            [("club", bob, Some("club-bob")), ("shop", bob, Some("shop-bob")), ("club", ann, None), ("shop", ann, Some("shop-ann"))]
        {
            assert_eq!(board.sub(sector, id, at(9)).await.as_deref(), sub, "{sector}");
        }
        invariants::check(env).await;
    }

    /// A side that joins one which has not proved the root is no more than that side.
    async fn a_side_that_joins_another_side_is_not_the_customer(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob, cid) =
            (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await, board.customer("cid", at(0)).await);
        board.merge(bob, cid, at(1)).await;
        board.merge(ann, bob, at(2)).await;
        board.own_side("club", cid, "club-cid", at(3)).await;
        assert_eq!(board.sub("club", bob, at(3)).await, None, "Cid's name is not Bob's");
        board.join(cid, bob, at(4)).await;
        assert_eq!(board.sub("club", bob, at(5)).await.as_deref(), Some("club-cid"));
        assert_eq!(board.sub("club", ann, at(5)).await, None);
        board.join(bob, ann, at(6)).await;
        for id in [ann, bob, cid] {
            assert_eq!(board.sub("club", id, at(7)).await.as_deref(), Some("club-cid"));
        }
        assert!(invariants::check(env).await.subjects.iter().all(|subject| !subject.own_side));
    }

    /// Whatever was joined meanwhile, an undoing leaves the others the name they have.
    async fn an_undoing_leaves_the_rest_the_name_it_has(env: &Env) {
        let board = Board::new(env.store().await);
        let mut all = Vec::new();
        for name in ["ann", "bob", "dan", "eve"] {
            all.push(board.customer(name, at(0)).await);
        }
        let [ann, bob, dan, eve] = all[..] else { panic!() };
        board.subject("shop", dan, "shop-dan", at(1)).await;
        board.merge(ann, bob, at(2)).await;
        board.own_side("shop", bob, "shop-bob", at(3)).await;
        let with_dan = board.merge(ann, dan, at(4)).await;
        let with_eve = board.merge(ann, eve, at(5)).await;
        board.join(bob, ann, at(6)).await;
        assert_eq!(board.sub("shop", ann, at(7)).await.as_deref(), Some("shop-dan"));
        assert!(matches!(board.undo(with_eve.merge, at(8)).await, Undone::Done { repeated: false, .. }));
        assert_eq!(board.sub("shop", ann, at(9)).await.as_deref(), Some("shop-dan"));
        assert!(matches!(board.undo(with_dan.merge, at(10)).await, Undone::Done { repeated: false, .. }));
        assert_eq!(board.sub("shop", dan, at(11)).await.as_deref(), Some("shop-dan"));
        assert_eq!(board.sub("shop", ann, at(11)).await.as_deref(), Some("shop-bob"), "Bob is Ann still");
        invariants::check(env).await;
    }

    /// Rule 24: what was retired leads to whoever lives on, and is named.
    async fn a_retired_subject_or_link_leads_on_and_says_so(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        for (sector, sub, customer) in [("shop", "shop-ann", ann), ("shop", "shop-bob", bob), ("club", "club-bob", bob)] {
            board.subject(sector, customer, sub, at(1)).await;
        }
        board.merge(ann, bob, at(2)).await;
        let (rules, bob) = (Rules { namespaces: &board.config.namespaces, now: at(3) }, bob.to_string());
        let mut tx = board.store.begin_read().await.unwrap();
        for (text, merged_from) in [
            ("shop-bob", Some("shop-bob")),
            ("shop-ann", None),
            ("club-bob", None),
            ("email:bob@shop.example", Some(bob.as_str())),
            ("email:ann@shop.example", None),
            (bob.as_str(), Some(bob.as_str())),
        ] {
            let views = customer::show(&mut tx, text, rules).await.unwrap();
            let found: Vec<_> = views.iter().map(|view| (view.customer_id, view.merged_from.as_deref())).collect();
            assert_eq!(found, [(ann, merged_from)], "{text}");
        }
    }

    /// Whoever keeps data of the erased, by whatever name, hears of it; and what somebody wrote of them is gone.
    async fn an_erasure_is_told_by_every_name_that_a_sector_knew(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob, cid) =
            (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await, board.customer("cid", at(0)).await);
        for (sub, customer) in [("shop-ann", ann), ("shop-bob", bob)] {
            board.subject("shop", customer, sub, at(1)).await;
        }
        board.merge(ann, bob, at(2)).await;
        board.own_side("club", bob, "club-bob", at(3)).await;
        let why = "a neighbor of 7 Elm Street";
        not_same::mark(&board.store, bob, cid, Actor::System, why, at(4)).await.unwrap();
        let key = MasterKey::generate().derive("task");
        let erased = erase::erase(&board.store, &key, ann, (Actor::System, "on request"), at(5)).await.unwrap();
        assert!(matches!(erased, Erased::Done { .. }), "{erased:?}");
        let told = audiences(&invariants::check(env).await, "customer.erased");
        let expected = json!([
            {"sector": "club", "sub": "club-bob"},
            {"sector": "shop", "sub": "shop-ann", "merged_from": ["shop-bob"]},
        ]);
        assert_eq!(told, expected);
        let pairs = board.store.begin_read().await.unwrap().not_same_between(ann, cid).await.unwrap();
        assert_eq!((pairs.len(), &pairs[0].reason), (1, &json!({})), "the mark stays, its words do not");
    }
}
