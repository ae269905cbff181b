//! Subjects (`sub`): stored per sector at first issue and never recomputed (spec/identity.md rule 23).

use super::client::Client;
use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::secret::{self, DerivedKey};
use crate::store::{self, SubjectView, Tx};

/// How a sector's subjects are made at first issue.
#[derive(Clone, Copy, Debug)]
pub struct Sector<'a> {
    pub name: &'a str,
    pub pairwise: bool,
}

impl<'a> From<&'a Client> for Sector<'a> {
    fn from(client: &'a Client) -> Self {
        Self { name: &client.sector, pairwise: client.is_pairwise() }
    }
}

/// The living customer behind `customer` and what this sector calls them; a first meeting issues the subject.
/// `None` if the ID was never issued.
///
/// # Errors
/// If the database fails.
pub async fn view(
    tx: &mut Tx,
    sector: Sector<'_>,
    customer: CustomerId,
    key: &DerivedKey,
    now: Timestamp,
) -> Result<Option<(SubjectView, String)>, store::Error> {
    let Some(view) = tx.subject_view(sector.name, customer).await? else { return Ok(None) };
    let sub = match &view.sub {
        Some(sub) => sub.clone(),
        None => tx.subject_issue(sector.name, view.root, &first(sector, view.root, key), now).await?,
    };
    Ok(Some((view, sub)))
}

/// Whether a text has the form of a subject that we issue. A client's ID may not: it is the `sub` of the client's own
/// tokens, and no resource server may take a client for a customer (RFC 9068 §5).
pub fn is_subject_like(text: &str) -> bool {
    let customer_id = || text.len() == 36 && text.parse::<CustomerId>().is_ok_and(|id| id.0.get_version_num() == 7);
    let pairwise = || text.len() == 43 && secret::from_base64url(text).is_some();
    customer_id() || pairwise()
}

/// OpenID Connect Core §8.1: a pairwise subject cannot be reversed or joined without the key.
fn first(sector: Sector<'_>, root: CustomerId, key: &DerivedKey) -> String {
    if sector.pairwise {
        secret::base64url(&key.mac(&[sector.name.as_bytes(), root.0.as_bytes()]))
    } else {
        root.to_string()
    }
}
