//! The words of the specifications as types. Pure: std, serde, url, time. Knows no axum, sqlx or tokio.

pub mod client_metadata;
pub mod error;
pub mod jwk;

pub use error::{ErrorCode, OAuthError};
