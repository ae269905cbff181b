//! What is known of one customer, gathered for an admin to look at.
//!
//! Identity specification, rules 20 and 24. It reads and never decides. Sessions are not in the database: `sessions`.

use serde_json::Value;

use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::identity::merge::side;
use crate::ids::CustomerId;
use crate::store::{
    self, AuditPlace, AuditQuery, AuditRow, CredentialKind, CredentialState, Customer, Flag, Link, Member, Subject, Tx,
};

/// How much of each kind a dossier shows at most; what a customer may have is far less.
const SHOWN: i64 = 200;
/// Entries that are about admins, not about the customer.
const ABOUT_ADMINS: &str = "admin.";

/// A customer with everything that is theirs.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// The living customer.
    pub customer: Customer,
    /// All who are this customer today, itself among them.
    pub members: Vec<Member>,
    /// The values that count (identity rules 22 and 27), in their stored form.
    pub profile: Value,
    pub links: Vec<Link>,
    pub subjects: Vec<Subject>,
    pub credentials: Vec<CredentialLine>,
    /// Why somebody should look at them.
    pub flags: Vec<Flag>,
}

/// A live credential, without its secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialLine {
    pub kind: CredentialKind,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

/// The dossier of whoever an ID means today; `None` if it was never issued.
///
/// # Errors
/// If the database fails.
pub async fn read(
    tx: &mut Tx,
    id: CustomerId,
    config: &MergeConfig,
    now: Timestamp,
) -> Result<Option<Dossier>, store::Error> {
    let Some(customer) = tx.customer_living(id).await? else { return Ok(None) };
    let members = tx.members_of(customer.id).await?;
    let seen = side::see_members(&members, customer.id, config, now);
    let profile = seen.map_or_else(|| customer.profile.clone(), |seen| seen.profile);
    let links = tx.links_of(customer.id, SHOWN).await?;
    let subjects = tx.subjects_of(customer.id).await?;
    let credentials = tx.credentials_of(customer.id).await?;
    let live = credentials.into_iter().filter(|credential| credential.state == CredentialState::Live);
    let line = |credential: store::Credential| CredentialLine {
        kind: credential.kind,
        created_at: credential.created_at,
        last_used_at: credential.last_used_at,
    };
    let credentials = live.map(line).collect();
    let flags = tx.flags_of(customer.id).await?;
    Ok(Some(Dossier { customer, members, profile, links, subjects, credentials, flags }))
}

/// What happened to a customer and to all who are this customer today, newest first: at most `limit` entries before a
/// place, and the place of the last one read.
///
/// # Errors
/// If the database fails.
pub async fn timeline(
    tx: &mut Tx,
    root: CustomerId,
    before: AuditPlace,
    limit: usize,
) -> Result<(Vec<AuditRow>, Option<AuditPlace>), store::Error> {
    let asked = i64::try_from(limit).unwrap_or(i64::MAX);
    let wanted = AuditQuery {
        root: Some(root),
        actor: None,
        action: None,
        looks: false,
        since: Timestamp::from_micros(0),
        before,
        limit: asked,
    };
    let mut entries = tx.audit_page(&wanted).await?;
    let next = entries.last().filter(|_| entries.len() == limit).map(AuditPlace::from);
    entries.retain(|entry| !entry.action.starts_with(ABOUT_ADMINS));
    Ok((entries, next))
}
