//! Merge requests: two customers that somebody has proved to be both of, waiting to become one.
//!
//! Identity specification, rules 16 and 35: a pair has at most one open request, whichever of the two is named first,
//! and none while it is marked as not the same person. What a request leads to is not known here.

use serde_json::Value;
use uuid::Uuid;

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

word_enum! {
    /// Whether a request still waits.
    pub enum MergeRequestState {
        Open = "open",
        /// The two are one, or the request came to nothing.
        Closed = "closed",
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq)]
pub struct MergeRequest {
    pub id: Uuid,
    /// The lesser of the two IDs.
    pub a: CustomerId,
    pub b: CustomerId,
    /// Of each side: which link, when and how it was proved.
    pub proofs: Value,
    pub opened_at: Timestamp,
    pub state: MergeRequestState,
    pub closed_at: Option<Timestamp>,
    /// An admin closed it, and it came to nothing.
    pub declined: bool,
}

from_row!(MergeRequest { id, a, b, proofs, opened_at, state, closed_at, declined });

macro_rules! merge_request_columns {
    () => {
        "id, a, b, proofs, opened_at, state, closed_at, declined"
    };
}

pub(super) const MERGE_REQUESTS_SETTLE: &str = "UPDATE merge_requests SET state = 'closed', closed_at = $2 \
     WHERE state = 'open' AND a IN (SELECT id FROM customers WHERE canonical = $1) \
     AND b IN (SELECT id FROM customers WHERE canonical = $1)";

impl Tx {
    /// Opens a request; `false` if the pair has an open one. `a` must be the lesser ID.
    pub async fn merge_request_open(&mut self, request: &MergeRequest) -> Result<bool> {
        let added = exec!(
            self,
            concat!(
                "INSERT INTO merge_requests (",
                merge_request_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (a, b) WHERE state = 'open' DO NOTHING"
            ),
            request.id,
            request.a,
            request.b,
            &request.proofs,
            request.opened_at,
            request.state,
            request.closed_at,
            request.declined,
        )?;
        Ok(added == 1)
    }

    /// The open request of a pair, in whichever order.
    pub async fn merge_request_of(&mut self, one: CustomerId, other: CustomerId) -> Result<Option<MergeRequest>> {
        fetch_optional!(
            self,
            MergeRequest,
            concat!(
                "SELECT ",
                merge_request_columns!(),
                " FROM merge_requests WHERE a = $1 AND b = $2 AND state = 'open'"
            ),
            one.min(other),
            one.max(other),
        )
    }

    /// The requests that wait, oldest first.
    pub async fn merge_requests_open(&mut self, limit: i64) -> Result<Vec<MergeRequest>> {
        fetch_all!(
            self,
            MergeRequest,
            concat!(
                "SELECT ",
                merge_request_columns!(),
                " FROM merge_requests WHERE state = 'open' ORDER BY opened_at, id LIMIT $1"
            ),
            limit,
        )
    }

    /// The request of this ID.
    pub async fn merge_request_find(&mut self, id: Uuid) -> Result<Option<MergeRequest>> {
        let sql = concat!("SELECT ", merge_request_columns!(), " FROM merge_requests WHERE id = $1");
        fetch_optional!(self, MergeRequest, sql, id)
    }

    /// Closes a request that came to nothing; `false` if it was closed before.
    pub async fn merge_request_decline(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let declined = exec!(
            self,
            "UPDATE merge_requests SET state = 'closed', closed_at = $2, declined = TRUE \
             WHERE id = $1 AND state = 'open'",
            id,
            now,
        )?;
        Ok(declined == 1)
    }

    /// Closes a request; `false` if it was closed before. Of any number at once one succeeds.
    pub async fn merge_request_close(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let closed = exec!(
            self,
            "UPDATE merge_requests SET state = 'closed', closed_at = $2 WHERE id = $1 AND state = 'open'",
            id,
            now,
        )?;
        Ok(closed == 1)
    }

    /// Closes the requests between rows that are one customer by now.
    pub async fn merge_requests_settle(&mut self, root: CustomerId, now: Timestamp) -> Result<u64> {
        exec!(self, MERGE_REQUESTS_SETTLE, root, now)
    }

    /// Whether somebody has said that these two are not the same person (rule 35), in whichever order.
    pub async fn is_marked_not_same(&mut self, one: CustomerId, other: CustomerId) -> Result<bool> {
        let mark: Option<(CustomerId,)> = fetch_optional!(
            self,
            (CustomerId,),
            "SELECT a FROM not_same WHERE a = $1 AND b = $2",
            one.min(other),
            one.max(other),
        )?;
        Ok(mark.is_some())
    }
}
