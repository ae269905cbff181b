//! Erasure (rules 21, 34 and 45): gone for good, and the log is whole.

use samesake::clock::Timestamp;
use samesake::events::Actor;
use samesake::identity::erase::{self, Erased};
use samesake::identity::merge::{Refusal, Undone};
use samesake::identity::namespace::Namespace;
use samesake::ids::CustomerId;
use samesake::secret::MasterKey;
use samesake::store::CustomerState;

use super::{Board, at};
use crate::harness::{Env, invariants};
use crate::on_both;

async fn erase(board: &Board, id: CustomerId, reason: &str, now: Timestamp) -> Erased {
    let key = MasterKey::generate().derive("task");
    erase::erase(&board.store, &key, id, (Actor::System, reason), now).await.unwrap()
}

on_both! {
    async fn an_erased_customer_is_gone_and_never_a_stranger(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        board.password(bob, "$secret", at(1)).await;
        board.subject("shop", bob, "b1", at(1)).await;
        let merge = board.merge(ann, bob, at(2)).await;
        let erase_now = async |id| erase(&board, id, "on request", at(3)).await;
        let Erased::Done { customer, members } = erase_now(bob).await else { panic!() };
        assert_eq!((customer, members.len()), (ann, 2));
        assert_eq!(erase_now(ann).await, Erased::Already { customer: ann });
        let graph = invariants::check(env).await;
        let text = format!("{graph:?}");
        for personal in ["ann@shop.example", "bob@shop.example", "$secret"] {
            assert!(!text.contains(personal), "{personal} is still there");
        }
        let mut tx = board.store.begin_read().await.unwrap();
        for id in [ann, bob] {
            assert_eq!(tx.customer_living(id).await.unwrap().unwrap().state, CustomerState::Erased, "gone, not unknown");
        }
        assert_eq!(tx.subject_resolve("shop", "b1").await.unwrap(), Some(ann));
        assert_eq!(tx.link_resolve("email", "bob@shop.example").await.unwrap(), None);
        assert_eq!(tx.merge_find(merge.merge).await.unwrap().unwrap().plan, None);
        drop(tx);
        let Undone::Refused(plan) = board.undo(merge.merge, at(4)).await else { panic!("undone after an erasure") };
        assert_eq!(plan.refusals, [Refusal::Erased { customer: ann }]);
        // Whoever returns is somebody new.
        let back = board.customer("bob", at(5)).await;
        assert!(back != bob && board.living(back).await == back);
        invariants::check(env).await;
    }

    /// What came while two were one stands in the name of both, and in the plans of those who absorbed both.
    async fn an_erasure_reaches_what_was_recorded_in_anothers_name(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob, cid) =
            (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await, board.customer("cid", at(0)).await);
        let inner = board.merge(ann, bob, at(1)).await;
        board.link(bob, Namespace::App("shop".to_owned()), "number-of-bob", at(2)).await;
        board.link(ann, Namespace::App("shop".to_owned()), "number-of-ann", at(2)).await;
        let outer = board.merge(cid, ann, at(3)).await;
        board.link(bob, Namespace::App("bank".to_owned()), "account-of-bob", at(4)).await;
        assert!(matches!(board.undo(inner.merge, at(5)).await, Undone::Done { repeated: false, .. }));
        let Erased::Done { members, .. } = erase(&board, bob, "on request", at(6)).await else { panic!() };
        assert_eq!(members, [bob]);
        let plan = board.store.begin_read().await.unwrap().merge_find(outer.merge).await.unwrap().unwrap().plan.unwrap();
        let text = format!("{:?} {plan}", invariants::check(env).await);
        for personal in ["bob@shop.example", "number-of-bob", "account-of-bob", "\"bob\""] {
            assert!(!text.contains(personal), "{personal} is still there");
        }
        assert!(text.contains("number-of-ann") && plan.to_string().contains("number-of-ann"), "Ann is not erased");
        assert!(matches!(board.undo(outer.merge, at(7)).await, Undone::Done { repeated: false, .. }));
        invariants::check(env).await;
    }

    /// And no further: who was a part of the erased for a time keeps their own.
    async fn an_erasure_leaves_what_others_left_in_the_erased_ones_name(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, bob) = (board.customer("ann", at(0)).await, board.customer("bob", at(0)).await);
        let merge = board.merge(ann, bob, at(1)).await;
        board.link(bob, Namespace::App("shop".to_owned()), "number-of-bob", at(2)).await;
        assert!(matches!(board.undo(merge.merge, at(3)).await, Undone::Done { repeated: false, .. }));
        assert!(matches!(erase(&board, ann, "on request", at(4)).await, Erased::Done { .. }));
        let text = format!("{:?}", invariants::check(env).await);
        assert!(text.contains("number-of-bob") && !text.contains("ann@shop.example"));
    }

    async fn a_customer_under_a_legal_hold_is_not_erased(env: &Env) {
        let board = Board::new(env.store().await);
        let ann = board.customer("ann", at(0)).await;
        board.link(ann, Namespace::App("shop".to_owned()), "a", at(1)).await;
        let mut tx = board.store.begin().await.unwrap();
        tx.member_hold_set(ann, Some("court order"), at(1)).await.unwrap();
        tx.commit().await.unwrap();
        let erased = erase(&board, ann, "", at(2)).await;
        assert_eq!(erased, Erased::Refused(Refusal::LegalHold { customer: ann }));
        invariants::check(env).await;
    }
}
