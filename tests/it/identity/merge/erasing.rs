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
