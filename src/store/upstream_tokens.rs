//! Tokens that providers gave us for a customer, sealed by whoever stores them: one row for each link.
//!
//! A row's `generation` rises whenever its tokens change, and every change names the generation it saw, so that a late
//! answer never replaces newer tokens. A lease lets one replica at a time ask the provider, without holding a row.

use super::driver::{exec, fetch_all, fetch_optional, from_row, per_driver};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, LinkId};

word_enum! {
    /// Why a customer must sign in at the provider again before it gives another token.
    pub enum LoginNeeded {
        /// The provider refuses the refresh token.
        Refused = "refused",
        /// The same, after an earlier answer was lost: it may have brought the token that follows.
        ReplyLost = "reply_lost",
    }
}

/// Tokens as they are stored: sealed, as text.
#[derive(Clone, Debug, PartialEq)]
pub struct TokensToStore<'a> {
    pub access: &'a str,
    /// None leaves the one that is there.
    pub refresh: Option<&'a str>,
    pub scope: &'a str,
    /// When the access token ends, if the provider said so.
    pub expires_at: Option<Timestamp>,
}

/// One row, with the subject that its link is of.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamTokenRow {
    pub link: LinkId,
    /// The row that the account is linked to.
    pub customer: CustomerId,
    pub external_id: String,
    pub access: String,
    pub refresh: Option<String>,
    pub scope: String,
    pub expires_at: Option<Timestamp>,
    pub generation: i64,
    pub lease_until: Option<Timestamp>,
    /// When the refresh was sent that has not been answered.
    pub asked_at: Option<Timestamp>,
    pub login_needed: Option<LoginNeeded>,
}

from_row!(UpstreamTokenRow {
    link,
    customer,
    external_id,
    access,
    refresh,
    scope,
    expires_at,
    generation,
    lease_until,
    asked_at,
    login_needed,
});

macro_rules! tokens_put {
    ($lock:literal) => {
        concat!(
            "INSERT INTO upstream_tokens (link, access, refresh, scope, expires_at, generation, updated_at) \
             SELECT id, $2, $3, $4, $5, 0, $6 FROM links WHERE id = $1 AND state = 'live'",
            $lock,
            " ON CONFLICT (link) DO UPDATE SET access = excluded.access, \
             refresh = COALESCE(excluded.refresh, upstream_tokens.refresh), scope = excluded.scope, \
             expires_at = excluded.expires_at, generation = upstream_tokens.generation + 1, lease_until = NULL, \
             asked_at = CASE WHEN excluded.refresh IS NULL THEN upstream_tokens.asked_at END, \
             login_needed = NULL, updated_at = excluded.updated_at"
        )
    };
}

/// On Postgres and on SQLite.
const TOKENS_PUT: (&str, &str) = (tokens_put!(" FOR SHARE"), tokens_put!(""));

impl Tx {
    /// Stores what a login brought, over what was there; `false` if the link has ended. Without a refresh token the old
    /// one stays: some providers give it at the first consent only.
    pub async fn upstream_tokens_put(
        &mut self,
        link: LinkId,
        tokens: &TokensToStore<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        // Whoever ends the link at this moment waits for us and then takes the tokens, or is waited for. A writing
        // transaction on SQLite has the whole database to itself, and no words for a lock on a row.
        let sql = per_driver!(self, postgres: TOKENS_PUT.0, sqlite: TOKENS_PUT.1);
        let put = exec!(self, sql, link, tokens.access, tokens.refresh, tokens.scope, tokens.expires_at, now,)?;
        Ok(put == 1)
    }

    /// The tokens of a root's accounts at a provider, those of the account used last first; at most 100.
    pub async fn upstream_tokens_of(&mut self, root: CustomerId, namespace: &str) -> Result<Vec<UpstreamTokenRow>> {
        fetch_all!(
            self,
            UpstreamTokenRow,
            "SELECT t.link, l.customer, l.external_id, t.access, t.refresh, t.scope, t.expires_at, t.generation, t.lease_until, \
             t.asked_at, t.login_needed FROM links l JOIN upstream_tokens t ON t.link = l.id \
             WHERE l.root = $1 AND l.namespace = $2 AND l.state = 'live' ORDER BY l.last_seen DESC, l.id DESC LIMIT 100",
            root,
            namespace,
        )
    }

    /// Takes the right to ask the provider until a time; `false` if somebody has it, or the tokens have changed.
    pub async fn upstream_tokens_lease(
        &mut self,
        link: LinkId,
        generation: i64,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let leased = exec!(
            self,
            "UPDATE upstream_tokens SET lease_until = $3, asked_at = COALESCE(asked_at, $4) \
             WHERE link = $1 AND generation = $2 AND login_needed IS NULL AND (lease_until IS NULL OR lease_until <= $4)",
            link,
            generation,
            until,
            now,
        )?;
        Ok(leased == 1)
    }

    /// Stores what a refresh brought; `false` if newer tokens came meanwhile, which then stay.
    pub async fn upstream_tokens_refreshed(
        &mut self,
        link: LinkId,
        generation: i64,
        tokens: &TokensToStore<'_>,
        now: Timestamp,
    ) -> Result<bool> {
        let stored = exec!(
            self,
            "UPDATE upstream_tokens SET access = $3, refresh = COALESCE($4, refresh), scope = $5, expires_at = $6, \
             generation = generation + 1, lease_until = NULL, asked_at = NULL, updated_at = $7 \
             WHERE link = $1 AND generation = $2",
            link,
            generation,
            tokens.access,
            tokens.refresh,
            tokens.scope,
            tokens.expires_at,
            now,
        )?;
        Ok(stored == 1)
    }

    /// Notes that the provider refuses the refresh token, and forgets it.
    pub async fn upstream_tokens_refused(
        &mut self,
        link: LinkId,
        generation: i64,
        why: LoginNeeded,
        now: Timestamp,
    ) -> Result<()> {
        exec!(
            self,
            "UPDATE upstream_tokens SET refresh = NULL, login_needed = $3, generation = generation + 1, \
             lease_until = NULL, asked_at = NULL, updated_at = $4 WHERE link = $1 AND generation = $2",
            link,
            generation,
            why,
            now,
        )?;
        Ok(())
    }

    /// Gives the right to ask back after no answer came. `asked_at` is since when one may have been given and lost.
    pub async fn upstream_tokens_release(
        &mut self,
        link: LinkId,
        generation: i64,
        asked_at: Option<Timestamp>,
    ) -> Result<()> {
        exec!(
            self,
            "UPDATE upstream_tokens SET lease_until = NULL, asked_at = $3 WHERE link = $1 AND generation = $2",
            link,
            generation,
            asked_at,
        )?;
        Ok(())
    }

    /// Forgets the tokens of a link, and answers its refresh token as it was sealed.
    pub async fn upstream_tokens_take(&mut self, link: LinkId) -> Result<Option<String>> {
        let taken: Option<(Option<String>,)> = fetch_optional!(
            self,
            (Option<String>,),
            "DELETE FROM upstream_tokens WHERE link = $1 RETURNING refresh",
            link,
        )?;
        Ok(taken.and_then(|(refresh,)| refresh))
    }

    /// Forgets the tokens of a link.
    pub async fn upstream_tokens_delete(&mut self, link: LinkId) -> Result<()> {
        exec!(self, "DELETE FROM upstream_tokens WHERE link = $1", link)?;
        Ok(())
    }
}
