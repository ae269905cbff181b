//! From what was typed to what is compared: pure functions of the value alone.
//!
//! A value that stands for nobody (a placeholder, a mailbox of a function, an impossible date) becomes no value.
//! [`VERSION`] goes into every model: change what a function answers, and models fitted before are refused.

pub mod address;
pub mod date;
pub mod email;
pub mod name;
mod nicknames;
pub mod phone;
mod text;

pub use text::fold;

/// Which functions a model was fitted with.
pub const VERSION: u32 = 4;
