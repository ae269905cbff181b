//! The store's conformance suite: every method of `Tx`, on both databases.
//!
//! It stands in for the compile-time check that one SQL text on two databases cannot have: a statement that only one
//! of them understands fails here. Plans and races have files of their own.

mod audit;
mod clients;
mod credentials;
mod customers;
mod grants;
mod idempotency;
mod keys;
mod links;
mod mail_queue;
mod merge_requests;
mod outbox;
pub mod plans;
mod races;
pub mod samples;
mod schema;
mod subjects;
mod transactions;
