//! Links: the ID mapping table, `(namespace, external_id) → customer`.
//!
//! Identity specification, rules 1 to 5 and 42: a live exclusive identifier has one row, and resolving it is one index
//! probe. A link keeps the customer it was attached to; `root` is who that is today.

use serde_json::Value;

use super::customers::CustomerState;
use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, LinkId};

word_enum! {
    /// Whether a link resolves.
    pub enum LinkState {
        Live = "live",
        Ended = "ended",
    }
}

/// One link.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub id: LinkId,
    /// Such as `social:google`, `email`, `app:shop`.
    pub namespace: String,
    /// In the namespace's normal form; a connector's subject byte for byte.
    pub external_id: String,
    /// Whether the namespace gives an identifier to one customer only.
    pub exclusive: bool,
    /// The customer it was attached to.
    pub customer: CustomerId,
    /// Who that customer is today.
    pub root: CustomerId,
    pub state: LinkState,
    /// Where it came from, such as `login`, `import`, `admin`.
    pub source: String,
    /// What proved it, if anything did.
    pub proof: Option<String>,
    pub verified_at: Option<Timestamp>,
    /// As it was typed or delivered, for showing.
    pub display: Option<String>,
    /// The profile as the source last delivered it.
    pub profile: Value,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub ended_at: Option<Timestamp>,
}

from_row!(Link {
    id,
    namespace,
    external_id,
    exclusive,
    customer,
    root,
    state,
    source,
    proof,
    verified_at,
    display,
    profile,
    first_seen,
    last_seen,
    ended_at,
});

/// What a login through a link needs to know, of the link and of who it leads to.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkLogin {
    pub link: LinkId,
    /// The customer it was attached to.
    pub customer: CustomerId,
    /// Who that is today.
    pub root: CustomerId,
    pub root_state: CustomerState,
    pub verified_at: Option<Timestamp>,
    pub last_seen: Timestamp,
    /// The values of the customer it was attached to, which an import may change.
    pub profile: Value,
    /// Of the root.
    pub version: i64,
}

from_row!(LinkLogin { link, customer, root, root_state, verified_at, last_seen, profile, version });

macro_rules! link_columns {
    () => {
        "id, namespace, external_id, exclusive, customer, root, state, source, proof, verified_at, display, profile, \
         first_seen, last_seen, ended_at"
    };
}

pub(super) const LINK_RESOLVE: &str =
    "SELECT root FROM links WHERE namespace = $1 AND external_id = $2 AND exclusive AND state = 'live'";

pub(super) const LINK_LOGIN: &str = "SELECT l.id AS link, l.customer, l.root, c.state AS root_state, l.verified_at, l.last_seen, m.profile, c.version \
     FROM links l JOIN customers c ON c.id = l.root JOIN customers m ON m.id = l.customer \
     WHERE l.namespace = $1 AND l.external_id = $2 AND l.exclusive AND l.state = 'live'";

/// Two partial indexes cover the table between them, and each half names the condition of its own.
pub(super) const LINKS_FIND: &str = concat!(
    "SELECT ",
    link_columns!(),
    " FROM links WHERE namespace = $1 AND external_id = $2 AND exclusive AND state = 'live' \
     UNION ALL SELECT ",
    link_columns!(),
    " FROM links WHERE namespace = $1 AND external_id = $2 AND (NOT exclusive OR state <> 'live') \
     ORDER BY first_seen DESC, id DESC LIMIT 50"
);

impl Tx {
    /// Adds a link; `false` if its identifier is exclusive and live already, whoever has it.
    ///
    /// Of any number at once one succeeds; the others wait for it, and find it when they read again (rule 7).
    pub async fn link_insert(&mut self, link: &Link) -> Result<bool> {
        let added = exec!(
            self,
            concat!(
                "INSERT INTO links (",
                link_columns!(),
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
                 ON CONFLICT (namespace, external_id) WHERE exclusive AND state = 'live' DO NOTHING"
            ),
            link.id,
            &link.namespace,
            &link.external_id,
            link.exclusive,
            link.customer,
            link.root,
            link.state,
            &link.source,
            &link.proof,
            link.verified_at,
            &link.display,
            &link.profile,
            link.first_seen,
            link.last_seen,
            link.ended_at,
        )?;
        Ok(added == 1)
    }

    /// Whose a live exclusive identifier is today: one probe of one index (rule 2).
    pub async fn link_resolve(&mut self, namespace: &str, external_id: &str) -> Result<Option<CustomerId>> {
        let found: Option<(CustomerId,)> = fetch_optional!(self, (CustomerId,), LINK_RESOLVE, namespace, external_id,)?;
        Ok(found.map(|(root,)| root))
    }

    /// All that a login by a live exclusive identifier needs, in one statement.
    pub async fn link_login(&mut self, namespace: &str, external_id: &str) -> Result<Option<LinkLogin>> {
        fetch_optional!(self, LinkLogin, LINK_LOGIN, namespace, external_id,)
    }

    /// Notes that a link was used, and the profile it brought.
    pub async fn link_seen(&mut self, link: LinkId, now: Timestamp, profile: &Value) -> Result<()> {
        exec!(self, "UPDATE links SET last_seen = $2, profile = $3 WHERE id = $1", link, now, profile)?;
        Ok(())
    }

    /// The links of a root, in the order in which they were made; at most `limit`.
    pub async fn links_of(&mut self, root: CustomerId, limit: i64) -> Result<Vec<Link>> {
        fetch_all!(
            self,
            Link,
            concat!("SELECT ", link_columns!(), " FROM links WHERE root = $1 ORDER BY first_seen, id LIMIT $2"),
            root,
            limit,
        )
    }

    /// The live links of a root, in the order in which they were made. What a namespace allows bounds them.
    pub async fn links_live(&mut self, root: CustomerId) -> Result<Vec<Link>> {
        fetch_all!(
            self,
            Link,
            concat!(
                "SELECT ",
                link_columns!(),
                " FROM links WHERE root = $1 AND state = 'live' ORDER BY first_seen, id LIMIT 1000"
            ),
            root,
        )
    }

    /// Ends a live link; its identifier is free again, and the tokens that came with it are forgotten.
    pub async fn link_end(&mut self, link: LinkId, now: Timestamp) -> Result<()> {
        self.upstream_tokens_delete(link).await?;
        exec!(self, "UPDATE links SET state = 'ended', ended_at = $2 WHERE id = $1 AND state = 'live'", link, now,)?;
        Ok(())
    }

    /// Gives a live link to another row of the same customer, by somebody's choice when a merge is undone.
    pub async fn link_reassign(&mut self, link: LinkId, customer: CustomerId) -> Result<()> {
        exec!(self, "UPDATE links SET customer = $2 WHERE id = $1 AND state = 'live'", link, customer)?;
        Ok(())
    }

    /// Notes by what else the identifier of a live link was proved.
    pub async fn link_proved(&mut self, link: LinkId, proof: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE links SET proof = $2, verified_at = $3 WHERE id = $1 AND state = 'live'",
            link,
            proof,
            now,
        )?;
        Ok(())
    }

    /// Every link an identifier has or had, exclusive or not, newest first; at most 50.
    pub async fn links_find(&mut self, namespace: &str, external_id: &str) -> Result<Vec<Link>> {
        fetch_all!(self, Link, LINKS_FIND, namespace, external_id,)
    }
}
