//! How things stand in the API's answers: names, forms and schemas, each written once.
//!
//! These are promises to programs: members are added, never changed. The words are those of the specification.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::board::dossier::{CredentialLine, Dossier};
use crate::board::search::{Found, FoundBy};
use crate::clock::Timestamp;
use crate::identity::namespace::Rules;
use crate::identity::profile::{Attribute, Profile};
use crate::ids::{CustomerId, EventId, LinkId, MergeId, ProposalId};
use crate::store::{AuditRow, Flag, Link, Member, Subject};

/// An identifier of ours.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Id(#[schemars(with = "String", extend("format" = "uuid"))] Uuid);

impl From<CustomerId> for Id {
    fn from(id: CustomerId) -> Self {
        Self(id.0)
    }
}

impl From<LinkId> for Id {
    fn from(id: LinkId) -> Self {
        Self(id.0)
    }
}

impl From<MergeId> for Id {
    fn from(id: MergeId) -> Self {
        Self(id.0)
    }
}

impl From<ProposalId> for Id {
    fn from(id: ProposalId) -> Self {
        Self(id.0)
    }
}

impl From<Uuid> for Id {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl From<EventId> for Id {
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

/// A point in time (RFC 3339, UTC).
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Time(#[schemars(extend("format" = "date-time"))] String);

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at.to_string())
    }
}

/// What became of a customer.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomerState {
    Active,
    Merged,
    Blocked,
    Erased,
}

impl From<crate::store::CustomerState> for CustomerState {
    fn from(state: crate::store::CustomerState) -> Self {
        match state {
            crate::store::CustomerState::Active => Self::Active,
            crate::store::CustomerState::Merged => Self::Merged,
            crate::store::CustomerState::Blocked => Self::Blocked,
            crate::store::CustomerState::Erased => Self::Erased,
        }
    }
}

/// A customer in a list.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerSummary {
    pub id: Id,
    pub state: CustomerState,
    pub version: i64,
    pub created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub found_by: Finding,
    /// The retired customer ID or subject that led here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_from: Option<String>,
}

/// What the searched text was.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    CustomerId,
    /// An identifier that is theirs.
    Link {
        namespace: String,
    },
    /// An identifier that was theirs, or that they only claimed.
    Hint {
        namespace: String,
    },
    Subject {
        sector: String,
    },
    Name,
}

impl From<Found> for CustomerSummary {
    fn from(found: Found) -> Self {
        let profile = Profile::from_json(&found.customer.profile);
        Self {
            id: found.customer.id.into(),
            state: found.customer.state.into(),
            version: found.customer.version,
            created_at: found.customer.created_at.into(),
            name: profile.text("name"),
            email: profile.text("email"),
            found_by: match found.by {
                FoundBy::CustomerId => Finding::CustomerId,
                FoundBy::Link { namespace } => Finding::Link { namespace },
                FoundBy::Hint { namespace } => Finding::Hint { namespace },
                FoundBy::Subject { sector } => Finding::Subject { sector },
                FoundBy::Name => Finding::Name,
            },
            merged_from: found.merged_from,
        }
    }
}

/// A customer with all that is known of them.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CustomerView {
    pub id: Id,
    /// The retired customer ID that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_from: Option<Id>,
    pub state: CustomerState,
    /// Rises with every visible change; also the entity tag.
    pub version: i64,
    pub created_at: Time,
    pub updated_at: Time,
    /// By claim name, each value with its source.
    pub profile: BTreeMap<String, ProfileValue>,
    /// All customer IDs that are this customer today.
    pub members: Vec<MemberView>,
    pub links: Vec<LinkView>,
    /// What each sector calls, or called, the customer.
    pub subjects: Vec<SubjectView>,
    pub credentials: Vec<CredentialView>,
    /// How many browsers and apps are signed in.
    pub live_sessions: usize,
    /// Why nobody may merge, part or erase them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<String>,
    /// Why somebody should look at them.
    pub flags: Vec<FlagView>,
}

/// Trouble with one of a customer's accounts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FlagView {
    pub kind: String,
    pub link: Id,
    pub raised_at: Time,
}

impl From<Flag> for FlagView {
    fn from(flag: Flag) -> Self {
        Self { kind: flag.kind, link: flag.link.into(), raised_at: flag.raised_at.into() }
    }
}

/// A value of the profile, and where it comes from.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ProfileValue {
    pub value: Value,
    pub at: Time,
    pub source: ValueSource,
}

/// Who said so.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ValueSource {
    Customer,
    /// The link that brought it; its namespace unless it is not the customer's any more.
    Link {
        link: Id,
        #[serde(skip_serializing_if = "Option::is_none")]
        namespace: Option<String>,
    },
}

/// One of the customers that are one today.
#[derive(Debug, Serialize, JsonSchema)]
pub struct MemberView {
    pub id: Id,
    pub state: CustomerState,
    pub created_at: Time,
    /// Whose customer this one is, where brands are kept apart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub brand: Option<String>,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            id: member.id.into(),
            state: member.state.into(),
            created_at: member.created_at.into(),
            brand: member.brand,
        }
    }
}

/// One row of the ID mapping table.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LinkView {
    pub id: Id,
    /// Such as `social:google`, `email`, `app:shop`.
    pub namespace: String,
    pub external_id: String,
    /// As it was typed or delivered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The customer ID it was attached to.
    pub customer: Id,
    pub level: ProofLevel,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Time>,
    pub source: String,
    /// Whether it resolves.
    pub live: bool,
    /// Why a live link does not log in, and since when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<DisabledView>,
    /// Since when nothing is sent to this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_stopped_at: Option<Time>,
    pub first_seen: Time,
    pub last_seen: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
}

/// What a provider said against one of its accounts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DisabledView {
    pub reason: String,
    pub since: Time,
}

/// How surely an identifier is the customer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProofLevel {
    /// The customer showed that it is theirs.
    Proved,
    /// They did, but so long ago that it may be somebody else's by now.
    Stale,
    /// An app or a system of the company says so.
    Asserted,
    /// Somebody said so: a hint that leads nowhere.
    Claimed,
}

impl LinkView {
    /// A link, by what its namespace declares.
    pub fn new(link: Link, rules: Rules<'_>) -> Self {
        let level = match (link.verified_at, link.exclusive) {
            (Some(_), _) if rules.is_stale(&link) => ProofLevel::Stale,
            (Some(_), _) => ProofLevel::Proved,
            (None, true) => ProofLevel::Asserted,
            (None, false) => ProofLevel::Claimed,
        };
        Self {
            id: link.id.into(),
            namespace: link.namespace,
            external_id: link.external_id,
            display: link.display,
            customer: link.customer.into(),
            level,
            proof: link.proof,
            verified_at: link.verified_at.map(Time::from),
            source: link.source,
            live: link.state == crate::store::LinkState::Live,
            disabled: link
                .disabled_reason
                .zip(link.disabled_at)
                .map(|(reason, since)| DisabledView { reason: reason.as_str().to_owned(), since: since.into() }),
            mail_stopped_at: link.mail_stopped_at.map(Time::from),
            first_seen: link.first_seen.into(),
            last_seen: link.last_seen.into(),
            ended_at: link.ended_at.map(Time::from),
        }
    }
}

/// What a sector calls the customer.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SubjectView {
    pub sector: String,
    pub sub: String,
    /// Whether the sector is given this one now.
    pub current: bool,
    pub issued_at: Time,
}

impl From<Subject> for SubjectView {
    fn from(subject: Subject) -> Self {
        Self { sector: subject.sector, sub: subject.sub, current: subject.current, issued_at: subject.issued_at.into() }
    }
}

/// A way to sign in that the customer keeps, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CredentialView {
    pub kind: String,
    pub created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Time>,
}

impl From<CredentialLine> for CredentialView {
    fn from(credential: CredentialLine) -> Self {
        Self {
            kind: credential.kind.as_str().to_owned(),
            created_at: credential.created_at.into(),
            last_used_at: credential.last_used_at.map(Time::from),
        }
    }
}

/// An entry of the audit log.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AuditView {
    /// The same as of the event in the outbox, if there is one.
    pub id: Id,
    pub at: Time,
    /// Who did it: `customer`, `system`, `admin:…`, `client:…`.
    pub actor: String,
    pub action: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<Id>,
    pub detail: Value,
    /// Which of the hash chains it stands in, and its number there.
    pub chain: i32,
    pub seq: i64,
}

impl From<AuditRow> for AuditView {
    fn from(row: AuditRow) -> Self {
        Self {
            id: row.id.into(),
            at: row.at.into(),
            actor: row.actor,
            action: row.action,
            customer: row.customer.map(Id::from),
            detail: serde_json::from_str(&row.detail).unwrap_or(Value::String(row.detail)),
            chain: row.chain,
            seq: row.seq,
        }
    }
}

impl CustomerView {
    /// A dossier as it was asked for by an ID.
    pub fn new(dossier: Dossier, asked: CustomerId, live_sessions: usize, rules: Rules<'_>) -> Self {
        let Dossier { customer, members, profile, links, subjects, credentials, flags } = dossier;
        let legal_hold = members.iter().find_map(|member| member.legal_hold.clone());
        Self {
            id: customer.id.into(),
            merged_from: (asked != customer.id).then(|| asked.into()),
            state: customer.state.into(),
            version: customer.version,
            created_at: customer.created_at.into(),
            updated_at: customer.updated_at.into(),
            profile: values(&profile, &links),
            members: members.into_iter().map(MemberView::from).collect(),
            links: links.into_iter().map(|link| LinkView::new(link, rules)).collect(),
            subjects: subjects.into_iter().map(SubjectView::from).collect(),
            credentials: credentials.into_iter().map(CredentialView::from).collect(),
            live_sessions,
            legal_hold,
            flags: flags.into_iter().map(FlagView::from).collect(),
        }
    }
}

fn values(profile: &Value, links: &[Link]) -> BTreeMap<String, ProfileValue> {
    let source = |attribute: &Attribute| match attribute.from {
        None => ValueSource::Customer,
        Some(from) => {
            let link = links.iter().find(|link| link.id == from);
            ValueSource::Link { link: from.into(), namespace: link.map(|link| link.namespace.clone()) }
        }
    };
    Profile::from_json(profile)
        .iter()
        .map(|(name, attribute)| {
            let value =
                ProfileValue { value: attribute.value.clone(), at: attribute.at.into(), source: source(attribute) };
            (name.to_owned(), value)
        })
        .collect()
}
