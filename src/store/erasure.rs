//! Erasure: what of a customer's rows is personal goes, what others rely on stays.
//!
//! Identity specification, rules 21, 34 and 45: the ID stays taken and answers "gone", identifiers become a tombstone
//! that is nobody's, and the chain of the audit log stays whole: an entry whose detail was blanked keeps the digest
//! that its hash was made of.

use serde_json::{Value, json};

use super::driver::{exec, fetch_all};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId};

/// What stands where an identifier was.
const TOMBSTONE: &str = "erased";
/// The member that marks a payload as blanked.
const MARK: &str = "erased";
const PAGE: i64 = 1000;

/// What blanks everything of one root that holds personal data. `$1` is the root, `$2` the time.
const BLANK: &[&str] = &[
    "DELETE FROM upstream_tokens WHERE $2 > 0 AND link IN (SELECT id FROM links WHERE root = $1)",
    "UPDATE flags SET cleared_at = COALESCE(cleared_at, $2) \
     WHERE customer IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE merge_requests SET proofs = '[]', state = 'closed', closed_at = COALESCE(closed_at, $2) \
     WHERE a IN (SELECT id FROM customers WHERE canonical = $1) OR b IN (SELECT id FROM customers WHERE canonical = $1)",
    "DELETE FROM candidates WHERE $2 > 0 AND (a IN (SELECT id FROM customers WHERE canonical = $1) \
     OR b IN (SELECT id FROM customers WHERE canonical = $1))",
    "UPDATE credentials SET state = 'ended', secret = '', updated_at = $2 WHERE root = $1",
    "UPDATE merges SET plan = NULL, reason = '{}' WHERE $2 > 0 \
     AND (survivor IN (SELECT id FROM customers WHERE canonical = $1) \
     OR absorbed IN (SELECT id FROM customers WHERE canonical = $1))",
    "UPDATE merge_proposals SET plan = '{}', request = '{}', closed_at = COALESCE(closed_at, $2), \
     state = CASE WHEN state = 'open' THEN 'void' ELSE state END \
     WHERE survivor IN (SELECT id FROM customers WHERE canonical = $1) \
     OR absorbed IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE conflicts SET detail = '{}', closed_at = COALESCE(closed_at, $2) \
     WHERE customer IN (SELECT id FROM customers WHERE canonical = $1) \
     OR other IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE customers SET profile = '{}', choices = NULL, brand = NULL, sessions_from = $2, updated_at = $2 \
     WHERE canonical = $1",
    "UPDATE customers SET state = 'erased' WHERE id = $1 AND canonical = id AND $2 > 0",
];

impl Tx {
    /// Blanks what is personal in every row of a root but its history, and ends its links. The root is locked.
    pub async fn customer_erase(&mut self, root: CustomerId, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE links SET state = 'ended', ended_at = COALESCE(ended_at, $2), external_id = $3, display = NULL, \
             profile = $4 WHERE root = $1",
            root,
            now,
            TOMBSTONE,
            Value::Null,
        )?;
        for sql in BLANK {
            exec!(self, *sql, root, now)?;
        }
        self.duplicate_indexed_remove(root).await?;
        Ok(())
    }

    /// Blanks identifiers in the history of one row: in the outbox and, keeping the digests, in the audit log.
    pub async fn history_erase(&mut self, member: CustomerId) -> Result<()> {
        loop {
            let rows: Vec<(EventId, Value)> = fetch_all!(
                self,
                (EventId, Value),
                "SELECT id, payload FROM outbox WHERE root = $1 AND type LIKE 'link.%' \
                 AND payload ->> 'erased' IS NULL ORDER BY root_seq LIMIT $2",
                member,
                PAGE,
            )?;
            for (id, payload) in &rows {
                exec!(self, "UPDATE outbox SET payload = $2 WHERE id = $1", *id, blanked(payload))?;
            }
            if i64::try_from(rows.len()) != Ok(PAGE) {
                break;
            }
        }
        for row in self.audit_of(member, i64::MAX).await? {
            let Ok(detail) = serde_json::from_str::<Value>(&row.detail) else { continue };
            if row.action.starts_with("link.") && detail.get(MARK).is_none() {
                let digest = row.digest().to_vec();
                exec!(
                    self,
                    "UPDATE audit SET detail = $3, digest = $4 WHERE chain = $1 AND seq = $2",
                    row.chain,
                    row.seq,
                    blanked(&detail).to_string(),
                    digest,
                )?;
            }
        }
        Ok(())
    }
}

/// A payload without the identifier.
fn blanked(payload: &Value) -> Value {
    let mut blank = payload.clone();
    if let Some(members) = blank.as_object_mut() {
        members.remove("external_id");
        members.insert(MARK.to_owned(), json!(true));
    }
    blank
}

/// Whether the detail of an audit entry says that it was blanked.
pub(super) fn is_blanked(detail: &str) -> bool {
    serde_json::from_str::<Value>(detail)
        .is_ok_and(|detail| detail.get(MARK) == Some(&json!(true)) && detail.get("external_id").is_none())
}
