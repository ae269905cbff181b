//! What the tests stand on: the two pairs of back ends, and the outside world as a test needs it.
//!
//! Nothing here knows a feature. `env` gives each test a database and a key-value store of its own; the macros run one
//! test body on both pairs, or on the servers only where real concurrency is what the test is about.

pub mod apache;
pub mod app;
pub mod browser;
pub mod cookies;
pub mod env;
pub mod foreign_provider;
pub mod gateway;
pub mod html;
pub mod invariants;
pub mod jwks;
pub mod nginx;
pub mod program;
pub mod providers;
pub mod relying_party;
pub mod sent;
pub mod upstream;
pub mod wait;
pub mod webdriver;

pub use apache::Apache;
pub use app::TestApp;
pub use browser::{Browser, Page};
pub use env::{Env, Pair};
pub use gateway::Gateway;
pub use nginx::Nginx;
pub use relying_party::RelyingParty;
pub use wait::{NoAnswer, unanswered, until};
pub use webdriver::{Screen, WebDriver};

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port that nobody listens on, for a program that must be told one, and that stays its own while it is restarted: below
/// those the kernel hands out to connections, and to no other test.
pub fn free_port() -> u16 {
    const RANGE: std::ops::Range<u32> = 15_000..32_000;
    static NEXT: LazyLock<AtomicU32> = LazyLock::new(|| AtomicU32::new(std::process::id()));
    let mut ports = (0..RANGE.len()).map(|_| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        u16::try_from(RANGE.start + number.wrapping_mul(97) % (RANGE.end - RANGE.start)).unwrap()
    });
    ports.find(|port| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap()
}

/// Runs each test on {SQLite, in process} and on {Postgres, Redis}.
///
/// ```ignore
/// on_both! {
///     /// A replayed code revokes the tokens of its first use.
///     async fn replayed_code_revokes_its_tokens(env: &Env) { … }
/// }
/// ```
/// makes `replayed_code_revokes_its_tokens::sqlite_in_process` and `…::postgres_redis`.
#[macro_export]
macro_rules! on_both {
    ($($(#[$meta:meta])* async fn $name:ident($env:ident: $type:ty) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn check($env: $type) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite_in_process() {
                $crate::harness::env::run($crate::harness::Pair::SqliteInProcess, async |env| check(env).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres_redis() {
                $crate::harness::env::run($crate::harness::Pair::PostgresRedis, async |env| check(env).await).await;
            }
        }
    )+};
}

/// Runs each test on {Postgres, Redis} only: for races, which one writer behind a mutex cannot show.
#[macro_export]
macro_rules! on_servers {
    ($($(#[$meta:meta])* async fn $name:ident($env:ident: $type:ty) $body:block)+) => {$(
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn check($env: $type) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres_redis() {
                $crate::harness::env::run($crate::harness::Pair::PostgresRedis, async |env| check(env).await).await;
            }
        }
    )+};
}
