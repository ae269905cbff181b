//! Whether a newcomer whose provider brings no address that counts is asked for one.

use serde::Deserialize;

/// When somebody comes for the first time, and the provider vouches for no address of theirs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskEmail {
    /// They become a customer without one, and may add one on the account page.
    #[default]
    Never,
    /// They are asked, and may skip it.
    Offer,
    /// They are asked, and become a customer only with a proved address. Needs mail.
    Require,
}
