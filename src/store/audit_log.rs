//! The audit log as it is read: entries behind a place, the newest first, about whom, by whom and of what kind one wants.
//!
//! Identity specification, rule 45. Each way of asking goes along an index of its own. That an admin looked at somebody is
//! on record like any deed, and there are far more looks than deeds: indexes without them keep what was done in reach.

use super::audit::{AuditPlace, AuditRow};
use super::driver::fetch_all;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

/// The action of an entry that says no more than that an admin looked. It stands in the indexes' conditions too.
pub const LOOKED: &str = "admin.looked";

/// Which entries are wanted.
#[derive(Clone, Debug)]
pub struct AuditQuery {
    /// About all who are this root today.
    pub root: Option<CustomerId>,
    /// By this actor, as it stands on record.
    pub actor: Option<String>,
    /// Of this kind.
    pub action: Option<String>,
    /// Those too that say no more than that an admin looked.
    pub looks: bool,
    /// Of this time and later.
    pub since: Timestamp,
    /// Behind this place.
    pub before: AuditPlace,
    pub limit: i64,
}

macro_rules! entries {
    ($($where:literal),*) => {
        concat!(
            "SELECT chain, seq, id, at, actor, action, customer, detail, previous_hash, hash FROM audit \
             WHERE at >= $1 AND (at, chain, seq) < ($2, $3, $4) ",
            $("AND ", $where, " ",)*
            "ORDER BY at DESC, chain DESC, seq DESC LIMIT $5"
        )
    };
}

pub(super) const AUDIT_ALL: &str = entries!();
pub(super) const AUDIT_DEEDS: &str = entries!("action <> 'admin.looked'");
pub(super) const AUDIT_BY: &str = entries!("actor = $6", "(CAST($7 AS TEXT) IS NULL OR action = $7)");
pub(super) const AUDIT_DEEDS_BY: &str =
    entries!("actor = $6", "action <> 'admin.looked'", "(CAST($7 AS TEXT) IS NULL OR action = $7)");
pub(super) const AUDIT_KIND: &str = entries!("action = $6");
pub(super) const AUDIT_OF: &str = entries!(
    "customer IN (SELECT id FROM customers WHERE canonical = $6)",
    "(CAST($7 AS TEXT) IS NULL OR actor = $7)",
    "(CAST($8 AS TEXT) IS NULL OR action = $8)"
);
pub(super) const AUDIT_DEEDS_OF: &str = entries!(
    "customer IN (SELECT id FROM customers WHERE canonical = $6)",
    "action <> 'admin.looked'",
    "(CAST($7 AS TEXT) IS NULL OR actor = $7)",
    "(CAST($8 AS TEXT) IS NULL OR action = $8)"
);

impl Tx {
    /// The entries that are wanted, newest first.
    pub async fn audit_page(&mut self, wanted: &AuditQuery) -> Result<Vec<AuditRow>> {
        let AuditQuery { root, actor, action, since, before, limit, .. } = wanted;
        let AuditPlace { at, chain, seq } = *before;
        let looks = wanted.looks || action.as_deref() == Some(LOOKED);
        match (root, actor, action) {
            (Some(root), ..) => {
                let sql = if looks { AUDIT_OF } else { AUDIT_DEEDS_OF };
                fetch_all!(self, AuditRow, sql, *since, at, chain, seq, *limit, *root, actor, action)
            }
            (None, Some(_), _) => {
                let sql = if looks { AUDIT_BY } else { AUDIT_DEEDS_BY };
                fetch_all!(self, AuditRow, sql, *since, at, chain, seq, *limit, actor, action)
            }
            (None, None, Some(_)) => fetch_all!(self, AuditRow, AUDIT_KIND, *since, at, chain, seq, *limit, action),
            (None, None, None) => {
                let sql = if looks { AUDIT_ALL } else { AUDIT_DEEDS };
                fetch_all!(self, AuditRow, sql, *since, at, chain, seq, *limit)
            }
        }
    }
}
