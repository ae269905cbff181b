//! `samesake customer proposals`, `propose`, `approve` and `withdraw`: a second person before a merge, at the terminal.
//!
//! Identity specification, rule 30. Whoever sits here says who they are (`--as`): nobody approves what they proposed.

use anyhow::bail;
use serde_json::json;

use super::{merging, open, print_json, reason};
use crate::cli::{CustomerPropose, Listing, ProposalChange};
use crate::clock::Clock;
use crate::events::Actor;
use crate::http::admin_api::merge_view::{MergeDone, ProposalLine, ProposalView};
use crate::identity::merge::{self, Approved, Initiator, Outcome, PlanRequest, Terms, Withdrawn};

/// Lists the merges that wait for approval.
pub(super) async fn list(command: &Listing) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let now = Clock::system().now();
    let (proposals, _) = merge::proposals_page(&store, None, i64::from(command.limit), now).await?;
    let mut views = Vec::new();
    for proposal in proposals {
        let approved_by = merge::approvers(&store, proposal.id).await?;
        views.push((proposal.id, proposal.expires_at, ProposalView::new(proposal, approved_by, now)));
    }
    if command.json {
        return print_json(&views.into_iter().map(|(_, _, view)| view).collect::<Vec<_>>());
    }
    if views.is_empty() {
        println!("nothing waits for approval");
    }
    for (id, expires_at, view) in &views {
        println!("{id}  by {}, approved by {} of {}", view.proposed_by, view.approved_by.len(), view.approvals_needed);
        println!("  {}; lapses {expires_at}", view.reason);
    }
    Ok(())
}

/// Proposes a merge for others to approve.
pub(super) async fn propose(command: &CustomerPropose) -> anyhow::Result<()> {
    let why = reason(&command.deed.reason)?;
    let (config, store) = open(&command.installation).await?;
    let request = PlanRequest {
        survivor: command.survivor,
        absorbed: command.absorbed,
        by: Initiator::Admin { name: command.deed.admin.clone(), customer: None },
        reason: why.to_owned(),
        choices: command.choices.iter().cloned().collect(),
        sessions: None,
    };
    let now = Clock::system().now();
    let terms = Terms { hash: command.hash.as_deref(), idempotency_key: None };
    match merge::propose(&store, &config.merge, &request, terms, now).await? {
        Outcome::Done(proposal) if command.json => print_json(&ProposalLine::new(&proposal, now)),
        Outcome::Done(proposal) => {
            println!("proposal {}, lapses {}", proposal.id, proposal.expires_at);
            println!("  {} approval(s) needed: samesake customer approve {}", proposal.approvals_needed, proposal.id);
            Ok(())
        }
        other => merging::not_done(other),
    }
}

/// Approves a proposal; the last approval makes the merge.
pub(super) async fn approve(command: &ProposalChange) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let by = Actor::Admin(command.admin.clone());
    match merge::approve(&store, &config.merge, command.id, &by, Clock::system().now()).await? {
        Approved::Executed(executed) if command.json => {
            print_json(&json!({ "outcome": "executed", "merge": MergeDone::from(executed) }))
        }
        Approved::Executed(executed) => {
            println!("customer {} was merged into {}", executed.absorbed, executed.survivor);
            println!("merge {}", executed.merge);
            Ok(())
        }
        Approved::Waiting { missing } if command.json => {
            print_json(&json!({ "outcome": "waiting", "missing": missing }))
        }
        Approved::Waiting { missing } => {
            println!("approved; {missing} more needed");
            Ok(())
        }
        Approved::Unknown => bail!("there is no proposal by this ID"),
        Approved::ByProposer => bail!("nobody approves what they proposed"),
        Approved::Closed(state) => bail!("the proposal is {}", state.as_str()),
        Approved::Changed => bail!("the proposal has changed"),
        Approved::Voided => bail!("the plan has changed, or the time is over: the proposal is void"),
    }
}

/// Takes an open proposal back.
pub(super) async fn withdraw(command: &ProposalChange) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let by = Actor::Admin(command.admin.clone());
    match merge::withdraw(&store, command.id, &by, Clock::system().now()).await? {
        Withdrawn::Done => {}
        Withdrawn::Unknown => bail!("there is no proposal by this ID"),
        Withdrawn::Closed(state) => bail!("the proposal is {}", state.as_str()),
        Withdrawn::Changed => bail!("the proposal has changed"),
    }
    if command.json {
        return print_json(&json!({ "id": command.id, "state": "withdrawn" }));
    }
    println!("withdrawn");
    Ok(())
}
