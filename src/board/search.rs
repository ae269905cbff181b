//! Finding a customer by whatever an admin has at hand: any ID ever issued or linked, or the beginning of a name.
//!
//! Identity specification, rules 20 and 24: what was retired leads to the customer who lives on, and says from where.
//! IDs come first, then names in their order; a place in the results can be gone on from.

use serde::{Deserialize, Serialize};

use crate::identity::customer;
use crate::ids::CustomerId;
use crate::store::{self, Customer, Link, LinkState, NameHit, Tx};

/// The longest text worth looking for: the longest external ID.
pub const MAX_TEXT: usize = 255;
/// No more subjects or links are read of one text.
const MAX_EXACT: usize = 200;

/// A customer, and how the text led to them.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub customer: Customer,
    pub by: FoundBy,
    /// The retired customer ID or subject that led here.
    pub merged_from: Option<String>,
}

/// What the text was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundBy {
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

/// Where a page of results ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Place {
    /// After so many that an ID led to.
    Exact(usize),
    /// After this name of this customer.
    Name(String, CustomerId),
}

/// Some of the results, and where to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Results {
    pub found: Vec<Found>,
    pub next: Option<Place>,
}

/// One page of what a text leads to.
///
/// # Errors
/// If the database fails.
pub async fn page(tx: &mut Tx, text: &str, after: Option<Place>, limit: usize) -> Result<Results, store::Error> {
    let text = text.trim();
    let mut found = Vec::new();
    let after_name = match after {
        Some(Place::Name(name, id)) => Some((name, id)),
        other => {
            let skipped = if let Some(Place::Exact(skipped)) = other { skipped } else { 0 };
            let mut exact = exact(tx, text).await?;
            found = exact.split_off(skipped.min(exact.len()));
            if found.len() > limit {
                found.truncate(limit);
                return Ok(Results { found, next: Some(Place::Exact(skipped + limit)) });
            }
            None
        }
    };
    let wanted = limit - found.len();
    let mut hits = names(tx, text, after_name.as_ref(), wanted + 1).await?;
    let is_more = hits.len() > wanted;
    hits.truncate(wanted);
    let last = hits.last().map(|hit| Place::Name(hit.name.clone(), hit.id));
    // A page that the IDs filled goes on with the names.
    let next = is_more.then(|| last.unwrap_or(Place::Exact(usize::MAX)));
    for hit in hits {
        let retired = (hit.canonical != hit.id).then(|| hit.id.to_string());
        add(tx, &mut found, hit.canonical, FoundBy::Name, retired).await?;
    }
    Ok(Results { found, next })
}

async fn names(
    tx: &mut Tx,
    text: &str,
    after: Option<&(String, CustomerId)>,
    limit: usize,
) -> Result<Vec<NameHit>, store::Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    tx.customers_by_name(text, after.map(|(name, id)| (name.as_str(), *id)), limit).await
}

/// Everybody whom the text names as a whole, once each.
async fn exact(tx: &mut Tx, text: &str) -> Result<Vec<Found>, store::Error> {
    let mut found = Vec::new();
    if let Ok(id) = text.parse::<CustomerId>() {
        add(tx, &mut found, id, FoundBy::CustomerId, None).await?;
    }
    let mut links = tx.links_anywhere(text).await?;
    for (namespace, external_id) in customer::readings(text) {
        links.extend(tx.links_find(&namespace.to_string(), &external_id).await?);
    }
    // What counts first: a hint must not hide that the identifier is theirs.
    links.sort_by_key(|link| !is_theirs(link));
    for link in links {
        let namespace = link.namespace.clone();
        let by = if is_theirs(&link) { FoundBy::Link { namespace } } else { FoundBy::Hint { namespace } };
        let retired = (link.customer != link.root).then(|| link.customer.to_string());
        add(tx, &mut found, link.root, by, retired).await?;
    }
    for (sector, root) in tx.subject_resolve_any(text).await? {
        let current = tx.subject_find(&sector, root).await?;
        let retired = (current.as_deref() != Some(text)).then(|| text.to_owned());
        add(tx, &mut found, root, FoundBy::Subject { sector }, retired).await?;
    }
    found.truncate(MAX_EXACT);
    Ok(found)
}

fn is_theirs(link: &Link) -> bool {
    link.exclusive && link.state == LinkState::Live
}

/// Adds the living customer behind an ID, unless they are there already.
async fn add(
    tx: &mut Tx,
    found: &mut Vec<Found>,
    id: CustomerId,
    by: FoundBy,
    merged_from: Option<String>,
) -> Result<(), store::Error> {
    if found.iter().any(|known| known.customer.id == id) {
        return Ok(());
    }
    let Some(customer) = tx.customer_living(id).await? else { return Ok(()) };
    if found.iter().any(|known| known.customer.id == customer.id) {
        return Ok(());
    }
    let merged_from = merged_from.or_else(|| (customer.id != id).then(|| id.to_string()));
    found.push(Found { customer, by, merged_from });
    Ok(())
}
