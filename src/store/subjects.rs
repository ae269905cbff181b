//! Subjects: what each sector calls a customer (`sub`).
//!
//! Identity specification, rules 23 and 43: a subject is stored at first issue and never recomputed, has one owner for
//! ever, and resolves for ever; one per sector is current.

use super::driver::{exec, fetch_all, fetch_optional, from_row, per_driver};
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
    /// Issued to one side of a merge for itself alone.
    pub own_side: bool,
    pub issued_at: Timestamp,
    pub retired_at: Option<Timestamp>,
}

from_row!(Subject { sector, sub, customer, root, current, own_side, issued_at, retired_at });

pub(super) const SUBJECT_FIND: &str = "SELECT sub FROM subjects WHERE sector = $1 AND root = $2 AND current";

pub(super) const SUBJECT_RESOLVE: &str = "SELECT root FROM subjects WHERE sector = $1 AND sub = $2";

pub(super) const SUBJECT_HOLDER: &str = "SELECT customer FROM subjects WHERE sector = $1 AND sub = $2";

pub(super) const SUBJECT_RESOLVE_ANY: &str =
    "SELECT sector, root FROM subjects WHERE sub = $1 ORDER BY sector LIMIT 50";

pub(super) const SUBJECTS_RETIRE: &str = "UPDATE subjects SET current = FALSE, retired_at = $3 WHERE root = $1 \
     AND current AND sector IN (SELECT sector FROM subjects WHERE root = $2 AND current)";

impl Tx {
    /// What a sector calls a root now.
    pub async fn subject_find(&mut self, sector: &str, root: CustomerId) -> Result<Option<String>> {
        let found: Option<(String,)> = fetch_optional!(self, (String,), SUBJECT_FIND, sector, root,)?;
        Ok(found.map(|(sub,)| sub))
    }

    /// Stores `sub` as what a sector calls a root, unless it has a name there already; answers the one that stands.
    ///
    /// # Errors
    /// `Unique` if the sector knows another customer by this `sub`; `Contention` if the root was absorbed meanwhile.
    pub async fn subject_issue(&mut self, sector: &str, root: CustomerId, sub: &str, now: Timestamp) -> Result<String> {
        // The lock makes a merge wait that would move this root's subjects without seeing this one. SQLite has one
        // writer and no words for a lock on a row.
        let sql = per_driver!(
            self,
            postgres: "INSERT INTO subjects (sector, sub, customer, root, current, issued_at) \
                       SELECT $1, $3, c.id, c.id, TRUE, $4 FROM customers c WHERE c.id = $2 AND c.canonical = c.id \
                       FOR SHARE ON CONFLICT DO NOTHING RETURNING sub",
            sqlite: "INSERT INTO subjects (sector, sub, customer, root, current, issued_at) \
                     SELECT $1, $3, c.id, c.id, TRUE, $4 FROM customers c WHERE c.id = $2 AND c.canonical = c.id \
                     ON CONFLICT DO NOTHING RETURNING sub",
        );
        let issued: Option<(String,)> = fetch_optional!(self, (String,), sql, sector, root, sub, now,)?;
        match issued {
            Some((sub,)) => Ok(sub),
            None => match self.subject_find(sector, root).await? {
                Some(sub) => Ok(sub),
                None => self.subject_refused(sector, root, sub).await,
            },
        }
    }

    /// Stores `sub` as what a sector calls one side of a merge when that side alone logs in; it is never the current
    /// one. Answers the subject that this very row has there.
    ///
    /// # Errors
    /// As `subject_issue`; `Contention` also if the row has another root by now, or is no side of its own any more.
    pub async fn subject_issue_own_side(
        &mut self,
        sector: &str,
        member: CustomerId,
        root: CustomerId,
        sub: &str,
        now: Timestamp,
    ) -> Result<String> {
        let sql = per_driver!(
            self,
            postgres: "INSERT INTO subjects (sector, sub, customer, root, current, own_side, issued_at, retired_at) \
                       SELECT $1, $4, c.id, c.canonical, FALSE, TRUE, $5, $5 FROM customers c \
                       WHERE c.id = $2 AND c.canonical = $3 AND NOT c.keys_joined FOR SHARE ON CONFLICT DO NOTHING RETURNING sub",
            sqlite: "INSERT INTO subjects (sector, sub, customer, root, current, own_side, issued_at, retired_at) \
                     SELECT $1, $4, c.id, c.canonical, FALSE, TRUE, $5, $5 FROM customers c \
                     WHERE c.id = $2 AND c.canonical = $3 AND NOT c.keys_joined ON CONFLICT DO NOTHING RETURNING sub",
        );
        let issued: Option<(String,)> = fetch_optional!(self, (String,), sql, sector, member, root, sub, now,)?;
        if let Some((sub,)) = issued {
            return Ok(sub);
        }
        let sql = "SELECT sub FROM subjects WHERE sector = $1 AND customer = $2 AND root = $3";
        let own: Option<(String,)> = fetch_optional!(self, (String,), sql, sector, member, root,)?;
        match own {
            Some((sub,)) => Ok(sub),
            None => self.subject_refused(sector, member, sub).await,
        }
    }

    /// Why nothing was issued. That it is this very row's already, a merge or an undoing has brought about meanwhile.
    async fn subject_refused(&mut self, sector: &str, row: CustomerId, sub: &str) -> Result<String> {
        let holder = self.subject_holder(sector, sub).await?;
        Err(if holder.is_some_and(|holder| holder != row) { Error::Unique } else { Error::Contention })
    }

    /// Retires the subjects of a root in every sector that knows another root too: the first half of a merge.
    pub async fn subjects_retire(&mut self, absorbed: CustomerId, survivor: CustomerId, now: Timestamp) -> Result<u64> {
        exec!(self, SUBJECTS_RETIRE, absorbed, survivor, now,)
    }

    /// Makes a subject the one that its sector is given again. What was one side's alone is the customer's from `now` on:
    /// of what happened before, the sector is not told by this name.
    pub async fn subject_restore(&mut self, sector: &str, sub: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE subjects SET current = TRUE, retired_at = NULL, own_side = FALSE, \
             issued_at = CASE WHEN own_side THEN $3 ELSE issued_at END WHERE sector = $1 AND sub = $2",
            sector,
            sub,
            now,
        )?;
        Ok(())
    }

    /// Makes what was one side's alone a subject of the customer's that was retired at `now`.
    pub async fn subject_retire(&mut self, sector: &str, sub: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE subjects SET own_side = FALSE, issued_at = $3, retired_at = $3 \
             WHERE sector = $1 AND sub = $2 AND own_side",
            sector,
            sub,
            now,
        )?;
        Ok(())
    }

    /// Whom a sector means by a subject, today.
    pub async fn subject_resolve(&mut self, sector: &str, sub: &str) -> Result<Option<CustomerId>> {
        let found: Option<(CustomerId,)> = fetch_optional!(self, (CustomerId,), SUBJECT_RESOLVE, sector, sub,)?;
        Ok(found.map(|(root,)| root))
    }

    /// The very row that a subject was issued for, whoever that is today.
    pub async fn subject_holder(&mut self, sector: &str, sub: &str) -> Result<Option<CustomerId>> {
        let found: Option<(CustomerId,)> = fetch_optional!(self, (CustomerId,), SUBJECT_HOLDER, sector, sub,)?;
        Ok(found.map(|(customer,)| customer))
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
            "SELECT sector, sub, customer, root, current, own_side, issued_at, retired_at FROM subjects WHERE root = $1 \
             ORDER BY sector, issued_at, sub",
            root,
        )
    }
}
