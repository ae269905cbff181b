//! Finding customers by what people have at hand: the beginning of a name, or an ID without its namespace.
//!
//! Only ranges of indexes are read. A name is compared in lower case as the database understands it: SQLite knows the
//! letters of ASCII only, Postgres those of the locale of its database.

use super::driver::{fetch_all, from_row, per_driver};
use super::links::Link;
use super::not_same::NotSame;
use super::{Result, Tx};
use crate::ids::CustomerId;

/// A customer found by a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameHit {
    /// The name in lower case: with `id` the place in the order.
    pub name: String,
    pub id: CustomerId,
    /// Who that customer is today.
    pub canonical: CustomerId,
}

from_row!(NameHit { name, id, canonical });

macro_rules! lower {
    ($name:literal, $collate:literal) => {
        concat!("lower(profile -> '", $name, "' ->> 'value')", $collate)
    };
}

/// One index: names from $1 up to $2, after $1 and $3, at most $4; without those whom another index has.
macro_rules! names_in {
    ($name:literal, $collate:literal $(, $other:literal)*) => {
        concat!(
            "SELECT * FROM (SELECT ", lower!($name, $collate), " AS name, id, canonical FROM customers WHERE ",
            lower!($name, $collate), " >= lower($1) AND ", lower!($name, $collate), " < lower($2) AND (",
            lower!($name, $collate), " > lower($1) OR id > $3)",
            $(" AND (", lower!($other, $collate), " IS NULL OR ", lower!($other, $collate), " < lower($5) OR ",
            lower!($other, $collate), " >= lower($2))",)*
            " ORDER BY ", lower!($name, $collate), ", id LIMIT $4) AS part"
        )
    };
}

macro_rules! names {
    ($collate:literal) => {
        concat!(
            names_in!("name", $collate),
            " UNION ALL ",
            names_in!("family_name", $collate, "name"),
            " UNION ALL ",
            names_in!("given_name", $collate, "name", "family_name"),
            " ORDER BY name, id LIMIT $4"
        )
    };
}

/// Byte order is a collation by name on Postgres, and the only one on SQLite.
pub(super) const NAMES_POSTGRES: &str = names!(" COLLATE \"C\"");
pub(super) const NAMES_SQLITE: &str = names!("");

/// Every namespace in use, each found by one step in the index, and the identifier looked up in each.
pub(super) const LINKS_ANYWHERE: &str = "WITH RECURSIVE used (namespace) AS ( \
       SELECT MIN(namespace) FROM links WHERE exclusive AND state = 'live' \
       UNION ALL SELECT (SELECT MIN(l.namespace) FROM links l \
         WHERE l.exclusive AND l.state = 'live' AND l.namespace > used.namespace) \
       FROM used WHERE used.namespace IS NOT NULL) \
     SELECT l.id, l.namespace, l.external_id, l.exclusive, l.customer, l.root, l.state, l.source, l.proof, \
       l.verified_at, l.display, l.profile, l.first_seen, l.last_seen, l.ended_at, \
       l.disabled_at, l.disabled_reason, l.mail_stopped_at \
     FROM used CROSS JOIN links l WHERE l.namespace = used.namespace AND l.external_id = $1 \
       AND l.exclusive AND l.state = 'live' ORDER BY l.namespace LIMIT 50";

impl Tx {
    /// Customers with a name, family name or given name that begins with `prefix`, retired ones too, in the order of
    /// that name; at most `limit`, after the last one of the page before.
    pub async fn customers_by_name(
        &mut self,
        prefix: &str,
        after: Option<(&str, CustomerId)>,
        limit: i64,
    ) -> Result<Vec<NameHit>> {
        let (from, id) = after.unwrap_or((prefix, CustomerId(uuid::Uuid::nil())));
        // No character comes after this one.
        let end = format!("{prefix}\u{10ffff}");
        let sql = per_driver!(self, postgres: NAMES_POSTGRES, sqlite: NAMES_SQLITE);
        fetch_all!(self, NameHit, sql, from, &end, id, limit, prefix)
    }

    /// The live links of an identifier in whatever exclusive namespace; at most 50.
    pub async fn links_anywhere(&mut self, external_id: &str) -> Result<Vec<Link>> {
        fetch_all!(self, Link, LINKS_ANYWHERE, external_id)
    }

    /// The pairs of which one is this root today, the newest first; at most 100.
    pub async fn not_same_of(&mut self, root: CustomerId) -> Result<Vec<NotSame>> {
        fetch_all!(
            self,
            NotSame,
            "SELECT d.a, d.b, d.actor, d.reason, d.created_at FROM customers c JOIN not_same d ON d.a = c.id \
             WHERE c.canonical = $1 \
             UNION ALL SELECT d.a, d.b, d.actor, d.reason, d.created_at FROM customers c JOIN not_same d ON d.b = c.id \
             WHERE c.canonical = $1 ORDER BY 5 DESC, 1, 2 LIMIT 100",
            root,
        )
    }
}
