//! Everything that happens to a customer: one enum, written in the transaction that makes it happen.
//!
//! Each event is one audit entry (hash-chained) and one outbox row, numbered without gaps per living customer
//! (spec/identity.md rule 45). How events leave the house is not known here.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId, LinkId};
use crate::store::{self, AuditEntry, OutboxRow, Tx};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    CustomerCreated {},
    LinkAdded { link: LinkId, namespace: String, external_id: String },
    LinkRemoved { link: LinkId, namespace: String, external_id: String },
    LinkProved { link: LinkId, namespace: String, external_id: String, proof: String },
    ConflictOpened { kind: String },
    CredentialAdded { kind: &'static str },
    ConsentGranted { client_id: String, scope: String },
    TokenReuse { detail: BTreeMap<&'static str, String> },
}

impl Event {
    /// The name receivers know it by.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CustomerCreated {} => "customer.created",
            Self::LinkAdded { .. } => "link.added",
            Self::LinkRemoved { .. } => "link.removed",
            Self::LinkProved { .. } => "link.proved",
            Self::ConflictOpened { .. } => "conflict.opened",
            Self::CredentialAdded { .. } => "credential.added",
            Self::ConsentGranted { .. } => "consent.granted",
            Self::TokenReuse { .. } => "token.reuse",
        }
    }
}

/// Who made it happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    Customer,
    System,
    /// A person at the command line or the console.
    Admin(String),
    /// A program with a role of its own.
    Client(String),
}

impl Actor {
    /// As it stands in the audit log.
    pub fn as_text(&self) -> String {
        match self {
            Self::Customer => "customer".to_owned(),
            Self::System => "system".to_owned(),
            Self::Admin(name) => format!("admin:{name}"),
            Self::Client(id) => format!("client:{id}"),
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
    let root = tx.customer_living(customer).await?.map_or(customer, |living| living.id);
    let count = i64::try_from(events.len()).unwrap_or(i64::MAX);
    let last = tx.customer_advance(root, count, now).await?.ok_or(store::Error::Missing)?;
    for (event, root_seq) in events.into_iter().zip(last - count + 1..) {
        append(tx, root, &actor, &event, root_seq, now).await?;
    }
    Ok(())
}

async fn append(
    tx: &mut Tx,
    root: CustomerId,
    actor: &Actor,
    event: &Event,
    root_seq: i64,
    now: Timestamp,
) -> Result<(), store::Error> {
    let id = EventId::new(now);
    let detail = serde_json::to_value(event).unwrap_or_default();
    tx.audit_append(&AuditEntry {
        id,
        at: now,
        actor: actor.as_text(),
        action: event.name().to_owned(),
        customer: Some(root),
        detail: detail.clone(),
    })
    .await?;
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
    .await
}
