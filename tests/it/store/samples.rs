//! Rows to put into a database, and a way past the store into it.
//!
//! Merging is not the store's to test here: `merge` writes what a merge leaves behind, so that look-ups can be tested.

use samesake::clock::{Clock, Timestamp};
use samesake::ids::{CredentialId, CustomerId, EventId, GrantId, LinkId, Sid};
use samesake::store::{
    AuditEntry, Credential, CredentialKind, CredentialState, Customer, CustomerState, Grant, Link, LinkState,
    OutboxRow, Store,
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use uuid::Uuid;

use crate::harness::{Env, Pair};

/// A fixed point in time, moved by whole seconds.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(1_795_000_000 + seconds)
}

pub fn customer() -> Customer {
    let id = CustomerId::new(Clock::system().now());
    Customer {
        id,
        canonical: id,
        state: CustomerState::Active,
        version: 1,
        event_seq: 0,
        profile: json!({"name": "Ada"}),
        created_at: at(0),
        updated_at: at(0),
    }
}

pub fn link(namespace: &str, external_id: &str, customer: CustomerId) -> Link {
    Link {
        id: LinkId::new(Clock::system().now()),
        namespace: namespace.to_owned(),
        external_id: external_id.to_owned(),
        exclusive: true,
        customer,
        root: customer,
        state: LinkState::Live,
        source: "login".to_owned(),
        proof: Some("upstream".to_owned()),
        verified_at: Some(at(0)),
        display: Some("Ada@Example.org".to_owned()),
        profile: json!({"given_name": "Ada", "n": 9_007_199_254_740_993_i64}),
        first_seen: at(0),
        last_seen: at(0),
        ended_at: None,
        disabled_reason: None,
        disabled_at: None,
        mail_stopped_at: None,
    }
}

pub fn password(customer: CustomerId, phc: &str) -> Credential {
    Credential {
        id: CredentialId::new(Clock::system().now()),
        customer,
        root: customer,
        kind: CredentialKind::Password,
        secret: phc.to_owned(),
        state: CredentialState::Live,
        created_at: at(0),
        updated_at: at(0),
        last_used_at: None,
    }
}

/// A grant that is idle at 100 and over at 1000.
pub fn grant(code: &str, customer: CustomerId) -> Grant {
    Grant {
        id: GrantId::of_code(code),
        client_id: "shop".to_owned(),
        customer: Some(customer),
        sid: Some(Sid::from("session".to_owned())),
        scope: "openid offline_access".to_owned(),
        audience: vec!["https://api.example.org".to_owned()],
        offline: true,
        claims: json!({"auth_time": 1_795_000_000}),
        generation: 0,
        rotated_at: at(0),
        created_at: at(0),
        last_used_at: at(0),
        idle_expires_at: at(100),
        expires_at: at(1000),
        revoked_at: None,
        revoked_reason: None,
    }
}

pub fn event(root: CustomerId, root_seq: i64) -> OutboxRow {
    OutboxRow {
        id: EventId::new(Clock::system().now()),
        aggregatetype: "customer".to_owned(),
        aggregateid: root.to_string(),
        event_type: "customer.created".to_owned(),
        payload: json!({"seq": root_seq}),
        root,
        root_seq,
        position: 0,
        created_at: at(0),
    }
}

pub fn entry(customer: Option<CustomerId>, action: &str) -> AuditEntry {
    AuditEntry {
        id: EventId::new(Clock::system().now()),
        at: at(0),
        actor: "system".to_owned(),
        action: action.to_owned(),
        customer,
        // Numbers and an order of keys that JSONB would rewrite.
        detail: json!({"z": 1.10, "a": 1e300, "text": "\" \\ \n é"}),
    }
}

/// A new customer in the database.
pub async fn stored_customer(store: &Store) -> CustomerId {
    let customer = customer();
    let mut tx = store.begin().await.unwrap();
    tx.customer_insert(&customer).await.unwrap();
    tx.commit().await.unwrap();
    customer.id
}

/// Leaves the rows as a merge does: `absorbed` and all that is its follow `survivor`.
pub async fn merge(env: &Env, survivor: CustomerId, absorbed: CustomerId) {
    let (survivor, absorbed) = (literal(env, survivor.0), literal(env, absorbed.0));
    let mut sql =
        format!("UPDATE customers SET state = 'merged', canonical = {survivor} WHERE canonical = {absorbed}; ");
    sql += &format!(
        "UPDATE subjects SET current = FALSE, retired_at = 5 WHERE root = {absorbed} \
         AND sector IN (SELECT sector FROM subjects WHERE root = {survivor} AND current); "
    );
    for table in ["links", "subjects", "credentials", "consents"] {
        sql += &format!("UPDATE {table} SET root = {survivor} WHERE root = {absorbed}; ");
    }
    execute(env, &sql).await;
}

/// A UUID as it stands in SQL text.
pub fn literal(env: &Env, id: Uuid) -> String {
    match env.pair {
        Pair::SqliteInProcess => format!("x'{}'", id.simple()),
        Pair::PostgresRedis => format!("'{id}'"),
    }
}

/// Runs statements on the test's database past the store.
pub async fn execute(env: &Env, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    match env.pair {
        Pair::SqliteInProcess => {
            let mut connection = sqlite(env).await;
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
        Pair::PostgresRedis => {
            let mut connection = postgres(env).await;
            sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
            connection.close().await.unwrap();
        }
    }
}

/// Whether the database refuses a statement.
pub async fn refused(env: &Env, sql: &str) -> bool {
    let sql = AssertSqlSafe(sql.to_owned());
    match env.pair {
        Pair::SqliteInProcess => sqlite(env).await.execute(sql).await.is_err(),
        Pair::PostgresRedis => postgres(env).await.execute(sql).await.is_err(),
    }
}

/// A connection of the test's own to its SQLite file.
pub async fn sqlite(env: &Env) -> SqliteConnection {
    let url = env.database_url().await;
    SqliteConnection::connect(url.split_once('?').map_or(url, |(file, _)| file)).await.unwrap()
}

/// A connection of the test's own to its Postgres database.
pub async fn postgres(env: &Env) -> PgConnection {
    PgConnection::connect(env.database_url().await).await.unwrap()
}

/// Waits until the database has let go of whoever was killed.
pub async fn let_go(env: &Env) {
    let mut connection = postgres(env).await;
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND state IS DISTINCT FROM 'idle'";
    loop {
        let (count,): (i64,) = sqlx::query_as(busy).fetch_one(&mut connection).await.unwrap();
        if count == 0 {
            return;
        }
    }
}
