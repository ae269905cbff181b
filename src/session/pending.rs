//! What a login flow keeps until somebody has proved something: it travels with the flow, so it is one browser's, for one
//! customer, for a short time (spec/identity.md rules 10, 11, 15, 16).
//!
//! Data only. Who may have it is decided by [`Flow`](super::flow::Flow), what follows from it by the pages' handlers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::MergedSessions;
use crate::connector::UpstreamIdentity;
use crate::identity::address::EmailAddress;
use crate::identity::linking::Claim;
use crate::identity::merge::Refusal;
use crate::identity::merge_request::Proved;
use crate::identity::upstream_tokens::SealedTokens;
use crate::ids::{CustomerId, LinkId, MergeId, ProposalId, Sid};
use crate::protocol::admin_role::AdminRole;
use crate::session::SsoSession;

/// What was typed when an account was asked for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingSignUp {
    pub email: String,
    /// argon2id, never the password itself.
    pub password_phc: String,
    pub name: Option<String>,
}

/// An upstream account that waits for a proof. It may be linked to one customer only (rule 10).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingLink {
    pub claim: Claim,
    /// Who has proved the address that the provider vouches for.
    pub customer: CustomerId,
    pub expires_at: Timestamp,
}

/// An address that somebody is adding (rule 11).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingAddress {
    pub of: AddressOf,
    /// What the page's field begins with: a hint, proved by nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The one that the code was mailed to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typed: Option<EmailAddress>,
    pub expires_at: Timestamp,
}

/// Whose address it will be.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AddressOf {
    /// Somebody's who has come through a provider and is no customer yet.
    Newcomer(Box<Newcomer>),
    /// The customer's who is signed in, in this session.
    Customer { customer: CustomerId, sid: Sid },
}

/// Somebody who has proved to have an account at a provider that nobody here has.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Newcomer {
    /// The configured connector ID.
    pub connector: String,
    pub identity: UpstreamIdentity,
    /// The provider's tokens, sealed, where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<SealedTokens>,
}

/// Two customers, both somebody's who is signed in as one and has just proved to be the other (rule 16).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingMerge {
    /// Who is signed in, and in which session.
    pub customer: CustomerId,
    pub sid: Sid,
    /// The other one. Nothing of them is shown.
    pub other: Proved,
    /// What proved it, in the customer's words: a provider's name, or an address.
    pub by: String,
    /// What the page says next.
    #[serde(default)]
    pub step: MergeStep,
}

/// How far somebody is with two accounts of theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeStep {
    /// They are asked whether both are theirs.
    #[default]
    Asked,
    /// They have said so, and are shown what joining them does.
    Previewed,
    /// It cannot be, for these reasons, before somebody has looked at it.
    Waits(Vec<Refusal>),
    /// The two are one.
    Joined,
    /// Somebody else had made them one, and now every way in opens all of it.
    United,
}

impl MergeStep {
    /// Whether there is nothing left to do.
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Joined | Self::United)
    }
}

impl PendingMerge {
    /// Whether it is this session's.
    pub fn is_of(&self, session: &SsoSession) -> bool {
        self.customer == session.customer && self.sid == session.sid
    }
}

/// A code on its way to an address of the side above the one that somebody sees (rule 25).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingWhole {
    pub customer: CustomerId,
    pub sid: Sid,
    /// The address's link.
    pub link: LinkId,
    pub address: EmailAddress,
    pub expires_at: Timestamp,
}

/// A button that was pressed, by this customer in this session, and waits for a fresh login (rule 15).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PendingAction {
    pub action: Action,
    pub customer: CustomerId,
    pub sid: Sid,
    pub expires_at: Timestamp,
}

/// What the buttons of the account page do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Connects an account at a provider, by its connector ID.
    Connect(String),
    /// Disconnects one.
    Disconnect(LinkId),
    /// Adds an address; the page's field begins with this.
    AddAddress(String),
    /// Asks that two customers become one.
    RequestMerge,
    /// Proves the side above by a code to this address of its.
    ProveWhole(LinkId),
    /// What an admin pressed at the desk.
    Desk(Box<DeskAction>),
}

/// What the buttons of the desk do that want a fresh login (rules 28 to 32).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeskAction {
    Merge(AgreedMerge),
    Undo(AgreedUndo),
    /// Approves what somebody else proposed.
    Approve(ProposalId),
    Deed(AgreedDeed),
    Role(AgreedRole),
}

/// A change of somebody's role, as the page said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedRole {
    pub customer: CustomerId,
    /// Nothing takes any away.
    pub role: Option<AdminRole>,
    /// The version of the role that was seen.
    pub seen: String,
    pub reason: String,
}

/// What is done to one customer, as the page said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedDeed {
    pub customer: CustomerId,
    /// The customer's version that was seen.
    pub version: i64,
    pub deed: Deed,
    pub reason: String,
}

/// The deeds of the desk (rules 18 to 21, 30).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deed {
    /// Takes a link away.
    Disconnect(LinkId),
    /// Lets a link log in again that its provider spoke against.
    Enable(LinkId),
    /// Ends every session and refresh token.
    SignOut,
    /// Ends one session, and what came from it.
    EndSession(Sid),
    /// Places a legal hold.
    Hold,
    /// Lifts it.
    Release,
    /// Says whose this row is; nothing: no brand's in particular.
    Brand(Option<String>),
    Erase,
}

/// A merge exactly as it was planned on the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedMerge {
    pub survivor: CustomerId,
    pub absorbed: CustomerId,
    pub choices: BTreeMap<String, CustomerId>,
    /// What becomes of the absorbed side's sessions, if the page said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions: Option<MergedSessions>,
    pub reason: String,
    pub hash: String,
    /// The page's own: the same form sent twice is one merge.
    pub key: String,
}

/// An undoing exactly as it was planned on the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgreedUndo {
    pub merge: MergeId,
    pub take: Vec<LinkId>,
    pub reason: String,
    pub hash: String,
}
