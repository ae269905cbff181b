//! A second person before a risky merge (rule 30).

use std::time::Duration;

use samesake::board::dossier;
use samesake::clock::Timestamp;
use samesake::events::Actor;
use samesake::identity::erase;
use samesake::identity::merge::{self, Approved, Outcome, Proposal, Standing, Terms, Withdrawn};
use samesake::identity::namespace::Namespace;
use samesake::ids::{CustomerId, ProposalId};
use samesake::secret::MasterKey;
use samesake::store::{AuditPlace, ProposalState};

use super::{Board, at, by_admin, by_operator, done};
use crate::harness::{Env, invariants};
use crate::{on_both, on_servers};

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

async fn withdraw(board: &Board, id: ProposalId, seconds: i64) -> Withdrawn {
    merge::withdraw(&board.store, id, &admin("ann"), at(seconds)).await.unwrap()
}

/// What was proposed of these two.
async fn propose(board: &Board, one: CustomerId, other: CustomerId, seconds: i64) -> ProposalId {
    let request = by_admin("ann", one, other);
    done(merge::propose(&board.store, &board.config, &request, Terms::default(), at(seconds)).await.unwrap()).id
}

async fn state(board: &Board, id: ProposalId) -> ProposalState {
    merge::proposal(&board.store, id).await.unwrap().unwrap().state
}

/// The proposals that wait.
async fn waiting(board: &Board) -> Vec<ProposalId> {
    waiting_at(board, 20).await
}

/// The proposals that wait then.
async fn waiting_at(board: &Board, seconds: i64) -> Vec<ProposalId> {
    merge::proposals(&board.store, 100, at(seconds)).await.unwrap().into_iter().map(|proposal| proposal.id).collect()
}

/// How often the timeline of a customer says that a proposal was closed.
async fn closings(board: &Board, customer: CustomerId) -> usize {
    let mut tx = board.store.begin_read().await.unwrap();
    let root = tx.customer_living(customer).await.unwrap().unwrap().id;
    let newest = AuditPlace::before(Timestamp::from_micros(i64::MAX));
    let (entries, _) = dossier::timeline(&mut tx, root, newest, 100).await.unwrap();
    entries.iter().filter(|entry| entry.action == "merge.proposal_closed").count()
}

on_both! {
    /// Whatever ends one of the two ends what was proposed of them, with the merge or the erasure itself.
    async fn a_proposal_ends_with_the_first_of_its_two(env: &Env) {
        let board = Board::new(env.store().await);
        let mut all = Vec::new();
        for name in ["ann", "anna", "eve", "ida", "joe"] {
            all.push(board.customer(name, at(0)).await);
        }
        let [ann, anna, eve, ida, joe] = all[..] else { panic!() };
        let of_pair = [propose(&board, ann, anna, 1).await, propose(&board, anna, ann, 2).await];
        let with_absorbed = propose(&board, eve, anna, 3).await;
        let (with_survivor, with_ida) = (propose(&board, ann, ida, 4).await, propose(&board, joe, ida, 5).await);
        let merge = board.merge(ann, anna, at(6)).await;
        assert_eq!(board.merge(ann, anna, at(7)).await.merge, merge.merge, "twice is once");
        for id in [of_pair[0], of_pair[1], with_absorbed] {
            assert_eq!(approve(&board, id, "bob", 8).await, Approved::Closed(ProposalState::Void));
            assert_eq!(withdraw(&board, id, 8).await, Withdrawn::Closed(ProposalState::Void));
        }
        assert_eq!(waiting(&board).await, [with_survivor, with_ida], "the others are another matter");
        let key = MasterKey::generate().derive("task");
        let reason = (Actor::System, "on request");
        erase::erase(&board.store, &key, ida, reason, at(9)).await.unwrap();
        assert_eq!(waiting(&board).await, []);
        assert_eq!(approve(&board, with_ida, "bob", 10).await, Approved::Closed(ProposalState::Void));
        board.undo(merge.merge, at(11)).await;
        assert_eq!(waiting(&board).await, [], "an undoing asks nobody again");
        let graph = invariants::check(env).await;
        let told: Vec<_> = graph.events.iter().filter(|event| event.kind == "merge.proposal_closed").collect();
        assert_eq!(told.len(), 5, "each once: {told:?}");
        assert!(told.iter().all(|event| event.payload["state"] == "void"));
    }

    /// Rule 30: who has come to rights since is not merged on the word of before.
    async fn a_proposal_about_somebody_who_is_an_admin_by_now_is_void(env: &Env) {
        let board = Board::new(env.store().await);
        for upward in [true, false] {
            let (one, other, proposal) = proposed(&board, if upward { "up" } else { "down" }).await;
            board.make_admin(if upward { one } else { other }).await;
            assert_eq!(approve(&board, proposal.id, "bob", 3).await, Approved::Voided);
            assert_eq!(board.living(other).await, other);
        }
        invariants::check(env).await;
    }

    /// The proposal that makes the merge was executed, and another one of the same two lapses.
    async fn what_is_executed_is_not_void(env: &Env) {
        let board = Board::new(env.store().await);
        let (_, _, proposal) = proposed(&board, "twice").await;
        let (one, other) = (proposal.plan.survivor, proposal.plan.absorbed);
        let second = propose(&board, one, other, 2).await;
        assert!(matches!(approve(&board, proposal.id, "bob", 3).await, Approved::Executed(_)));
        assert_eq!((state(&board, proposal.id).await, state(&board, second).await), (ProposalState::Executed, ProposalState::Void));
        invariants::check(env).await;
    }

    async fn a_risky_merge_waits_for_a_second_person(env: &Env) {
        let board = Board::new(env.store().await);
        let (one, other, proposal) = proposed(&board, "risky").await;
        assert_eq!(approve(&board, proposal.id, "ann", 2).await, Approved::ByProposer);
        assert_eq!(board.living(other).await, other);
        let Approved::Executed(executed) = approve(&board, proposal.id, "bob", 3).await else { panic!() };
        assert_eq!((executed.survivor, executed.repeated, board.living(other).await), (one, false, one));
        let Approved::Executed(again) = approve(&board, proposal.id, "bob", 4).await else { panic!() };
        assert_eq!((again.merge, again.repeated), (executed.merge, true));
        assert_eq!(merge::proposals(&board.store, 10, at(20)).await.unwrap(), []);
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

    /// At once, whoever asks; and when somebody gets to it, it is closed, once, and both have it on record.
    async fn a_lapsed_proposal_waits_no_more_and_is_closed(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.proposal_lifetime = Duration::from_secs(10);
        let (one, other, proposal) = proposed(&board, "lapsed").await;
        let (_, _, later) = proposed(&board, "approved-late").await;
        let now = |seconds| at(seconds);
        assert_eq!(proposal.standing(now(10)), Standing::Open);
        assert_eq!(waiting_at(&board, 10).await.len(), 2);
        assert_eq!(waiting_at(&board, 11).await, []);
        let found = async || merge::proposal(&board.store, proposal.id).await.unwrap().unwrap();
        assert_eq!((found().await.state, found().await.standing(now(11))), (ProposalState::Open, Standing::Lapsed));
        let of = async |customer, seconds| {
            merge::proposals_of(&mut board.store.begin_read().await.unwrap(), customer, 10, at(seconds)).await.unwrap().len()
        };
        assert_eq!((of(one, 10).await, of(other, 10).await, of(one, 11).await), (1, 1, 0));
        assert_eq!(merge::close_lapsed(&board.store, 100, now(10)).await.unwrap(), 0);
        assert_eq!(approve(&board, later.id, "bob", 12).await, Approved::Voided);
        let (first, second) =
            tokio::join!(merge::close_lapsed(&board.store, 100, now(12)), merge::close_lapsed(&board.store, 100, now(12)));
        assert!(first.unwrap() + second.unwrap() >= 1);
        assert_eq!((found().await.state, found().await.standing(now(13))), (ProposalState::Void, Standing::Lapsed));
        assert_eq!(withdraw(&board, proposal.id, 13).await, Withdrawn::Closed(ProposalState::Void));
        let graph = invariants::check(env).await;
        let told: Vec<_> = graph.events.iter().filter(|event| event.kind == "merge.proposal_closed").collect();
        assert_eq!(told.len(), 2, "each once: {told:?}");
        assert!(told.iter().all(|event| event.payload["state"] == "lapsed"), "{told:?}");
        for customer in [one, other] {
            assert_eq!(closings(&board, customer).await, 1, "on record of both");
        }
    }

    /// However it ends: withdrawn, void by an approval, or with a merge of one of the two with somebody else.
    async fn the_end_of_a_proposal_is_on_record_of_both(env: &Env) {
        let board = Board::new(env.store().await);
        let (one, other, back) = proposed(&board, "back").await;
        assert_eq!(withdraw(&board, back.id, 2).await, Withdrawn::Done);
        assert_eq!((closings(&board, one).await, closings(&board, other).await), (1, 1));
        let (one, other, changed) = proposed(&board, "changed").await;
        board.link(other, Namespace::App("shop".to_owned()), "new", at(2)).await;
        assert_eq!(approve(&board, changed.id, "bob", 3).await, Approved::Voided);
        assert_eq!((closings(&board, one).await, closings(&board, other).await), (1, 1));
        let (one, other, _) = proposed(&board, "gone").await;
        let third = board.customer("third", at(0)).await;
        board.merge(third, other, at(4)).await;
        assert_eq!((closings(&board, one).await, closings(&board, third).await), (1, 1));
        let (one, other, made) = proposed(&board, "made").await;
        assert!(matches!(approve(&board, made.id, "bob", 5).await, Approved::Executed(_)));
        assert_eq!((closings(&board, one).await, closings(&board, other).await), (1, 1), "they are one");
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
        assert_eq!(merge::proposals(&board.store, 10, at(20)).await.unwrap().len(), 1);
        let graph = invariants::check(env).await;
        assert_eq!(graph.events.iter().filter(|event| event.kind == "merge.proposed").count(), 1);
        // Even when it is closed.
        assert_eq!(withdraw(&board, first.id, 4).await, Withdrawn::Done);
        let again = done(propose(terms, 5).await);
        assert_eq!((again.id, again.state), (first.id, ProposalState::Withdrawn));
    }

    async fn a_proposal_can_be_taken_back(env: &Env) {
        let board = Board::new(env.store().await);
        let (_, other, proposal) = proposed(&board, "back").await;
        assert_eq!(withdraw(&board, proposal.id, 2).await, Withdrawn::Done);
        assert_eq!(withdraw(&board, proposal.id, 3).await, Withdrawn::Closed(ProposalState::Withdrawn));
        assert_eq!(withdraw(&board, ProposalId::new(at(0)), 3).await, Withdrawn::Unknown);
        assert_eq!(approve(&board, proposal.id, "bob", 3).await, Approved::Closed(ProposalState::Withdrawn));
        assert_eq!(board.living(other).await, other);
        invariants::check(env).await;
    }
}

on_servers! {
    /// Approval, proposal, withdrawal and another merge of the same two at once: whatever comes first, nobody waits for
    /// somebody who waits, the two are one, and nothing that names the absorbed one stays open.
    async fn nothing_of_an_absorbed_customer_stays_open_whatever_comes_at_once(env: &Env) {
        let board = Board::new(env.store().await);
        for round in 0..12 {
            let (one, other, proposal) = proposed(&board, &format!("race-{round}")).await;
            let third = board.customer(&format!("third-{round}"), at(0)).await;
            let (again, at_once) = (by_admin("ann", third, other), by_operator(one, other));
            let (approved, merged, another, back) = tokio::join!(
                approve(&board, proposal.id, "bob", 3),
                board.execute(&at_once, Terms::default(), at(3)),
                merge::propose(&board.store, &board.config, &again, Terms::default(), at(3)),
                async { if round % 2 == 0 { Some(withdraw(&board, proposal.id, 3).await) } else { None } },
            );
            assert!(matches!(merged, Outcome::Done(_)), "{merged:?}");
            assert!(!matches!(approved, Approved::Waiting { .. } | Approved::Unknown), "{approved:?}");
            assert!(another.is_ok(), "{another:?}");
            assert_ne!(back, Some(Withdrawn::Unknown));
            assert_eq!(board.living(other).await, one);
            let left = waiting(&board).await;
            for id in left {
                let plan = merge::proposal(&board.store, id).await.unwrap().unwrap().plan;
                assert!(![plan.survivor, plan.absorbed].contains(&other), "round {round}: {approved:?} {back:?}");
            }
        }
        invariants::check(env).await;
    }
}
