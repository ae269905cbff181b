//! What is known about a customer, found by any ID ever issued or linked (spec/identity.md rules 20, 24).

use serde::Serialize;

use super::address::EmailAddress;
use super::namespace::{Namespace, Rules};
use super::phone::PhoneNumber;
use crate::ids::CustomerId;
use crate::store::{self, Customer, Flag, Link, LinkState, Subject, Tx};

/// How many links are shown at most.
const LINKS: i64 = 200;

/// A customer as `samesake customer show` prints it.
#[derive(Debug, Serialize)]
pub struct View {
    pub customer_id: CustomerId,
    /// How the search text was understood.
    pub found_by: String,
    /// The retired customer ID or subject that was asked for, or the retired customer whose link it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_from: Option<String>,
    pub state: String,
    pub version: i64,
    pub created_at: String,
    pub links: Vec<LinkView>,
    pub subjects: Vec<SubjectLine>,
    /// Why nothing may merge, part or erase this customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_hold: Option<String>,
    /// Whose customer this is, where brands are kept apart.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub brands: Vec<String>,
    /// Why somebody should look at this customer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<FlagView>,
}

/// One flag.
#[derive(Debug, Serialize)]
pub struct FlagView {
    pub kind: String,
    /// The account the trouble is with, as `namespace:id`.
    pub link: String,
    pub raised_at: String,
}

/// One link.
#[derive(Debug, Serialize)]
pub struct LinkView {
    pub namespace: String,
    pub external_id: String,
    pub source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    /// Whether the proof is too old to log in or to match by.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stale: bool,
    pub first_seen: String,
    pub last_seen: String,
    pub state: String,
    /// Why a live link does not log in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<String>,
    /// Since when nothing is sent to this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_stopped_at: Option<String>,
}

/// What one sector calls the customer.
#[derive(Debug, Serialize)]
pub struct SubjectLine {
    pub sector: String,
    pub sub: String,
}

/// Finds the customers an external ID may mean: a customer ID, `namespace:id` such as `social:google:1234`, an e-mail
/// address, or a subject of any sector. Usually one; several only if unrelated sectors use the same text.
///
/// # Errors
/// If the database fails.
pub async fn show(tx: &mut Tx, text: &str, rules: Rules<'_>) -> Result<Vec<View>, store::Error> {
    let mut views: Vec<View> = Vec::new();
    for Candidate { customer, found_by, retired } in candidates(tx, text.trim()).await? {
        let Some(living) = tx.customer_living(customer).await? else { continue };
        if views.iter().any(|view| view.customer_id == living.id) {
            continue;
        }
        let links = tx.links_of(living.id, LINKS).await?;
        let subjects = tx.subjects_of(living.id).await?;
        let flags = tx.flags_of(living.id).await?;
        let merged_from = retired.or_else(|| (living.id != customer).then(|| customer.to_string()));
        let flags = flags.into_iter().map(|flag| flag_view(flag, &links)).collect();
        let links = links.into_iter().map(|link| link_view(link, rules)).collect();
        let rows = tx.members_of(living.id).await?;
        let legal_hold = rows.iter().find_map(|row| row.legal_hold.clone());
        let mut brands: Vec<String> = rows.into_iter().filter_map(|row| row.brand).collect();
        brands.sort();
        brands.dedup();
        views.push(View { flags, legal_hold, brands, links, merged_from, ..view(living, found_by, subjects) });
    }
    Ok(views)
}

/// Somebody whom a text may mean.
struct Candidate {
    customer: CustomerId,
    found_by: String,
    /// What of it was retired by a merge, if it is not the ID itself.
    retired: Option<String>,
}

async fn candidates(tx: &mut Tx, text: &str) -> Result<Vec<Candidate>, store::Error> {
    let mut found = Vec::new();
    if let Ok(customer) = text.parse::<CustomerId>()
        && tx.customer_find(customer).await?.is_some()
    {
        found.push(Candidate { customer, found_by: "customer ID".to_owned(), retired: None });
    }
    for (namespace, external_id) in readings(text) {
        for link in tx.links_find(&namespace.to_string(), &external_id).await? {
            let retired = (link.customer != link.root).then(|| link.customer.to_string());
            found.push(Candidate { customer: link.root, found_by: format!("link {namespace}"), retired });
        }
    }
    for (sector, customer) in tx.subject_resolve_any(text).await? {
        let current = tx.subject_find(&sector, customer).await?;
        let retired = (current.as_deref() != Some(text)).then(|| text.to_owned());
        found.push(Candidate { customer, found_by: format!("subject of sector {sector}"), retired });
    }
    Ok(found)
}

/// Every way in which the text can be a namespace and an external ID.
pub fn readings(text: &str) -> Vec<(Namespace, String)> {
    let mut readings = Vec::new();
    for (at, _) in text.match_indices(':') {
        let (namespace, external_id) = (text.get(..at), text.get(at + 1..));
        if let (Some(Some(namespace)), Some(external_id)) = (namespace.map(Namespace::parse), external_id) {
            let spellings = namespace.spellings(external_id).into_iter();
            readings.extend(spellings.map(|external_id| (namespace.clone(), external_id)));
        }
    }
    if let Ok(address) = EmailAddress::parse(text) {
        readings.push((Namespace::Email, address.normalized().to_owned()));
        readings.push((Namespace::UnprovedEmail, address.normalized().to_owned()));
    }
    readings.extend(PhoneNumber::parse(text, None).map(|number| (Namespace::Phone, number.e164().to_owned())));
    readings
}

fn view(customer: Customer, found_by: String, subjects: Vec<Subject>) -> View {
    View {
        customer_id: customer.id,
        found_by,
        merged_from: None,
        state: customer.state.as_str().to_owned(),
        version: customer.version,
        created_at: customer.created_at.to_string(),
        links: Vec::new(),
        subjects: subjects
            .into_iter()
            .map(|subject| SubjectLine { sector: subject.sector, sub: subject.sub })
            .collect(),
        legal_hold: None,
        brands: Vec::new(),
        flags: Vec::new(),
    }
}

fn link_view(link: Link, rules: Rules<'_>) -> LinkView {
    LinkView {
        stale: link.state == LinkState::Live && rules.is_stale(&link),
        namespace: link.namespace,
        external_id: link.external_id,
        source: link.source,
        proof: link.proof,
        verified_at: link.verified_at.map(|at| at.to_string()),
        first_seen: link.first_seen.to_string(),
        last_seen: link.last_seen.to_string(),
        state: link.state.as_str().to_owned(),
        disabled: link.disabled_reason.map(|reason| reason.as_str().to_owned()),
        mail_stopped_at: link.mail_stopped_at.map(|at| at.to_string()),
    }
}

fn flag_view(flag: Flag, links: &[Link]) -> FlagView {
    let link = links.iter().find(|link| link.id == flag.link);
    FlagView {
        kind: flag.kind,
        link: link.map_or_else(|| flag.link.to_string(), |link| format!("{}:{}", link.namespace, link.external_id)),
        raised_at: flag.raised_at.to_string(),
    }
}

/// The customer and the link that an admin names: any ID of the customer's, and a link's ID or `namespace:id`. The link may
/// have ended.
///
/// # Errors
/// If the database fails.
pub async fn named_link(tx: &mut Tx, customer: &str, link: &str) -> Result<Option<(Customer, Link)>, store::Error> {
    for Candidate { customer, .. } in candidates(tx, customer.trim()).await? {
        let Some(living) = tx.customer_living(customer).await? else { continue };
        let links = tx.links_of(living.id, LINKS).await?;
        let names = readings(link.trim());
        let is_it = |candidate: &&Link| {
            candidate.id.to_string() == link.trim()
                || names.iter().any(|(namespace, external_id)| {
                    candidate.namespace == namespace.to_string() && candidate.external_id == *external_id
                })
        };
        // The same account may have been linked before: the live one is meant, if there is one.
        let mut found: Vec<Link> = links.iter().filter(is_it).cloned().collect();
        found.sort_by_key(|link| link.state != LinkState::Live);
        if let Some(link) = found.into_iter().next() {
            return Ok(Some((living, link)));
        }
    }
    Ok(None)
}
