//! Samesake, the customer identity gateway.

pub mod clock;
pub mod http;
pub mod ids;
pub mod kv;
pub mod protocol;
pub mod secret;
pub mod store;
