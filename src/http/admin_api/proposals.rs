//! Proposals: a merge that wants a second person, and what that person says.
//!
//! Identity specification, rule 30: whoever proposed cannot approve, two approvals by one are one, and a plan that would
//! be another by now voids the proposal. The last approval makes the merge.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, tag};
use super::merge_view::{MergeDone, ProposalLine, ProposalView};
use super::merges::{self, Agreed};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::identity::merge::{self, Approved, Decision, Outcome, Proposal, Terms, Withdrawn};
use crate::ids::{CustomerId, ProposalId};
use crate::protocol::problem::{Problem, ProblemKind};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "proposal_list",
        method: Method::Get,
        path: "/proposals",
        summary: "Merges that wait for approval, oldest first.",
        access: Access::Needs(Act::SeeQueue),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<ProposalView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "proposal_make",
        method: Method::Post,
        path: "/proposals",
        summary: "Propose a merge, exactly as planned, for others to approve.",
        access: Access::Needs(Act::ProposeMerge),
        query: &[],
        conditions: Conditions::KeyAndPlan,
        body: Some(schema_of::<Agreed>),
        answer: schema_of::<ProposalLine>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused, ProblemKind::Stale],
        route: || post(make),
    },
    Operation {
        id: "proposal_get",
        method: Method::Get,
        path: "/proposals/{proposal}",
        summary: "A proposal, with its plan and who has approved it.",
        access: Access::Needs(Act::SeeQueue),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<ProposalView>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "proposal_approve",
        method: Method::Post,
        path: "/proposals/{proposal}/approve",
        summary: "Approve what somebody else proposed; the last approval makes the merge.",
        access: Access::Needs(Act::Approve),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Nothing>),
        answer: schema_of::<Approval>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused, ProblemKind::Stale],
        route: || post(approve),
    },
    Operation {
        id: "proposal_withdraw",
        method: Method::Post,
        path: "/proposals/{proposal}/withdraw",
        summary: "Take an open proposal back.",
        access: Access::Needs(Act::ProposeMerge),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Nothing>),
        answer: schema_of::<ProposalLine>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(withdraw),
    },
];

/// An object without members.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// What an approval did.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Approval {
    /// It was the last one needed.
    Executed { merge: MergeDone },
    /// So many are still needed.
    Waiting { missing: i64 },
}

async fn list(State(app): State<App>, call: Call, query: Query) -> Result<Json<Page<ProposalView>>, Problem> {
    let (place, limit) = (query.place(&app)?, i64::try_from(query.limit()?).unwrap_or(i64::MAX));
    let (proposals, next) = merge::proposals_page(app.store(), place, limit, call.now).await?;
    let mut items = Vec::new();
    let mut seen = Vec::new();
    for proposal in proposals {
        seen.extend([proposal.plan.survivor, proposal.plan.absorbed]);
        items.push(view(&app, proposal, call.now).await?);
    }
    look(&app, &call, &seen).await?;
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

async fn see(State(app): State<App>, call: Call, Named(id): Named<ProposalId>, _: Query) -> Result<Response, Problem> {
    let proposal = merge::proposal(app.store(), id).await?.ok_or_else(Problem::not_found)?;
    look(&app, &call, &[proposal.plan.survivor, proposal.plan.absorbed]).await?;
    let state = proposal.state;
    let view = view(&app, proposal, call.now).await?;
    let version = merge::version(state, view.approved_by.len());
    Ok(([(ETAG, tag(version))], Json(view)).into_response())
}

async fn make(State(app): State<App>, call: Call, change: Change<Agreed>) -> Result<Response, Problem> {
    let agreed = &change.body;
    let (both, reason) = ((agreed.survivor, agreed.absorbed), agreed.reason.as_str());
    let request = merges::request(&call, both, (agreed.choices.clone(), agreed.sessions), reason)?;
    let key = change.effect_key(&call);
    let terms = Terms { hash: Some(agreed.plan_hash.as_str()), idempotency_key: Some(&key) };
    let effect = async {
        match merge::propose(app.store(), &app.config.merge, &request, terms, call.now).await? {
            Outcome::Done(proposal) => Ok(Answer::new(&ProposalLine::new(&proposal, call.now))),
            other => Err(merges::refused(other)),
        }
    };
    change.carry_out(app.store(), &call, effect).await
}

async fn approve(
    State(app): State<App>,
    call: Call,
    Named(id): Named<ProposalId>,
    change: Change<Nothing>,
) -> Result<Response, Problem> {
    let refused = |words: &str| Problem::new(ProblemKind::Refused).detail(words);
    let by = call.admin.actor();
    let decision = Decision { by: &by, has_seen: &|version| change.check_tag(version).is_ok() };
    let effect = async {
        match merge::approve(app.store(), &app.config.merge, id, decision, call.now).await? {
            Approved::Executed(executed) => Ok(Answer::new(&Approval::Executed { merge: executed.into() })),
            Approved::Waiting { missing } => Ok(Answer::new(&Approval::Waiting { missing })),
            Approved::Unknown => Err(Problem::not_found()),
            Approved::Changed => Err(Problem::new(ProblemKind::VersionMismatch)),
            Approved::ByProposer => Err(refused("Nobody approves what they proposed.")),
            Approved::Closed(state) => Err(refused(&format!("The proposal is {}.", state.as_str()))),
            Approved::Voided => Err(Problem::new(ProblemKind::Stale).detail("The proposal is void.")),
        }
    };
    change.carry_out(app.store(), &call, effect).await
}

async fn withdraw(
    State(app): State<App>,
    call: Call,
    Named(id): Named<ProposalId>,
    change: Change<Nothing>,
) -> Result<Response, Problem> {
    let refused = |words: String| Problem::new(ProblemKind::Refused).detail(words);
    let by = call.admin.actor();
    let decision = Decision { by: &by, has_seen: &|version| change.check_tag(version).is_ok() };
    let effect = async {
        match merge::withdraw(app.store(), id, decision, call.now).await? {
            Withdrawn::Done => {
                let proposal = merge::proposal(app.store(), id).await?.ok_or_else(Problem::not_found)?;
                Ok(Answer::new(&ProposalLine::new(&proposal, call.now)))
            }
            Withdrawn::Unknown => Err(Problem::not_found()),
            Withdrawn::Changed => Err(Problem::new(ProblemKind::VersionMismatch)),
            Withdrawn::Closed(state) => Err(refused(format!("The proposal is {}.", state.as_str()))),
        }
    };
    change.carry_out(app.store(), &call, effect).await
}

async fn view(app: &App, proposal: Proposal, now: Timestamp) -> Result<ProposalView, Problem> {
    let approved_by = merge::approvers(app.store(), proposal.id).await?;
    Ok(ProposalView::new(proposal, approved_by, now))
}

async fn look(app: &App, call: &Call, seen: &[CustomerId]) -> Result<(), Problem> {
    let mut tx = app.store().begin().await?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, seen, call.now).await?;
    tx.commit().await?;
    Ok(())
}
