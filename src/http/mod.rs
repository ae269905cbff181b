//! Everything axum.

pub mod session_store;
