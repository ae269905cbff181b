//! A pair of back ends for one test: a database of its own and a key-value store of its own, gone when it ends.
//!
//! SQLite is a file in a temporary directory. On Postgres each test has a database cloned from a template that is
//! migrated once per process; on Redis it has a key prefix. `tests/run` starts both servers and names them in
//! SAMESAKE_TEST_POSTGRES and SAMESAKE_TEST_REDIS. A missing server is a failure, never a skip.

use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

use futures::FutureExt;
use samesake::clock::{self, Clock};
use samesake::kv::Kv;
use samesake::store::Store;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::sync::OnceCell;
use url::Url;

/// Which back ends a test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pair {
    SqliteInProcess,
    PostgresRedis,
}

/// The back ends of one test.
pub struct Env {
    pub pair: Pair,
    /// The clock of the in-process key-value store; moving it moves the expiry of its keys. Redis has its own clock.
    pub clock: Clock,
    /// Names the database and prefixes the keys.
    name: String,
    directory: TempDir,
    database: OnceCell<String>,
    in_process: OnceCell<Kv>,
}

impl Env {
    /// Back ends for one test. Nothing is made before it is asked for.
    pub fn new(pair: Pair) -> Env {
        let name = unique_name("test");
        let directory = TempDir::new();
        let clock = Clock::system();
        Env { pair, clock, name, directory, database: OnceCell::new(), in_process: OnceCell::new() }
    }

    /// A directory of this test, removed when it ends.
    pub fn directory(&self) -> &std::path::Path {
        &self.directory.0
    }

    /// The URL of this test's database, migrated.
    pub async fn database_url(&self) -> &str {
        let made = self.database.get_or_init(async || match self.pair {
            Pair::SqliteInProcess => {
                // No test cuts the power.
                let url = format!("sqlite://{}?synchronous=off", self.directory.0.join("samesake.db").display());
                migrate(&url).await;
                url
            }
            Pair::PostgresRedis => clone_template(&self.name).await,
        });
        made.await
    }

    /// A store on this test's database. Each call opens pools of its own, as another replica would.
    pub async fn store(&self) -> Store {
        Store::connect(self.database_url().await).await.unwrap()
    }

    /// A key-value store on this test's keys. In process, all calls share one; on Redis each opens a connection of its
    /// own, as another replica would.
    pub async fn kv(&self) -> Kv {
        match self.pair {
            Pair::SqliteInProcess => {
                self.in_process.get_or_init(async || Kv::in_process(self.clock.clone(), 100_000)).await.clone()
            }
            Pair::PostgresRedis => Kv::connect(&redis_url(), &self.redis_prefix()).await.unwrap(),
        }
    }

    /// What this test's keys begin with on Redis.
    pub fn redis_prefix(&self) -> String {
        format!("{}:", self.name)
    }

    /// Drops what the servers keep of this test. `run` does it for the test's own.
    pub async fn close(&self) {
        if self.pair == Pair::PostgresRedis && self.database.initialized() {
            administer(&[&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)]).await;
        }
    }
}

/// Runs one test body on `pair` and cleans up behind it, also when it panics.
pub async fn run(pair: Pair, test: impl AsyncFnOnce(&Env)) {
    let env = Env::new(pair);
    let outcome = AssertUnwindSafe(test(&env)).catch_unwind().await;
    env.close().await;
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

/// The Redis server of this run.
pub fn redis_url() -> String {
    required("SAMESAKE_TEST_REDIS")
}

/// What `tests/run` sets. Its absence fails the test.
pub fn required(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run tests/run, which starts the servers"))
}

fn unique_name(purpose: &str) -> String {
    let random: String = clock::random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("samesake_{purpose}_{}_{random}", std::process::id())
}

/// The URL of another database on the same Postgres server.
fn sibling(database: &str) -> String {
    let mut url = Url::parse(&required("SAMESAKE_TEST_POSTGRES")).unwrap();
    url.set_path(database);
    url.into()
}

/// Runs statements that no transaction may hold, on a connection of its own.
async fn administer(statements: &[&str]) {
    let mut connection = PgConnection::connect(&required("SAMESAKE_TEST_POSTGRES"))
        .await
        .unwrap_or_else(|error| panic!("Postgres does not answer ({error}): run tests/run, which starts it"));
    for statement in statements {
        connection.execute(AssertSqlSafe((*statement).to_owned())).await.unwrap();
    }
    connection.close().await.unwrap();
}

async fn migrate(url: &str) {
    let store = Store::connect(url).await.unwrap();
    store.migrate().await.unwrap();
    store.close().await;
}

/// The migrated template of this process: migrations run once, and each test's database is a file copy.
async fn clone_template(name: &str) -> String {
    static TEMPLATE: OnceCell<String> = OnceCell::const_new();
    let template = TEMPLATE
        .get_or_init(async || {
            let template = unique_name("template");
            administer(&[&format!("CREATE DATABASE {template}")]).await;
            migrate(&sibling(&template)).await;
            // A database somebody is connected to cannot be copied. The pool has said goodbye, but a backend may still
            // be on its way out.
            administer(&[&format!(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = '{template}'"
            )])
            .await;
            template
        })
        .await;
    administer(&[&format!("CREATE DATABASE {name} TEMPLATE {template}")]).await;
    sibling(name)
}

/// A directory under the system's temporary one, removed on drop.
pub struct TempDir(pub PathBuf);

impl TempDir {
    pub fn new() -> TempDir {
        let path = std::env::temp_dir().join(unique_name("dir"));
        std::fs::create_dir(&path).unwrap();
        TempDir(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A file that a process still holds open may be in the way; the directory is the system's to clean then.
        std::fs::remove_dir_all(&self.0).ok();
    }
}
