//! Customers as they are compared with each other (identity specification, rule 38).
//!
//! Those who sign up or change are read with what the index has of them, and those who share keys with them are found and
//! read at once: what a customer costs is as many look-ups as it has keys, and as many rows as they find.

use serde_json::{Value, json};
use sqlx::types::Json;

use super::driver::{exec, fetch_all, fetch_one, from_row, per_driver};
use super::duplicate_keys::{list, unpacked};
use super::members::member_columns;
use super::{LiveIdentifier, Member, Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;

/// A row of a customer. The root's has the live identifiers of all of them.
#[derive(Clone, Debug)]
pub struct Compared {
    pub member: Member,
    pub identifiers: Vec<LiveIdentifier>,
}

/// A customer with what the index of duplicates has of it.
#[derive(Clone, Debug)]
pub struct Indexed {
    /// The ID that was asked for: the root's, or that of a row that was merged into it.
    pub asked: CustomerId,
    pub rows: Vec<Compared>,
    /// `None` if it is not in the index.
    pub keys: Option<Vec<i64>>,
    /// Whether there are open pairs of it.
    pub has_candidates: bool,
}

/// A key of a customer, by which others are found.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    pub customer: CustomerId,
    pub key: i64,
    /// How many customers may have it, at most 200: one that more have finds nobody.
    pub most: usize,
}

/// Namespace, external ID, and when it was verified.
type Identifiers = Json<Vec<(String, String, Option<Timestamp>)>>;

struct Row {
    member: Member,
    identifiers: Identifiers,
}

from_row!(Row { member: flatten, identifiers });

struct IndexedRow {
    asked: CustomerId,
    row: Row,
    keys: Option<Vec<u8>>,
    has_candidates: bool,
}

from_row!(IndexedRow { asked, row: flatten, keys, has_candidates });

struct FoundRow {
    finder: CustomerId,
    row: Row,
}

from_row!(FoundRow { finder, row: flatten });

impl From<Row> for Compared {
    fn from(Row { member, identifiers: Json(list) }: Row) -> Self {
        let root = member.canonical;
        let identifier =
            |(namespace, external_id, verified_at)| LiveIdentifier { root, namespace, external_id, verified_at };
        Self { identifiers: list.into_iter().map(identifier).collect(), member }
    }
}

/// The identifiers come as one array: Postgres and SQLite have other words for that.
macro_rules! compared_postgres {
    () => {
        concat!(
            member_columns!(),
            ", CASE WHEN m.id <> m.canonical THEN '[]' ELSE (SELECT COALESCE(json_agg(json_build_array(l.namespace, \
             l.external_id, l.verified_at) ORDER BY l.namespace, l.external_id), '[]') \
             FROM links l WHERE l.root = m.canonical AND l.state = 'live') END AS identifiers"
        )
    };
}
macro_rules! compared_sqlite {
    () => {
        concat!(
            member_columns!(),
            ", CASE WHEN m.id <> m.canonical THEN '[]' ELSE (SELECT json_group_array(json_array(l.namespace, \
             l.external_id, l.verified_at) ORDER BY l.namespace, l.external_id) \
             FROM links l WHERE l.root = m.canonical AND l.state = 'live') END AS identifiers"
        )
    };
}

/// Each look-up is a subquery of its own, which is one by index whatever the planner thinks of so many.
macro_rules! indexed {
    ($columns:expr) => {
        concat!(
            $columns,
            ", (SELECT i.keys FROM duplicate_indexed i WHERE i.customer = m.canonical) AS keys, \
             ((SELECT c.a FROM candidates c WHERE c.a = m.canonical AND c.state = 'open' LIMIT 1) IS NOT NULL OR \
             (SELECT c.b FROM candidates c WHERE c.b = m.canonical AND c.state = 'open' LIMIT 1) IS NOT NULL) \
             AS has_candidates"
        )
    };
}

/// The limits of 1001, which no customer's rows ever meet, have each customer looked up by itself.
pub(super) const INDEXED_POSTGRES: &str = concat!(
    "SELECT r.value::uuid AS asked, ",
    indexed!(compared_postgres!()),
    " FROM jsonb_array_elements_text($1) r CROSS JOIN LATERAL (SELECT o.* FROM customers c \
     JOIN customers o ON o.canonical = c.canonical WHERE c.id = r.value::uuid LIMIT 1001) m ORDER BY asked, m.id"
);
pub(super) const INDEXED_SQLITE: &str = concat!(
    "SELECT unhex(r.value) AS asked, ",
    indexed!(compared_sqlite!()),
    " FROM json_each($1) r CROSS JOIN customers c ON c.id = unhex(r.value) \
     CROSS JOIN customers m ON m.canonical = c.canonical ORDER BY asked, m.id"
);

/// `$1` is keys: whose, which, and how many may have it; `$2` how many of those found each is given, those that share the
/// most keys first; `$3` who is to be given whom in any case. The order is the index's own, so that a key which very
/// many share is not read to its end, whatever the planner thinks of it.
pub(super) const SHARING_POSTGRES: &str = concat!(
    "SELECT r.finder, ",
    compared_postgres!(),
    " FROM (SELECT f.finder, f.customer FROM (\
     SELECT x.finder, x.customer, \
     row_number() OVER (PARTITION BY x.finder ORDER BY count(*) DESC, x.customer) AS place \
     FROM jsonb_array_elements($1) e CROSS JOIN LATERAL (\
     SELECT (e.value->>0)::uuid AS finder, d.customer, count(*) OVER () AS size FROM (\
     SELECT k.customer FROM duplicate_keys k WHERE k.key = (e.value->>1)::bigint \
     ORDER BY k.key, k.customer LIMIT (e.value->>2)::bigint + 1) d\
     ) x WHERE x.size <= (e.value->>2)::bigint AND x.customer <> x.finder GROUP BY x.finder, x.customer) f \
     WHERE f.place <= $2 \
     UNION SELECT (o.value->>0)::uuid, (o.value->>1)::uuid FROM jsonb_array_elements($3) o) r \
     CROSS JOIN LATERAL (SELECT * FROM customers c WHERE c.canonical = r.customer LIMIT 1001) m \
     ORDER BY r.finder, m.canonical, m.id"
);
/// SQLite has no such joins, no limit that depends on a row, and no other way to go about it.
pub(super) const SHARING_SQLITE: &str = concat!(
    "SELECT unhex(r.finder) AS finder, ",
    compared_sqlite!(),
    " FROM (WITH blocks AS MATERIALIZED (SELECT json_extract(e.value, '$[0]') AS finder, \
     json_extract(e.value, '$[2]') AS most, \
     (SELECT json_group_array(hex(other.customer)) FROM (SELECT k.customer FROM duplicate_keys k \
     WHERE k.key = json_extract(e.value, '$[1]') LIMIT 201) other) AS others FROM json_each($1) e) \
     SELECT f.finder, f.customer FROM (SELECT b.finder, h.value AS customer, \
     row_number() OVER (PARTITION BY b.finder ORDER BY count(*) DESC, h.value) AS place \
     FROM blocks b, json_each(b.others) h WHERE json_array_length(b.others) <= b.most AND h.value <> b.finder \
     GROUP BY b.finder, h.value) f WHERE f.place <= $2 \
     UNION SELECT json_extract(o.value, '$[0]'), json_extract(o.value, '$[1]') FROM json_each($3) o) r \
     CROSS JOIN customers m ON m.canonical = unhex(r.customer) ORDER BY r.finder, m.canonical, m.id"
);

pub(super) const NOT_SAME_AMONG_POSTGRES: &str = "SELECT m.x, m.y FROM jsonb_array_elements_text($1) e CROSS JOIN LATERAL (\
     SELECT x.canonical AS x, y.canonical AS y FROM customers x JOIN not_same n ON n.a = x.id \
     JOIN customers y ON y.id = n.b WHERE x.canonical = e.value::uuid LIMIT 10000) m";
pub(super) const NOT_SAME_AMONG_SQLITE: &str = "SELECT x.canonical, y.canonical FROM customers x \
     JOIN not_same n ON n.a = x.id JOIN customers y ON y.id = n.b \
     WHERE x.canonical IN (SELECT unhex(value) FROM json_each($1))";

impl Tx {
    /// The customers behind IDs, each with what the index has of it; an ID of no customer is left out.
    pub async fn compared_find(&mut self, ids: &[CustomerId]) -> Result<Vec<Indexed>> {
        let sql = per_driver!(self, postgres: INDEXED_POSTGRES, sqlite: INDEXED_SQLITE);
        let rows: Vec<IndexedRow> = fetch_all!(self, IndexedRow, sql, list(ids))?;
        let mut found: Vec<Indexed> = Vec::new();
        for IndexedRow { asked, row, keys, has_candidates } in rows {
            match found.last_mut().filter(|last| last.asked == asked) {
                Some(last) => last.rows.push(row.into()),
                None => {
                    let keys = keys.map(|packed| unpacked(&packed));
                    found.push(Indexed { asked, rows: vec![row.into()], keys, has_candidates });
                }
            }
        }
        Ok(found)
    }

    /// Those who share keys with customers, and those who are `known` to each: whom for whom, each one's rows together.
    /// Of those found by keys a customer is given `most`, which share the most keys with it.
    pub async fn compared_sharing(
        &mut self,
        probes: &[Probe],
        most: i64,
        known: &[(CustomerId, CustomerId)],
    ) -> Result<Vec<(CustomerId, Compared)>> {
        let sql = per_driver!(self, postgres: SHARING_POSTGRES, sqlite: SHARING_SQLITE);
        let probes: Value = probes.iter().map(|probe| json!([digits(probe.customer), probe.key, probe.most])).collect();
        let known: Value = known.iter().map(|(one, other)| json!([digits(*one), digits(*other)])).collect();
        let found: Vec<FoundRow> = fetch_all!(self, FoundRow, sql, probes, most, known)?;
        Ok(found.into_iter().map(|found| (found.finder, found.row.into())).collect())
    }

    /// Who is known not to be whom, of several roots.
    pub async fn not_same_among(&mut self, roots: &[CustomerId]) -> Result<Vec<(CustomerId, CustomerId)>> {
        let sql = per_driver!(self, postgres: NOT_SAME_AMONG_POSTGRES, sqlite: NOT_SAME_AMONG_SQLITE);
        fetch_all!(self, (CustomerId, CustomerId), sql, list(roots))
    }

    /// What the follower of changes goes by: the version of the model that was made or imported last, and how large
    /// blocks were at the last scan.
    pub async fn duplicate_basis(&mut self) -> Result<(Option<String>, Option<Value>)> {
        fetch_one!(
            self,
            (Option<String>, Option<Value>),
            "SELECT (SELECT version FROM duplicate_models ORDER BY created_at DESC, version LIMIT 1), caps \
             FROM duplicate_follower WHERE id = 1",
        )
    }

    /// Writes down how large blocks are.
    pub async fn duplicate_caps_put(&mut self, caps: &Value) -> Result<()> {
        exec!(self, "UPDATE duplicate_follower SET caps = $1 WHERE id = 1", caps)?;
        Ok(())
    }
}

/// As SQLite's `hex` writes it; Postgres reads it too.
fn digits(customer: CustomerId) -> String {
    format!("{:X}", customer.0.simple())
}
