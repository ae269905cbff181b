//! What a merge and an erasure cost (rules 2, 22): their own customers' rows, whatever the size of the company.
//!
//! Every statement that a merge and its undoing send is caught as it is sent: the same ones with the same rows in a
//! company of four customers and in one of twenty thousand, and each with a plan that uses an index.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use samesake::events::Actor;
use samesake::identity::erase::{self, Erased};
use samesake::identity::merge::{self, Terms, Undone};
use samesake::identity::namespace::Namespace;
use samesake::secret::MasterKey;
use serde_json::Value;
use sqlx::PgConnection;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::{Board, at, by_admin, by_customer, done};
use crate::harness::Env;
use crate::on_servers;
use crate::store::plans::{fill, postgres_plan};
use crate::store::samples::{execute, postgres};

/// The tables with 20,000 rows and more.
const FILLED: &[&str] = &[
    "customers",
    "links",
    "subjects",
    "credentials",
    "consents",
    "merges",
    "not_same",
    "outbox",
    "grants",
    "admin_roles",
    "merge_requests",
    "candidates",
    "merge_proposals",
    "conflicts",
    "duplicate_keys",
];

/// One statement as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    sql: String,
    rows: u64,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hears nothing, and is never dropped. While a process has one subscriber alone, a thread that is not under it and comes
/// first to a place that logs would silence that place for all.
static ANOTHER: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));

/// Does some work and answers what was sent for it, in that order.
async fn sent<T>(work: impl Future<Output = T>) -> (T, Vec<Sent>) {
    LazyLock::force(&ANOTHER);
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_env_filter("sqlx::query=debug")
        .with_writer(move || writer.clone())
        .finish();
    let done = work.with_subscriber(subscriber).await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let statement = |line: &str| {
        let fields = serde_json::from_str::<Value>(line).unwrap()["fields"].clone();
        let whole = fields["db.statement"].as_str().unwrap().trim();
        let sql = if whole.is_empty() { fields["summary"].as_str().unwrap() } else { whole };
        let rows = fields["rows_affected"].as_u64().unwrap() + fields["rows_returned"].as_u64().unwrap();
        Sent { sql: sql.to_owned(), rows }
    };
    (done, text.lines().map(statement).collect())
}

/// What a merge of two customers and its undoing send, each customer with something of everything.
async fn cost(board: &Board, names: [&str; 2]) -> Vec<Sent> {
    let mut customers = Vec::new();
    for name in names {
        let id = board.customer(name, at(0)).await;
        board.link(id, Namespace::App("shop".to_owned()), &format!("app-{name}"), at(0)).await;
        board.password(id, "phc", at(0)).await;
        board.subject("shop", id, &format!("sub-{name}"), at(0)).await;
        board.consent(id, "shop", "openid", at(0)).await;
        customers.push(id);
    }
    let request = by_customer(customers[0], customers[1], at(1));
    let (made, mut all) = sent(board.execute(&request, Terms::default(), at(1))).await;
    let (undone, of_undo) = sent(board.undo(done(made).merge, at(2))).await;
    assert!(matches!(undone, Undone::Done { repeated: false, .. }));
    all.extend(of_undo);
    all
}

/// The same of an erasure, of somebody whom a second person was asked about.
async fn cost_of_erasing(board: &Board, names: [&str; 2]) -> Vec<Sent> {
    let (one, other) = (board.customer(names[0], at(0)).await, board.customer(names[1], at(1)).await);
    let request = by_admin("eve", one, other);
    done(merge::propose(&board.store, &board.config, &request, Terms::default(), at(1)).await.unwrap());
    let merge = board.merge(one, other, at(2)).await;
    assert!(matches!(board.undo(merge.merge, at(3)).await, Undone::Done { repeated: false, .. }));
    let key = MasterKey::generate().derive("task");
    let (erased, all) = sent(erase::erase(&board.store, &key, other, (Actor::System, "on request"), at(4))).await;
    assert!(matches!(erased.unwrap(), Erased::Done { .. }));
    all
}

/// Whether each statement leads to its rows by an index where there are many.
async fn check_plans(env: &Env, sent: Vec<Sent>) {
    let is_plannable = |sql: &&String| !["BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| sql.starts_with(word));
    let statements: BTreeSet<String> = sent.into_iter().map(|sent| sent.sql).collect();
    let statements: BTreeSet<String> = statements.iter().filter(is_plannable).cloned().collect();
    let mut connection = postgres(env).await;
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut connection).await.unwrap();
    let found = scans(&mut connection, &statements, "free").await;
    let of_big: Vec<&String> =
        found.iter().filter(|step| FILLED.iter().any(|table| step.contains(&format!(" on {table}")))).collect();
    assert!(of_big.is_empty(), "{of_big:#?}");
    // Of tables that are all but empty here, only whether there is an index to use.
    sqlx::raw_sql("SET enable_seqscan = off").execute(&mut connection).await.unwrap();
    let found = scans(&mut connection, &statements, "forced").await;
    assert!(found.is_empty(), "{found:#?}");
}

/// What does not lead to its rows by an index.
async fn scans(connection: &mut PgConnection, statements: &BTreeSet<String>, prefix: &str) -> Vec<String> {
    let mut scans = Vec::new();
    for (number, sql) in statements.iter().enumerate() {
        let plan = postgres_plan(connection, &format!("{prefix}_{number}"), sql).await;
        scans.extend(plan.iter().filter(|step| step.contains("Seq Scan")).map(|step| format!("{step}: {sql}")));
    }
    scans
}

on_servers! {
    async fn a_merge_costs_its_own_rows_whatever_the_size_of_the_company(env: &Env) {
        let mut board = Board::new(env.store().await);
        board.config.one_id_per_person.clear();
        let small = cost(&board, ["ann", "bob"]).await;
        fill(env).await;
        execute(env, "VACUUM ANALYZE").await;
        let big = cost(&board, ["cid", "dan"]).await;
        assert!(small.len() > 40 && small.iter().all(|sent| sent.rows < 20), "{small:#?}");
        assert_eq!(small, big, "the same statements and rows, whatever else there is");

        check_plans(env, big).await;
    }

    async fn an_erasure_costs_its_own_rows_whatever_the_size_of_the_company(env: &Env) {
        let board = Board::new(env.store().await);
        let small = cost_of_erasing(&board, ["ann", "bob"]).await;
        fill(env).await;
        execute(env, "VACUUM ANALYZE").await;
        let big = cost_of_erasing(&board, ["cid", "dan"]).await;
        assert!(small.len() > 20, "{small:#?}");
        assert_eq!(small, big, "the same statements and rows, whatever else there is");
        check_plans(env, big).await;
    }
}
