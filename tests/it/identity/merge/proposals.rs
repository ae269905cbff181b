//! A second person before a risky merge (rule 30).

use std::time::Duration;

use samesake::events::Actor;
use samesake::identity::merge::{self, Approved, Outcome, Proposal, Terms};
use samesake::identity::namespace::Namespace;
use samesake::ids::{CustomerId, ProposalId};
use samesake::store::ProposalState;

use super::{Board, at, by_admin, done};
use crate::harness::{Env, invariants};
use crate::on_both;

fn admin(name: &str) -> Actor {
    Actor::Admin(name.to_owned())
}

async fn proposed(board: &Board, name: &str) -> (CustomerId, CustomerId, Proposal) {
    let one = board.customer(&format!("{name}-1"), at(0)).await;
    let other = board.customer(&format!("{name}-2"), at(0)).await;
    let request = by_admin("ann", one, other);
    let outcome = board.execute(&request, Terms::default(), at(1)).await;
    assert!(matches!(outcome, Outcome::NeedsApproval(_)), "{outcome:?}");
    let proposal = done(merge::propose(&board.store, &board.config, &request, Terms::default(), at(1)).await.unwrap());
    (one, other, proposal)
}

async fn approve(board: &Board, id: ProposalId, by: &str, seconds: i64) -> Approved {
    merge::approve(&board.store, &board.config, id, &admin(by), at(seconds)).await.unwrap()
}

on_both! {
    async fn a_risky_merge_waits_for_a_second_person(env: &Env) {
        let board = Board::new(env.store().await);
        let (one, other, proposal) = proposed(&board, "risky").await;
        assert_eq!(approve(&board, proposal.id, "ann", 2).await, Approved::ByProposer);
        assert_eq!(board.living(other).await, other);
        let Approved::Executed(executed) = approve(&board, proposal.id, "bob", 3).await else { panic!() };
        assert_eq!((executed.survivor, executed.repeated, board.living(other).await), (one, false, one));
        let Approved::Executed(again) = approve(&board, proposal.id, "bob", 4).await else { panic!() };
        assert_eq!((again.merge, again.repeated), (executed.merge, true));
        assert_eq!(merge::proposals(&board.store, 10).await.unwrap(), []);
        assert_eq!(approve(&board, ProposalId::new(at(0)), "bob", 5).await, Approved::Unknown);
        invariants::check(env).await;
    }

    async fn two_approvals_by_one_person_are_one(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.approvals = 2;
        let (one, other, proposal) = proposed(&board, "two").await;
        for seconds in [2, 3] {
            assert_eq!(approve(&board, proposal.id, "bob", seconds).await, Approved::Waiting { missing: 1 });
        }
        assert_eq!(merge::approvers(&board.store, proposal.id).await.unwrap(), ["admin:bob"]);
        assert_eq!(board.living(other).await, other);
        assert!(matches!(approve(&board, proposal.id, "cat", 4).await, Approved::Executed(_)));
        assert_eq!(board.living(other).await, one);
        invariants::check(env).await;
    }

    async fn an_approval_expires(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.proposal_lifetime = Duration::from_secs(3600);
        let (_, other, proposal) = proposed(&board, "late").await;
        assert_eq!(approve(&board, proposal.id, "bob", 1 + 3600).await, Approved::Voided);
        assert_eq!(approve(&board, proposal.id, "bob", 2).await, Approved::Closed(ProposalState::Void));
        assert_eq!(board.living(other).await, other);
        invariants::check(env).await;
    }

    async fn a_changed_plan_voids_the_approval(env: &Env) {
        let board = Board::new(env.store().await);
        let (_, other, proposal) = proposed(&board, "changed").await;
        board.link(other, Namespace::App("shop".to_owned()), "new", at(2)).await;
        assert_eq!(approve(&board, proposal.id, "bob", 3).await, Approved::Voided);
        assert_eq!(board.living(other).await, other);
        invariants::check(env).await;
    }

    /// A retry after a crash or a lost reply: the key decides, also of two at once.
    async fn a_proposal_that_is_made_again_is_the_one_that_is_there(env: &Env) {
        let board = Board::new(env.store().await);
        let (one, other) = (board.customer("one", at(0)).await, board.customer("other", at(0)).await);
        let request = by_admin("ann", one, other);
        let agreed = board.plan(&request, at(1)).await.hash();
        let terms = Terms { hash: Some(&agreed), idempotency_key: Some("k") };
        let propose = async |terms, seconds| {
            merge::propose(&board.store, &board.config, &request, terms, at(seconds)).await.unwrap()
        };
        let stale = propose(Terms { hash: Some("other"), ..terms }, 1).await;
        assert!(matches!(stale, Outcome::Stale(_)), "{stale:?}");
        let (first, second) = tokio::join!(propose(terms, 1), propose(terms, 2));
        let (first, second, third) = (done(first), done(second), done(propose(terms, 3).await));
        assert_eq!((second.id, third.id), (first.id, first.id));
        assert_eq!(merge::proposals(&board.store, 10).await.unwrap().len(), 1);
        let graph = invariants::check(env).await;
        assert_eq!(graph.events.iter().filter(|event| event.kind == "merge.proposed").count(), 1);
        // Even when it is closed.
        assert!(merge::withdraw(&board.store, first.id, &admin("ann"), at(4)).await.unwrap());
        let again = done(propose(terms, 5).await);
        assert_eq!((again.id, again.state), (first.id, ProposalState::Withdrawn));
    }

    async fn a_proposal_can_be_taken_back(env: &Env) {
        let board = Board::new(env.store().await);
        let (_, other, proposal) = proposed(&board, "back").await;
        assert!(merge::withdraw(&board.store, proposal.id, &admin("ann"), at(2)).await.unwrap());
        assert!(!merge::withdraw(&board.store, proposal.id, &admin("ann"), at(3)).await.unwrap());
        assert_eq!(approve(&board, proposal.id, "bob", 3).await, Approved::Closed(ProposalState::Withdrawn));
        assert_eq!(board.living(other).await, other);
        invariants::check(env).await;
    }
}
