//! Merges that are refused, each by its name (rules 27, 29, 30, 35).

use samesake::config::Survivorship;
use samesake::events::Actor;
use samesake::identity::merge::{Initiator, Outcome, PlanRequest, Refusal, Terms};
use samesake::identity::namespace::Namespace;
use samesake::identity::not_same::{self, Marked};
use samesake::ids::CustomerId;
use samesake::store::CustomerState;
use serde_json::{Value, json};

use super::{Board, at, by_admin, by_customer, by_operator, done};
use crate::harness::{Env, invariants};
use crate::on_both;

/// The names of what speaks against it; nothing may have moved.
async fn refused(board: &Board, request: &PlanRequest) -> Vec<&'static str> {
    let outcome = board.execute(request, Terms::default(), at(100)).await;
    let Outcome::Refused(plan) = outcome else { panic!("{outcome:?}") };
    assert_eq!(board.living(request.absorbed).await, request.absorbed, "nothing moved");
    plan.refusals.iter().map(Refusal::name).collect()
}

fn born(day: &str, verified: bool) -> Value {
    json!({"birthdate": {"value": day, "at": 0}, "birthdate_verified": {"value": verified, "at": 0}})
}

async fn pair(board: &Board, name: &str, profiles: [Value; 2]) -> (CustomerId, CustomerId) {
    let [one, other] = profiles;
    let survivor = board.customer_with(&format!("{name}-1"), one, at(0)).await;
    (survivor, board.customer_with(&format!("{name}-2"), other, at(0)).await)
}

on_both! {
    /// Rule 30: a suspension is not washed off, and a hold is a hold; on either side.
    async fn a_blocked_or_held_side_is_refused(env: &Env) {
        let board = Board::new(env.store().await);
        for absorbed_is_bad in [false, true] {
            let (ann, bob) = pair(&board, &format!("blocked-{absorbed_is_bad}"), [json!({}), json!({})]).await;
            let bad = if absorbed_is_bad { bob } else { ann };
            let mut tx = board.store.begin().await.unwrap();
            tx.customer_state_set(bad, CustomerState::Blocked, at(1)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(refused(&board, &by_operator(ann, bob)).await, ["blocked"]);
            let (ann, bob) = pair(&board, &format!("held-{absorbed_is_bad}"), [json!({}), json!({})]).await;
            let bad = if absorbed_is_bad { bob } else { ann };
            let mut tx = board.store.begin().await.unwrap();
            tx.member_hold_set(bad, Some("court order"), at(1)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(refused(&board, &by_operator(ann, bob)).await, ["legal hold"]);
        }
        invariants::check(env).await;
    }

    async fn minors_walled_brands_and_impossible_pairs_are_refused(env: &Env) {
        let mut board = Board::new(env.store().await);
        let (child, parent) = pair(&board, "age", [born("2015-01-01", false), born("1980-01-01", false)]).await;
        assert_eq!(refused(&board, &by_operator(child, parent)).await, ["minor with adult"]);
        let (one, other) = pair(&board, "birth", [born("1980-01-01", true), born("1981-01-01", true)]).await;
        assert_eq!(refused(&board, &by_operator(one, other)).await, ["two verified birth dates"]);
        let (one, other) = pair(&board, "ids", [json!({}), json!({})]).await;
        for (id, customer) in [("k1", one), ("k2", other)] {
            board.link(customer, Namespace::External("crm".to_owned()), id, at(1)).await;
        }
        assert_eq!(refused(&board, &by_operator(one, other)).await, ["two different immutable IDs"]);
        let (one, other) = pair(&board, "full", [json!({}), json!({})]).await;
        for number in 0..4 {
            let customer = if number < 2 { one } else { other };
            board.link(customer, Namespace::App("shop".to_owned()), &format!("f{number}"), at(1)).await;
        }
        assert_eq!(refused(&board, &by_operator(one, other)).await, ["over the limit of a namespace"]);
        board.config.walled_brands = vec!["bank".to_owned()];
        let (one, other) = pair(&board, "brand", [json!({}), json!({})]).await;
        let mut tx = board.store.begin().await.unwrap();
        tx.member_brand_set(one, Some("bank"), at(1)).await.unwrap();
        tx.member_brand_set(other, Some("shop"), at(1)).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(refused(&board, &by_operator(one, other)).await, ["walled brands"]);
        invariants::check(env).await;
    }

    /// Rule 30.
    async fn an_admin_merges_neither_themselves_nor_staff(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = pair(&board, "self", [json!({}), json!({})]).await;
        let mut request = by_admin("ann", bob, ann);
        request.by = Initiator::Admin { name: "ann".to_owned(), customer: Some(ann) };
        assert_eq!(refused(&board, &request).await, ["oneself"]);
        board.make_admin(bob).await;
        assert_eq!(refused(&board, &by_admin("cat", bob, ann)).await, ["upward in rights"]);
        assert_eq!(refused(&board, &by_admin("cat", ann, bob)).await, ["upward in rights"], "nor are they merged away");
        // Through a chain: whoever is a part of the customer today.
        let (cid, dan) = pair(&board, "chain", [json!({}), json!({})]).await;
        board.merge(cid, bob, at(2)).await;
        assert_eq!(refused(&board, &by_admin("cat", cid, dan)).await, ["upward in rights"]);
    }

    /// Rule 25: only fresh proofs of both sides make a full union.
    async fn proofs_older_than_ten_minutes_join_nothing(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = pair(&board, "old", [json!({}), json!({})]).await;
        let mut request = by_customer(ann, bob, at(100));
        request.by = Initiator::Customer { proved: [at(100), at(100 - 601)] };
        assert_eq!(refused(&board, &request).await, ["not proved"]);
        request.by = Initiator::Customer { proved: [at(101), at(100)] };
        assert_eq!(refused(&board, &request).await, ["not proved"], "a proof of the future is none");
    }

    /// Rules 29 and 35: also through a chain, until somebody lifts it.
    async fn two_who_are_not_the_same_are_never_joined_by_a_chain(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = pair(&board, "twins", [json!({}), json!({})]).await;
        let (cat, dan) = pair(&board, "between", [json!({}), json!({})]).await;
        let by = || Actor::Admin("eve".to_owned());
        let mark = not_same::mark(&board.store, ann, bob, by(), "twins", at(1)).await.unwrap();
        assert_eq!(mark, Marked::Done);
        assert_eq!(not_same::mark(&board.store, bob, ann, by(), "twins", at(1)).await.unwrap(), Marked::Already);
        assert_eq!(refused(&board, &by_operator(ann, bob)).await, ["not same"]);
        board.merge(cat, ann, at(2)).await;
        board.merge(dan, bob, at(2)).await;
        assert_eq!(not_same::mark(&board.store, cat, ann, by(), "", at(3)).await.unwrap(), Marked::Merged);
        assert_eq!(refused(&board, &by_operator(cat, dan)).await, ["not same"]);
        assert_eq!(not_same::lift(&board.store, dan, cat, by(), at(4)).await.unwrap(), Marked::Done);
        assert_eq!(board.merge(cat, dan, at(5)).await.survivor, cat);
        invariants::check(env).await;
    }

    /// Rule 34: undoing marks the pair, so that nothing merges it again.
    async fn a_pair_that_was_undone_is_not_merged_again(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = pair(&board, "undone", [json!({}), json!({})]).await;
        let merge = board.merge(ann, bob, at(1)).await;
        board.undo(merge.merge, at(2)).await;
        assert_eq!(refused(&board, &by_operator(bob, ann)).await, ["not same"]);
        invariants::check(env).await;
    }

    /// Rule 27: a field to ask about waits for an answer, and the answer goes with the merge.
    async fn a_question_must_be_answered(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.survivorship.insert("locale".to_owned(), Survivorship::Ask);
        let locale = |value: &str| json!({"locale": {"value": value, "at": 0}});
        let (ann, bob) = pair(&board, "ask", [locale("de"), locale("fr")]).await;
        let mut request = by_operator(ann, bob);
        let Outcome::Refused(plan) = board.execute(&request, Terms::default(), at(1)).await else { panic!() };
        assert_eq!((plan.questions.as_slice(), plan.refusals.len()), (&["locale".to_owned()][..], 0));
        request.choices.insert("locale".to_owned(), bob);
        done(board.execute(&request, Terms::default(), at(2)).await);
        let rows = board.store.begin_read().await.unwrap().members_of(ann).await.unwrap();
        let seen = samesake::identity::merge::side::see_members(&rows, ann, &board.config, at(3)).unwrap();
        assert_eq!(seen.profile["locale"]["value"], "fr");
        invariants::check(env).await;
    }

    async fn nobody_is_merged_with_nobody(env: &Env) {
        let board = Board::new(env.store().await);
        let ann = board.customer("ann", at(0)).await;
        let stranger = CustomerId::new(at(0));
        let outcome = board.execute(&by_operator(ann, stranger), Terms::default(), at(1)).await;
        assert_eq!(outcome, Outcome::Unknown(stranger.to_string()));
        let outcome = board.execute(&by_operator(ann, ann), Terms::default(), at(1)).await;
        assert_eq!(outcome, Outcome::Unknown(ann.to_string()));
    }
}
