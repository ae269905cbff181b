//! Samesake, the customer identity gateway.

pub mod clock;
pub mod ids;
pub mod protocol;
pub mod secret;
pub mod store;
