//! Merging: what an ID, a subject and an identifier mean afterwards, and that doing it twice is doing it once.

use samesake::identity::merge::{Outcome, Terms};
use samesake::identity::namespace::Namespace;
use serde_json::json;

use super::{Board, at, by_customer, by_operator, done, hex};
use crate::harness::{Env, invariants};
use crate::on_both;

on_both! {
    /// Rules 22 and 24.
    async fn a_merge_is_a_pointer_and_every_id_means_the_survivor(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna) = (board.customer("ann", at(0)).await, board.customer("anna", at(1)).await);
        let before = board.store.begin_read().await.unwrap().customer_find(anna).await.unwrap().unwrap();
        board.merge(ann, anna, at(2)).await;
        let mut tx = board.store.begin_read().await.unwrap();
        assert_eq!(tx.customer_living(anna).await.unwrap().unwrap().id, ann);
        assert_eq!(tx.link_resolve("social:google", "anna").await.unwrap(), Some(ann));
        assert_eq!(tx.link_resolve("email", "anna@shop.example").await.unwrap(), Some(ann));
        let row = tx.customer_find(anna).await.unwrap().unwrap();
        assert_eq!((row.profile, row.canonical), (before.profile, ann), "its own values stay its own");
        let graph = invariants::check(env).await;
        let anna_links = graph.links.iter().filter(|link| link.customer == hex(anna)).count();
        assert_eq!(anna_links, 2, "links keep the customer they were attached to");
        assert_eq!(graph.history(&hex(ann)).last(), Some(&"customer.merged"));
        assert_eq!(graph.history(&hex(anna)).last(), Some(&"customer.absorbed"));
    }

    /// Rule 23 and 31: who knew one hears nothing and sees no change; who knew both hears it in its own subjects.
    async fn no_app_loses_track(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna) = (board.customer("ann", at(0)).await, board.customer("anna", at(1)).await);
        board.subject("knew-survivor", ann, "s1", at(2)).await;
        board.subject("knew-absorbed", anna, "a1", at(2)).await;
        board.subject("knew-both", ann, "s2", at(2)).await;
        board.subject("knew-both", anna, "a2", at(2)).await;
        board.merge_own(ann, anna, at(3)).await;
        for id in [ann, anna] {
            assert_eq!(board.sub("knew-survivor", id, at(4)).await.as_deref(), Some("s1"));
            assert_eq!(board.sub("knew-absorbed", id, at(4)).await.as_deref(), Some("a1"));
            assert_eq!(board.sub("knew-both", id, at(4)).await.as_deref(), Some("s2"));
        }
        let graph = invariants::check(env).await;
        let merged: Vec<_> = graph.events.iter().filter(|event| event.kind == "customer.merged").collect();
        let [merged] = merged.as_slice() else { panic!("{merged:?}") };
        let told = json!([{"sector": "knew-both", "sub": "s2", "merged_from": ["a2"]}]);
        assert_eq!(merged.payload["audiences"], told);
        let rows = board.store.begin_read().await.unwrap().members_seen("knew-both", ann).await.unwrap();
        let seen = |now| samesake::identity::merge::side::see(&rows, ann, &board.config, now).unwrap();
        assert_eq!(seen(at(4)).merged_from, ["a2"]);
        assert!(seen(at(31 * 24 * 3600)).merged_from.is_empty(), "after 30 days nobody is told");
    }

    /// Rule 31: whoever has seen a version of either never takes what comes for older.
    async fn the_version_rises_over_both(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna) = (board.customer("ann", at(0)).await, board.customer("anna", at(1)).await);
        for number in 0..5 {
            board.link(anna, Namespace::Visitor("shop".to_owned()), &format!("v{number}"), at(2)).await;
        }
        let version = async |id| board.store.begin_read().await.unwrap().customer_living(id).await.unwrap().unwrap().version;
        let highest = version(anna).await;
        let merge = board.merge(ann, anna, at(3)).await;
        let merged = version(ann).await;
        assert!(merged > highest, "{merged} after {highest}");
        board.undo(merge.merge, at(4)).await;
        assert!(version(ann).await > merged && version(anna).await > merged);
        invariants::check(env).await;
    }

    /// Rule 28: what was previewed is what is executed, or it is refused.
    async fn a_plan_that_has_changed_is_stale(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna) = (board.customer("ann", at(0)).await, board.customer("anna", at(1)).await);
        let request = by_operator(ann, anna);
        let plan = board.plan(&request, at(2)).await;
        assert_eq!(plan.hash(), board.plan(&request, at(60)).await.hash(), "the same rows, the same plan");
        board.subject("shop", anna, "a1", at(3)).await;
        let hash = plan.hash();
        let Outcome::Stale(now) = board.execute(&request, Terms { hash: Some(&hash), idempotency_key: None }, at(4)).await
        else {
            panic!("executed a plan that had changed");
        };
        assert_eq!(now.sectors[0].after, "a1");
        assert_eq!(board.living(anna).await, anna, "nothing moved");
        let hash = now.hash();
        done(board.execute(&request, Terms { hash: Some(&hash), idempotency_key: None }, at(5)).await);
        let graph = invariants::check(env).await;
        let moved: Vec<String> = now.moves.links.iter().map(|link| link.link.0.simple().to_string()).collect();
        let followed = graph.links.iter().filter(|link| link.customer == hex(anna) && link.root == hex(ann));
        assert!(followed.map(|link| &link.id).all(|id| moved.contains(id)), "as previewed");
        assert_eq!(moved.len(), 2);
    }

    /// Rule 29: a retry after a lost reply.
    async fn merging_twice_is_merging_once(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna, other) =
            (board.customer("ann", at(0)).await, board.customer("anna", at(1)).await, board.customer("bob", at(1)).await);
        let request = by_customer(ann, anna, at(2));
        let terms = Terms { hash: None, idempotency_key: Some("once") };
        let first = done(board.execute(&request, terms, at(2)).await);
        let second = done(board.execute(&request, terms, at(3)).await);
        assert_eq!((second.merge, second.repeated), (first.merge, true));
        let swapped = done(board.execute(&by_operator(anna, ann), Terms::default(), at(4)).await);
        assert_eq!((swapped.merge, swapped.repeated), (first.merge, true), "two who are one are not merged again");
        let reused = done(board.execute(&by_operator(ann, other), terms, at(5)).await);
        assert_eq!(reused.merge, first.merge, "a key stands for one merge");
        let graph = invariants::check(env).await;
        assert_eq!(graph.events.iter().filter(|event| event.kind == "customer.merged").count(), 1);
    }

    /// Rule 29: a retired ID in the request means its living customer; a chain resolves in one hop.
    async fn a_chain_of_merges_resolves_in_one_hop(env: &Env) {
        let board = Board::new(env.store().await);
        let mut ids = Vec::new();
        for number in 0..4 {
            ids.push(board.customer(&format!("c{number}"), at(number)).await);
        }
        for pair in ids.windows(2) {
            board.merge(pair[1], pair[0], at(10)).await;
        }
        for id in &ids {
            assert_eq!(board.living(*id).await, ids[3]);
        }
        let late = board.customer("late", at(20)).await;
        let merged = board.merge(ids[0], late, at(21)).await;
        assert_eq!(merged.survivor, ids[3]);
        invariants::check(env).await;
    }

    /// Rule 27: passwords rest, consents meet, links are united.
    async fn the_survivors_password_stays_and_consent_is_the_stricter(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna) = (board.customer("ann", at(0)).await, board.customer("anna", at(1)).await);
        board.password(ann, "$survivor", at(1)).await;
        board.password(anna, "$absorbed", at(1)).await;
        board.consent(ann, "shop", "openid email phone", at(1)).await;
        board.consent(anna, "shop", "openid phone profile", at(1)).await;
        let plan = board.plan(&by_customer(ann, anna, at(2)), at(2)).await;
        assert!(plan.moves.password_rests && plan.moves.passwords == 1);
        board.merge_own(ann, anna, at(2)).await;
        let mut tx = board.store.begin_read().await.unwrap();
        assert_eq!(tx.consent_find(ann, "shop").await.unwrap().as_deref(), Some("openid phone"));
        invariants::check(env).await;
    }
}
