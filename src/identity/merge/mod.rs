//! Merge and unmerge: two customers become one, and two again (spec/identity.md rules 22 to 35).
//!
//! A merge is a pointer: [`plan()`] says everything that would happen, [`execute()`] does exactly that in one transaction
//! or says that it would be something else by now, [`undo()`] takes the pointer back. [`propose()`] and [`approve()`] put a
//! second person before a risky one; [`own`] is a customer's, who has proved both. All of it is idempotent. The files: `facts` reads, `planning` and `refusal` decide
//! (pure), `golden` says which values count, `tree` what each row may see, `execute` and `undo` write. Knows no HTTP.

mod execute;
mod facts;
pub mod golden;
mod keys;
pub mod own;
mod planning;
mod proposal;
mod refusal;
pub mod sessions;
pub mod side;
mod subjects;
mod taking;
pub mod tree;
mod undo;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use execute::{Planned, execute, plan, plan_in};
pub use keys::{Joined, channels, join_keys};
pub(in crate::identity) use proposal::lapse;
pub use proposal::{
    Approved, Decision, Proposal, Standing, Withdrawn, approve, approvers, close_lapsed, proposal, proposals,
    proposals_of, proposals_page, propose, version, withdraw,
};
pub use refusal::Refusal;
pub use undo::{UndoPlan, UndoRequest, Undone, undo, undo_plan, undo_plan_in};

use self::golden::Field;
use crate::clock::Timestamp;
use crate::config::MergedSessions;
use crate::events::{Actor, Audience};
use crate::ids::{CustomerId, LinkId, MergeId};
pub use crate::store::MergeKind;

/// Who wants a merge, and on what grounds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "who", rename_all = "snake_case")]
pub enum Initiator {
    /// The customer, who proved both sides in one session at these times. The only one who joins keys.
    Customer { proved: [Timestamp; 2] },
    /// A person at the console. `customer` is who they are as a customer here, if they are one.
    Admin {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer: Option<CustomerId>,
    },
    /// Whoever runs the installation, at its own command line: needs no second person.
    Operator { name: String },
    /// A rule of the duplicate search.
    Rule { name: String },
}

impl Initiator {
    /// As the audit log names them.
    pub fn actor(&self) -> Actor {
        match self {
            Self::Customer { .. } => Actor::Customer,
            Self::Admin { name, .. } | Self::Operator { name } => Actor::Admin(name.clone()),
            Self::Rule { name } => Actor::Rule(name.clone()),
        }
    }

    /// What a merge of theirs joins (rule 25).
    pub const fn kind(&self) -> MergeKind {
        match self {
            Self::Customer { .. } => MergeKind::Full,
            Self::Admin { .. } | Self::Operator { .. } | Self::Rule { .. } => MergeKind::Profile,
        }
    }
}

/// What somebody wants merged. Any ID ever issued will do; it means the living customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// Whose ID lives on.
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    pub by: Initiator,
    /// For the record, in the words of whoever asks.
    pub reason: String,
    /// Fields that somebody decided: name of the field to the customer whose value counts.
    #[serde(default)]
    pub choices: BTreeMap<String, CustomerId>,
    /// What becomes of the absorbed side's sessions, if not what is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<MergedSessions>,
}

impl PlanRequest {
    /// What becomes of the absorbed side's sessions. Where no keys are joined they see their own side only, as it is.
    fn sessions(&self, configured: MergedSessions) -> MergedSessions {
        match (self.sessions, self.by.kind(), configured) {
            (Some(asked), ..) => asked,
            (None, MergeKind::Profile, MergedSessions::Downgrade) => MergedSessions::Keep,
            (None, _, configured) => configured,
        }
    }
}

/// Everything that a merge would do, before anything moves (rule 28).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The living customers.
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    pub kind: MergeKind,
    /// Why it cannot be; empty if it can.
    pub refusals: Vec<Refusal>,
    /// Each field of the two with what would count.
    pub fields: Vec<Field>,
    /// Fields about which whoever merges must be asked.
    pub questions: Vec<String>,
    pub moves: Moves,
    /// Each app's sector with the subject it will see.
    pub sectors: Vec<SectorLine>,
    /// What becomes of the absorbed side's sessions. How many there are is no part of the plan, because it changes all the
    /// time: [`sessions::count`].
    #[serde(default)]
    pub sessions: MergedSessions,
    pub risk: Risk,
    /// Whether others must approve it (rule 30).
    pub needs_approval: bool,
    /// The versions of both when this was planned.
    pub versions: (i64, i64),
}

/// What changes its root.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moves {
    /// The absorbed customer and everyone merged into it before.
    pub customers: Vec<CustomerId>,
    pub links: Vec<MovedLink>,
    /// Live passwords of the absorbed side.
    pub passwords: usize,
    /// Whether a password of the absorbed side stops working, because the survivor's is the one that stays.
    pub password_rests: bool,
    /// Consents of both sides as they are now: of a client that both know, what both allowed stays allowed.
    pub consents: Vec<ConsentLine>,
}

/// One link of the absorbed side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovedLink {
    pub link: LinkId,
    pub namespace: String,
    pub external_id: String,
}

/// What one row allowed a client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentLine {
    pub customer: CustomerId,
    pub client_id: String,
    pub scope: String,
}

/// What one sector calls the two, and what it will (rule 23).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SectorLine {
    pub sector: String,
    /// What it calls the survivor now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survivor: Option<String>,
    /// What it calls the absorbed customer now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absorbed: Option<String>,
    /// What it will see.
    pub after: String,
}

impl SectorLine {
    /// What its clients are told: nothing, unless they knew both.
    pub fn audience(&self) -> Option<Audience> {
        let (Some(survivor), Some(absorbed)) = (&self.survivor, &self.absorbed) else { return None };
        let merged_from = vec![absorbed.clone()];
        Some(Audience { sector: self.sector.clone(), sub: survivor.clone(), merged_from })
    }
}

/// How likely a merge is to be regretted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Risk {
    /// 0 to 100.
    pub score: u32,
    /// What it is made of.
    pub reasons: Vec<RiskReason>,
}

/// One part of the risk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RiskReason {
    pub points: u32,
    pub why: String,
}

/// A merge that was made, now or before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executed {
    pub merge: MergeId,
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    pub kind: MergeKind,
    pub merged_at: Timestamp,
    /// Whether it was there already: nothing happened (rule 29).
    pub repeated: bool,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    Done(T),
    /// No customer, merge or proposal ever had this ID.
    Unknown(String),
    /// The plan has its `refusals`, or `questions` without an answer.
    Refused(Box<Plan>),
    /// It would not be what was agreed to: this is what it would be.
    Stale(Box<Plan>),
    /// Others must approve it: [`propose()`].
    NeedsApproval(Box<Plan>),
}

/// How an execution is to be bound.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms<'a> {
    /// The hash of the plan that was agreed to.
    pub hash: Option<&'a str>,
    /// Given twice, the second answers with what the first one did.
    pub idempotency_key: Option<&'a str>,
}
