//! Proving who one is: mailed codes and the limits of guessing, on both key-value stores.

mod email_code;
mod throttle;

use samesake::secret::{DerivedKey, MasterKey};

fn key() -> DerivedKey {
    MasterKey::generate().derive("test")
}
