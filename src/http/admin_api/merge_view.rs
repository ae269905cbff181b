//! How merges, their plans and their proposals stand in the API's answers.
//!
//! The core's own forms may change with it; these are promises to programs, and each is made from them here.

use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::view::{Id, Time};
use crate::clock::Timestamp;
use crate::config::MergedSessions;
use crate::events::Parted;
use crate::identity::merge::golden::{Candidate, Field};
use crate::identity::merge::sessions::SessionCount;
use crate::identity::merge::{
    ConsentLine, Executed, MovedLink, Plan, Proposal, Refusal, SectorLine, Standing, UndoPlan,
};
use crate::store::{Merge, MergeKind, NotSame};

/// What a merge joins.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Made by the customer, who proved both sides: the ways to sign in are one.
    Full,
    /// Made by an admin or a rule: the ways to sign in of the absorbed side open that side only.
    Profile,
}

impl From<MergeKind> for Kind {
    fn from(kind: MergeKind) -> Self {
        match kind {
            MergeKind::Full => Self::Full,
            MergeKind::Profile => Self::Profile,
        }
    }
}

/// Everything a merge would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlanView {
    /// To be given back when the merge is executed.
    pub hash: String,
    pub survivor: Id,
    pub absorbed: Id,
    pub kind: Kind,
    /// Why it cannot be; empty if it can.
    pub refusals: Vec<RefusalView>,
    /// Fields that must be decided by `choices`.
    pub questions: Vec<String>,
    pub needs_approval: bool,
    pub fields: Vec<FieldView>,
    /// All customer IDs that the survivor will have absorbed by it.
    pub moved: Vec<Id>,
    pub links: Vec<PlannedLink>,
    /// Passwords of the absorbed side.
    pub passwords: usize,
    /// Whether a password of the absorbed side stops working.
    pub password_rests: bool,
    pub consents: Vec<ConsentView>,
    pub sectors: Vec<SectorView>,
    /// What becomes of the absorbed side's sessions.
    pub sessions: SessionPolicy,
    /// How many there are now; no part of what the hash stands for. Only where a plan was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_sessions: Option<LiveSessions>,
    /// 0 to 100.
    pub risk: u32,
    pub risk_reasons: Vec<RiskView>,
}

/// What becomes of the absorbed side's sessions: they go on, ask to sign in at the next step that needs it, or end with
/// their refresh tokens.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SessionPolicy {
    Keep,
    Downgrade,
    End,
}

impl From<SessionPolicy> for MergedSessions {
    fn from(policy: SessionPolicy) -> Self {
        match policy {
            SessionPolicy::Keep => Self::Keep,
            SessionPolicy::Downgrade => Self::Downgrade,
            SessionPolicy::End => Self::End,
        }
    }
}

impl From<MergedSessions> for SessionPolicy {
    fn from(policy: MergedSessions) -> Self {
        match policy {
            MergedSessions::Keep => Self::Keep,
            MergedSessions::Downgrade => Self::Downgrade,
            MergedSessions::End => Self::End,
        }
    }
}

/// The live sessions of both.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LiveSessions {
    pub survivor: SessionCountView,
    pub absorbed: SessionCountView,
}

/// The live sessions of two who part: those of browsers end, on both sides. Families of refresh tokens go on, each with
/// the side it belongs to, but for those whose subject goes to the other side.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LivePartedSessions {
    pub from: SessionCountView,
    pub restored: SessionCountView,
}

/// The live sessions of one side.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SessionCountView {
    /// SSO sessions, and with each the sessions behind forward-auth that came from it; missing if they cannot be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sso: Option<u64>,
    /// Families of refresh tokens.
    pub refresh_tokens: u64,
}

impl From<SessionCount> for SessionCountView {
    fn from(count: SessionCount) -> Self {
        Self { sso: count.sso, refresh_tokens: count.refresh_tokens }
    }
}

/// One thing that speaks against it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RefusalView {
    pub name: String,
    pub words: String,
}

/// One part of the risk.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RiskView {
    pub points: u32,
    pub why: String,
}

/// A field with the values to choose from and the one that counts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FieldView {
    pub name: String,
    /// The rule that decides.
    pub rule: Value,
    pub candidates: Vec<FieldCandidate>,
    /// The customer whose value counts.
    pub chosen: Id,
    /// Whether somebody said so, rather than the rule.
    pub by_choice: bool,
}

/// One customer's value of a field.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FieldCandidate {
    pub customer: Id,
    pub value: Value,
    pub verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// A link that moves, or stays.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PlannedLink {
    pub id: Id,
    pub namespace: String,
    pub external_id: String,
}

/// What one of the two allowed a client.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ConsentView {
    pub customer: Id,
    pub client_id: String,
    pub scope: String,
}

/// What a sector calls the two now, and what it will see.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SectorView {
    pub sector: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survivor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<String>,
    pub after: String,
}

/// A merge that was made.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MergeDone {
    pub merge: Id,
    pub survivor: Id,
    pub absorbed: Id,
    pub kind: Kind,
    pub merged_at: Time,
    /// Whether it was there already.
    pub repeated: bool,
}

/// A merge on record.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MergeView {
    pub id: Id,
    pub survivor: Id,
    pub absorbed: Id,
    pub kind: Kind,
    pub actor: String,
    pub reason: Value,
    /// All customer IDs that moved.
    pub moved: Vec<Id>,
    pub merged_at: Time,
    /// Since when the ways to sign in are one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keys_joined_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone_by: Option<String>,
}

/// Everything that undoing a merge would do.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UndoPlanView {
    /// To be given back when the merge is undone.
    pub hash: String,
    pub merge: Id,
    /// The customer of whom the restored one is a part now.
    pub from: Id,
    pub restored: Id,
    pub refusals: Vec<RefusalView>,
    /// The restored customer and everyone below it.
    pub moved: Vec<Id>,
    pub links: Vec<PlannedLink>,
    /// Links that came after the merge and stay, unless `take` names them.
    pub stay: Vec<PlannedLink>,
    /// Identifiers that somebody else has by now.
    pub taken: Vec<PlannedLink>,
    pub sectors: Vec<PartedView>,
    /// Clients to which consent was given meanwhile: both keep it, the stricter.
    pub consents: Vec<String>,
    /// How many sessions there are now. No part of what the hash stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live_sessions: Option<LivePartedSessions>,
}

/// What a sector will call the restored customer, and the one from whom they part.
#[derive(Debug, Serialize, JsonSchema)]
pub struct PartedView {
    pub sector: String,
    pub restored: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parted_from: Option<String>,
}

/// A merge that somebody proposed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProposalView {
    pub id: Id,
    pub state: ProposalState,
    pub reason: String,
    pub proposed_by: String,
    pub approvals_needed: i64,
    pub approved_by: Vec<String>,
    pub created_at: Time,
    pub expires_at: Time,
    pub plan: PlanView,
}

/// A proposal without its plan, as it is answered to whoever changed it: answers are kept, and keep nobody's data.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProposalLine {
    pub id: Id,
    pub state: ProposalState,
    pub approvals_needed: i64,
    pub expires_at: Time,
}

/// What became of a proposal.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProposalState {
    Open,
    Executed,
    /// The plan would have been another by then, or the two are no two any more.
    Void,
    /// Its time was over before enough had approved.
    Lapsed,
    Withdrawn,
}

/// Two who are not the same person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NotSameView {
    pub a: Id,
    pub b: Id,
    pub actor: String,
    pub reason: Value,
    pub created_at: Time,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> Self {
        Self {
            hash: plan.hash(),
            survivor: plan.survivor.into(),
            absorbed: plan.absorbed.into(),
            kind: plan.kind.into(),
            refusals: plan.refusals.iter().map(RefusalView::from).collect(),
            questions: plan.questions,
            needs_approval: plan.needs_approval,
            fields: plan.fields.into_iter().map(FieldView::from).collect(),
            moved: plan.moves.customers.into_iter().map(Id::from).collect(),
            links: links(plan.moves.links),
            passwords: plan.moves.passwords,
            password_rests: plan.moves.password_rests,
            consents: plan.moves.consents.into_iter().map(ConsentView::from).collect(),
            sectors: plan.sectors.into_iter().map(SectorView::from).collect(),
            sessions: plan.sessions.into(),
            live_sessions: None,
            risk: plan.risk.score,
            risk_reasons: plan
                .risk
                .reasons
                .into_iter()
                .map(|reason| RiskView { points: reason.points, why: reason.why })
                .collect(),
        }
    }
}

impl From<&Refusal> for RefusalView {
    fn from(refusal: &Refusal) -> Self {
        Self { name: refusal.name().replace(' ', "-").to_lowercase(), words: refusal.to_string() }
    }
}

impl From<Field> for FieldView {
    fn from(field: Field) -> Self {
        Self {
            name: field.name,
            rule: serde_json::to_value(field.rule).unwrap_or_default(),
            candidates: field.candidates.into_iter().map(FieldCandidate::from).collect(),
            chosen: field.chosen.into(),
            by_choice: field.by_choice,
        }
    }
}

impl From<Candidate> for FieldCandidate {
    fn from(candidate: Candidate) -> Self {
        Self {
            customer: candidate.customer.into(),
            value: candidate.value,
            verified: candidate.verified,
            at: candidate.at.map(|micros| Timestamp::from_micros(micros).into()),
            source: candidate.source,
        }
    }
}

impl From<ConsentLine> for ConsentView {
    fn from(line: ConsentLine) -> Self {
        Self { customer: line.customer.into(), client_id: line.client_id, scope: line.scope }
    }
}

impl From<SectorLine> for SectorView {
    fn from(line: SectorLine) -> Self {
        Self { sector: line.sector, survivor: line.survivor, absorbed: line.absorbed, after: line.after }
    }
}

impl From<Parted> for PartedView {
    fn from(parted: Parted) -> Self {
        Self { sector: parted.sector, restored: parted.restored, parted_from: parted.parted_from }
    }
}

impl From<Executed> for MergeDone {
    fn from(executed: Executed) -> Self {
        Self {
            merge: executed.merge.into(),
            survivor: executed.survivor.into(),
            absorbed: executed.absorbed.into(),
            kind: executed.kind.into(),
            merged_at: executed.merged_at.into(),
            repeated: executed.repeated,
        }
    }
}

impl From<Merge> for MergeView {
    fn from(merge: Merge) -> Self {
        Self {
            id: merge.id.into(),
            survivor: merge.survivor.into(),
            absorbed: merge.absorbed.into(),
            kind: merge.kind.into(),
            actor: merge.actor,
            reason: merge.reason,
            moved: merge.moved.into_iter().map(Id::from).collect(),
            merged_at: merge.merged_at.into(),
            keys_joined_at: merge.keys_joined_at.map(Time::from),
            undone_at: merge.undone_at.map(Time::from),
            undone_by: merge.undone_by,
        }
    }
}

impl From<UndoPlan> for UndoPlanView {
    fn from(plan: UndoPlan) -> Self {
        Self {
            hash: plan.hash(),
            merge: plan.merge.into(),
            from: plan.from.into(),
            restored: plan.restored.into(),
            refusals: plan.refusals.iter().map(RefusalView::from).collect(),
            moved: plan.moved.into_iter().map(Id::from).collect(),
            links: links(plan.links),
            stay: links(plan.stay),
            taken: links(plan.taken),
            sectors: plan.sectors.into_iter().map(PartedView::from).collect(),
            consents: plan.consents,
            live_sessions: None,
        }
    }
}

impl From<Standing> for ProposalState {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Open => Self::Open,
            Standing::Executed => Self::Executed,
            Standing::Void => Self::Void,
            Standing::Lapsed => Self::Lapsed,
            Standing::Withdrawn => Self::Withdrawn,
        }
    }
}

impl ProposalLine {
    /// A proposal as it stands at `now`.
    pub fn new(proposal: &Proposal, now: Timestamp) -> Self {
        Self {
            id: proposal.id.into(),
            state: proposal.standing(now).into(),
            approvals_needed: proposal.approvals_needed,
            expires_at: proposal.expires_at.into(),
        }
    }
}

impl ProposalView {
    /// A proposal as it stands at `now`, and who has approved it so far.
    pub fn new(proposal: Proposal, approved_by: Vec<String>, now: Timestamp) -> Self {
        Self {
            id: proposal.id.into(),
            state: proposal.standing(now).into(),
            reason: proposal.request.reason,
            proposed_by: proposal.proposed_by,
            approvals_needed: proposal.approvals_needed,
            approved_by,
            created_at: proposal.created_at.into(),
            expires_at: proposal.expires_at.into(),
            plan: proposal.plan.into(),
        }
    }
}

impl From<NotSame> for NotSameView {
    fn from(pair: NotSame) -> Self {
        Self {
            a: pair.a.into(),
            b: pair.b.into(),
            actor: pair.actor,
            reason: pair.reason,
            created_at: pair.created_at.into(),
        }
    }
}

fn links(links: Vec<MovedLink>) -> Vec<PlannedLink> {
    let view = |link: MovedLink| PlannedLink {
        id: link.link.into(),
        namespace: link.namespace,
        external_id: link.external_id,
    };
    links.into_iter().map(view).collect()
}

/// Several things in one line.
pub fn line(things: &[impl Display]) -> String {
    things.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
