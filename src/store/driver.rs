//! The two databases behind one face: the only file that names Postgres or SQLite types.
//!
//! A statement has one text. The macros at the end expand it for both drivers, count it, and leave the transaction
//! poisoned unless it succeeded: on Postgres, a commit after an error answers Ok and loses the rows, and a future
//! that was dropped half-way leaves nobody to tell. Knows no table but the migrator's.

use std::fs::OpenOptions;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, Migration, MigrationType, Migrator};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, PgConnection, PgPool, Postgres, SqlSafeStr, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::{Error, Result};

/// How long a request waits for a free connection before it is told that the database is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// A pooled connection idle for longer is tested before it is handed out: the server may have gone in the meantime.
const TEST_AFTER: Duration = Duration::from_secs(5);
const POSTGRES_CONNECTIONS: u32 = 20;
const SQLITE_READERS: u32 = 4;

/// Every migration, on both databases: version, name, Postgres text, SQLite text.
const MIGRATIONS: &[(i64, &str, &str, &str)] = &[
    (
        1,
        "foundation",
        include_str!("../../migrations/postgres/0001_foundation.sql"),
        include_str!("../../migrations/sqlite/0001_foundation.sql"),
    ),
    (
        2,
        "linking",
        include_str!("../../migrations/postgres/0002_linking.sql"),
        include_str!("../../migrations/sqlite/0002_linking.sql"),
    ),
    (
        4,
        "upstream",
        include_str!("../../migrations/postgres/0004_upstream.sql"),
        include_str!("../../migrations/sqlite/0004_upstream.sql"),
    ),
    (
        5,
        "receiving",
        include_str!("../../migrations/postgres/0005_receiving.sql"),
        include_str!("../../migrations/sqlite/0005_receiving.sql"),
    ),
    (
        6,
        "merge_requests",
        include_str!("../../migrations/postgres/0006_merge_requests.sql"),
        include_str!("../../migrations/sqlite/0006_merge_requests.sql"),
    ),
    (
        7,
        "merge",
        include_str!("../../migrations/postgres/0007_merge.sql"),
        include_str!("../../migrations/sqlite/0007_merge.sql"),
    ),
    (
        8,
        "duplicates",
        include_str!("../../migrations/postgres/0008_duplicates.sql"),
        include_str!("../../migrations/sqlite/0008_duplicates.sql"),
    ),
    (
        9,
        "admin",
        include_str!("../../migrations/postgres/0009_admin.sql"),
        include_str!("../../migrations/sqlite/0009_admin.sql"),
    ),
    (
        10,
        "webhooks",
        include_str!("../../migrations/postgres/0010_webhooks.sql"),
        include_str!("../../migrations/sqlite/0010_webhooks.sql"),
    ),
    (
        11,
        "waiting",
        include_str!("../../migrations/postgres/0011_waiting.sql"),
        include_str!("../../migrations/sqlite/0011_waiting.sql"),
    ),
    (
        12,
        "proposal_keys",
        include_str!("../../migrations/postgres/0012_proposal_keys.sql"),
        include_str!("../../migrations/sqlite/0012_proposal_keys.sql"),
    ),
    (
        13,
        "duplicate_keys",
        include_str!("../../migrations/postgres/0013_duplicate_keys.sql"),
        include_str!("../../migrations/sqlite/0013_duplicate_keys.sql"),
    ),
    (
        14,
        "queues",
        include_str!("../../migrations/postgres/0014_queues.sql"),
        include_str!("../../migrations/sqlite/0014_queues.sql"),
    ),
    (
        15,
        "proposals_ended",
        include_str!("../../migrations/postgres/0015_proposals_ended.sql"),
        include_str!("../../migrations/sqlite/0015_proposals_ended.sql"),
    ),
    (
        16,
        "retention",
        include_str!("../../migrations/postgres/0016_retention.sql"),
        include_str!("../../migrations/sqlite/0016_retention.sql"),
    ),
    (
        17,
        "audit_log",
        include_str!("../../migrations/postgres/0017_audit_log.sql"),
        include_str!("../../migrations/sqlite/0017_audit_log.sql"),
    ),
    (
        18,
        "duplicate_caps",
        include_str!("../../migrations/postgres/0018_duplicate_caps.sql"),
        include_str!("../../migrations/sqlite/0018_duplicate_caps.sql"),
    ),
];

/// The pools of one database.
#[derive(Clone, Debug)]
pub(super) enum Driver {
    Postgres(PgPool),
    /// SQLite has one writer at a time; asking for it in our queue is fairer and faster than in SQLite's busy loop.
    Sqlite {
        writer: SqlitePool,
        readers: SqlitePool,
    },
}

impl Driver {
    pub(super) async fn connect(url: &str) -> Result<Self> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            connect_postgres(url).await
        } else if url.starts_with("sqlite://") {
            connect_sqlite(url).await
        } else {
            Err(Error::Url("it must begin with postgres:// or sqlite://"))
        }
    }

    pub(super) async fn migrate(&self) -> Result<()> {
        match self {
            Self::Postgres(pool) => {
                // On a connection of its own: an index on a billion rows takes longer than a request may, and so does
                // waiting for the replica that builds it.
                let mut connection = pool.acquire().await?.detach();
                sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
                migrator(|postgres, _| postgres).run(&mut connection).await?;
                connection.close().await?;
            }
            Self::Sqlite { writer, .. } => {
                let migrator = migrator(|_, sqlite| sqlite);
                // The migrator locks out others on Postgres only. Here a migration that another process has just done
                // fails and is rolled back; once for each at most, and then there is nothing left to do.
                let mut others = MIGRATIONS.len();
                while let Err(error) = migrator.run(writer).await {
                    if others == 0 {
                        return Err(error.into());
                    }
                    others -= 1;
                }
            }
        }
        Ok(())
    }

    /// Whether `migrate` would do anything. Writes nothing.
    pub(super) async fn migrations_pending(&self) -> Result<bool> {
        let migrator = migrator(|postgres, _| postgres);
        let applied = match self {
            Self::Postgres(pool) => {
                let mut connection = pool.acquire().await?;
                let exists = "SELECT count(*) FROM information_schema.tables \
                              WHERE table_schema = current_schema() AND table_name = '_sqlx_migrations'";
                if sqlx::query_scalar::<_, i64>(exists).fetch_one(&mut *connection).await? == 0 {
                    return Ok(true);
                }
                connection.list_applied_migrations(&migrator.table_name).await?
            }
            Self::Sqlite { readers, .. } => {
                let mut connection = readers.acquire().await?;
                let exists = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
                if sqlx::query_scalar::<_, i64>(exists).fetch_one(&mut *connection).await? == 0 {
                    return Ok(true);
                }
                connection.list_applied_migrations(&migrator.table_name).await?
            }
        };
        Ok(!migrator.iter().all(|migration| applied.iter().any(|applied| applied.version == migration.version)))
    }

    pub(super) async fn begin(&self) -> Result<Conn> {
        match self {
            Self::Postgres(pool) => {
                // A connection that died in the pool shows at BEGIN, where nothing has been done yet: take another.
                let mut others = pool.size();
                loop {
                    match pool.begin().await {
                        Err(error) if others > 0 && is_gone(&error) => others -= 1,
                        begun => return Ok(Conn::Postgres(PostgresConn::Write(begun?))),
                    }
                }
            }
            // A deferred transaction that reads and then writes fails at once when another has written in between.
            Self::Sqlite { writer, .. } => {
                Ok(Conn::Sqlite(SqliteConn::Write(writer.begin_with("BEGIN IMMEDIATE").await?)))
            }
        }
    }

    pub(super) async fn begin_read(&self) -> Result<Conn> {
        match self {
            Self::Postgres(pool) => Ok(Conn::Postgres(PostgresConn::Read(pool.acquire().await?))),
            Self::Sqlite { readers, .. } => Ok(Conn::Sqlite(SqliteConn::Read(readers.acquire().await?))),
        }
    }

    pub(super) async fn ping(&self) -> Result<()> {
        match self {
            Self::Postgres(pool) => pool.acquire().await?.ping().await?,
            Self::Sqlite { readers, .. } => readers.acquire().await?.ping().await?,
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(pool) => pool.close().await,
            // The writer last: the last connection to go folds the write-ahead log into the file.
            Self::Sqlite { writer, readers } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }
}

/// One connection, within a transaction or reading without one.
pub(super) enum Conn {
    Postgres(PostgresConn),
    Sqlite(SqliteConn),
}

impl Conn {
    pub(super) const fn is_read_only(&self) -> bool {
        matches!(self, Self::Postgres(PostgresConn::Read(_)) | Self::Sqlite(SqliteConn::Read(_)))
    }

    pub(super) async fn commit(self) -> Result<()> {
        match self {
            Self::Postgres(PostgresConn::Write(transaction)) => transaction.commit().await?,
            Self::Sqlite(SqliteConn::Write(transaction)) => transaction.commit().await?,
            Self::Postgres(PostgresConn::Read(_)) | Self::Sqlite(SqliteConn::Read(_)) => {}
        }
        Ok(())
    }
}

pub(super) enum PostgresConn {
    Write(Transaction<'static, Postgres>),
    Read(PoolConnection<Postgres>),
}

pub(super) enum SqliteConn {
    Write(Transaction<'static, Sqlite>),
    Read(PoolConnection<Sqlite>),
}

macro_rules! deref_connection {
    ($conn:ty => $target:ty) => {
        impl Deref for $conn {
            type Target = $target;
            fn deref(&self) -> &$target {
                match self {
                    Self::Write(transaction) => transaction,
                    Self::Read(connection) => connection,
                }
            }
        }

        impl DerefMut for $conn {
            fn deref_mut(&mut self) -> &mut $target {
                match self {
                    Self::Write(transaction) => transaction,
                    Self::Read(connection) => connection,
                }
            }
        }
    };
}

deref_connection!(PostgresConn => PgConnection);
deref_connection!(SqliteConn => SqliteConnection);

async fn connect_postgres(url: &str) -> Result<Driver> {
    let (url, connections) = take_parameter(url, "max_connections");
    let connections = match connections {
        Some(text) => text.parse().map_err(|_| Error::Url("max_connections must be a number"))?,
        None => POSTGRES_CONNECTIONS,
    };
    // No statement of ours takes seconds, and a transaction left open would hold its locks. To compile one takes far
    // longer than to run it, and where a table has no statistics yet Postgres would compile it anew each time.
    let options = PgConnectOptions::from_str(&url)
        .map_err(|_| Error::Url("it is not a valid Postgres URL"))?
        .application_name("samesake")
        .statement_cache_capacity(256)
        .options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "30s"), ("jit", "off")]);
    let pool = PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // The test costs a round trip per request: only connections that have rested get it.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for > TEST_AFTER {
                    connection.ping().await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await?;
    Ok(Driver::Postgres(pool))
}

async fn connect_sqlite(url: &str) -> Result<Driver> {
    if url.contains(":memory:") || url.contains("mode=memory") {
        return Err(Error::Url("SQLite needs a file: readers and the writer are different connections"));
    }
    let (url, synchronous) = take_parameter(url, "synchronous");
    let synchronous = match synchronous.as_deref() {
        // A login that was answered survives a power cut. NORMAL would lose the last ones.
        None | Some("full") => SqliteSynchronous::Full,
        Some("normal") => SqliteSynchronous::Normal,
        Some("off") => SqliteSynchronous::Off,
        Some(_) => return Err(Error::Url("synchronous must be full, normal or off")),
    };
    let options = SqliteConnectOptions::from_str(&url)
        .map_err(|_| Error::Url("it is not a valid SQLite URL"))?
        .create_if_missing(true)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .synchronous(synchronous)
        .statement_cache_capacity(256);
    create_private(options.get_filename())?;
    let writer = sqlite_pool(1).connect_with(options.clone().journal_mode(SqliteJournalMode::Wal)).await?;
    let readers = sqlite_pool(SQLITE_READERS).connect_lazy_with(options.pragma("query_only", "ON"));
    Ok(Driver::Sqlite { writer, readers })
}

/// Makes a missing database file that only its owner can read. SQLite gives its side files the same mode.
fn create_private(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(sqlx::Error::Io)?;
    Ok(())
}

fn sqlite_pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
}

/// Whether the connection is of no more use: it broke, or the server said goodbye on it.
fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(refusal) => matches!(refusal.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

/// Takes one of our own parameters out of a URL: the driver would complain about it.
fn take_parameter(url: &str, name: &str) -> (String, Option<String>) {
    let Some((base, query)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let mut value = None;
    let mut rest = Vec::new();
    for pair in query.split('&') {
        match pair.split_once('=') {
            Some((key, text)) if key == name => value = Some(text.to_owned()),
            _ => rest.push(pair),
        }
    }
    let url = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
    (url, value)
}

/// The embedded migrations. sqlx's own macro for this would compile the drivers a second time, for the build host.
fn migrator(text: impl Fn(&'static str, &'static str) -> &'static str) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|&(version, name, postgres, sqlite)| {
        let sql = text(postgres, sqlite).into_sql_str();
        Migration::new(version, name.into(), MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Runs one statement; answers the number of rows it touched.
macro_rules! exec {
    ($tx:expr, $sql:expr $(, $value:expr)* $(,)?) => {{
        let tx: &mut $crate::store::Tx = $tx;
        tx.enter($sql)?;
        let done = match &mut tx.conn {
            $crate::store::driver::Conn::Postgres(conn) => {
                sqlx::query($sql)$(.bind($value))*.execute(&mut **conn).await.map(|done| done.rows_affected())
            }
            $crate::store::driver::Conn::Sqlite(conn) => {
                sqlx::query($sql)$(.bind($value))*.execute(&mut **conn).await.map(|done| done.rows_affected())
            }
        };
        tx.leave(done)
    }};
}

/// Runs one statement and reads its rows with `$fetch`; the type of a row is `$row`.
macro_rules! fetch {
    ($fetch:ident, $tx:expr, $row:ty, $sql:expr $(, $value:expr)* $(,)?) => {{
        let tx: &mut $crate::store::Tx = $tx;
        tx.enter($sql)?;
        let rows = match &mut tx.conn {
            $crate::store::driver::Conn::Postgres(conn) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$fetch(&mut **conn).await
            }
            $crate::store::driver::Conn::Sqlite(conn) => {
                sqlx::query_as::<_, $row>($sql)$(.bind($value))*.$fetch(&mut **conn).await
            }
        };
        tx.leave(rows)
    }};
}

/// Runs one statement that answers one row or none. A tuple reads rows of few columns.
macro_rules! fetch_optional {
    ($($arguments:tt)*) => { $crate::store::driver::fetch!(fetch_optional, $($arguments)*) };
}

/// Runs one statement that answers exactly one row.
macro_rules! fetch_one {
    ($($arguments:tt)*) => { $crate::store::driver::fetch!(fetch_one, $($arguments)*) };
}

/// Runs one statement and answers all of its rows: its text must bound them.
macro_rules! fetch_all {
    ($($arguments:tt)*) => { $crate::store::driver::fetch!(fetch_all, $($arguments)*) };
}

/// Chooses the text of a statement that must differ. Each use says why.
macro_rules! per_driver {
    ($tx:expr, postgres: $postgres:expr, sqlite: $sqlite:expr $(,)?) => {
        match $tx.conn {
            $crate::store::driver::Conn::Postgres(_) => $postgres,
            $crate::store::driver::Conn::Sqlite(_) => $sqlite,
        }
    };
}

/// Reads a struct from the columns of the same names; `field: json` reads a JSON column into a type of ours, and
/// `field: flatten` another such struct from columns of the same row.
macro_rules! from_row {
    ($name:ident { $($field:ident $(: $how:ident)?),+ $(,)? }) => {
        $crate::store::driver::from_row!(@ $name, sqlx::postgres::PgRow, $($field $(: $how)?),+);
        $crate::store::driver::from_row!(@ $name, sqlx::sqlite::SqliteRow, $($field $(: $how)?),+);
    };
    (@ $name:ident, $row:ty, $($field:ident $(: $how:ident)?),+) => {
        impl<'r> sqlx::FromRow<'r, $row> for $name {
            fn from_row(row: &'r $row) -> sqlx::Result<Self> {
                Ok(Self { $($field: $crate::store::driver::from_row!(# row, $field $(, $how)?)),+ })
            }
        }
    };
    (# $row:ident, $field:ident) => { sqlx::Row::try_get($row, stringify!($field))? };
    (# $row:ident, $field:ident, json) => {
        sqlx::Row::try_get::<sqlx::types::Json<_>, _>($row, stringify!($field))?.0
    };
    (# $row:ident, $field:ident, flatten) => { sqlx::FromRow::from_row($row)? };
}

pub(super) use {exec, fetch, fetch_all, fetch_one, fetch_optional, from_row, per_driver};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_parameters_leave_the_url() {
        let url = "postgres://u@h/db?sslmode=require&max_connections=7&options=x";
        let (rest, value) = take_parameter(url, "max_connections");
        assert_eq!((rest.as_str(), value.as_deref()), ("postgres://u@h/db?sslmode=require&options=x", Some("7")));
        let (rest, value) = take_parameter("sqlite:///a/b.db?synchronous=off", "synchronous");
        assert_eq!((rest.as_str(), value.as_deref()), ("sqlite:///a/b.db", Some("off")));
        let (rest, value) = take_parameter("sqlite:///a/b.db", "synchronous");
        assert_eq!((rest.as_str(), value), ("sqlite:///a/b.db", None));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_new_database_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;

        let name: String = crate::clock::random::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let path = std::env::temp_dir().join(format!("samesake-{name}.db"));
        let driver = Driver::connect(&format!("sqlite://{}", path.display())).await.unwrap();
        driver.migrate().await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        let wal = std::fs::metadata(path.with_extension("db-wal")).unwrap().permissions().mode();
        driver.close().await;
        std::fs::remove_file(&path).unwrap();
        assert_eq!((mode & 0o777, wal & 0o777), (0o600, 0o600));
    }

    #[tokio::test]
    async fn a_url_of_no_use_is_refused_by_name() {
        for url in ["mysql://h/db", "sqlite::memory:", "sqlite://:memory:", "sqlite:///tmp/x.db?synchronous=maybe"] {
            assert!(matches!(Driver::connect(url).await, Err(Error::Url(_))), "{url}");
        }
    }
}
