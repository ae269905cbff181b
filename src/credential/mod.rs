//! How a customer proves to be who they are: passwords, mailed codes, and what bounds the guessing of both.
//!
//! Nothing here tells an existing account from one that does not exist: the same work, the same counters, the same
//! answers (spec/protocol.md rule 50). It knows nothing of HTTP or SQL; who the customer is, callers find out.

pub mod device;
pub mod email_code;
pub mod password;
pub mod throttle;
