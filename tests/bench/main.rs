//! How much one CPU-second of a gateway does: the program as it is released, on Postgres and Redis, under load.
//!
//! `tests/bench/run` starts throw-away servers and runs this; there is no threshold, only a table. The load comes from
//! this process over a few connections that stay open, and what it costs itself is not counted.
//! With `merge` it measures merges in a small company and in a big one instead, with `duplicates` what it takes to look
//! for duplicates of one customer among a million.
//! SAMESAKE_BENCH_SECONDS (for each operation, 5), SAMESAKE_BENCH_CONNECTIONS (8) and SAMESAKE_BENCH_BINARY (the one
//! cargo built beside this) change it.

#![expect(unreachable_pub, reason = "nobody links a benchmark, so `pub` means visible to its other modules")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark says that something is wrong by panicking"
)]

mod cpu;
mod following;
mod gateway;
#[expect(dead_code, unused_imports, reason = "the tests need more of it than this does")]
#[path = "../it/harness/mod.rs"]
mod harness;
mod load;
mod merging;
mod operations;
#[path = "../people/mod.rs"]
mod people;
mod report;

use std::sync::Arc;
use std::time::Duration;

use gateway::{Embedded, Gateway};
use harness::env::{self, Pair};
use harness::upstream::Upstream;
use operations::Operation;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(env::run(Pair::PostgresRedis, async |env| {
        println!("{}", report::machine());
        if std::env::args().any(|argument| argument == "merge") {
            println!("{}", merging::run(env).await);
            return;
        }
        if std::env::args().any(|argument| argument == "duplicates") {
            println!("{}", following::run(env).await);
            return;
        }
        let upstream = Arc::new(Upstream::start().await);
        operations::know_people(&upstream);
        let gateway = Gateway::start(env, &upstream).await;
        operations::create_customers(env).await;
        let workers = operations::workers(&gateway, &upstream, setting("SAMESAKE_BENCH_CONNECTIONS", 8)).await;
        let duration = Duration::from_secs(setting("SAMESAKE_BENCH_SECONDS", 5));
        let mut rows = Vec::new();
        for operation in Operation::ALL {
            eprintln!("{}", operation.name());
            rows.push((operation, load::run(&gateway, &workers, operation, duration).await));
        }
        println!("{}", report::table(&rows));
        println!("{}", report::memory(&gateway, &Embedded::measure(env).await));
    }));
}

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}
