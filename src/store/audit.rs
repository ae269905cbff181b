//! The audit log: what was done, by whom, to whom; each entry sealed by the hash of all before it in its chain.
//!
//! Identity specification, rule 45. There are 16 chains, chosen by the customer, so that logins do not wait for one
//! another. The hash of an entry is SHA-256 over the previous hash, the number as 8 bytes big-endian, and the SHA-256
//! of the JSON array `[id, at, actor, action, customer, detail]`, `detail` being the stored text. Entries are chained
//! at commit, in the order of the chains: a chain is held for the shortest time, and two transactions cannot deadlock.
//! How the log is read page by page is `audit_log`'s.

use serde_json::Value;

use super::driver::{Conn, exec, fetch_all, fetch_one, from_row};
use super::{Result, Tx, erasure};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, EventId};
use crate::secret;

/// How many entries a check reads at a time.
const PAGE: i64 = 1000;

/// Something to put on record.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// The same as of the event in the outbox.
    pub id: EventId,
    pub at: Timestamp,
    /// Who did it: a customer, an admin, a client, or the system.
    pub actor: String,
    /// What was done, such as `link.added`.
    pub action: String,
    /// To whom.
    pub customer: Option<CustomerId>,
    pub detail: Value,
}

/// An entry on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRow {
    pub chain: i32,
    /// From 1, without gaps within the chain.
    pub seq: i64,
    pub id: EventId,
    pub at: Timestamp,
    pub actor: String,
    pub action: String,
    pub customer: Option<CustomerId>,
    /// JSON, as it was hashed.
    pub detail: String,
    pub previous_hash: Vec<u8>,
    pub hash: Vec<u8>,
}

from_row!(AuditRow { chain, seq, id, at, actor, action, customer, detail, previous_hash, hash });

/// A place in the order of the entries: within a chain, entries of one moment keep their numbers' order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPlace {
    pub at: Timestamp,
    pub chain: i32,
    pub seq: i64,
}

impl AuditPlace {
    /// The end of everything before `at`, or of everything.
    pub const fn before(at: Timestamp) -> Self {
        Self { at, chain: -1, seq: 0 }
    }
}

impl From<&AuditRow> for AuditPlace {
    fn from(row: &AuditRow) -> Self {
        Self { at: row.at, chain: row.chain, seq: row.seq }
    }
}

/// An entry with the digest that an erasure kept.
struct Sealed {
    row: AuditRow,
    digest: Option<Vec<u8>>,
}

from_row!(Sealed { row: flatten, digest });

/// What the check of a chain found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditCheck {
    /// Every entry is there and as it was written.
    Intact { entries: i64 },
    /// The first entry that is missing or was changed.
    Broken { seq: i64 },
}

impl AuditCheck {
    /// How many chains there are to check.
    pub const CHAINS: i32 = 16;
}

impl Tx {
    /// Puts an entry on record. It is written by `commit`, one statement on Postgres and three on SQLite.
    pub async fn audit_append(&mut self, entry: &AuditEntry) -> Result<()> {
        self.audit.push(entry.clone());
        Ok(())
    }

    /// The entries about a customer, newest first; at most `limit`.
    pub async fn audit_of(&mut self, customer: CustomerId, limit: i64) -> Result<Vec<AuditRow>> {
        fetch_all!(
            self,
            AuditRow,
            "SELECT chain, seq, id, at, actor, action, customer, detail, previous_hash, hash \
             FROM audit WHERE customer = $1 ORDER BY at DESC, seq DESC LIMIT $2",
            customer,
            limit,
        )
    }

    /// How many entries there are in all chains.
    pub async fn audit_length(&mut self) -> Result<i64> {
        // Postgres adds up to a number without end.
        let sum: (i64,) = fetch_one!(self, (i64,), "SELECT CAST(COALESCE(SUM(seq), 0) AS BIGINT) FROM audit_chains")?;
        Ok(sum.0)
    }

    /// Recomputes a chain, 0 to 15, from its first entry to its head.
    pub async fn audit_verify(&mut self, chain: i32) -> Result<AuditCheck> {
        let (entries, head) = self.audit_head(chain).await?;
        let mut seq = 0;
        let mut hash = [0; 32];
        while seq < entries {
            let page: Vec<Sealed> = fetch_all!(
                self,
                Sealed,
                "SELECT chain, seq, id, at, actor, action, customer, detail, previous_hash, hash, digest \
                 FROM audit WHERE chain = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4",
                chain,
                seq,
                entries,
                PAGE,
            )?;
            if page.is_empty() {
                return Ok(AuditCheck::Broken { seq: seq + 1 });
            }
            for Sealed { row, digest } in page {
                seq += 1;
                // An erasure takes the identifier and leaves the digest; nothing else may stand on a kept one.
                let kept = digest.filter(|_| erasure::is_blanked(&row.detail)).and_then(|kept| kept.try_into().ok());
                let expected = link_hash(&hash, seq, &kept.unwrap_or_else(|| row.digest()));
                if row.seq != seq || row.previous_hash != hash || row.hash != expected {
                    return Ok(AuditCheck::Broken { seq });
                }
                hash = expected;
            }
        }
        Ok(if head == hash { AuditCheck::Intact { entries } } else { AuditCheck::Broken { seq } })
    }

    /// Writes the entries appended so far; called by `commit`.
    pub(super) async fn audit_flush(&mut self) -> Result<()> {
        let mut entries = std::mem::take(&mut self.audit);
        // Stable: entries of one chain keep their order.
        entries.sort_by_key(|entry| chain_of(entry.customer));
        for entry in entries {
            self.audit_write(&AuditRow::unchained(entry)).await?;
        }
        Ok(())
    }

    async fn audit_write(&mut self, row: &AuditRow) -> Result<()> {
        // One round trip instead of three, while the head of the chain is locked; SQLite has neither the function nor
        // a reason, as it makes no round trips.
        let written = if matches!(self.conn, Conn::Postgres(_)) {
            exec!(
                self,
                "WITH head AS (UPDATE audit_chains SET seq = seq + 1, previous_hash = hash, \
                 hash = sha256(hash || int8send(seq + 1) || $2) WHERE chain = $1 RETURNING seq, previous_hash, hash) \
                 INSERT INTO audit (chain, seq, id, at, actor, action, customer, detail, previous_hash, hash) \
                 SELECT $1, seq, $3, $4, $5, $6, $7, $8, previous_hash, hash FROM head",
                row.chain,
                row.digest().to_vec(),
                row.id,
                row.at,
                &row.actor,
                &row.action,
                row.customer,
                &row.detail,
            )?
        } else {
            let (last, previous_hash) = self.audit_head(row.chain).await?;
            let seq = last + 1;
            let hash = link_hash(&previous_hash, seq, &row.digest()).to_vec();
            exec!(
                self,
                "INSERT INTO audit (chain, seq, id, at, actor, action, customer, detail, previous_hash, hash) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
                row.chain,
                seq,
                row.id,
                row.at,
                &row.actor,
                &row.action,
                row.customer,
                &row.detail,
                &previous_hash,
                &hash,
            )?;
            exec!(
                self,
                "UPDATE audit_chains SET seq = $2, previous_hash = hash, hash = $3 WHERE chain = $1",
                row.chain,
                seq,
                &hash,
            )?
        };
        // An entry that went nowhere must take what it records with it.
        if written == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound.into()) }
    }

    async fn audit_head(&mut self, chain: i32) -> Result<(i64, Vec<u8>)> {
        fetch_one!(self, (i64, Vec<u8>), "SELECT seq, hash FROM audit_chains WHERE chain = $1", chain)
    }
}

impl AuditRow {
    fn unchained(entry: AuditEntry) -> Self {
        Self {
            chain: chain_of(entry.customer),
            seq: 0,
            id: entry.id,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            customer: entry.customer,
            detail: entry.detail.to_string(),
            previous_hash: Vec::new(),
            hash: Vec::new(),
        }
    }

    /// SHA-256 of everything the entry says. JSON keeps the fields apart whatever they hold.
    pub(super) fn digest(&self) -> [u8; 32] {
        let said = serde_json::json!([self.id, self.at, self.actor, self.action, self.customer, self.detail]);
        secret::sha256(&[said.to_string().as_bytes()])
    }
}

fn link_hash(previous: &[u8], seq: i64, digest: &[u8; 32]) -> [u8; 32] {
    secret::sha256(&[previous, &seq.to_be_bytes(), digest])
}

/// The chain of a customer: by the last byte of its ID, which is random.
fn chain_of(customer: Option<CustomerId>) -> i32 {
    customer.and_then(|id| id.0.as_bytes().last().copied()).map_or(0, |last| i32::from(last) % AuditCheck::CHAINS)
}
