//! The words of the specifications as types. Pure: std, serde, url, time. Knows no axum, sqlx or tokio.

pub mod admin_role;
pub mod authorization;
pub mod claims;
pub mod claims_request;
pub mod client_metadata;
pub mod device;
pub mod error;
pub mod introspection;
pub mod jwk;
pub mod params;
pub mod pkce;
pub mod problem;
pub mod provider_metadata;
pub mod scope;
pub mod security_event;
pub mod token;
pub mod token_exchange;

pub use error::{ErrorCode, OAuthError};
