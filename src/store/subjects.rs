//! Subjects: what each sector calls a customer (`sub`).
//!
//! Identity specification, rules 23 and 43: a subject is stored at first issue and never recomputed, has one owner for
//! ever, and resolves for ever; one per sector is current.

use super::driver::{fetch_all, fetch_optional, from_row};
use super::{Error, Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

/// One subject as issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub sector: String,
    pub sub: String,
    /// The customer it was issued for.
    pub customer: CustomerId,
    /// Who that customer is today.
    pub root: CustomerId,
    /// Whether the sector is given this one now.
    pub current: bool,
    pub issued_at: Timestamp,
    pub retired_at: Option<Timestamp>,
}

from_row!(Subject { sector, sub, customer, root, current, issued_at, retired_at });

pub(super) const SUBJECT_FIND: &str = "SELECT sub FROM subjects WHERE sector = $1 AND root = $2 AND current";

pub(super) const SUBJECT_RESOLVE: &str = "SELECT root FROM subjects WHERE sector = $1 AND sub = $2";

pub(super) const SUBJECT_RESOLVE_ANY: &str =
    "SELECT sector, root FROM subjects WHERE sub = $1 ORDER BY sector LIMIT 50";

impl Tx {
    /// What a sector calls a root now.
    pub async fn subject_find(&mut self, sector: &str, root: CustomerId) -> Result<Option<String>> {
        let found: Option<(String,)> = fetch_optional!(self, (String,), SUBJECT_FIND, sector, root,)?;
        Ok(found.map(|(sub,)| sub))
    }

    /// Stores `sub` as what a sector calls a root, unless it has a name there already; answers the one that stands.
    ///
    /// # Errors
    /// `Unique` if the sector knows another customer by this `sub`.
    pub async fn subject_issue(&mut self, sector: &str, root: CustomerId, sub: &str, now: Timestamp) -> Result<String> {
        let issued: Option<(String,)> = fetch_optional!(
            self,
            (String,),
            "INSERT INTO subjects (sector, sub, customer, root, current, issued_at) VALUES ($1, $2, $3, $3, TRUE, $4) \
             ON CONFLICT DO NOTHING RETURNING sub",
            sector,
            sub,
            root,
            now,
        )?;
        match issued {
            Some((sub,)) => Ok(sub),
            None => self.subject_find(sector, root).await?.ok_or(Error::Unique),
        }
    }

    /// Whom a sector means by a subject, today.
    pub async fn subject_resolve(&mut self, sector: &str, sub: &str) -> Result<Option<CustomerId>> {
        let found: Option<(CustomerId,)> = fetch_optional!(self, (CustomerId,), SUBJECT_RESOLVE, sector, sub,)?;
        Ok(found.map(|(root,)| root))
    }

    /// Whom each sector that knows this subject means by it; at most 50.
    pub async fn subject_resolve_any(&mut self, sub: &str) -> Result<Vec<(String, CustomerId)>> {
        fetch_all!(self, (String, CustomerId), SUBJECT_RESOLVE_ANY, sub,)
    }

    /// Every subject a root has or had.
    pub async fn subjects_of(&mut self, root: CustomerId) -> Result<Vec<Subject>> {
        fetch_all!(
            self,
            Subject,
            "SELECT sector, sub, customer, root, current, issued_at, retired_at FROM subjects WHERE root = $1 \
             ORDER BY sector, issued_at, sub",
            root,
        )
    }
}
