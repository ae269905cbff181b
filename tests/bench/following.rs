//! What one customer who signs up or changes costs the database among a million others: `tests/bench/run duplicates`.
//!
//! The customers are a made-up population, copied in with an address each; the program itself makes their index. Then
//! new ones sign up and known ones change, one after the other. Of each the statements are caught as they are sent: how
//! many, how long they were waited for, and which of them most. What Postgres used up is told beside it, since waiting
//! counts the way there and back.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::time::{Duration, Instant};

use samesake::clock::{Clock, Timestamp};
use samesake::config::Config;
use samesake::events::{self, Actor, Event};
use samesake::identity::candidates::{self, Follower, Rules};
use samesake::identity::duplicates::{Blocks, Claim, Model, Person, Records};
use samesake::ids::CustomerId;
use samesake::store::{Customer, Store};
use serde_json::{Value, json};
use sqlx::postgres::PgPoolCopyExt as _;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::cpu::Processes;
use crate::harness::Env;
use crate::harness::sent::timed;
use crate::people::{self, Record};
use crate::setting;

/// Records of the population that the model is fitted on.
const FITTED: usize = 130_000;
/// Customers who sign up, and as many who change: half of them one by one, half all at once.
const FOLLOWED: usize = 1_020;
/// The first ones prepare the statements of the connection.
const WARM: usize = 20;
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// Fills the database up and follows; answers a table. SAMESAKE_BENCH_CUSTOMERS (1,000,000) says how many there are.
pub async fn run(env: &Env) -> String {
    let size = usize::try_from(setting("SAMESAKE_BENCH_CUSTOMERS", 1_000_000)).unwrap();
    // Ten people leave some thirteen records.
    let mut rows = people::records(size * 10 / 12, 20_261_122);
    assert!(rows.len() >= size + FOLLOWED, "{} records", rows.len());
    rows.truncate(size + FOLLOWED);
    let (known, new) = rows.split_at(size);
    let store = env.store().await;
    let config = Config::load(None, Vec::new()).unwrap();
    let rules = Rules::new(&config.duplicates, &config.merge);
    learn(&store, known).await;
    eprintln!("{size} customers");
    fill(env, known).await;
    let began = Instant::now();
    candidates::index(&store, &rules, &Clock::system(), |_| {}).await.unwrap();
    let indexed = began.elapsed();
    // A company that follows has pairs that wait, and an index in use.
    let mut follower = Follower::new(&store, rules, Clock::system());
    for number in (0..size).step_by((size / 2_000).max(1)) {
        follower.weigh(id(number)).await.unwrap();
    }
    execute(env, "VACUUM ANALYZE").await;
    let postgres = Processes::of_postgres(env.database_url().await).await;
    let mut table = format!(
        "Indexed in {:.0} s, {:.0} customers a second.\n\n| | customers | statements | rows read \
         | ms waited for the database: mean | p50 | p99 | ms in all | CPU ms of Postgres |\n\
         |---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
        indexed.as_secs_f64(),
        size as f64 / indexed.as_secs_f64(),
    );
    let mut by_statement = String::new();
    for (what, from) in [("sign-up", size), ("change", size / 2)] {
        let (warm, new) = new.split_at(WARM);
        let (alone, together) = new.split_at(new.len() / 2);
        let ids = |place: usize, rows: &[Record]| (from + place..from + place + rows.len()).map(id).collect::<Vec<_>>();
        let is_known = from < size;
        for (rows, place) in [(warm, 0), (alone, WARM)] {
            let ids = ids(place, rows);
            put(&store, &ids, rows, is_known).await;
            let before = postgres.seconds();
            let costs = follow(&mut follower, &ids).await;
            if place > 0 {
                table.push_str(&line(&format!("{what}, alone"), &costs, 1, postgres.seconds() - before));
                by_statement.push_str(&statements(what, &costs));
            }
        }
        while follower.run_once().await.unwrap() > 0 {}
        put(&store, &ids(WARM + alone.len(), together), together, is_known).await;
        let before = postgres.seconds();
        let mut costs = Vec::new();
        loop {
            let (done, cost) = cost(follower.run_once()).await;
            if done.unwrap() == 0 {
                break;
            }
            costs.push(cost);
        }
        let each = together.len() / costs.len();
        table.push_str(&line(&format!("{what}, with others"), &costs, each, postgres.seconds() - before));
    }
    format!("{table}\n{by_statement}")
}

/// What some work cost.
struct Cost {
    statements: Vec<(String, u64, f64)>,
    all: Duration,
}

impl Cost {
    fn waited(&self) -> f64 {
        self.statements.iter().map(|(_, _, seconds)| seconds * 1000.0).sum()
    }

    fn rows(&self) -> u64 {
        self.statements.iter().map(|(_, rows, _)| rows).sum()
    }
}

async fn cost<T>(work: impl Future<Output = T>) -> (T, Cost) {
    let began = Instant::now();
    let (done, sent) = timed(work).await;
    let all = began.elapsed();
    let statements = sent.into_iter().map(|(sent, seconds)| (sent.sql, sent.rows, seconds));
    (done, Cost { statements: statements.collect(), all })
}

async fn follow(follower: &mut Follower, ids: &[CustomerId]) -> Vec<Cost> {
    let mut costs = Vec::new();
    for id in ids {
        let (weighed, cost) = cost(follower.weigh(*id)).await;
        weighed.unwrap();
        costs.push(cost);
    }
    costs
}

/// What one customer cost, of `each` in every piece of work. `worked` is the seconds of Postgres for all of them.
fn line(what: &str, costs: &[Cost], each: usize, worked: f64) -> String {
    let customers = costs.len() * each;
    let mean = |of: &dyn Fn(&Cost) -> f64| costs.iter().map(of).sum::<f64>() / customers as f64;
    let mut waited: Vec<f64> = costs.iter().map(|cost| cost.waited() / each as f64).collect();
    waited.sort_by(f64::total_cmp);
    let quantile = |percent: usize| waited[(waited.len() * percent / 100).min(waited.len() - 1)];
    format!(
        "| {what} | {customers} | {:.1} | {:.1} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} |\n",
        mean(&|cost| cost.statements.len() as f64),
        mean(&|cost| cost.rows() as f64),
        mean(&Cost::waited),
        quantile(50),
        quantile(99),
        mean(&|cost| cost.all.as_secs_f64() * 1000.0),
        worked * 1000.0 / customers as f64,
    )
}

/// The statements that were waited for longest.
fn statements(what: &str, costs: &[Cost]) -> String {
    let mut sums: BTreeMap<&str, (f64, u64, u64)> = BTreeMap::new();
    for (sql, rows, seconds) in costs.iter().flat_map(|cost| &cost.statements) {
        let sum = sums.entry(sql).or_default();
        *sum = (sum.0 + seconds, sum.1 + rows, sum.2 + 1);
    }
    let mut list: Vec<_> = sums.into_iter().collect();
    list.sort_by(|x, y| y.1.0.total_cmp(&x.1.0));
    let mut text = format!("{what}: ms for each customer, rows, how often, statement\n");
    for (sql, (seconds, rows, count)) in list.iter().take(14) {
        let each = |sum: f64| sum / costs.len() as f64;
        let sql: String = sql.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(110).collect();
        writeln!(text, "{:.3} {:.1} {:.2} {sql}", each(seconds * 1000.0), each(*rows as f64), each(*count as f64))
            .unwrap();
    }
    text
}

/// What the follower goes by: a model of some, and how large the blocks of all are.
async fn learn(store: &Store, rows: &[Record]) {
    let some = compared(&rows[..rows.len().min(FITTED)]);
    candidates::keep_model(store, &Model::fit(&some, &Blocks::new(&some)), NOW).await.unwrap();
    let caps = json!(Blocks::new(&compared(rows)).caps());
    let mut tx = store.begin().await.unwrap();
    tx.duplicate_caps_put(&caps).await.unwrap();
    tx.commit().await.unwrap();
}

fn compared(rows: &[Record]) -> Records {
    let mut records = Records::new();
    for (key, row) in rows.iter().enumerate() {
        let person = Person {
            key: key as u128,
            given: &row.given,
            family: &row.family,
            birth: &row.birth,
            gender: &row.gender,
            emails: &[Claim { value: &row.email, proved: false }],
            phones: &[Claim { value: &row.phone, proved: false }],
            street: &row.street,
            locality: &row.locality,
            postcode: &row.postcode,
            country: &row.country,
            ..Person::default()
        };
        records.push(&person).unwrap();
    }
    records
}

fn id(number: usize) -> CustomerId {
    CustomerId(uuid::Uuid::from_u128(number as u128 + 1))
}

fn profile(row: &Record) -> Value {
    let mut profile = json!({});
    let mut put = |name: &str, value: Value| profile[name] = json!({ "value": value, "at": NOW.micros() });
    for (name, value) in [
        ("given_name", &row.given),
        ("family_name", &row.family),
        ("birthdate", &row.birth),
        ("gender", &row.gender),
        ("email", &row.email),
        ("phone_number", &row.phone),
    ] {
        if !value.is_empty() {
            put(name, json!(value));
        }
    }
    if !row.postcode.is_empty() {
        let Record { street, locality, postcode, country, .. } = row;
        let address =
            json!({ "street_address": street, "locality": locality, "postal_code": postcode, "country": country });
        put("address", address);
    }
    profile
}

/// Signs customers up, or has known ones become somebody else.
async fn put(store: &Store, ids: &[CustomerId], rows: &[Record], is_known: bool) {
    for (id, row) in ids.iter().zip(rows) {
        let mut tx = store.begin().await.unwrap();
        let event = if is_known {
            tx.member_profile_set(*id, &profile(row), NOW).await.unwrap();
            Event::ProfileUpdated { fields: vec!["family_name".to_owned()] }
        } else {
            tx.customer_insert(&Customer::new(*id, profile(row), NOW)).await.unwrap();
            Event::CustomerCreated {}
        };
        events::record(&mut tx, *id, Actor::Customer, event, NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// Copies the customers in, and makes a link of each address.
async fn fill(env: &Env, rows: &[Record]) {
    let pool = sqlx::PgPool::connect(env.database_url().await).await.unwrap();
    let into = "COPY customers (id, canonical, state, version, event_seq, profile, created_at, updated_at) FROM STDIN";
    let mut copy = pool.copy_in_raw(into).await.unwrap();
    for (part, chunk) in rows.chunks(10_000).enumerate() {
        let mut text = String::new();
        for (place, row) in chunk.iter().enumerate() {
            let (id, at) = (id(part * 10_000 + place).0, NOW.micros());
            let profile = profile(row).to_string().replace('\\', "\\\\");
            writeln!(text, "{id}\t{id}\tactive\t1\t0\t{profile}\t{at}\t{at}").unwrap();
        }
        copy.send(text.as_bytes()).await.unwrap();
    }
    copy.finish().await.unwrap();
    pool.close().await;
    execute(
        env,
        "INSERT INTO links (id, namespace, external_id, exclusive, customer, root, state, source, profile, first_seen, \
         last_seen) SELECT md5('e' || id)::uuid, 'unproved_email', profile->'email'->>'value', FALSE, id, id, 'live', \
         'import', '{}', created_at, created_at FROM customers WHERE profile ? 'email'",
    )
    .await;
    execute(env, "VACUUM ANALYZE customers, links").await;
}

async fn execute(env: &Env, sql: &'static str) {
    let mut connection = PgConnection::connect(env.database_url().await).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
