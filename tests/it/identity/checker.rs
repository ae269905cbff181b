//! The check of what is always true is worth something only if it sees what is not: each harm below is seen.

use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use crate::harness::{Env, Pair, TestApp, invariants};
use crate::on_both;

const HARMS: &[(&str, &str)] = &[
    ("UPDATE links SET root = (SELECT id FROM customers WHERE id <> links.customer LIMIT 1)", "rule 41"),
    ("UPDATE credentials SET root = (SELECT id FROM customers WHERE id <> credentials.customer LIMIT 1)", "rule 41"),
    ("UPDATE links SET exclusive = FALSE", "rule 1"),
    ("UPDATE links SET verified_at = NULL", "rule 46"),
    ("UPDATE links SET external_id = 'x' || external_id", "rule 46"),
    ("UPDATE links SET namespace = 'unproved_email', exclusive = FALSE", "rule 46"),
    ("UPDATE customers SET event_seq = event_seq + 1, version = version + 1", "rule 45"),
    ("UPDATE customers SET version = 0", "rule 31"),
    ("DELETE FROM outbox WHERE root_seq = 2", "rule 45"),
    ("DELETE FROM outbox WHERE root_seq = 3", "rule 45"),
    ("DELETE FROM audit WHERE seq = 1", "rule 45"),
    ("UPDATE audit SET actor = 'nobody'", "rule 45"),
    ("UPDATE audit SET action = 'link.removed' WHERE action = 'link.added'", "rule 45"),
    ("DELETE FROM credentials", "rule 45"),
    ("DELETE FROM links", "rule 46"),
];

async fn harm(env: &Env, sql: &str) {
    let url = env.database_url().await;
    let sql = AssertSqlSafe(sql.to_owned());
    if env.pair == Pair::SqliteInProcess {
        let mut connection = SqliteConnection::connect(url.split('?').next().unwrap()).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    } else {
        let mut connection = PgConnection::connect(url).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    }
}

on_both! {
    async fn every_harm_to_the_rows_is_seen(env: &Env) {
        for (sql, rule) in HARMS {
            let env = Env::new(env.pair);
            let app = TestApp::start(&env).await;
            app.customer("ann@shop.example", "Ann").await;
            app.customer("bob@shop.example", "Bob").await;
            drop(app);
            invariants::check(&env).await;
            harm(&env, sql).await;
            let Err(panic) = AssertUnwindSafe(invariants::check(&env)).catch_unwind().await else {
                panic!("not seen: {sql}");
            };
            let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            assert!(text.contains(rule), "{sql} was seen as: {text}");
            env.close().await;
        }
    }
}
