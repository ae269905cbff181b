//! The customer-identity board: those who look after who is who, what each may do, and what they find.
//!
//! The admin API and the desk in the browser both stand on it. It decides nothing about customers itself: joining and
//! separating is `identity`'s. Knows no HTTP. Experience specification, rules 9 to 13.

pub mod admin;
pub mod audit;
pub mod deliveries;
pub mod dossier;
pub mod links;
pub mod notices;
pub mod queue;
pub mod reason;
pub mod role;
pub mod search;
pub mod sessions;
pub mod waiting;
