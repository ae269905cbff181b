//! Everything that speaks HTTP: the only place, with `serve.rs`, that names axum.

pub mod pages;
pub mod session_store;
