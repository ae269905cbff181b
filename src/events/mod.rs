//! Everything that happens to a customer: one enum, written in the transaction that makes it happen.
//!
//! Each event is one audit entry (hash-chained) and one outbox row, numbered without gaps per living customer
//! (spec/identity.md rule 45). How events leave the house is not known here, but in `relay` and what it uses.

mod delivery;
pub mod redelivery;
pub mod relay;
pub mod retention;
mod retry;
pub mod stream;
pub mod webhook;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId, LinkId, MergeId, ProposalId, Sid};
use crate::store::{self, AuditEntry, MergeKind, OutboxRow, Tx};

/// How often the living customer is looked for again when a merge came between.
const ADVANCE_TRIES: usize = 8;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    CustomerCreated {},
    LinkAdded {
        link: LinkId,
        namespace: String,
        external_id: String,
    },
    LinkRemoved {
        link: LinkId,
        namespace: String,
        external_id: String,
    },
    LinkProved {
        link: LinkId,
        namespace: String,
        external_id: String,
        proof: String,
    },
    /// The company said that it is the customer's, for this reason.
    LinkVouched {
        link: LinkId,
        reason: String,
    },
    /// An admin removed it, with this reason, whatever ways in are left.
    LinkForcedOff {
        link: LinkId,
        reason: String,
    },
    /// Its provider spoke against it: it stays, but does not log in.
    LinkDisabled {
        link: LinkId,
        namespace: String,
        external_id: String,
        reason: &'static str,
    },
    LinkEnabled {
        link: LinkId,
        namespace: String,
        external_id: String,
        /// An admin's.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Nothing is sent to this address any more, or it is again.
    MailStopped {
        link: LinkId,
    },
    MailResumed {
        link: LinkId,
    },
    /// An admin should look.
    CustomerFlagged {
        link: LinkId,
        kind: String,
    },
    /// The provider ended its session, and we ended so many that came from it.
    SessionEndedUpstream {
        connector: String,
        sessions: usize,
    },
    /// An admin ended the customer's sessions: one, or all and whatever they were given.
    SessionsEnded {
        #[serde(skip_serializing_if = "Option::is_none")]
        sid: Option<Sid>,
        /// How many; absent where they could not be seen.
        #[serde(skip_serializing_if = "Option::is_none")]
        sessions: Option<usize>,
        refresh_tokens: u64,
        reason: String,
    },
    /// The provider told something of an account that changes nothing here by itself.
    ProviderTold {
        link: LinkId,
        connector: String,
        what: String,
    },
    /// Nothing may merge, part or erase the customer, or it may again.
    HoldPlaced {
        reason: String,
    },
    HoldLifted {
        reason: String,
    },
    /// Whose customer this row is, where brands are kept apart.
    BrandSet {
        row: CustomerId,
        brand: Option<String>,
        reason: String,
    },
    ConflictOpened {
        kind: String,
    },
    /// An admin looked into it and has done what there was to do.
    ConflictClosed {
        conflict: Uuid,
        kind: String,
        reason: String,
    },
    /// Names of what changed, never values.
    ProfileUpdated {
        fields: Vec<String>,
    },
    CredentialAdded {
        kind: &'static str,
    },
    CredentialRemoved {
        kind: &'static str,
    },
    MergeRequested {
        request: Uuid,
        with: CustomerId,
    },
    /// An admin decided that the two stay two, with this reason.
    MergeRequestDeclined {
        request: Uuid,
        with: CustomerId,
        reason: String,
    },
    ConsentGranted {
        client_id: String,
        scope: String,
    },
    /// The customer absorbed another one. Each audience that knew both has its own line.
    CustomerMerged {
        merge: MergeId,
        absorbed: CustomerId,
        kind: MergeKind,
        moved: Vec<CustomerId>,
        audiences: Vec<Audience>,
    },
    /// The last event of a customer who was absorbed, until they are restored.
    CustomerAbsorbed {
        merge: MergeId,
        survivor: CustomerId,
    },
    /// A merge was undone: the customer is without these rows again.
    CustomerUnmerged {
        merge: MergeId,
        restored: CustomerId,
        moved: Vec<CustomerId>,
        /// Live links that go along, whoever the customer was when they came.
        links: Vec<LinkId>,
        audiences: Vec<Parted>,
    },
    /// The first event of a customer who is back.
    CustomerRestored {
        merge: MergeId,
        from: CustomerId,
    },
    /// The ways in of an absorbed side open its survivor too from here on. An audience that knew both the customer and the
    /// side alone has its own line.
    KeysJoined {
        merge: MergeId,
        side: CustomerId,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        audiences: Vec<Audience>,
    },
    NotSameMarked {
        other: CustomerId,
    },
    NotSameLifted {
        other: CustomerId,
    },
    MergeProposed {
        proposal: ProposalId,
        absorbed: CustomerId,
    },
    MergeApproved {
        proposal: ProposalId,
    },
    MergeProposalClosed {
        proposal: ProposalId,
        /// As the proposal has it, or `lapsed`.
        state: String,
        survivor: CustomerId,
        absorbed: CustomerId,
    },
    /// Personal data is gone, that of everyone who was merged into the customer too.
    CustomerErased {
        members: Vec<CustomerId>,
        reason: String,
        /// Everybody who knew one of them, by all names.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        audiences: Vec<Audience>,
    },
    TokenReuse {
        detail: BTreeMap<&'static str, String>,
    },
}

impl Event {
    /// The name receivers know it by.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CustomerCreated {} => "customer.created",
            Self::LinkAdded { .. } => "link.added",
            Self::LinkRemoved { .. } => "link.removed",
            Self::LinkProved { .. } => "link.proved",
            Self::LinkVouched { .. } => "link.vouched",
            Self::LinkForcedOff { .. } => "link.forced_off",
            Self::LinkDisabled { .. } => "link.disabled",
            Self::LinkEnabled { .. } => "link.enabled",
            Self::MailStopped { .. } => "mail.stopped",
            Self::MailResumed { .. } => "mail.resumed",
            Self::CustomerFlagged { .. } => "customer.flagged",
            Self::SessionEndedUpstream { .. } => "session.ended_upstream",
            Self::SessionsEnded { .. } => "session.ended",
            Self::ProviderTold { .. } => "provider.told",
            Self::HoldPlaced { .. } => "customer.held",
            Self::HoldLifted { .. } => "customer.released",
            Self::BrandSet { .. } => "customer.brand_set",
            Self::ConflictOpened { .. } => "conflict.opened",
            Self::ConflictClosed { .. } => "conflict.closed",
            Self::ProfileUpdated { .. } => "profile.updated",
            Self::CredentialAdded { .. } => "credential.added",
            Self::CredentialRemoved { .. } => "credential.removed",
            Self::MergeRequested { .. } => "merge.requested",
            Self::MergeRequestDeclined { .. } => "merge.request_declined",
            Self::ConsentGranted { .. } => "consent.granted",
            Self::CustomerMerged { .. } => "customer.merged",
            Self::CustomerAbsorbed { .. } => "customer.absorbed",
            Self::CustomerUnmerged { .. } => "customer.unmerged",
            Self::CustomerRestored { .. } => "customer.restored",
            Self::KeysJoined { .. } => "customer.keys_joined",
            Self::NotSameMarked { .. } => "not_same.marked",
            Self::NotSameLifted { .. } => "not_same.lifted",
            Self::MergeProposed { .. } => "merge.proposed",
            Self::MergeApproved { .. } => "merge.approved",
            Self::MergeProposalClosed { .. } => "merge.proposal_closed",
            Self::CustomerErased { .. } => "customer.erased",
            Self::TokenReuse { .. } => "token.reuse",
        }
    }
}

/// What one sector must know of a merge or an erasure, in its own subjects only (rule 31).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audience {
    pub sector: String,
    /// What it calls the customer from now on.
    pub sub: String,
    /// What else it called them before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub merged_from: Vec<String>,
}

/// What one sector must know of a merge that was undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parted {
    pub sector: String,
    /// The subject that is a customer of its own again.
    pub restored: String,
    /// What it calls the one from whom that customer parted, if it has a name for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parted_from: Option<String>,
}

/// Who made it happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Customer,
    System,
    /// A person at the command line or the console.
    Admin(String),
    /// A rule of the duplicate search.
    Rule(String),
}

impl Actor {
    /// As the audit log has it.
    pub fn as_text(&self) -> String {
        match self {
            Self::Customer => "customer".to_owned(),
            Self::System => "system".to_owned(),
            Self::Admin(name) => format!("admin:{name}"),
            Self::Rule(name) => format!("rule:{name}"),
        }
    }
}

/// Records one event of a customer, living or retired.
///
/// # Errors
/// If the database fails.
pub async fn record(
    tx: &mut Tx,
    customer: CustomerId,
    actor: Actor,
    event: Event,
    now: Timestamp,
) -> Result<(), store::Error> {
    record_all(tx, customer, actor, vec![event], now).await
}

/// Records one event that is of two customers: it is told once, as the first one's, and is on record of both. The other's
/// row is not locked.
///
/// # Errors
/// As [`record`].
pub async fn record_of_both(
    tx: &mut Tx,
    (customer, other): (CustomerId, CustomerId),
    actor: &Actor,
    event: &Event,
    now: Timestamp,
) -> Result<(), store::Error> {
    let (root, seq) = advance(tx, customer, 1, now).await?;
    let entry = append(tx, root, actor, event, seq, now).await?;
    match tx.customer_living(other).await? {
        Some(other) if other.id != root => tx.audit_append(&AuditEntry { customer: Some(other.id), ..entry }).await,
        _ => Ok(()),
    }
}

/// Records one event and answers its number among those of its customer.
///
/// # Errors
/// As [`record`].
pub async fn record_numbered(
    tx: &mut Tx,
    customer: CustomerId,
    actor: &Actor,
    event: &Event,
    now: Timestamp,
) -> Result<i64, store::Error> {
    let (root, seq) = advance(tx, customer, 1, now).await?;
    append(tx, root, actor, event, seq, now).await?;
    Ok(seq)
}

/// Records several events of one customer, in order.
///
/// # Errors
/// If the database fails, or the customer was never issued.
pub async fn record_all(
    tx: &mut Tx,
    customer: CustomerId,
    actor: Actor,
    events: Vec<Event>,
    now: Timestamp,
) -> Result<(), store::Error> {
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let (root, last) = advance(tx, customer, count, now).await?;
    for (event, root_seq) in events.into_iter().zip(last - count + 1..) {
        append(tx, root, &actor, &event, root_seq, now).await?;
    }
    Ok(())
}

/// Takes event numbers of the living customer, looking again if a merge came between.
async fn advance(
    tx: &mut Tx,
    customer: CustomerId,
    count: i64,
    now: Timestamp,
) -> Result<(CustomerId, i64), store::Error> {
    for _ in 0..ADVANCE_TRIES {
        let root = tx.customer_living(customer).await?.ok_or(store::Error::Missing)?.id;
        let Some(last) = tx.customer_advance(root, count, now).await? else { continue };
        // The root is locked now; a merge undone while we waited may have made it somebody else's.
        if root != customer && tx.customer_living(customer).await?.is_none_or(|living| living.id != root) {
            break;
        }
        return Ok((root, last));
    }
    Err(store::Error::Contention)
}

async fn append(
    tx: &mut Tx,
    root: CustomerId,
    actor: &Actor,
    event: &Event,
    root_seq: i64,
    now: Timestamp,
) -> Result<AuditEntry, store::Error> {
    let id = EventId::new(now);
    let detail = serde_json::to_value(event).unwrap_or_default();
    let entry = AuditEntry {
        id,
        at: now,
        actor: actor.as_text(),
        action: event.name().to_owned(),
        customer: Some(root),
        detail: detail.clone(),
    };
    tx.audit_append(&entry).await?;
    tx.outbox_append(&OutboxRow {
        id,
        aggregatetype: "customer".to_owned(),
        aggregateid: root.to_string(),
        event_type: event.name().to_owned(),
        payload: detail,
        root,
        root_seq,
        position: 0,
        created_at: now,
    })
    .await?;
    Ok(entry)
}
