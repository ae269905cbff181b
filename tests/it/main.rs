//! The one test binary: every feature, driven from outside through its public face, on both pairs of back ends.
//!
//! Run it with `tests/run`, which brings Postgres and Redis. One line here for each module; a module is a feature, and
//! its tests are named after the rule they show. `tests/RULES.md` maps the rules to their tests.

#![expect(unreachable_pub, reason = "nobody links a test binary, so `pub` means visible to its other modules")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test says that something is wrong by panicking"
)]

mod admin;
mod admin_desk;
mod budgets;
mod connector;
mod contention;
mod crash;
mod credential;
mod demo;
mod duplicates;
mod events;
mod handoff;
mod harness;
mod identity;
mod interop;
mod interop_upstream;
mod journey;
mod keys;
mod kv;
mod login;
mod logs;
mod mail;
mod oidc;
mod receive;
mod smoke;
mod soak;
mod store;
mod tidy;
mod tokens;
mod unauthorized;
