//! How long a merge and its undoing take in a small company and in a big one: `tests/bench/run merge`.
//!
//! The customers are made by the database itself; each has an account at a provider, an address, a subject, a consent
//! and an event. Merged are pairs spread over all of them, one pair after the other, on one connection of the gateway's.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use samesake::clock::{Clock, Timestamp};
use samesake::config::Config;
use samesake::identity::merge::{self, Initiator, Outcome, PlanRequest, Terms, UndoRequest, Undone};
use samesake::ids::CustomerId;
use samesake::store::Store;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::harness::Env;

/// How big the company is.
const SIZES: [i64; 2] = [10_000, 1_000_000];
const PAIRS: i64 = 500;

/// Fills the database up and measures at each size; answers a table.
pub async fn run(env: &Env) -> String {
    let mut table = String::from(
        "| Customers | merges | p50 | p99 | undoings | p50 | p99 | statements each |\n\
         |---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    let store = env.store().await;
    let mut filled = 0;
    for size in SIZES {
        eprintln!("{size} customers");
        fill(env, filled, size).await;
        let before = store.statements();
        let (merges, undoings) = measure(&store, filled, size).await;
        filled = size;
        let statements = (store.statements() - before) / u64::try_from(2 * PAIRS).unwrap();
        table.push_str(&format!(
            "| {size} | {PAIRS} | {} | {} | {PAIRS} | {} | {} | {statements} |\n",
            quantile(&merges, 50),
            quantile(&merges, 99),
            quantile(&undoings, 50),
            quantile(&undoings, 99),
        ));
    }
    table
}

/// Merges and undoes pairs spread over the customers from `first` on: those of the size before are marked as not the same.
async fn measure(store: &Store, first: i64, size: i64) -> (Vec<Duration>, Vec<Duration>) {
    let (config, clock) = (Config::load(None, Vec::new()).unwrap().merge, Clock::system());
    let (mut merges, mut undoings) = (Vec::new(), Vec::new());
    for number in 0..PAIRS {
        let survivor = first + 1 + number * ((size - first) / PAIRS);
        let (survivor, absorbed) = (id(survivor), id(survivor + 1));
        let now = clock.now();
        let began = Instant::now();
        let made =
            merge::execute(store, &config, &request(survivor, absorbed, now), Terms::default(), now).await.unwrap();
        merges.push(began.elapsed());
        let Outcome::Done(made) = made else { panic!("{made:?}") };
        let by = Initiator::Operator { name: "bench".to_owned() };
        let undo = UndoRequest { merge: made.merge, by, reason: "bench".to_owned(), take: Vec::new() };
        let began = Instant::now();
        let undone = merge::undo(store, &config, &undo, None, clock.now()).await.unwrap();
        undoings.push(began.elapsed());
        assert!(matches!(undone, Undone::Done { repeated: false, .. }), "{undone:?}");
    }
    merges.sort();
    undoings.sort();
    (merges, undoings)
}

fn request(survivor: CustomerId, absorbed: CustomerId, now: Timestamp) -> PlanRequest {
    PlanRequest {
        survivor,
        absorbed,
        by: Initiator::Customer { proved: [now, now] },
        reason: "bench".to_owned(),
        choices: BTreeMap::new(),
        sessions: None,
    }
}

/// The ID of a customer's number.
fn id(number: i64) -> CustomerId {
    CustomerId(uuid::Uuid::from_u128(u128::try_from(number).unwrap()))
}

async fn fill(env: &Env, from: i64, to: i64) {
    let id = "lpad(to_hex(n), 32, '0')::uuid";
    let other = |salt: &str| format!("md5('{salt}' || n)::uuid");
    let link = |salt: &str, namespace: &str, name: &str| {
        format!(
            "INSERT INTO links (id, namespace, external_id, exclusive, customer, root, state, source, verified_at, \
             profile, first_seen, last_seen) SELECT {}, '{namespace}', {name}, TRUE, {id}, {id}, 'live', 'import', n, \
             '{{}}', n, n FROM numbers",
            other(salt)
        )
    };
    let statements = [
        "CREATE TEMPORARY TABLE numbers (n BIGINT)".to_owned(),
        format!("INSERT INTO numbers SELECT generate_series({} + 1, {to})", from),
        format!(
            "INSERT INTO customers (id, canonical, state, version, event_seq, profile, created_at, updated_at) \
             SELECT {id}, {id}, 'active', 1, 1, jsonb_build_object('name', jsonb_build_object('value', 'Somebody', \
             'at', n)), n, n FROM numbers"
        ),
        link("g", "social:google", "'s' || n"),
        link("e", "email", "'p' || n || '@shop.example'"),
        format!(
            "INSERT INTO subjects (sector, sub, customer, root, current, issued_at) \
             SELECT 'shop', 'sub' || n, {id}, {id}, TRUE, n FROM numbers"
        ),
        format!(
            "INSERT INTO consents (customer, root, client_id, scope, granted_at, updated_at) \
             SELECT {id}, {id}, 'shop', 'openid', n, n FROM numbers"
        ),
        format!(
            "INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload, root, root_seq, created_at) \
             SELECT {}, 'customer', {id}::text, 'customer.created', '{{}}', {id}, 1, n FROM numbers",
            other("o")
        ),
        "ANALYZE".to_owned(),
    ];
    let mut connection = PgConnection::connect(env.database_url().await).await.unwrap();
    for statement in statements {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
}

/// Of sorted times.
fn quantile(times: &[Duration], percent: usize) -> String {
    let at = (times.len() * percent / 100).min(times.len() - 1);
    format!("{:.2} ms", times[at].as_secs_f64() * 1000.0)
}
