//! Who is who: customers, the identifiers that lead to them, and the rules by which both change.
//!
//! It takes transactions, keys and the present time from its callers. It knows nothing of HTTP.

pub mod address;
pub mod addresses;
pub mod attaching;
pub mod brand;
pub mod candidates;
pub mod consent;
pub mod customer;
pub mod duplicates;
pub mod erase;
pub mod hold;
pub mod import;
pub mod limit;
pub mod linking;
pub mod merge;
pub mod merge_request;
pub mod namespace;
pub mod not_same;
pub mod other_names;
pub mod phone;
pub mod profile;
pub mod receive;
pub mod resolve;
pub mod sign_in;
pub mod unlinking;
pub mod upstream_tokens;
