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
pub use wait::until;
pub use webdriver::{Screen, WebDriver};

/// A port that nobody listens on just now, for a program that must be told one.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
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
