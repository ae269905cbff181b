//! What work sends to the database: every statement as sqlx logs it, with its rows and how long it was waited for.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use serde_json::Value;
use tracing::Dispatch;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

/// One statement as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    pub sql: String,
    pub rows: u64,
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
pub async fn sent<T>(work: impl Future<Output = T>) -> (T, Vec<Sent>) {
    let (done, statements) = timed(work).await;
    (done, statements.into_iter().map(|(sent, _)| sent).collect())
}

/// The same, with the seconds that each took.
pub async fn timed<T>(work: impl Future<Output = T>) -> (T, Vec<(Sent, f64)>) {
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
        (Sent { sql: sql.to_owned(), rows }, fields["elapsed_secs"].as_f64().unwrap())
    };
    (done, text.lines().map(statement).collect())
}
