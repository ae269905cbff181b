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

word_enum! {
    /// Why a live link does not log in: what its provider said of the account.
    pub enum DisabledReason {
        /// The customer took back what they had allowed the app.
        ConsentRevoked = "consent_revoked",
        /// The account is gone for good.
        AccountDeleted = "account_deleted",
        /// The provider closed the account and did not say why.
        AccountDisabled = "account_disabled",
        /// Somebody else got into the account.
        Hijacking = "hijacking",
        /// The account is one of many that a machine made.
        BulkAccount = "bulk_account",
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
    /// Whether the identifier is this one customer's, as the namespace declares; of a browser, whether its current
    /// owner's.
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
    /// A live link that does not log in for this reason, since `disabled_at`. Both are there or neither.
    pub disabled_reason: Option<DisabledReason>,
    pub disabled_at: Option<Timestamp>,
    /// Since when no mail is sent to this address.
    pub mail_stopped_at: Option<Timestamp>,
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
    disabled_reason,
    disabled_at,
    mail_stopped_at,
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
    /// Why it does not log in, if so.
    pub disabled_reason: Option<DisabledReason>,
    /// The values of the customer it was attached to, which an import may change.
    pub profile: Value,
    /// Of the root.
    pub version: i64,
}

from_row!(LinkLogin { link, customer, root, root_state, verified_at, last_seen, disabled_reason, profile, version });

macro_rules! link_columns {
    () => {
        "id, namespace, external_id, exclusive, customer, root, state, source, proof, verified_at, display, profile, \
         first_seen, last_seen, ended_at, disabled_reason, disabled_at, mail_stopped_at"
    };
}

pub(super) const LINK_RESOLVE: &str =
    "SELECT root FROM links WHERE namespace = $1 AND external_id = $2 AND exclusive AND state = 'live'";

pub(super) const LINK_LOGIN: &str = "SELECT l.id AS link, l.customer, l.root, c.state AS root_state, l.verified_at, l.last_seen, \
     l.disabled_reason, m.profile, c.version \
     FROM links l JOIN customers c ON c.id = l.root JOIN customers m ON m.id = l.customer \
     WHERE l.namespace = $1 AND l.external_id = $2 AND l.exclusive AND l.state = 'live'";

pub(super) const MAIL_IS_STOPPED: &str = "SELECT id FROM links WHERE namespace = $1 AND external_id = $2 \
     AND exclusive AND state = 'live' AND mail_stopped_at IS NOT NULL";

pub(super) const LINKS_BEGUN: &str = "SELECT COUNT(*) FROM links \
     WHERE root = $1 AND namespace = $2 AND first_seen > $3 AND source <> $4 AND source <> $5";

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
                ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18) \
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
            link.disabled_reason,
            link.disabled_at,
            link.mail_stopped_at,
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

    /// Notes that a link was used, and the profile it brought; `false` if it has ended.
    pub async fn link_seen(&mut self, link: LinkId, now: Timestamp, profile: &Value) -> Result<bool> {
        let sql = "UPDATE links SET last_seen = $2, profile = $3 WHERE id = $1 AND state = 'live'";
        Ok(exec!(self, sql, link, now, profile)? == 1)
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

    /// How many links of a namespace began on a root after a time, live or ended, but for those from two sources.
    pub async fn links_begun(
        &mut self,
        root: CustomerId,
        namespace: &str,
        but_from: &[&str; 2],
        after: Timestamp,
    ) -> Result<i64> {
        let [one, other] = *but_from;
        let found: Option<(i64,)> = fetch_optional!(self, (i64,), LINKS_BEGUN, root, namespace, after, one, other,)?;
        Ok(found.map_or(0, |(count,)| count))
    }

    /// Says whether a live link is that of the current owner of its identifier, where several may have one.
    pub async fn link_current_set(&mut self, link: LinkId, current: bool, last_seen: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE links SET exclusive = $2, last_seen = $3 WHERE id = $1 AND state = 'live'",
            link,
            current,
            last_seen,
        )?;
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

    /// Takes note of what the provider said at `told_at`: that the account of a live link is not to log in, with the
    /// reason and since when, or with `None` that it is. `false` if it has said something later. For a caller who holds
    /// the customer's lock and has compared with what the link says now.
    pub async fn link_told(
        &mut self,
        link: LinkId,
        disabled: Option<(DisabledReason, Timestamp)>,
        told_at: Timestamp,
    ) -> Result<bool> {
        let changed = exec!(
            self,
            "UPDATE links SET disabled_reason = $2, disabled_at = $3, told_at = $4 WHERE id = $1 AND state = 'live' \
             AND (told_at IS NULL OR told_at <= $4)",
            link,
            disabled.map(|(reason, _)| reason),
            disabled.map(|(_, since)| since),
            told_at,
        )?;
        Ok(changed == 1)
    }

    /// Stops mail to a live address of a root, or with `None` lets it go again; answers the link if that changed
    /// anything.
    pub async fn link_mail_stop(
        &mut self,
        root: CustomerId,
        address: &str,
        stopped_at: Option<Timestamp>,
    ) -> Result<Option<LinkId>> {
        let changed: Option<(LinkId,)> = fetch_optional!(
            self,
            (LinkId,),
            "UPDATE links SET mail_stopped_at = $3 WHERE namespace = 'email' AND external_id = $2 AND exclusive \
             AND state = 'live' AND root = $1 AND (mail_stopped_at IS NULL) = ($3 IS NOT NULL) RETURNING id",
            root,
            address,
            stopped_at,
        )?;
        Ok(changed.map(|(link,)| link))
    }

    /// Whether nothing may be sent to an address, because whoever runs the mailbox said so.
    pub async fn mail_is_stopped(&mut self, address: &str) -> Result<bool> {
        let found: Option<(LinkId,)> = fetch_optional!(self, (LinkId,), MAIL_IS_STOPPED, "email", address,)?;
        Ok(found.is_some())
    }

    /// Every link an identifier has or had, exclusive or not, newest first; at most 50.
    pub async fn links_find(&mut self, namespace: &str, external_id: &str) -> Result<Vec<Link>> {
        fetch_all!(self, Link, LINKS_FIND, namespace, external_id,)
    }
}
