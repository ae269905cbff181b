//! Undoing merges: exact, in any order, with what came after assigned as the rules say.

use std::collections::BTreeSet;

use samesake::identity::merge::{self, Refusal, UndoRequest, Undone};
use samesake::identity::namespace::Namespace;
use samesake::ids::{CustomerId, MergeId};
use serde_json::json;

use super::{Board, at, hex, picture, undo_request};
use crate::harness::{Env, invariants};
use crate::identity::races::Dice;
use crate::on_both;

/// Somebody with everything that a customer can have.
async fn somebody(board: &Board, name: &str) -> CustomerId {
    let id = board.customer(name, at(0)).await;
    board.password(id, &format!("${name}"), at(1)).await;
    board.subject("shop", id, &format!("shop-{name}"), at(1)).await;
    board.subject(&format!("only-{name}"), id, &format!("only-{name}"), at(1)).await;
    board.consent(id, "shop", "openid email", at(1)).await;
    board.link(id, Namespace::App("shop".to_owned()), &format!("app-{name}"), at(1)).await;
    id
}

fn is_done(undone: &Undone) -> bool {
    matches!(undone, Undone::Done { repeated: false, .. })
}

on_both! {
    /// Rule 32.
    async fn merge_then_unmerge_equals_before(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (somebody(&board, "ann").await, somebody(&board, "bob").await);
        let before = picture(&invariants::check(env).await);
        for full in [false, true] {
            let merge = if full { board.merge_own(ann, bob, at(2)).await } else { board.merge(ann, bob, at(2)).await };
            assert_ne!(picture(&invariants::check(env).await), before);
            let request = undo_request(merge.merge);
            let plan = merge::undo_plan(&board.store, &board.config, &request, at(3)).await.unwrap().unwrap();
            assert_eq!((plan.links.len(), plan.stay.len(), plan.refusals.len()), (3, 0, 0));
            assert!(is_done(&board.undo(merge.merge, at(3)).await));
            assert_eq!(picture(&invariants::check(env).await), before);
            // Undone twice is undone once.
            assert!(matches!(board.undo(merge.merge, at(4)).await, Undone::Done { repeated: true, .. }));
            let by = samesake::events::Actor::System;
            samesake::identity::not_same::lift(&board.store, ann, bob, by, at(4)).await.unwrap();
        }
    }

    /// Rules 32 and 34: nine merges in trees and chains, undone in ten random orders.
    async fn undoing_all_merges_in_any_order_gives_the_first_partition(env: &Env) {
        let board = Board::new(env.store().await);
        let mut ids = Vec::new();
        for number in 0..10 {
            ids.push(somebody(&board, &format!("c{number}")).await);
        }
        let before = picture(&invariants::check(env).await);
        let mut dice = Dice(32);
        for _ in 0..10 {
            // App IDs allow three on one customer: three trees of three and one alone.
            let mut merges: Vec<MergeId> = Vec::new();
            for group in ids.chunks(3).filter(|group| group.len() == 3) {
                let mut order = group.to_vec();
                order.rotate_left(dice.roll(3));
                let (first, second) = if dice.roll(2) == 0 { ((0, 1), (0, 2)) } else { ((0, 1), (2, 0)) };
                for (survivor, absorbed) in [first, second] {
                    merges.push(board.merge(order[survivor], order[absorbed], at(5)).await.merge);
                }
            }
            invariants::check(env).await;
            while !merges.is_empty() {
                let merge = merges.remove(dice.roll(merges.len()));
                assert!(is_done(&board.undo(merge, at(6)).await));
                invariants::check(env).await;
            }
            assert_eq!(picture(&invariants::check(env).await), before);
            for one in &ids {
                for other in ids.iter().filter(|other| *other > one) {
                    let by = samesake::events::Actor::System;
                    samesake::identity::not_same::lift(&board.store, *one, *other, by, at(7)).await.unwrap();
                }
            }
        }
    }

    /// Rule 34: an inner merge of a chain takes its own branch along.
    async fn an_inner_merge_takes_its_own_branch_back(env: &Env) {
        let board = Board::new(env.store().await);
        let mut ids = Vec::new();
        for number in 0..4 {
            ids.push(board.customer(&format!("c{number}"), at(number)).await);
        }
        board.merge(ids[1], ids[0], at(5)).await;
        let inner = board.merge(ids[2], ids[1], at(6)).await;
        board.merge(ids[3], ids[2], at(7)).await;
        assert!(is_done(&board.undo(inner.merge, at(8)).await));
        let mut roots = Vec::new();
        for id in &ids {
            roots.push(board.living(*id).await);
        }
        assert_eq!(roots, [ids[1], ids[1], ids[3], ids[3]]);
        invariants::check(env).await;
    }

    /// Rule 33.
    async fn subjects_part_as_they_were_first_seen(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        board.subject("kept-bobs", bob, "b1", at(1)).await;
        let merge = board.merge_own(ann, bob, at(2)).await;
        board.subject("seen-after", ann, "s1", at(3)).await;
        assert_eq!(board.sub("kept-bobs", ann, at(3)).await.as_deref(), Some("b1"));
        assert!(is_done(&board.undo(merge.merge, at(4)).await));
        assert_eq!(board.sub("kept-bobs", bob, at(5)).await.as_deref(), Some("b1"));
        assert_eq!(board.sub("kept-bobs", ann, at(5)).await, None, "the survivor gets a fresh one");
        assert_eq!(board.sub("seen-after", ann, at(5)).await.as_deref(), Some("s1"));
        assert_eq!(board.sub("seen-after", bob, at(5)).await, None, "the restored customer gets a fresh one");
        let graph = invariants::check(env).await;
        let parted = graph.events.iter().find(|event| event.kind == "customer.unmerged").unwrap();
        assert_eq!(parted.payload["audiences"][0]["restored"], "b1");
    }

    /// Rule 33.
    async fn consent_given_while_one_goes_to_both_the_stricter(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        board.consent(bob, "shop", "openid", at(1)).await;
        board.consent(bob, "quiet", "openid phone", at(1)).await;
        let merge = board.merge_own(ann, bob, at(2)).await;
        board.consent(ann, "shop", "openid email", at(3)).await;
        board.consent(ann, "new", "openid email", at(3)).await;
        let plan = merge::undo_plan(&board.store, &board.config, &undo_request(merge.merge), at(4)).await.unwrap().unwrap();
        assert_eq!(plan.consents, ["new", "shop"], "what was given by the whole customer");
        assert!(is_done(&board.undo(merge.merge, at(4)).await));
        let mut tx = board.store.begin_read().await.unwrap();
        let mut scope = async |customer, client: &str| tx.consent_find(customer, client).await.unwrap();
        assert_eq!(scope(bob, "new").await.as_deref(), Some("openid email"));
        assert_eq!(scope(ann, "new").await.as_deref(), Some("openid email"));
        assert_eq!(scope(bob, "quiet").await.as_deref(), Some("openid phone"));
        assert_eq!(scope(ann, "quiet").await, None);
        assert_eq!(scope(bob, "shop").await.as_deref(), Some("openid"), "never wider than what it was");
        assert_eq!(scope(ann, "shop").await.as_deref(), Some("openid email"));
        invariants::check(env).await;
    }

    /// Rules 32 and 33: what came after the merge.
    async fn what_came_after_stays_unless_chosen_and_a_value_taken_is_a_case(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        let lost = board.link(bob, Namespace::Email, "shared@shop.example", at(1)).await;
        let merge = board.merge_own(ann, bob, at(2)).await;
        let own = board.link(bob, Namespace::App("shop".to_owned()), "by-bob", at(3)).await;
        let chosen = board.link(ann, Namespace::App("shop".to_owned()), "chosen", at(3)).await;
        let stays = board.link(ann, Namespace::App("shop".to_owned()), "stays", at(3)).await;
        let mut tx = board.store.begin().await.unwrap();
        tx.link_end(lost, at(4)).await.unwrap();
        let event = samesake::events::Event::LinkRemoved {
            link: lost,
            namespace: "email".to_owned(),
            external_id: "shared@shop.example".to_owned(),
        };
        samesake::events::record(&mut tx, ann, samesake::events::Actor::Customer, event, at(4)).await.unwrap();
        tx.commit().await.unwrap();
        let cat = board.customer("cat", at(5)).await;
        board.link(cat, Namespace::Email, "shared@shop.example", at(5)).await;
        let mut request = undo_request(merge.merge);
        let plan = merge::undo_plan(&board.store, &board.config, &request, at(6)).await.unwrap().unwrap();
        let shown: BTreeSet<_> = plan.stay.iter().map(|line| line.link).collect();
        assert_eq!((shown, plan.taken.len()), (BTreeSet::from([chosen, stays]), 1));
        request.take = vec![chosen];
        let undone = merge::undo(&board.store, &board.config, &request, None, at(6)).await.unwrap();
        assert!(is_done(&undone));
        let graph = invariants::check(env).await;
        let root = |id: &str| &graph.live("app:shop", id)[0].root;
        assert_eq!((root("by-bob"), root("chosen"), root("stays")), (&hex(bob), &hex(bob), &hex(ann)));
        assert_eq!(graph.live("email", "shared@shop.example")[0].root, hex(cat), "nobody loses what is theirs by now");
        assert!(graph.history(&hex(bob)).contains(&"conflict.opened"));
        let cases = board.store.begin_read().await.unwrap().conflicts_open(10).await.unwrap();
        assert_eq!((cases.len(), cases[0].customer, cases[0].other), (1, bob, cat));
        assert_eq!(own, graph_link(&graph, "by-bob"));
    }

    /// Rules 5, 32 and 46: an address that goes along is no more told as the survivor's.
    async fn what_a_link_brought_goes_along_with_it(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        let merge = board.merge(ann, bob, at(2)).await;
        let late = board.link(ann, Namespace::Email, "late@shop.example", at(3)).await;
        let name = json!({"value": "ann", "at": at(0)});
        let profile = json!({
            "name": name,
            "email": {"value": "Late@shop.example", "at": at(3)},
            "email_verified": {"value": true, "at": at(3), "from": late},
            "locale": {"value": "fr", "at": at(3), "from": late},
        });
        let mut tx = board.store.begin().await.unwrap();
        tx.member_profile_set(ann, &profile, at(3)).await.unwrap();
        tx.commit().await.unwrap();
        let request = UndoRequest { take: vec![late], ..undo_request(merge.merge) };
        assert!(is_done(&merge::undo(&board.store, &board.config, &request, None, at(4)).await.unwrap()));
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers[&hex(ann)].profile, json!({"name": name}));
        let bobs = &graph.customers[&hex(bob)].profile;
        assert_eq!((&bobs["email"]["value"], &bobs["email_verified"]["value"]), (&json!("Late@shop.example"), &json!(true)));
        assert_eq!((&bobs["locale"]["value"], &bobs["name"]["value"]), (&json!("fr"), &json!("bob")));
        let told = |id: CustomerId| graph.history(&hex(id)).iter().filter(|kind| **kind == "profile.updated").count();
        assert_eq!((told(ann), told(bob)), (1, 1));
    }

    /// Rules 28, 32 and 34: a stale dry run, and when it is too late.
    async fn an_undoing_is_refused_when_stale_or_too_late(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        let merge = board.merge(ann, bob, at(2)).await.merge;
        let request = undo_request(merge);
        let plan = merge::undo_plan(&board.store, &board.config, &request, at(3)).await.unwrap().unwrap();
        board.link(ann, Namespace::App("shop".to_owned()), "later", at(4)).await;
        let stale = merge::undo(&board.store, &board.config, &request, Some(&plan.hash()), at(5)).await.unwrap();
        assert!(matches!(stale, Undone::Stale(_)), "{stale:?}");
        let Undone::Refused(plan) = board.undo(merge, at(91 * 24 * 3600)).await else { panic!("undone after 90 days") };
        assert_eq!(plan.refusals, [Refusal::TooLate]);
        assert_eq!(board.undo(MergeId::new(at(0)), at(5)).await, Undone::Unknown);
        assert_eq!(board.living(bob).await, ann);
        invariants::check(env).await;
    }
}

fn graph_link(graph: &invariants::Graph, external_id: &str) -> samesake::ids::LinkId {
    graph.links.iter().find(|link| link.external_id == external_id).unwrap().id.parse().unwrap()
}
