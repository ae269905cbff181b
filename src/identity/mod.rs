//! Who is who: customers, the identifiers that lead to them, and the rules by which both change.
//!
//! It takes transactions, keys and the present time from its callers. It knows nothing of HTTP.

pub mod address;
