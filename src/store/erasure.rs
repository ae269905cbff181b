//! Erasure: what of a customer's rows is personal goes, what others rely on stays.
//!
//! Identity specification, rules 21, 34 and 45: the ID stays taken and answers "gone", identifiers become a tombstone
//! that is nobody's, and the chain of the audit log stays whole: an entry whose detail was blanked keeps the digest
//! that its hash was made of.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::driver::{exec, fetch_all};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId, LinkId};

/// What stands where an identifier was.
const TOMBSTONE: &str = "erased";
/// The member that marks a payload as blanked.
const MARK: &str = "erased";
const PAGE: i64 = 1000;

/// What blanks everything of one root that holds personal data. `$1` is the root, `$2` the time. What names two customers
/// is found by each of them: a condition on the one or the other would go through the whole table.
const BLANK: &[&str] = &[
    "DELETE FROM upstream_tokens WHERE $2 > 0 AND link IN (SELECT id FROM links WHERE root = $1)",
    "UPDATE flags SET cleared_at = COALESCE(cleared_at, $2) \
     WHERE customer IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE merge_requests SET proofs = '[]', state = 'closed', closed_at = COALESCE(closed_at, $2) WHERE id IN (\
     SELECT r.id FROM customers c JOIN merge_requests r ON r.a = c.id WHERE c.canonical = $1 UNION \
     SELECT r.id FROM customers c JOIN merge_requests r ON r.b = c.id WHERE c.canonical = $1)",
    "DELETE FROM candidates WHERE $2 > 0 AND a IN (SELECT id FROM customers WHERE canonical = $1)",
    "DELETE FROM candidates WHERE $2 > 0 AND b IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE not_same SET reason = '{}' WHERE $2 > 0 AND a IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE not_same SET reason = '{}' WHERE $2 > 0 AND b IN (SELECT id FROM customers WHERE canonical = $1)",
    "UPDATE credentials SET state = 'ended', secret = '', updated_at = $2 WHERE root = $1",
    "UPDATE merges SET plan = NULL, reason = '{}' WHERE $2 > 0 AND id IN (\
     SELECT m.id FROM customers c JOIN merges m ON m.survivor = c.id WHERE c.canonical = $1 UNION \
     SELECT m.id FROM customers c JOIN merges m ON m.absorbed = c.id WHERE c.canonical = $1)",
    "UPDATE merge_proposals SET plan = '{}', request = '{}', closed_at = COALESCE(closed_at, $2), \
     state = CASE WHEN state = 'open' THEN 'void' ELSE state END WHERE id IN (\
     SELECT p.id FROM customers c JOIN merge_proposals p ON p.survivor = c.id WHERE c.canonical = $1 UNION \
     SELECT p.id FROM customers c JOIN merge_proposals p ON p.absorbed = c.id WHERE c.canonical = $1)",
    "UPDATE conflicts SET detail = '{}', closed_at = COALESCE(closed_at, $2) WHERE id IN (\
     SELECT k.id FROM customers c JOIN conflicts k ON k.customer = c.id WHERE c.canonical = $1 UNION \
     SELECT k.id FROM customers c JOIN conflicts k ON k.other = c.id WHERE c.canonical = $1)",
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

    /// Who else may have things of this root's rows in their history: whoever absorbed one of them, directly or through
    /// others, in a merge that was undone since.
    pub async fn former_roots(&mut self, root: CustomerId) -> Result<Vec<CustomerId>> {
        let found: Vec<(CustomerId,)> = fetch_all!(self, (CustomerId,), FORMER_ROOTS, root)?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Every link that came to one of a root's rows, ended or not.
    pub async fn link_ids_of(&mut self, root: CustomerId) -> Result<BTreeSet<LinkId>> {
        let found: Vec<(LinkId,)> = fetch_all!(self, (LinkId,), "SELECT id FROM links WHERE root = $1", root)?;
        Ok(found.into_iter().map(|(id,)| id).collect())
    }

    /// Blanks the identifiers of these links in what is recorded of one customer ID: in the outbox and, keeping the
    /// digests, in the audit log. Links of others may stand there too, who were a part of that customer for a time.
    pub async fn history_erase(&mut self, customer: CustomerId, links: &BTreeSet<LinkId>) -> Result<()> {
        let mut after = 0;
        loop {
            let rows: Vec<(EventId, i64, Value)> = fetch_all!(
                self,
                (EventId, i64, Value),
                "SELECT id, root_seq, payload FROM outbox WHERE root = $1 AND root_seq > $2 AND type LIKE 'link.%' \
                 ORDER BY root_seq LIMIT $3",
                customer,
                after,
                PAGE,
            )?;
            for (id, _, payload) in rows.iter().filter(|(.., payload)| is_to_blank(payload, links)) {
                exec!(self, "UPDATE outbox SET payload = $2 WHERE id = $1", *id, blanked(payload))?;
            }
            match rows.last() {
                Some((_, last, _)) if i64::try_from(rows.len()) == Ok(PAGE) => after = *last,
                _ => break,
            }
        }
        for row in self.audit_of(customer, i64::MAX).await? {
            let Ok(detail) = serde_json::from_str::<Value>(&row.detail) else { continue };
            if row.action.starts_with("link.") && is_to_blank(&detail, links) {
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

    /// Takes values and identifiers of erased rows out of the plans of merges and proposals of one of the former roots.
    pub async fn plans_erase(
        &mut self,
        former: CustomerId,
        members: &[CustomerId],
        links: &BTreeSet<LinkId>,
    ) -> Result<()> {
        for (select, update) in PLANS {
            let rows: Vec<(Uuid, Value)> = fetch_all!(self, (Uuid, Value), *select, former)?;
            for (id, plan) in rows {
                let without = without(plan.clone(), members, links);
                if without != plan {
                    exec!(self, *update, id, without)?;
                }
            }
        }
        Ok(())
    }
}

pub(super) const FORMER_ROOTS: &str = "WITH RECURSIVE above (id) AS (SELECT id FROM customers WHERE canonical = $1 \
     UNION SELECT m.survivor FROM above a CROSS JOIN merges m WHERE m.absorbed = a.id) \
     SELECT a.id FROM above a CROSS JOIN customers c WHERE c.id = a.id AND c.canonical <> $1";

/// Where plans are kept, and how they are replaced.
const PLANS: &[(&str, &str)] = &[
    (
        "SELECT id, plan FROM merges WHERE absorbed = $1 AND plan IS NOT NULL",
        "UPDATE merges SET plan = $2 WHERE id = $1",
    ),
    (
        "SELECT id, plan FROM merges WHERE survivor = $1 AND plan IS NOT NULL",
        "UPDATE merges SET plan = $2 WHERE id = $1",
    ),
    (
        "SELECT id, plan FROM merge_proposals WHERE survivor = $1 OR absorbed = $1",
        "UPDATE merge_proposals SET plan = $2 WHERE id = $1",
    ),
];

fn is_to_blank(detail: &Value, links: &BTreeSet<LinkId>) -> bool {
    let link = detail.get("link").and_then(|link| link.as_str()?.parse::<LinkId>().ok());
    detail.get(MARK).is_none() && link.is_some_and(|link| links.contains(&link))
}

/// A plan without what it says of these rows and links.
fn without(mut plan: Value, members: &[CustomerId], links: &BTreeSet<LinkId>) -> Value {
    let names = |entry: &Value, member: &str| entry.get(member).and_then(Value::as_str).map(str::to_owned);
    let of_erased = |entry: &Value| {
        names(entry, "customer").and_then(|id| id.parse().ok()).is_some_and(|id: CustomerId| members.contains(&id))
    };
    let erased_link =
        |entry: &Value| names(entry, "link").and_then(|id| id.parse().ok()).is_some_and(|id| links.contains(&id));
    if let Some(fields) = plan.get_mut("fields").and_then(Value::as_array_mut) {
        for field in fields {
            if let Some(candidates) = field.get_mut("candidates").and_then(Value::as_array_mut) {
                candidates.retain(|candidate| !of_erased(candidate));
            }
        }
    }
    if let Some(moved) = plan.pointer_mut("/moves/links").and_then(Value::as_array_mut) {
        moved.retain(|entry| !erased_link(entry));
    }
    plan
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
