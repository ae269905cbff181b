//! The two databases as they are after migration: the same tables, the same columns, the same ones nullable.
//!
//! One SQL text serves both, so a column that only one has is a statement that only one understands.

use std::collections::BTreeSet;

use sqlx::{Connection, PgConnection, SqliteConnection};

use crate::harness::{Env, Pair};
use crate::on_servers;

/// Table, column, nullable.
type Columns = BTreeSet<(String, String, bool)>;

on_servers! {
    async fn both_databases_have_the_same_columns(env: &Env) {
        let mut postgres = PgConnection::connect(env.database_url().await).await.unwrap();
        let of_postgres: Vec<(String, String, bool)> = sqlx::query_as(
            "SELECT table_name::text, column_name::text, is_nullable = 'YES' FROM information_schema.columns \
             WHERE table_schema = 'public'",
        )
        .fetch_all(&mut postgres)
        .await
        .unwrap();
        postgres.close().await.unwrap();

        let other = Env::new(Pair::SqliteInProcess);
        let path = other.database_url().await; // what follows the ? is the store's own
        let mut sqlite = SqliteConnection::connect(path.split('?').next().unwrap()).await.unwrap();
        let of_sqlite: Vec<(String, String, bool)> = sqlx::query_as(
            "SELECT t.name, c.name, c.\"notnull\" = 0 AND c.pk = 0 FROM sqlite_schema t, pragma_table_info(t.name) c \
             WHERE t.type = 'table'",
        )
        .fetch_all(&mut sqlite)
        .await
        .unwrap();
        sqlite.close().await.unwrap();

        let (of_postgres, of_sqlite) = (ours(of_postgres), ours(of_sqlite));
        assert!(of_postgres.len() > 100, "the columns were not read");
        let differing: Vec<_> = of_postgres.symmetric_difference(&of_sqlite).collect();
        assert!(differing.is_empty(), "only one database has {differing:?}");
    }
}

/// Without the tables of the migrator and of SQLite itself.
fn ours(columns: Vec<(String, String, bool)>) -> Columns {
    columns.into_iter().filter(|(table, ..)| !table.starts_with("_sqlx") && !table.starts_with("sqlite_")).collect()
}
