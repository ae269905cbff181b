//! Customers that may be one person: models, scans, and the pairs they found (identity specification, rules 35 to 40).
//!
//! A pair stands once, the smaller ID first. What a person decided about it is kept: a later scan never opens it again.

use serde_json::Value;
use uuid::Uuid;

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

word_enum! {
    /// What became of a pair.
    pub enum CandidateState {
        Open = "open",
        /// Somebody said that they are two people.
        Dismissed = "dismissed",
        Merged = "merged",
    }
}

/// One pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The smaller of the two IDs.
    pub a: CustomerId,
    pub b: CustomerId,
    /// The chance that they are one person.
    pub same: f64,
    /// The chance that they are two people of one household.
    pub household: f64,
    pub reasons: Value,
    /// The version of the model, or where the pair was imported from.
    pub model: String,
    pub band: String,
    pub state: CandidateState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

from_row!(Candidate { a, b, same, household, reasons, model, band, state, created_at, updated_at });

/// How far a scan is, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateScan {
    pub id: Uuid,
    pub model: String,
    /// Names the customers that it reads.
    pub records: Vec<u8>,
    pub units: i64,
    pub of_units: i64,
    pub kept: i64,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

from_row!(DuplicateScan { id, model, records, units, of_units, kept, started_at, updated_at, finished_at });

/// A living customer, as a scan reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct LivingProfile {
    pub id: CustomerId,
    pub profile: Value,
}

from_row!(LivingProfile { id, profile });

/// A live identifier of a living customer.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveIdentifier {
    pub root: CustomerId,
    pub namespace: String,
    pub external_id: String,
    pub verified_at: Option<Timestamp>,
}

from_row!(LiveIdentifier { root, namespace, external_id, verified_at });

/// How many pairs there are of one band and state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandCount {
    pub band: String,
    pub state: CandidateState,
    pub pairs: i64,
}

from_row!(BandCount { band, state, pairs });

macro_rules! candidate_columns {
    () => {
        "a, b, same, household, reasons, model, band, state, created_at, updated_at"
    };
}

pub(super) const CANDIDATES_SETTLE: &str = "UPDATE candidates SET state = 'merged', updated_at = $2 \
     WHERE state = 'open' AND a IN (SELECT id FROM customers WHERE canonical = $1) \
     AND b IN (SELECT id FROM customers WHERE canonical = $1)";

impl Tx {
    /// Living customers in the order of their IDs, those after one.
    pub async fn customers_living_after(&mut self, after: CustomerId, limit: i64) -> Result<Vec<LivingProfile>> {
        fetch_all!(
            self,
            LivingProfile,
            "SELECT id, profile FROM customers WHERE id > $1 AND canonical = id AND state = 'active' \
             ORDER BY id LIMIT $2",
            after,
            limit,
        )
    }

    /// The live identifiers of customers within a range of IDs, both ends included, in the order of customers.
    pub async fn identifiers_between(&mut self, first: CustomerId, last: CustomerId) -> Result<Vec<LiveIdentifier>> {
        fetch_all!(
            self,
            LiveIdentifier,
            "SELECT root, namespace, external_id, verified_at FROM links \
             WHERE root >= $1 AND root <= $2 AND state = 'live' ORDER BY root, namespace, external_id",
            first,
            last,
        )
    }

    /// Who is not who, as the living customers that they are today.
    pub async fn not_same_roots(&mut self) -> Result<Vec<(CustomerId, CustomerId)>> {
        fetch_all!(
            self,
            (CustomerId, CustomerId),
            "SELECT x.canonical, y.canonical FROM not_same n JOIN customers x ON x.id = n.a \
             JOIN customers y ON y.id = n.b",
        )
    }

    /// Keeps a model; the same again is nothing new.
    pub async fn duplicate_model_insert(&mut self, version: &str, parameters: &Value, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO duplicate_models (version, parameters, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (version) DO UPDATE SET created_at = excluded.created_at",
            version,
            parameters,
            now,
        )?;
        Ok(())
    }

    /// The model that was made or imported last.
    pub async fn duplicate_model_latest(&mut self) -> Result<Option<Value>> {
        let found: Option<(Value,)> = fetch_optional!(
            self,
            (Value,),
            "SELECT parameters FROM duplicate_models ORDER BY created_at DESC, version LIMIT 1",
        )?;
        Ok(found.map(|(parameters,)| parameters))
    }

    /// Begins a scan.
    pub async fn duplicate_scan_insert(&mut self, scan: &DuplicateScan) -> Result<()> {
        exec!(
            self,
            "INSERT INTO duplicate_scans (id, model, records, units, of_units, kept, started_at, updated_at, finished_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            scan.id,
            &scan.model,
            &scan.records,
            scan.units,
            scan.of_units,
            scan.kept,
            scan.started_at,
            scan.updated_at,
            scan.finished_at,
        )?;
        Ok(())
    }

    /// The scan that was begun last.
    pub async fn duplicate_scan_latest(&mut self) -> Result<Option<DuplicateScan>> {
        fetch_optional!(
            self,
            DuplicateScan,
            "SELECT id, model, records, units, of_units, kept, started_at, updated_at, finished_at \
             FROM duplicate_scans ORDER BY started_at DESC, id DESC LIMIT 1",
        )
    }

    /// Writes down how far a scan is, in the transaction that keeps what it found until there.
    pub async fn duplicate_scan_advance(&mut self, scan: &DuplicateScan) -> Result<()> {
        exec!(
            self,
            "UPDATE duplicate_scans SET units = $2, kept = $3, updated_at = $4, finished_at = $5 WHERE id = $1",
            scan.id,
            scan.units,
            scan.kept,
            scan.updated_at,
            scan.finished_at,
        )?;
        Ok(())
    }

    /// Adds a pair, or renews one that nobody has decided on; `false` if somebody has. One that somebody put on watch
    /// stays there until more speaks for it than did then.
    pub async fn candidate_upsert(&mut self, candidate: &Candidate) -> Result<bool> {
        let written = exec!(
            self,
            concat!(
                "INSERT INTO candidates (",
                candidate_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (a, b) DO UPDATE SET \
                 same = excluded.same, household = excluded.household, reasons = excluded.reasons, \
                 model = excluded.model, updated_at = excluded.updated_at, \
                 band = CASE WHEN excluded.same <= candidates.watched_same THEN 'watch' ELSE excluded.band END, \
                 watched_same = CASE WHEN excluded.same <= candidates.watched_same THEN candidates.watched_same END \
                 WHERE candidates.state = 'open'"
            ),
            candidate.a,
            candidate.b,
            candidate.same,
            candidate.household,
            &candidate.reasons,
            &candidate.model,
            &candidate.band,
            candidate.state,
            candidate.created_at,
            candidate.updated_at,
        )?;
        Ok(written == 1)
    }

    /// Decides on an open pair; `false` if it is not open.
    pub async fn candidate_decide(
        &mut self,
        a: CustomerId,
        b: CustomerId,
        state: CandidateState,
        now: Timestamp,
    ) -> Result<bool> {
        let decided = exec!(
            self,
            "UPDATE candidates SET state = $3, updated_at = $4 WHERE a = $1 AND b = $2 AND state = 'open'",
            a,
            b,
            state,
            now,
        )?;
        Ok(decided == 1)
    }

    /// Puts an open pair on watch; `false` if it is not open.
    pub async fn candidate_watch(&mut self, a: CustomerId, b: CustomerId, now: Timestamp) -> Result<bool> {
        let watched = exec!(
            self,
            "UPDATE candidates SET band = 'watch', watched_same = same, updated_at = $3 \
             WHERE a = $1 AND b = $2 AND state = 'open'",
            a,
            b,
            now,
        )?;
        Ok(watched == 1)
    }

    /// Decides on the open pairs of rows that are one customer by now: they were merged.
    pub async fn candidates_settle(&mut self, root: CustomerId, now: Timestamp) -> Result<u64> {
        exec!(self, CANDIDATES_SETTLE, root, now)
    }

    /// Forgets open pairs of models, not imported ones, that no scan has seen since a time.
    pub async fn candidates_expire(&mut self, before: Timestamp) -> Result<u64> {
        exec!(
            self,
            "DELETE FROM candidates WHERE state = 'open' AND updated_at < $1 \
             AND model IN (SELECT version FROM duplicate_models)",
            before,
        )
    }

    /// Open pairs after one, in the order of their IDs: for an export.
    pub async fn candidates_after(&mut self, a: CustomerId, b: CustomerId, limit: i64) -> Result<Vec<Candidate>> {
        fetch_all!(
            self,
            Candidate,
            concat!(
                "SELECT ",
                candidate_columns!(),
                " FROM candidates WHERE state = 'open' AND (a > $1 OR a = $1 AND b > $2) ORDER BY a, b LIMIT $3"
            ),
            a,
            b,
            limit,
        )
    }

    /// How many pairs there are, by band and state.
    pub async fn candidates_count(&mut self) -> Result<Vec<BandCount>> {
        fetch_all!(
            self,
            BandCount,
            "SELECT band, state, count(*) AS pairs FROM candidates GROUP BY band, state ORDER BY band, state",
        )
    }
}
