//! Samesake, the customer identity gateway.

pub mod clock;
pub mod config;
pub mod credential;
pub mod http;
pub mod identity;
pub mod ids;
pub mod kv;
pub mod mail;
pub mod protocol;
pub mod secret;
pub mod store;
