//! Query plans: nothing that a request waits for scans a table.
//!
//! Identity rule 2. On Postgres the planner is free to scan, has statistics of 20,000 customers, and plans without
//! knowing the parameters, as it does for a prepared statement in use; an identifier resolves from its index alone.

use samesake::store::{HOT_STATEMENTS, SEARCH_STATEMENTS, WEIGHING_STATEMENTS};
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row, SqliteConnection};

use super::samples::{execute, postgres, sqlite};
use crate::harness::{Env, Pair};
use crate::on_both;

/// 20,000 customers with everything that is theirs. `n` numbers them, `id` makes an ID of a number.
pub async fn fill(env: &Env) {
    let (numbers, id, ids) = match env.pair {
        Pair::SqliteInProcess => (
            "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 20000)",
            "CAST(printf('%016d', n) AS BLOB)",
            "s",
        ),
        Pair::PostgresRedis => ("", "md5(n::text)::uuid", "generate_series(1, 20000) AS n"),
    };
    let (next, least, greatest) = match env.pair {
        Pair::SqliteInProcess => {
            let next = "CAST(printf('%016d', n + 1) AS BLOB)".to_owned();
            (next.clone(), id.to_owned(), next)
        }
        Pair::PostgresRedis => {
            let next = "md5((n + 1)::text)::uuid".to_owned();
            (next.clone(), format!("LEAST({id}, {next})"), format!("GREATEST({id}, {next})"))
        }
    };
    let link = |namespace: &str, external_id: &str, exclusive: &str, of: &str| {
        format!(
            "INSERT INTO links (id, namespace, external_id, exclusive, customer, root, state, source, profile, \
             first_seen, last_seen) {numbers} SELECT {of}, '{namespace}', {external_id} || n, {exclusive}, {id}, {id}, \
             'live', 'import', '{{}}', n, n FROM {ids}"
        )
    };
    // An ID of another table's may be the same number in another place, but not twice in one table.
    let other = |salt: &str| match env.pair {
        Pair::SqliteInProcess => format!("CAST(printf('{salt}%015d', n) AS BLOB)"),
        Pair::PostgresRedis => format!("md5('{salt}' || n)::uuid"),
    };
    let bytes = match env.pair {
        Pair::SqliteInProcess => "CAST('h' AS BLOB)",
        Pair::PostgresRedis => "CAST('h' AS BYTEA)",
    };
    let statements = [
        format!(
            "INSERT INTO customers (id, canonical, state, version, event_seq, profile, created_at, updated_at) \
             {numbers} SELECT {id}, {id}, 'active', 1, 0, '{{}}', n, n FROM {ids}"
        ),
        link("social:google", "'s'", "TRUE", &other("g")),
        link("email", "'e'", "TRUE", &other("e")),
        link("email", "'hint'", "FALSE", &other("h")),
        format!(
            "INSERT INTO subjects (sector, sub, customer, root, current, issued_at) \
             {numbers} SELECT 'shop', 'sub' || n, {id}, {id}, TRUE, n FROM {ids}"
        ),
        format!(
            "INSERT INTO credentials (id, customer, root, kind, secret, state, created_at, updated_at) \
             {numbers} SELECT {id}, {id}, {id}, 'password', 'phc', 'live', n, n FROM {ids}"
        ),
        format!(
            "INSERT INTO consents (customer, root, client_id, scope, granted_at, updated_at) \
             {numbers} SELECT {id}, {id}, 'shop', 'openid', n, n FROM {ids}"
        ),
        format!(
            "INSERT INTO grants (id, client_id, customer, sid, scope, audience, offline, claims, generation, \
             rotated_at, created_at, last_used_at, idle_expires_at, expires_at) \
             {numbers} SELECT {id}, 'shop', {id}, 'sid' || n, 'openid', '[]', FALSE, '{{}}', 0, n, n, n, n, n FROM {ids}"
        ),
        format!(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, root, root_seq, sequence, created_at) \
             {numbers} SELECT {id}, 'customer', 'c' || n, 'customer.created', '{{}}', {id}, 1, n, n FROM {ids}"
        ),
        format!(
            "INSERT INTO admin_roles (customer, role, granted_by, granted_at) \
             {numbers} SELECT {id}, 'viewer', 'test', n FROM {ids}"
        ),
        // Each number with the next one.
        format!(
            "INSERT INTO merges (id, survivor, absorbed, actor, reason, moved, merged_at) \
             {numbers} SELECT {id}, {next}, {id}, 'admin', '{{}}', '[]', n FROM {ids} WHERE n < 20000"
        ),
        format!(
            "INSERT INTO not_same (a, b, actor, reason, created_at) \
             {numbers} SELECT {least}, {greatest}, 'admin', '{{}}', n FROM {ids} WHERE n < 20000"
        ),
        format!(
            "INSERT INTO merge_requests (id, a, b, proofs, opened_at, state) \
             {numbers} SELECT {id}, {least}, {greatest}, '[]', n, 'open' FROM {ids} WHERE n < 20000"
        ),
        format!(
            "INSERT INTO candidates (a, b, same, household, reasons, model, band, state, created_at, updated_at) \
             {numbers} SELECT {least}, {greatest}, n / 20000.0, 0, '{{}}', 'm', 'queue', 'open', n, n FROM {ids} \
             WHERE n < 20000"
        ),
        format!(
            "INSERT INTO merge_proposals (id, survivor, absorbed, request, plan, plan_hash, approvals_needed, \
             proposed_by, state, created_at, expires_at) \
             {numbers} SELECT {id}, {next}, {id}, '{{}}', '{{}}', 'h', 1, 'admin', 'open', n, n FROM {ids} WHERE n < 20000"
        ),
        format!(
            "INSERT INTO conflicts (id, kind, customer, other, detail, created_at) \
             {numbers} SELECT {id}, 'value_taken', {next}, {id}, '{{}}', n FROM {ids} WHERE n < 20000"
        ),
        format!(
            "INSERT INTO audit (chain, seq, id, at, actor, action, customer, detail, previous_hash, hash) \
             {numbers} SELECT n % 16, n + 100, {id}, n, 'admin:' || (n % 50), \
             CASE WHEN n % 10 = 0 THEN 'link.added' ELSE 'admin.looked' END, {id}, '{{}}', {bytes}, {bytes} FROM {ids}"
        ),
        format!("INSERT INTO duplicate_keys (key, customer) {numbers} SELECT n / 3, {id} FROM {ids}"),
        format!("INSERT INTO duplicate_indexed (customer, keys) {numbers} SELECT {id}, {bytes} FROM {ids}"),
    ];
    execute(env, &statements.join("; ")).await;
}

async fn sqlite_plan(connection: &mut SqliteConnection, sql: &str) -> Vec<String> {
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

pub async fn postgres_plan(connection: &mut PgConnection, name: &str, sql: &str) -> Vec<String> {
    let parameters = (1..40).take_while(|number| sql.contains(&format!("${number}"))).count();
    let nulls = vec!["NULL"; parameters].join(", ");
    let prepare = AssertSqlSafe(format!("PREPARE {name} AS {sql}"));
    sqlx::raw_sql(prepare).execute(&mut *connection).await.unwrap();
    let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE {name} ({nulls})"));
    let rows = sqlx::raw_sql(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

async fn check_sqlite(connection: &mut SqliteConnection) {
    for (name, sql) in HOT_STATEMENTS {
        let plan = sqlite_plan(connection, sql).await;
        // What a statement has gathered itself, a merge after the other, is no table.
        let gathered = ["SCAN a", "SCAN b", "SCAN found"];
        let scans = |step: &&String| step.starts_with("SCAN") && !gathered.contains(&step.as_str());
        assert!(!plan.iter().any(|step| scans(&step)), "{name} scans: {plan:#?}");
        assert!(plan.iter().any(|step| step.contains("INDEX")), "{name}: {plan:#?}");
        assert!(!plan.iter().any(|step| step.ends_with("(sector=?)")), "{name} reads a whole sector: {plan:#?}");
    }
    for (name, _, sql) in SEARCH_STATEMENTS {
        // What is gathered on the way is scanned; the tables are not.
        let plan = sqlite_plan(connection, sql).await;
        let scans =
            |step: &String| ["SCAN customers", "SCAN l ", "SCAN links"].iter().any(|scan| step.starts_with(scan));
        assert!(plan.iter().all(|step| !scans(step) && step != "SCAN l"), "{name} scans: {plan:#?}");
        assert!(plan.iter().filter(|step| step.contains("INDEX")).count() >= 2, "{name}: {plan:#?}");
    }
    for (name, _, sql) in WEIGHING_STATEMENTS {
        let plan = sqlite_plan(connection, sql).await;
        // What is asked about is gone through; of the tables, only what an index finds.
        let tables = ["customers", "links", "candidates", "duplicate_keys", "m", "d", "n", "y"];
        let scans = |step: &String| {
            step.strip_prefix("SCAN ").is_some_and(|rest| tables.contains(&rest.split(' ').next().unwrap_or_default()))
        };
        assert!(!plan.iter().any(scans), "{name} scans: {plan:#?}");
        assert!(plan.iter().any(|step| step.contains("INDEX") || step.contains("PRIMARY KEY")), "{name}: {plan:#?}");
    }
    let (name, sql) = HOT_STATEMENTS.iter().find(|(name, _)| *name == "link_resolve").unwrap();
    let plan = sqlite_plan(connection, sql).await;
    assert!(plan.iter().all(|step| step.starts_with("SEARCH links USING INDEX links_live")), "{name}: {plan:#?}");
}

async fn check_postgres(connection: &mut PgConnection) {
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut *connection).await.unwrap();
    for (name, sql) in HOT_STATEMENTS {
        let plan = postgres_plan(connection, name, sql).await;
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{name} scans: {plan:#?}");
        assert!(plan.iter().any(|step| step.contains("Index")), "{name}: {plan:#?}");
    }
    for (name, sql, _) in SEARCH_STATEMENTS.iter().chain(WEIGHING_STATEMENTS) {
        let plan = postgres_plan(connection, name, sql).await;
        assert!(!plan.iter().any(|step| step.contains("Seq Scan")), "{name} scans: {plan:#?}");
    }
    let plan = index_only_plan(connection).await;
    assert!(plan.iter().any(|step| step.contains("Index Only Scan using links_live")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("rows=1 ") && step.contains("actual")), "{plan:#?}");
    assert!(plan.iter().any(|step| step.contains("Heap Fetches: 0")), "{plan:#?}");
}

/// A backend that is just starting anywhere in the cluster can keep VACUUM from marking a page as visible to all; the
/// next VACUUM does it.
async fn index_only_plan(connection: &mut PgConnection) -> Vec<String> {
    let mut plan = Vec::new();
    for _ in 0..100 {
        sqlx::raw_sql("VACUUM links").execute(&mut *connection).await.unwrap();
        let explain = "EXPLAIN (ANALYZE) EXECUTE link_resolve ('social:google', 's77')";
        let rows = sqlx::raw_sql(explain).fetch_all(&mut *connection).await.unwrap();
        plan = rows.iter().map(|row| row.get::<String, _>(0)).collect();
        if plan.iter().any(|step| step.contains("Heap Fetches: 0")) {
            break;
        }
    }
    plan
}

on_both! {
    async fn every_hot_statement_uses_an_index(env: &Env) {
        fill(env).await;
        match env.pair {
            Pair::SqliteInProcess => {
                let mut connection = sqlite(env).await;
                // A fresh installation has no statistics, an old one may have.
                check_sqlite(&mut connection).await;
                sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                check_sqlite(&mut sqlite(env).await).await;
            }
            Pair::PostgresRedis => {
                execute(env, "VACUUM ANALYZE").await;
                check_postgres(&mut postgres(env).await).await;
            }
        }
    }
}
