//! Pairs of customers that may be one person (identity specification, rules 35 to 40).
//!
//! A pair stands once, the smaller ID first. What a person decided about it is kept: a later scan never opens it again.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::driver::{Conn, exec, fetch_all, from_row};
use super::members::member_columns;
use super::values::word_enum;
use super::{Member, Result, Tx};
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
    /// The first of the customers that are taken for one person with these two; `None` where nobody was so taken.
    pub cluster: Option<CustomerId>,
    /// So many are taken for one person that somebody should look twice.
    pub needs_review: bool,
    pub state: CandidateState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

from_row!(Candidate {
    a,
    b,
    same,
    household,
    reasons,
    model,
    band,
    cluster,
    needs_review,
    state,
    created_at,
    updated_at,
});

/// What somebody decided about a pair, for a calibration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Decision {
    pub same: f64,
    pub state: CandidateState,
}

from_row!(Decision { same, state });

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
        "a, b, same, household, reasons, model, band, cluster, needs_review, state, created_at, updated_at"
    };
}

macro_rules! candidate_upsert {
    ($values:literal) => {
        concat!(
            "INSERT INTO candidates (",
            candidate_columns!(),
            ") ",
            $values,
            " ON CONFLICT (a, b) DO UPDATE SET \
             same = excluded.same, household = excluded.household, reasons = excluded.reasons, \
             model = excluded.model, cluster = excluded.cluster, needs_review = excluded.needs_review, \
             updated_at = excluded.updated_at, \
             band = CASE WHEN excluded.same <= candidates.watched_same THEN 'watch' ELSE excluded.band END, \
             watched_same = CASE WHEN excluded.same <= candidates.watched_same THEN candidates.watched_same END \
             WHERE candidates.state = 'open'"
        )
    };
}
const CANDIDATES_UPSERT_POSTGRES: &str = candidate_upsert!(
    "SELECT p.* FROM jsonb_to_recordset($1) AS p (a UUID, b UUID, same DOUBLE PRECISION, household DOUBLE PRECISION, \
     reasons JSONB, model TEXT, band TEXT, cluster UUID, needs_review BOOLEAN, state TEXT, created_at BIGINT, \
     updated_at BIGINT)"
);

/// Each half finds its rows by an index. More than these nobody looks at.
pub(super) const CANDIDATES_OPEN_OF: &str = concat!(
    "SELECT ",
    candidate_columns!(),
    " FROM candidates WHERE a = $1 AND state = 'open' UNION ALL SELECT ",
    candidate_columns!(),
    " FROM candidates WHERE b = $1 AND state = 'open' LIMIT 500"
);

pub(super) const CANDIDATES_SETTLE: &str = "UPDATE candidates SET state = 'merged', updated_at = $2 \
     WHERE state = 'open' AND a IN (SELECT id FROM customers WHERE canonical = $1) \
     AND b IN (SELECT id FROM customers WHERE canonical = $1)";

macro_rules! candidates_part {
    ($one:literal, $other:literal) => {
        concat!(
            "UPDATE candidates SET state = 'dismissed', updated_at = $2 WHERE state = 'merged' AND ",
            $one,
            " IN (SELECT id FROM customers WHERE canonical = $1) AND NOT EXISTS \
             (SELECT 1 FROM customers o WHERE o.id = candidates.",
            $other,
            " AND o.canonical = $1)"
        )
    };
}

/// Pairs whose one row or other is a root's: two, so that each is found by its own index.
pub(super) const CANDIDATES_PART: [&str; 2] = [candidates_part!("a", "b"), candidates_part!("b", "a")];

impl Tx {
    /// Living customers in the order of their IDs, those after one.
    pub async fn customers_living_after(&mut self, after: CustomerId, limit: i64) -> Result<Vec<CustomerId>> {
        let found: Vec<(CustomerId,)> = fetch_all!(
            self,
            (CustomerId,),
            "SELECT id FROM customers WHERE id > $1 AND canonical = id AND state = 'active' ORDER BY id LIMIT $2",
            after,
            limit,
        )?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Every row of the customers within a range of IDs, both ends included, each customer's together.
    pub async fn members_between(&mut self, first: CustomerId, last: CustomerId) -> Result<Vec<Member>> {
        fetch_all!(
            self,
            Member,
            concat!(
                "SELECT ",
                member_columns!(),
                " FROM customers m WHERE m.canonical >= $1 AND m.canonical <= $2 ORDER BY m.canonical, m.id"
            ),
            first,
            last,
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

    /// Adds a pair, or renews one that nobody has decided on; `false` if somebody has. One that somebody put on watch
    /// stays there until more speaks for it than did then.
    pub async fn candidate_upsert(&mut self, candidate: &Candidate) -> Result<bool> {
        let written = exec!(
            self,
            candidate_upsert!("VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"),
            candidate.a,
            candidate.b,
            candidate.same,
            candidate.household,
            &candidate.reasons,
            &candidate.model,
            &candidate.band,
            candidate.cluster,
            candidate.needs_review,
            candidate.state,
            candidate.created_at,
            candidate.updated_at,
        )?;
        Ok(written == 1)
    }

    /// The same with several pairs; of one that is there twice, as two who were weighed together find each other, the last.
    pub async fn candidates_upsert(&mut self, candidates: &[&Candidate]) -> Result<()> {
        let each: BTreeMap<_, _> = candidates.iter().map(|pair| ((pair.a, pair.b), *pair)).collect();
        if each.is_empty() {
            return Ok(());
        }
        if let Conn::Sqlite(_) = self.conn {
            // A statement is no way there and back, and its JSON rounds numbers.
            for candidate in each.into_values() {
                self.candidate_upsert(candidate).await?;
            }
            return Ok(());
        }
        let columns = |pair: &Candidate| {
            json!({
                "a": pair.a, "b": pair.b, "same": pair.same, "household": pair.household, "reasons": pair.reasons,
                "model": pair.model, "band": pair.band, "cluster": pair.cluster, "needs_review": pair.needs_review,
                "state": pair.state.as_str(), "created_at": pair.created_at, "updated_at": pair.updated_at,
            })
        };
        let all: Value = each.into_values().map(columns).collect();
        exec!(self, CANDIDATES_UPSERT_POSTGRES, all)?;
        Ok(())
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

    /// The open pairs of a customer.
    pub async fn candidates_open_of(&mut self, customer: CustomerId) -> Result<Vec<Candidate>> {
        fetch_all!(self, Candidate, CANDIDATES_OPEN_OF, customer)
    }

    /// Open pairs of a band that no large cluster holds, the likeliest first.
    pub async fn candidates_waiting(&mut self, band: &str, limit: i64) -> Result<Vec<Candidate>> {
        fetch_all!(
            self,
            Candidate,
            concat!(
                "SELECT ",
                candidate_columns!(),
                " FROM candidates WHERE state = 'open' AND band = $1 AND NOT needs_review ORDER BY same DESC, a, b \
                 LIMIT $2"
            ),
            band,
            limit,
        )
    }

    /// Puts an open pair into another band, with what is to be known about it.
    pub async fn candidate_move(
        &mut self,
        a: CustomerId,
        b: CustomerId,
        band: &str,
        reasons: &Value,
        now: Timestamp,
    ) -> Result<()> {
        exec!(
            self,
            "UPDATE candidates SET band = $3, reasons = $4, updated_at = $5 WHERE a = $1 AND b = $2 AND state = 'open'",
            a,
            b,
            band,
            reasons,
            now,
        )?;
        Ok(())
    }

    /// Forgets an open pair that no longer holds.
    pub async fn candidate_withdraw(&mut self, a: CustomerId, b: CustomerId) -> Result<()> {
        exec!(self, "DELETE FROM candidates WHERE a = $1 AND b = $2 AND state = 'open'", a, b)?;
        Ok(())
    }

    /// Forgets that a pair was dismissed.
    pub async fn candidate_undismiss(&mut self, a: CustomerId, b: CustomerId) -> Result<()> {
        exec!(self, "DELETE FROM candidates WHERE a = $1 AND b = $2 AND state = 'dismissed'", a, b)?;
        Ok(())
    }

    /// Forgets the open pairs of a customer who lives no more.
    pub async fn candidates_forget(&mut self, customer: CustomerId) -> Result<()> {
        exec!(self, "DELETE FROM candidates WHERE a = $1 AND state = 'open'", customer)?;
        exec!(self, "DELETE FROM candidates WHERE b = $1 AND state = 'open'", customer)?;
        Ok(())
    }

    /// What was decided about pairs of a model, the latest first.
    pub async fn candidates_decided(&mut self, model: &str, limit: i64) -> Result<Vec<Decision>> {
        fetch_all!(
            self,
            Decision,
            "SELECT same, state FROM candidates WHERE state <> 'open' AND model = $1 ORDER BY updated_at DESC LIMIT $2",
            model,
            limit,
        )
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

    /// The decision on pairs that were merged, and of which one row is a root's and the other is not any more: the merge was
    /// undone. What a model learns from decisions is that they are two people.
    pub async fn candidates_part(&mut self, root: CustomerId, now: Timestamp) -> Result<()> {
        for sql in CANDIDATES_PART {
            exec!(self, sql, root, now)?;
        }
        Ok(())
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
