//! Members: every row that is one customer today, with what each is in the tree of open merges.
//!
//! Identity specification, rules 22, 25 and 27: who a customer is, is a function of these rows; a merge moves pointers
//! and writes no values. What the rows add up to is the domain's to say.

use serde_json::Value;

use super::customers::CustomerState;
use super::driver::{exec, fetch_all, from_row, per_driver};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CustomerId, GrantId};

/// More rows than one customer may ever be: a merge that would make more is refused.
pub const MOST_MEMBERS: usize = 1000;

/// One row of a customer: the root, or one absorbed directly or through others.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    pub id: CustomerId,
    /// The root of all of them.
    pub canonical: CustomerId,
    pub state: CustomerState,
    pub version: i64,
    pub event_seq: i64,
    pub profile: Value,
    pub created_at: Timestamp,
    /// The survivor of the open merge that absorbed it.
    pub absorbed_by: Option<CustomerId>,
    /// The survivor's event number of that merge: orders the merges of one survivor.
    pub absorbed_seq: Option<i64>,
    /// Whether its ways in open the survivor too.
    pub keys_joined: bool,
    /// Fields that somebody decided at that merge: name of the field to the member whose value counts.
    pub choices: Option<Value>,
    /// Logins before this time no longer count.
    pub sessions_from: Option<Timestamp>,
    pub legal_hold: Option<String>,
    pub brand: Option<String>,
}

from_row!(Member {
    id,
    canonical,
    state,
    version,
    event_seq,
    profile,
    created_at,
    absorbed_by,
    absorbed_seq,
    keys_joined,
    choices,
    sessions_from,
    legal_hold,
    brand,
});

/// A member with the subject that one sector was given for that very row.
#[derive(Clone, Debug, PartialEq)]
pub struct SectorMember {
    pub member: Member,
    pub sub: Option<String>,
    pub sub_current: bool,
    /// Issued to a login that saw its own side of a merge only.
    pub sub_own_side: bool,
    pub sub_retired_at: Option<Timestamp>,
}

from_row!(SectorMember { member: flatten, sub, sub_current, sub_own_side, sub_retired_at });

/// A member with what that very row allowed one client.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsentMember {
    pub member: Member,
    /// Space-separated.
    pub scope: Option<String>,
}

from_row!(ConsentMember { member: flatten, scope });

/// Who is behind a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectMember {
    pub seen: SectorMember,
    /// The row that the subject was issued for.
    pub owner: CustomerId,
    /// The customer who gave the grant, if it has a row.
    pub holder: Option<CustomerId>,
}

from_row!(SubjectMember { seen: flatten, owner, holder });

macro_rules! member_columns {
    () => {
        "m.id, m.canonical, m.state, m.version, m.event_seq, m.profile, m.created_at, m.absorbed_by, m.absorbed_seq, \
         m.keys_joined, m.choices, m.sessions_from, m.legal_hold, m.brand"
    };
}
pub(super) use member_columns;

macro_rules! sector_columns {
    () => {
        concat!(
            member_columns!(),
            ", s.sub, COALESCE(s.current, FALSE) AS sub_current, COALESCE(s.own_side, FALSE) AS sub_own_side, \
             s.retired_at AS sub_retired_at"
        )
    };
}

pub(super) const MEMBERS_OF: &str = concat!(
    "SELECT ",
    member_columns!(),
    " FROM customers c JOIN customers m ON m.canonical = c.canonical WHERE c.id = $1 ORDER BY m.id LIMIT 1001"
);

pub(super) const MEMBERS_SEEN: &str = concat!(
    "SELECT ",
    sector_columns!(),
    " FROM customers c JOIN customers m ON m.canonical = c.canonical \
     LEFT JOIN subjects s ON s.customer = m.id AND s.sector = $1 WHERE c.id = $2 ORDER BY m.id LIMIT 1001"
);

/// The customer of a grant is looked up in the same statement: it says on whose behalf the token was given.
pub(super) const MEMBERS_SEEN_BY_SUB: &str = concat!(
    "SELECT ",
    sector_columns!(),
    ", k.customer AS owner, g.customer AS holder FROM subjects k JOIN customers m ON m.canonical = k.root \
     LEFT JOIN subjects s ON s.customer = m.id AND s.sector = k.sector LEFT JOIN grants g ON g.id = $3 \
     WHERE k.sector = $1 AND k.sub = $2 ORDER BY m.id LIMIT 1001"
);

pub(super) const MEMBERS_CONSENTING: &str = concat!(
    "SELECT ",
    member_columns!(),
    ", k.scope FROM customers c JOIN customers m ON m.canonical = c.canonical \
     LEFT JOIN consents k ON k.customer = m.id AND k.client_id = $2 WHERE c.id = $1 ORDER BY m.id LIMIT 1001"
);

impl Tx {
    /// The rows of a customer with what each allowed a client.
    pub async fn members_consenting(&mut self, customer: CustomerId, client_id: &str) -> Result<Vec<ConsentMember>> {
        fetch_all!(self, ConsentMember, MEMBERS_CONSENTING, customer, client_id,)
    }

    /// Every row of the customer whom an ID means today, by ID; one more than [`MOST_MEMBERS`] at most. Empty if the ID
    /// was never issued.
    pub async fn members_of(&mut self, customer: CustomerId) -> Result<Vec<Member>> {
        fetch_all!(self, Member, MEMBERS_OF, customer,)
    }

    /// The same with the subjects of one sector.
    pub async fn members_seen(&mut self, sector: &str, customer: CustomerId) -> Result<Vec<SectorMember>> {
        fetch_all!(self, SectorMember, MEMBERS_SEEN, sector, customer,)
    }

    /// The rows of the customer whom a sector means by a subject today, with the customer who gave `grant`.
    pub async fn members_seen_by_sub(
        &mut self,
        sector: &str,
        sub: &str,
        grant: Option<GrantId>,
    ) -> Result<Vec<SubjectMember>> {
        fetch_all!(self, SubjectMember, MEMBERS_SEEN_BY_SUB, sector, sub, grant,)
    }

    /// Locks these customers in the order of their IDs until the transaction ends, and answers those of them that are
    /// roots once the locks are held. Whoever wants to change who they are waits.
    pub async fn roots_lock(&mut self, one: CustomerId, other: CustomerId) -> Result<Vec<CustomerId>> {
        // A writing transaction on SQLite has the whole database to itself, and no words for a lock on a row.
        let sql = per_driver!(
            self,
            postgres: "SELECT id, canonical FROM customers WHERE id IN ($1, $2) ORDER BY id FOR NO KEY UPDATE",
            sqlite: "SELECT id, canonical FROM customers WHERE id IN ($1, $2) ORDER BY id",
        );
        let rows: Vec<(CustomerId, CustomerId)> = fetch_all!(self, (CustomerId, CustomerId), sql, one, other)?;
        Ok(rows.into_iter().filter(|(id, canonical)| id == canonical).map(|(id, _)| id).collect())
    }

    /// Hangs a root, with everyone below it, under another root.
    pub async fn members_absorb(&mut self, branch: &Branch<'_>, now: Timestamp) -> Result<u64> {
        let moved = exec!(
            self,
            "UPDATE customers SET canonical = $2, updated_at = $3, \
             state = CASE WHEN id = $1 THEN 'merged' ELSE state END WHERE canonical = $1",
            branch.top,
            branch.under,
            now,
        )?;
        exec!(
            self,
            "UPDATE customers SET absorbed_by = $2, absorbed_seq = $3, keys_joined = $4, choices = $5 WHERE id = $1",
            branch.top,
            branch.under,
            branch.seq,
            branch.keys_joined,
            branch.choices,
        )?;
        Ok(moved)
    }

    /// Makes an absorbed row of the root `from` a root again, in the state of the one it parts from, with everyone who
    /// hangs below it by merges that were not undone.
    pub async fn members_release(
        &mut self,
        (from, top): (CustomerId, CustomerId),
        state: CustomerState,
        version: i64,
        now: Timestamp,
    ) -> Result<u64> {
        exec!(
            self,
            "UPDATE customers SET state = $3, version = $2, absorbed_by = NULL, absorbed_seq = NULL, \
             keys_joined = FALSE, choices = NULL, canonical = id, updated_at = $4 WHERE id = $1",
            top,
            version,
            state,
            now,
        )?;
        // Looked for among the root's own rows, not among all there are.
        exec!(
            self,
            "UPDATE customers SET canonical = $1, updated_at = $2 WHERE canonical = $3 AND id IN (\
             WITH RECURSIVE branch (id) AS (SELECT id FROM customers WHERE id = $1 UNION \
             SELECT m.absorbed FROM branch b CROSS JOIN merges m WHERE m.survivor = b.id AND m.undone_at IS NULL) \
             SELECT id FROM branch)",
            top,
            now,
            from,
        )
    }

    /// Lets links, credentials, consents and subjects follow from one root to another, after its rows have.
    pub async fn belongings_follow(&mut self, from: CustomerId, to: CustomerId) -> Result<()> {
        for sql in FOLLOW {
            exec!(self, *sql, from, to)?;
        }
        Ok(())
    }

    /// Unites the ways in of an absorbed row with its survivor's; `false` if they were.
    pub async fn member_keys_join(&mut self, absorbed: CustomerId) -> Result<bool> {
        let joined = exec!(
            self,
            "UPDATE customers SET keys_joined = TRUE WHERE id = $1 AND absorbed_by IS NOT NULL AND NOT keys_joined",
            absorbed,
        )?;
        Ok(joined == 1)
    }

    /// Lets no login of these rows from before `now` count: all of a root's, or one's.
    pub async fn members_end_sessions(&mut self, root: CustomerId, now: Timestamp) -> Result<()> {
        exec!(self, "UPDATE customers SET sessions_from = $2 WHERE canonical = $1", root, now)?;
        Ok(())
    }

    /// Raises the version of a root to at least this one: a receiver drops what is older than it has seen.
    pub async fn member_version_raise(&mut self, root: CustomerId, version: i64) -> Result<()> {
        exec!(self, "UPDATE customers SET version = $2 WHERE id = $1 AND version < $2", root, version)?;
        Ok(())
    }

    /// Replaces the values of one row, be it absorbed or not.
    pub async fn member_profile_set(&mut self, member: CustomerId, profile: &Value, now: Timestamp) -> Result<()> {
        exec!(self, "UPDATE customers SET profile = $2, updated_at = $3 WHERE id = $1", member, profile, now)?;
        Ok(())
    }

    /// Puts a customer under a legal hold, or lifts it.
    pub async fn member_hold_set(&mut self, member: CustomerId, reason: Option<&str>, now: Timestamp) -> Result<()> {
        exec!(self, "UPDATE customers SET legal_hold = $2, updated_at = $3 WHERE id = $1", member, reason, now)?;
        Ok(())
    }

    /// Says whose customer a row is, where brands are kept apart.
    pub async fn member_brand_set(&mut self, member: CustomerId, brand: Option<&str>, now: Timestamp) -> Result<()> {
        exec!(self, "UPDATE customers SET brand = $2, updated_at = $3 WHERE id = $1", member, brand, now)?;
        Ok(())
    }
}

/// A root that hangs itself under another one.
#[derive(Clone, Copy, Debug)]
pub struct Branch<'a> {
    pub top: CustomerId,
    pub under: CustomerId,
    /// The survivor's event number of the merge.
    pub seq: i64,
    pub keys_joined: bool,
    pub choices: Option<&'a Value>,
}

/// What belongs to rows that have gone from one root to another, found by the old root: the cost is that of the rows
/// of the two, and what moves is what is written.
pub(super) const FOLLOW: &[&str] = &[
    "UPDATE links SET root = $2 WHERE root = $1 AND customer IN (SELECT id FROM customers WHERE canonical = $2)",
    "UPDATE credentials SET root = $2 WHERE root = $1 AND customer IN (SELECT id FROM customers WHERE canonical = $2)",
    "UPDATE consents SET root = $2 WHERE root = $1 AND customer IN (SELECT id FROM customers WHERE canonical = $2)",
    "UPDATE subjects SET root = $2 WHERE root = $1 AND customer IN (SELECT id FROM customers WHERE canonical = $2)",
];
