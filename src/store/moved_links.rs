//! Accounts at a provider that have two subjects: for a time, while the provider moves them, or for good.
//!
//! Identity specification, rule 3. Both subjects are links of their own in the ID mapping table, so that either resolves
//! as any other does; what is kept here is that they are one account, and when the old one ends.

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::links::LinkState;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, LinkId};

/// A move whose overlap is over, with both links as they are now.
#[derive(Clone, Debug, PartialEq)]
pub struct DueMove {
    pub link: LinkId,
    pub old: LinkId,
    pub namespace: String,
    pub external_id: String,
    pub old_state: LinkState,
    /// Where the old link came from.
    pub source: String,
    pub root: CustomerId,
}

from_row!(DueMove { link, old, namespace, external_id, old_state, source, root });

impl Tx {
    /// Notes that a link is another name of the account of `old`, which ends at a time, or never.
    pub async fn moved_link_insert(
        &mut self,
        link: LinkId,
        old: LinkId,
        ends_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<()> {
        exec!(
            self,
            "INSERT INTO moved_links (link, old, ends_at, created_at) VALUES ($1, $2, $3, $4)",
            link,
            old,
            ends_at,
            now,
        )?;
        Ok(())
    }

    /// The other links that a link's account has or had.
    pub async fn moved_links_with(&mut self, link: LinkId) -> Result<Vec<LinkId>> {
        let both: Vec<(LinkId,)> = fetch_all!(
            self,
            (LinkId,),
            "SELECT old FROM moved_links WHERE link = $1 UNION SELECT link FROM moved_links WHERE old = $1",
            link,
        )?;
        Ok(both.into_iter().map(|(link,)| link).collect())
    }

    /// Moves whose overlap is over, the earliest first; at most `limit`.
    pub async fn moved_links_due(&mut self, now: Timestamp, limit: i64) -> Result<Vec<DueMove>> {
        fetch_all!(
            self,
            DueMove,
            "SELECT m.link, m.old, o.namespace, o.external_id, o.state AS old_state, o.source, o.root \
             FROM moved_links m JOIN links o ON o.id = m.old \
             WHERE m.ended_at IS NULL AND m.ends_at IS NOT NULL AND m.ends_at <= $1 ORDER BY m.ends_at, m.link LIMIT $2",
            now,
            limit,
        )
    }

    /// Ends a move; `false` if another replica did.
    pub async fn moved_link_end(&mut self, link: LinkId, now: Timestamp) -> Result<bool> {
        let ended =
            exec!(self, "UPDATE moved_links SET ended_at = $2 WHERE link = $1 AND ended_at IS NULL", link, now)?;
        Ok(ended == 1)
    }

    /// Gives a link another source.
    pub async fn link_source_set(&mut self, link: LinkId, source: &str) -> Result<()> {
        exec!(self, "UPDATE links SET source = $2 WHERE id = $1", link, source)?;
        Ok(())
    }

    /// Notes what a provider will call an account while it moves; `false` if that name is another account's.
    pub async fn transfer_subject_put(
        &mut self,
        namespace: &str,
        transfer_sub: &str,
        old_sub: &str,
        ends_at: Timestamp,
        now: Timestamp,
    ) -> Result<bool> {
        let put = exec!(
            self,
            "INSERT INTO transfer_subjects (namespace, transfer_sub, old_sub, ends_at, created_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (namespace, transfer_sub) DO UPDATE \
             SET ends_at = excluded.ends_at WHERE transfer_subjects.old_sub = excluded.old_sub",
            namespace,
            transfer_sub,
            old_sub,
            ends_at,
            now,
        )?;
        Ok(put == 1)
    }

    /// The old subject of an account that moves under this name, and when that ends.
    pub async fn transfer_subject_find(
        &mut self,
        namespace: &str,
        transfer_sub: &str,
        now: Timestamp,
    ) -> Result<Option<(String, Timestamp)>> {
        fetch_optional!(
            self,
            (String, Timestamp),
            "SELECT old_sub, ends_at FROM transfer_subjects \
             WHERE namespace = $1 AND transfer_sub = $2 AND ends_at > $3",
            namespace,
            transfer_sub,
            now,
        )
    }

    /// Forgets names whose time is over.
    pub async fn transfer_subjects_purge(&mut self, now: Timestamp) -> Result<u64> {
        exec!(self, "DELETE FROM transfer_subjects WHERE ends_at <= $1", now)
    }
}
