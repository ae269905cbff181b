//! The index by which customers that may be one person find each other, and who keeps it (identity specification,
//! rule 38).
//!
//! Keys are numbers made of a customer's values; what they are made of is not known here. A customer's keys stand twice:
//! by key, to be found, and together by customer, so that replacing them needs no second index over all keys.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use super::driver::{exec, fetch_all, fetch_one, fetch_optional, from_row, per_driver};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

/// Each key looked up by itself, whatever the planner thinks of so many: joined with them, Postgres reads all keys there
/// are. A row is never written again, so that its place says which it is.
pub(super) const KEYS_REMOVE_POSTGRES: &str = "DELETE FROM duplicate_keys WHERE ctid = ANY (ARRAY(\
     SELECT d.ctid FROM jsonb_each($1) c, jsonb_array_elements_text(c.value) k CROSS JOIN LATERAL (\
     SELECT o.ctid FROM duplicate_keys o WHERE o.key = k::bigint AND o.customer = c.key::uuid LIMIT 1) d))";
pub(super) const KEYS_REMOVE_SQLITE: &str = "DELETE FROM duplicate_keys WHERE (key, customer) IN (\
     SELECT k.value, unhex(c.key) FROM json_each($1) c, json_each(c.value) k)";

/// The rows of customers, each with its keys until now and from now on.
pub(super) const INDEXED_SWAP_POSTGRES: &str = "UPDATE duplicate_indexed i \
     SET keys = decode($1::jsonb->i.customer::text->>1, 'hex') \
     WHERE i.customer = ANY (ARRAY(SELECT c::uuid FROM jsonb_object_keys($1) c)) \
     AND i.keys = decode($1::jsonb->i.customer::text->>0, 'hex') RETURNING i.customer";
pub(super) const INDEXED_SWAP_SQLITE: &str = "UPDATE duplicate_indexed AS i \
     SET keys = unhex(json_extract(c.value, '$[1]')) FROM json_each($1) c \
     WHERE i.customer = unhex(c.key, '-') AND i.keys = unhex(json_extract(c.value, '$[0]')) RETURNING customer";

/// To whom something happened, by the number of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    pub sequence: i64,
    pub root: CustomerId,
    pub event_type: String,
}

from_row!(Touched { sequence, root, event_type });

/// How far the follower and the index of all customers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerState {
    /// Whoever changed up to this event was weighed.
    pub cursor: i64,
    /// The last event that has a number.
    pub last: i64,
    /// How the keys of the index are made.
    pub indexed_with: Option<i64>,
    /// The last event when the index was begun.
    pub indexed_from: Option<i64>,
    /// The last customer that is done.
    pub indexed_to: Option<Uuid>,
    /// When it was whole; `None` while it is not.
    pub indexed_at: Option<Timestamp>,
}

from_row!(FollowerState { cursor, last, indexed_with, indexed_from, indexed_to, indexed_at });

/// Several customers' keys.
pub type KeysOf = BTreeMap<CustomerId, Vec<i64>>;

impl Tx {
    /// The keys of one customer as they stand; `None` if it is not in the index.
    pub async fn duplicate_keys_of(&mut self, customer: CustomerId) -> Result<Option<Vec<i64>>> {
        let found: Option<(Vec<u8>,)> =
            fetch_optional!(self, (Vec<u8>,), "SELECT keys FROM duplicate_indexed WHERE customer = $1", customer)?;
        Ok(found.map(|(packed,)| unpacked(&packed)))
    }

    /// The same of all customers after one, up to another one.
    pub async fn duplicate_keys_between(&mut self, after: CustomerId, last: CustomerId) -> Result<KeysOf> {
        let found: Vec<(CustomerId, Vec<u8>)> = fetch_all!(
            self,
            (CustomerId, Vec<u8>),
            "SELECT customer, keys FROM duplicate_indexed WHERE customer > $1 AND customer <= $2",
            after,
            last,
        )?;
        Ok(found.into_iter().map(|(customer, packed)| (customer, unpacked(&packed))).collect())
    }

    /// Takes keys out of the index.
    pub async fn duplicate_keys_remove(&mut self, keys: &KeysOf) -> Result<()> {
        let sql = per_driver!(self, postgres: KEYS_REMOVE_POSTGRES, sqlite: KEYS_REMOVE_SQLITE);
        exec!(self, sql, listed(keys))?;
        Ok(())
    }

    /// Adds keys to the index; what is there stays.
    pub async fn duplicate_keys_add(&mut self, keys: &KeysOf) -> Result<()> {
        let sql = per_driver!(
            self,
            postgres: "INSERT INTO duplicate_keys (key, customer) SELECT k::bigint, c.key::uuid \
                       FROM jsonb_each($1) c, jsonb_array_elements_text(c.value) k ON CONFLICT DO NOTHING",
            sqlite: "INSERT INTO duplicate_keys (key, customer) SELECT k.value, unhex(c.key) \
                     FROM json_each($1) c, json_each(c.value) k WHERE TRUE ON CONFLICT DO NOTHING",
        );
        exec!(self, sql, listed(keys))?;
        Ok(())
    }

    /// Puts customers into the index that are not in it; answers whom. Others somebody else has put there meanwhile.
    pub async fn duplicate_indexed_insert(&mut self, keys: &KeysOf) -> Result<Vec<CustomerId>> {
        let sql = per_driver!(
            self,
            postgres: "INSERT INTO duplicate_indexed (customer, keys) SELECT c.key::uuid, decode(c.value, 'hex') \
                       FROM jsonb_each_text($1) c ORDER BY 1 ON CONFLICT DO NOTHING RETURNING customer",
            sqlite: "INSERT INTO duplicate_indexed (customer, keys) SELECT unhex(c.key), unhex(c.value) \
                     FROM json_each($1) c WHERE TRUE ON CONFLICT DO NOTHING RETURNING customer",
        );
        let written: Vec<(CustomerId,)> = fetch_all!(self, (CustomerId,), sql, all_packed(keys))?;
        Ok(written.into_iter().map(|(customer,)| customer).collect())
    }

    /// Writes down which keys customers have in the index, of those who have the keys that are `known` until now; answers
    /// whose that were. The keys of others somebody else has written.
    pub async fn duplicate_indexed_swap(
        &mut self,
        swaps: &BTreeMap<CustomerId, (&[i64], &[i64])>,
    ) -> Result<Vec<CustomerId>> {
        let sql = per_driver!(self, postgres: INDEXED_SWAP_POSTGRES, sqlite: INDEXED_SWAP_SQLITE);
        let all: Value = swaps
            .iter()
            .map(|(customer, (known, keys))| {
                (customer.0.hyphenated().to_string(), json!([packed(known), packed(keys)]))
            })
            .collect();
        let written: Vec<(CustomerId,)> = fetch_all!(self, (CustomerId,), sql, all)?;
        Ok(written.into_iter().map(|(customer,)| customer).collect())
    }

    /// Takes a customer out of the index.
    pub async fn duplicate_indexed_remove(&mut self, customer: CustomerId) -> Result<()> {
        let Some(keys) = self.duplicate_keys_of(customer).await? else { return Ok(()) };
        self.duplicate_keys_remove(&KeysOf::from([(customer, keys)])).await?;
        exec!(self, "DELETE FROM duplicate_indexed WHERE customer = $1", customer)?;
        Ok(())
    }

    /// To whom something happened after an event, in order; at most `limit`.
    pub async fn outbox_touched(&mut self, after: i64, limit: i64) -> Result<Vec<Touched>> {
        fetch_all!(
            self,
            Touched,
            "SELECT sequence, root, type AS event_type FROM outbox WHERE sequence > $1 ORDER BY sequence LIMIT $2",
            after,
            limit,
        )
    }

    /// How far everything is.
    pub async fn duplicate_follower(&mut self) -> Result<FollowerState> {
        fetch_one!(
            self,
            FollowerState,
            "SELECT f.cursor, c.last, f.indexed_with, f.indexed_from, f.indexed_to, f.indexed_at \
             FROM duplicate_follower f, outbox_counter c WHERE f.id = 1 AND c.id = 1",
        )
    }

    /// Whether somebody has to follow: there are events, or some are to be gone through again.
    pub async fn duplicate_follower_is_due(&mut self, now: Timestamp) -> Result<bool> {
        let (due,): (bool,) = fetch_one!(
            self,
            (bool,),
            "SELECT EXISTS (SELECT 1 FROM duplicate_follower f, outbox_counter c WHERE f.id = 1 AND c.id = 1 \
             AND f.lease_until <= $1 AND (f.again_from IS NOT NULL OR f.cursor < c.last))",
            now,
        )?;
        Ok(due)
    }

    /// Takes the events until `lease_until`, unless somebody else has them. Answers where to begin.
    pub async fn duplicate_follower_lease(
        &mut self,
        holder: Uuid,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<i64>> {
        let leased: Option<(i64,)> = fetch_optional!(
            self,
            (i64,),
            "UPDATE duplicate_follower SET lease_holder = $1, lease_until = $3, \
             cursor = CASE WHEN again_from < cursor THEN again_from ELSE cursor END, again_from = NULL \
             WHERE id = 1 AND lease_until <= $2 RETURNING cursor",
            holder,
            now,
            lease_until,
        )?;
        Ok(leased.map(|(cursor,)| cursor))
    }

    /// Writes down how far the holder is, and answers where to go on: further back if somebody asked for it meanwhile.
    /// `None` if the lease is no longer the holder's.
    pub async fn duplicate_follower_save(
        &mut self,
        holder: Uuid,
        cursor: i64,
        lease_until: Timestamp,
    ) -> Result<Option<i64>> {
        let saved: Option<(i64,)> = fetch_optional!(
            self,
            (i64,),
            "UPDATE duplicate_follower SET cursor = CASE WHEN again_from < $2 THEN again_from ELSE $2 END, \
             again_from = NULL, lease_until = $3 WHERE id = 1 AND lease_holder = $1 RETURNING cursor",
            holder,
            cursor,
            lease_until,
        )?;
        Ok(saved.map(|(cursor,)| cursor))
    }

    /// Has everybody weighed again who changed after an event.
    pub async fn duplicate_follow_again(&mut self, after: i64) -> Result<()> {
        exec!(
            self,
            "UPDATE duplicate_follower SET again_from = CASE WHEN again_from < $1 THEN again_from ELSE $1 END \
             WHERE id = 1",
            after,
        )?;
        Ok(())
    }

    /// Writes down how far the index of all customers is.
    pub async fn duplicate_index_advance(&mut self, state: &FollowerState) -> Result<()> {
        exec!(
            self,
            "UPDATE duplicate_follower SET indexed_with = $1, indexed_from = $2, indexed_to = $3, indexed_at = $4 \
             WHERE id = 1",
            state.indexed_with,
            state.indexed_from,
            state.indexed_to,
            state.indexed_at,
        )?;
        Ok(())
    }
}

/// Reads as `uuid` on Postgres and by `unhex` on SQLite.
pub(super) fn list(roots: &[CustomerId]) -> Value {
    json!(roots.iter().map(|root| root.0.simple().to_string()).collect::<Vec<_>>())
}

fn listed(keys: &KeysOf) -> Value {
    keys.iter().map(|(customer, keys)| (customer.0.simple().to_string(), json!(keys))).collect()
}

fn all_packed(keys: &KeysOf) -> Value {
    keys.iter().map(|(customer, keys)| (customer.0.simple().to_string(), json!(packed(keys)))).collect()
}

fn bytes(keys: &[i64]) -> Vec<u8> {
    keys.iter().flat_map(|key| key.to_le_bytes()).collect()
}

/// As hexadecimal digits, which both databases read as bytes.
fn packed(keys: &[i64]) -> String {
    bytes(keys).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unpacked(packed: &[u8]) -> Vec<i64> {
    packed.chunks_exact(8).filter_map(|bytes| bytes.try_into().ok()).map(i64::from_le_bytes).collect()
}
