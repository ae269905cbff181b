//! Merges that wait for a second person, and what that person says (identity specification, rule 30).

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::access::{At, Desk, Form, Visitor};
use super::acts::{self, Ended};
use super::customer::person;
use super::done::{self, Done};
use super::frame::{Frame, Here, Moment, Person, Rights};
use super::merges::{effect_key, merged, not_done, request, to_merge};
use super::plan_view::PlanView;
use super::timeline::Actors;
use crate::board::role::Act;
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::identity::merge::{self, Approved, Outcome, Planned, Proposal, Standing, Terms, Withdrawn};
use crate::ids::ProposalId;
use crate::session::pending::{AgreedMerge, DeskAction};

/// Proposals on the page; more wait unseen until these are settled.
const MOST: i64 = 50;

#[derive(Template)]
#[template(path = "desk/proposals.html", config = ".askama.toml")]
struct ProposalsPage<'a> {
    frame: Frame<'a>,
    proposals: Vec<Line>,
}

impl View for ProposalsPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

/// One that waits.
struct Line {
    id: ProposalId,
    survivor: Person,
    absorbed: Person,
    by: String,
    mine: bool,
    at: Moment,
    until: Moment,
    risk: u32,
    reason: String,
}

#[derive(Template)]
#[template(path = "desk/proposal.html", config = ".askama.toml")]
struct ProposalPage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    id: ProposalId,
    standing: Standing,
    plan: PlanView,
    by: String,
    mine: bool,
    at: Moment,
    until: Moment,
    reason: String,
    needed: i64,
    approved_by: Vec<String>,
    /// This admin has approved it.
    approved: bool,
}

impl View for ProposalPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

impl ProposalPage<'_> {
    fn is_open(&self) -> bool {
        self.standing == Standing::Open
    }

    fn has_lapsed(&self) -> bool {
        self.standing == Standing::Lapsed
    }

    /// What became of it.
    fn ended(&self) -> &'static str {
        match self.standing {
            Standing::Open => "",
            Standing::Executed => "This proposal was approved, and the merge is made.",
            Standing::Void => {
                "This proposal is void: the merge would have been another one, or the two are no two any more."
            }
            Standing::Lapsed => {
                "This proposal has lapsed: its time was over before enough had approved. It can be proposed again."
            }
            Standing::Withdrawn => "This proposal was withdrawn.",
        }
    }
}

/// The ones that wait, oldest first.
pub async fn list(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeQueue)?;
    let waiting = merge::proposals(desk.app.store(), MOST, desk.context.now).await?;
    let mut tx = desk.app.store().begin_read().await?;
    let actors = Actors::of(&mut tx, waiting.iter().map(|proposal| proposal.proposed_by.as_str())).await?;
    let mut proposals = Vec::new();
    for proposal in &waiting {
        proposals.push(Line {
            id: proposal.id,
            survivor: person(&mut tx, proposal.plan.survivor).await?,
            absorbed: person(&mut tx, proposal.plan.absorbed).await?,
            by: actors.name(&proposal.proposed_by),
            mine: proposal.proposed_by == desk.admin.actor().as_text(),
            at: Moment(proposal.created_at),
            until: Moment(proposal.expires_at),
            risk: proposal.plan.risk.score,
            reason: proposal.request.reason.clone(),
        });
    }
    drop(tx);
    let seen: Vec<_> = waiting.iter().flat_map(|waits| [waits.plan.survivor, waits.plan.absorbed]).collect();
    desk.looked("desk: proposals", &seen).await?;
    let page = ProposalsPage { frame: Frame::of(&desk, Here::Proposals).await?, proposals };
    Ok(page.page().into_response())
}

/// One of them, with its plan.
pub async fn see(visitor: Visitor, At(id): At<ProposalId>) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeQueue)?;
    let Some(proposal) = merge::proposal(desk.app.store(), id).await? else { return Err(desk.missing()) };
    let approvers = merge::approvers(desk.app.store(), id).await?;
    let mut tx = desk.app.store().begin_read().await?;
    let all = approvers.iter().chain([&proposal.proposed_by]).map(String::as_str);
    let actors = Actors::of(&mut tx, all).await?;
    drop(tx);
    desk.looked("desk: proposal", &[proposal.plan.survivor, proposal.plan.absorbed]).await?;
    let me = desk.admin.actor().as_text();
    let page = ProposalPage {
        frame: Frame::of(&desk, Here::Proposals).await?,
        rights: Rights::from(&desk),
        id,
        standing: proposal.standing(desk.context.now),
        plan: PlanView::read(&desk, &proposal.plan, &proposal.request.choices).await?,
        by: actors.name(&proposal.proposed_by),
        mine: proposal.proposed_by == me,
        at: Moment(proposal.created_at),
        until: Moment(proposal.expires_at),
        needed: proposal.approvals_needed,
        approved: approvers.contains(&me),
        approved_by: approvers.iter().map(|actor| actors.name(actor)).collect(),
        reason: proposal.request.reason,
    };
    Ok(page.page().into_response())
}

/// Proposes a merge exactly as it was planned. The same page's form twice is one proposal.
pub async fn propose(desk: &Desk, agreed: AgreedMerge) -> Result<Response, Ended> {
    let (store, config, now) = (desk.app.store(), &desk.app.config.merge, desk.context.now);
    let decided = (agreed.choices, agreed.sessions);
    let request = request(desk, (agreed.survivor, agreed.absorbed), decided, agreed.reason);
    let key = effect_key(desk, &agreed.key);
    let terms = Terms { hash: Some(&agreed.hash), idempotency_key: Some(&key) };
    match merge::propose(store, config, &request, terms, now).await? {
        Outcome::Done(proposal) => Ok(to_proposal(desk, proposal.id, Done::Proposed).await),
        // There is nothing to propose of a pair that became one customer while the page was open.
        Outcome::Unknown(id) => match merge::plan(store, config, &request, now).await? {
            Outcome::Done(Planned::Already(Some(executed))) => Ok(to_merge(&executed)),
            _ => not_done(desk, Outcome::<Proposal>::Unknown(id), &request).await,
        },
        other => not_done(desk, other, &request).await,
    }
}

/// Approves it; the last approval makes the merge.
pub async fn post_approve(At(id): At<ProposalId>, Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::Approve)?;
    acts::press(desk, DeskAction::Approve(id)).await
}

/// The same, now that the login is fresh.
pub async fn approve(desk: &Desk, id: ProposalId) -> Result<Response, Ended> {
    let (store, config) = (desk.app.store(), &desk.app.config.merge);
    let refused = |title: &str, text: &str| {
        let on = Some(("To the proposal", format!("/admin/proposals/{id}")));
        Ok(acts::refusal(desk, StatusCode::CONFLICT, title, text, on))
    };
    match merge::approve(store, config, id, &desk.admin.actor(), desk.context.now).await? {
        Approved::Executed(executed) => Ok(merged(desk, &executed).await),
        Approved::Waiting { .. } => Ok(to_proposal(desk, id, Done::Approved).await),
        Approved::Unknown => Err(desk.missing().into()),
        Approved::ByProposer => refused("You proposed this", "Nobody approves what they proposed: somebody else must."),
        Approved::Closed(_) | Approved::Changed => refused("This proposal is closed", "Nothing was done."),
        Approved::Voided => refused(
            "This proposal is void",
            "Its time was over, or the merge would be another by now. Nothing was merged; it can be proposed again.",
        ),
    }
}

/// Takes it back.
pub async fn withdraw(At(id): At<ProposalId>, Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::ProposeMerge)?;
    match merge::withdraw(desk.app.store(), id, &desk.admin.actor(), desk.context.now).await? {
        Withdrawn::Done => Ok(to_proposal(&desk, id, Done::Withdrawn).await),
        // Its page says what it is.
        Withdrawn::Closed(_) | Withdrawn::Changed => {
            Ok(Redirect::to(&format!("/admin/proposals/{id}")).into_response())
        }
        Withdrawn::Unknown => Err(desk.missing()),
    }
}

async fn to_proposal(desk: &Desk, id: ProposalId, done: Done) -> Response {
    done::to(desk, &format!("/admin/proposals/{id}"), done).await
}
