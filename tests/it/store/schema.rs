//! The schema: the same tables and columns on both databases, and migrations that know what they did.

use std::collections::BTreeSet;

use samesake::store::Store;

use super::samples::{execute, postgres, sqlite};
use crate::harness::{Env, Pair};
use crate::{on_both, on_servers};

/// `table.column` of every table of ours, with `?` where it may be null.
async fn columns(env: &Env) -> BTreeSet<String> {
    let rows: Vec<(String,)> = match env.pair {
        Pair::SqliteInProcess => {
            // A primary key of SQLite's own numbering is not null without saying so.
            let sql = "SELECT t.name || '.' || c.name || CASE WHEN c.\"notnull\" = 1 OR c.pk > 0 THEN '' ELSE '?' END \
                       FROM sqlite_schema t JOIN pragma_table_info(t.name) c \
                       WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name NOT LIKE '\\_sqlx%' ESCAPE '\\'";
            sqlx::query_as(sql).fetch_all(&mut sqlite(env).await).await.unwrap()
        }
        Pair::PostgresRedis => {
            let sql = "SELECT table_name || '.' || column_name || CASE is_nullable WHEN 'YES' THEN '?' ELSE '' END \
                       FROM information_schema.columns \
                       WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";
            sqlx::query_as(sql).fetch_all(&mut postgres(env).await).await.unwrap()
        }
    };
    rows.into_iter().map(|(name,)| name).collect()
}

on_both! {
    async fn a_migrated_database_has_nothing_pending(env: &Env) {
        let store = env.store().await;
        assert!(!store.migrations_pending().await.unwrap());
        store.migrate().await.unwrap();
        assert!(!store.migrations_pending().await.unwrap());
    }

    async fn an_empty_database_is_migrated_once_by_many(env: &Env) {
        let stores = match env.pair {
            Pair::SqliteInProcess => {
                let url = format!("sqlite://{}/empty.db", env.directory().display());
                [Store::connect(&url).await.unwrap(), Store::connect(&url).await.unwrap()]
            }
            Pair::PostgresRedis => {
                let stores = [env.store().await, env.store().await];
                execute(env, "DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
                stores
            }
        };
        let [one, other] = &stores;
        assert!(one.migrations_pending().await.unwrap());
        let (first, second) = tokio::join!(one.migrate(), other.migrate());
        first.unwrap();
        second.unwrap();
        assert!(!one.migrations_pending().await.unwrap());
    }

    async fn a_migration_changed_afterwards_is_refused(env: &Env) {
        let store = env.store().await;
        execute(env, "UPDATE _sqlx_migrations SET checksum = substr(checksum, 2)").await;
        assert!(store.migrate().await.is_err());
    }
}

on_servers! {
    async fn both_databases_have_the_same_tables_and_columns(env: &Env) {
        let file = Env::new(Pair::SqliteInProcess);
        let (postgres, sqlite) = (columns(env).await, columns(&file).await);
        assert!(postgres.len() > 100, "{postgres:?}");
        assert_eq!(postgres.difference(&sqlite).collect::<Vec<_>>(), Vec::<&String>::new());
        assert_eq!(sqlite.difference(&postgres).collect::<Vec<_>>(), Vec::<&String>::new());
    }
}
