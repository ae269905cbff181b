//! Grants: what one authorization gave a client, which is also the family of its refresh tokens.
//!
//! A family is one row however often it rotates, and a rotation is one conditional UPDATE: of any number at once, one
//! succeeds. The ID is derived from the authorization code, so that a replay of the code can end what it produced
//! (RFC 6749 §4.1.2, RFC 9700 §4.14), even before that was written.

use std::time::Duration;

use serde_json::Value;
use sqlx::types::Json;

use super::driver::{exec, fetch_all, fetch_one, fetch_optional, from_row, per_driver};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, GrantId, LinkId, Sid};

/// How long a voided grant without a row keeps its place: far longer than any authorization code lives.
const TOMBSTONE_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// One grant.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    pub id: GrantId,
    pub client_id: String,
    /// The customer who gave it, as of then; absent only where a replayed code was voided before it gave anything.
    pub customer: Option<CustomerId>,
    /// The SSO session it came from.
    pub sid: Option<Sid>,
    /// Space-separated.
    pub scope: String,
    pub audience: Vec<String>,
    /// Whether it outlives its session (`offline_access`).
    pub offline: bool,
    /// Facts of the authentication that later tokens repeat.
    pub claims: Value,
    /// How often it was rotated: only the token of this generation is good.
    pub generation: i64,
    pub rotated_at: Timestamp,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    pub idle_expires_at: Timestamp,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
    pub revoked_reason: Option<String>,
}

from_row!(Grant {
    id,
    client_id,
    customer,
    sid,
    scope,
    audience: json,
    offline,
    claims,
    generation,
    rotated_at,
    created_at,
    last_used_at,
    idle_expires_at,
    expires_at,
    revoked_at,
    revoked_reason,
});

macro_rules! grant_columns {
    () => {
        "id, client_id, customer, sid, scope, audience, offline, claims, generation, rotated_at, created_at, \
         last_used_at, idle_expires_at, expires_at, revoked_at, revoked_reason"
    };
}

macro_rules! grant_insert {
    ($lock:literal) => {
        concat!(
            "INSERT INTO grants (",
            grant_columns!(),
            ") SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16 \
             WHERE $17 IS NULL OR EXISTS (SELECT 1 FROM links WHERE id = $17 AND state = 'live' AND disabled_at IS NULL",
            $lock,
            ") ON CONFLICT (id) DO NOTHING"
        )
    };
}

/// On Postgres and on SQLite.
const GRANT_INSERT: (&str, &str) = (grant_insert!(" FOR SHARE"), grant_insert!(""));

pub(super) const GRANT_FIND: &str = concat!("SELECT ", grant_columns!(), " FROM grants WHERE id = $1");

pub(super) const GRANT_ROTATE: &str = concat!(
    "UPDATE grants SET generation = generation + 1, rotated_at = $4, last_used_at = $4, \
     idle_expires_at = CASE WHEN $5 < expires_at THEN $5 ELSE expires_at END \
     WHERE id = $1 AND client_id = $2 AND generation = $3 AND revoked_at IS NULL \
     AND idle_expires_at > $4 AND expires_at > $4 RETURNING ",
    grant_columns!()
);

pub(super) const GRANTS_END_SESSION: &str = "UPDATE grants SET revoked_at = $2, revoked_reason = 'session_ended' \
     WHERE sid = $1 AND NOT offline AND revoked_at IS NULL";

/// What came from one session of a root, `offline_access` or not.
pub(super) const GRANTS_REVOKE_SESSION: &str = "UPDATE grants SET revoked_at = $4, revoked_reason = $3 \
     WHERE sid = $1 AND customer IN (SELECT id FROM customers WHERE canonical = $2) AND revoked_at IS NULL";

pub(super) const GRANTS_OF_SESSIONS: &str = "SELECT DISTINCT g.sid, g.client_id FROM customers m \
     JOIN grants g ON g.customer = m.id WHERE m.canonical = $1 AND g.sid IS NOT NULL AND g.revoked_at IS NULL \
     AND g.expires_at > $2 ORDER BY g.sid, g.client_id LIMIT $3";

pub(super) const GRANTS_REVOKE_CUSTOMER: &str = "UPDATE grants SET revoked_at = $3, revoked_reason = $2 \
     WHERE customer IN (SELECT m.id FROM customers c JOIN customers m ON m.canonical = c.canonical WHERE c.id = $1) \
     AND revoked_at IS NULL";

impl Tx {
    /// Adds a grant; `false` if its ID is taken, which a replay of the code did before us, or if the link that the login
    /// came by logs nobody in any more.
    ///
    /// Whoever ends or disables a link at this moment waits for us and then revokes the grant, or is waited for.
    pub async fn grant_insert(&mut self, grant: &Grant, came_by: Option<LinkId>) -> Result<bool> {
        // A writing transaction on SQLite has the whole database to itself, and no words for a lock on a row.
        let sql = per_driver!(self, postgres: GRANT_INSERT.0, sqlite: GRANT_INSERT.1);
        let added = exec!(
            self,
            sql,
            grant.id,
            &grant.client_id,
            grant.customer,
            &grant.sid,
            &grant.scope,
            Json(&grant.audience),
            grant.offline,
            &grant.claims,
            grant.generation,
            grant.rotated_at,
            grant.created_at,
            grant.last_used_at,
            grant.idle_expires_at,
            grant.expires_at,
            grant.revoked_at,
            &grant.revoked_reason,
            came_by,
        )?;
        Ok(added == 1)
    }

    /// The grant of this ID, be it revoked or expired.
    pub async fn grant_find(&mut self, id: GrantId) -> Result<Option<Grant>> {
        fetch_optional!(self, Grant, GRANT_FIND, id)
    }

    /// Moves a grant on from `generation` to the next and gives it a new idle time, never beyond its end. `None`
    /// unless it is this client's, at that generation, not revoked and not expired: `grant_find` tells which.
    pub async fn grant_rotate(
        &mut self,
        id: GrantId,
        client_id: &str,
        generation: i64,
        now: Timestamp,
        idle_expires_at: Timestamp,
    ) -> Result<Option<Grant>> {
        fetch_optional!(self, Grant, GRANT_ROTATE, id, client_id, generation, now, idle_expires_at,)
    }

    /// Revokes a grant; `false` if there is none or it was revoked before.
    pub async fn grant_revoke(&mut self, id: GrantId, reason: &str, now: Timestamp) -> Result<bool> {
        let revoked = exec!(
            self,
            "UPDATE grants SET revoked_at = $3, revoked_reason = $2 WHERE id = $1 AND revoked_at IS NULL",
            id,
            reason,
            now,
        )?;
        Ok(revoked == 1)
    }

    /// Revokes the grant of a replayed code, or takes its place if the first redemption has not written it yet.
    /// Answers the customer whose grant it was, to the one who ended it: of any number at once, one is told.
    pub async fn grant_void(
        &mut self,
        id: GrantId,
        client_id: &str,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<CustomerId>> {
        let (customer,): (Option<CustomerId>,) = fetch_one!(
            self,
            (Option<CustomerId>,),
            "INSERT INTO grants (id, client_id, scope, audience, offline, claims, generation, rotated_at, \
             created_at, last_used_at, idle_expires_at, expires_at, revoked_at, revoked_reason) \
             VALUES ($1, $2, '', '[]', FALSE, '{}', 0, $4, $4, $4, $4, $5, $4, $3) \
             ON CONFLICT (id) DO UPDATE SET revoked_at = coalesce(grants.revoked_at, excluded.revoked_at), \
             revoked_reason = coalesce(grants.revoked_reason, excluded.revoked_reason) \
             RETURNING CASE WHEN revoked_at = $4 THEN customer END",
            id,
            client_id,
            reason,
            now,
            now + TOMBSTONE_LIFETIME,
        )?;
        Ok(customer)
    }

    /// Revokes what came from a session and does not outlive it; answers how many.
    pub async fn grants_end_session(&mut self, sid: &Sid, now: Timestamp) -> Result<u64> {
        exec!(self, GRANTS_END_SESSION, sid, now)
    }

    /// Revokes everything a customer gave, by whatever ID it did; answers how many.
    pub async fn grants_revoke_customer(&mut self, root: CustomerId, reason: &str, now: Timestamp) -> Result<u64> {
        exec!(self, GRANTS_REVOKE_CUSTOMER, root, reason, now)
    }

    /// Revokes everything that came from one session of a root, also what would outlive it; answers how many.
    pub async fn grants_revoke_session(
        &mut self,
        root: CustomerId,
        sid: &Sid,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64> {
        exec!(self, GRANTS_REVOKE_SESSION, sid, root, reason, now)
    }

    /// Which clients got something that still stands from which session of a root; at most `limit`.
    pub async fn grants_of_sessions(
        &mut self,
        root: CustomerId,
        now: Timestamp,
        limit: i64,
    ) -> Result<Vec<(Sid, String)>> {
        fetch_all!(self, (Sid, String), GRANTS_OF_SESSIONS, root, now, limit)
    }

    /// How many grants of a customer still give tokens, by the row that gave them.
    pub async fn grants_live_by_row(&mut self, root: CustomerId, now: Timestamp) -> Result<Vec<(CustomerId, i64)>> {
        fetch_all!(
            self,
            (CustomerId, i64),
            "SELECT g.customer, count(*) FROM customers m JOIN grants g ON g.customer = m.id \
             WHERE m.canonical = $1 AND g.revoked_at IS NULL AND g.idle_expires_at > $2 AND g.expires_at > $2 \
             GROUP BY g.customer",
            root,
            now,
        )
    }

    /// Revokes everything a customer gave by `until` while logged in through a link, by whatever ID; answers how many.
    pub async fn grants_revoke_link(
        &mut self,
        root: CustomerId,
        link: LinkId,
        reason: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<u64> {
        // `->>` reads a JSON member as text on both databases.
        exec!(
            self,
            "UPDATE grants SET revoked_at = $3, revoked_reason = $4 \
             WHERE customer IN (SELECT m.id FROM customers c JOIN customers m ON m.canonical = c.canonical \
             WHERE c.id = $1) AND revoked_at IS NULL AND claims ->> 'link' = $2 AND created_at <= $5",
            root,
            link.0.hyphenated().to_string(),
            now,
            reason,
            until,
        )
    }

    /// Removes grants that ended before a time, at most `limit`; answers how many. Run it again while it removes any.
    pub async fn grants_purge(&mut self, ended_before: Timestamp, limit: i64) -> Result<u64> {
        exec!(
            self,
            "DELETE FROM grants WHERE id IN \
             (SELECT id FROM grants WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
            ended_before,
            limit,
        )
    }
}
