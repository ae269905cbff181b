//! A merge closes what asked for it (rules 29, 35 and 36): merge requests of customers and candidates of the duplicate
//! search, of the pair and of every pair that it makes one.

use samesake::clock::uuid_v7;
use samesake::identity::merge::Undone;
use samesake::ids::CustomerId;
use samesake::store::{Candidate, CandidateState, MergeRequest, MergeRequestState};
use serde_json::json;

use super::{Board, at};
use crate::harness::{Env, invariants};
use crate::on_both;

impl Board {
    /// What the search found, or finds again; `false` if somebody has decided on it.
    async fn candidate(&self, one: CustomerId, other: CustomerId, seconds: i64) -> bool {
        let candidate = Candidate {
            a: one.min(other),
            b: one.max(other),
            same: 0.9,
            household: 0.05,
            reasons: json!({}),
            model: "imported".to_owned(),
            band: "queue".to_owned(),
            cluster: None,
            needs_review: false,
            state: CandidateState::Open,
            created_at: at(seconds),
            updated_at: at(seconds),
        };
        let mut tx = self.store.begin().await.unwrap();
        let written = tx.candidate_upsert(&candidate).await.unwrap();
        tx.commit().await.unwrap();
        written
    }

    async fn request(&self, one: CustomerId, other: CustomerId) {
        let request = MergeRequest {
            id: uuid_v7(at(1)),
            a: one.min(other),
            b: one.max(other),
            proofs: json!([]),
            opened_at: at(1),
            state: MergeRequestState::Open,
            closed_at: None,
            declined: false,
        };
        let mut tx = self.store.begin().await.unwrap();
        assert!(tx.merge_request_open(&request).await.unwrap());
        tx.commit().await.unwrap();
    }

    /// Open candidates and open requests.
    async fn waiting(&self) -> (usize, usize) {
        let mut tx = self.store.begin_read().await.unwrap();
        let nobody = CustomerId(uuid::Uuid::nil());
        let candidates = tx.candidates_after(nobody, nobody, 10).await.unwrap().len();
        (candidates, tx.merge_requests_open(10).await.unwrap().len())
    }
}

on_both! {
    async fn a_merge_closes_what_it_answers_and_an_undoing_reopens_nothing(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna, eve) =
            (board.customer("ann", at(0)).await, board.customer("anna", at(0)).await, board.customer("eve", at(0)).await);
        for (one, other) in [(ann, anna), (anna, eve)] {
            assert!(board.candidate(one, other, 1).await);
            board.request(one, other).await;
        }
        let merge = board.merge(ann, anna, at(2)).await;
        assert_eq!(board.waiting().await, (1, 1), "that with eve is another matter");
        assert!(matches!(board.undo(merge.merge, at(3)).await, Undone::Done { repeated: false, .. }));
        assert_eq!(board.waiting().await, (1, 1), "an undoing asks nobody again");
        assert!(!board.candidate(ann, anna, 4).await, "and no scan does");
        let pair = board.store.begin_read().await.unwrap().candidate_find(ann.min(anna), ann.max(anna)).await.unwrap();
        assert_eq!(pair.unwrap().candidate.state, CandidateState::Dismissed, "a model is not taught that they are one");
        assert_eq!(board.waiting().await, (1, 1));
        let marked = board.store.begin_read().await.unwrap().is_marked_not_same(ann, anna).await.unwrap();
        assert!(marked, "they are known not to be one person");
        invariants::check(env).await;
    }

    async fn a_chain_closes_the_pairs_it_makes_one(env: &Env) {
        let board = Board::new(env.store().await);
        let (ann, anna, eve) =
            (board.customer("ann", at(0)).await, board.customer("anna", at(0)).await, board.customer("eve", at(0)).await);
        for (one, other) in [(ann, anna), (anna, eve), (ann, eve)] {
            board.candidate(one, other, 1).await;
            board.request(one, other).await;
        }
        board.merge(ann, anna, at(2)).await;
        assert_eq!(board.waiting().await, (2, 2));
        // Eve comes to be the same customer as both.
        board.merge(eve, ann, at(3)).await;
        assert_eq!(board.waiting().await, (0, 0));
        invariants::check(env).await;
    }
}
