//! Pages about the accounts at providers that a customer signs in with.

use askama::Template;

use super::text::Message;
use super::{Brand, View};

/// "You already have an account": an account at a provider brings the address of a customer. Posts to `/link/send`
/// (`flow`) for a mailed code and to `/login/cancel` (`flow`); links to `/login?flow=` for logging in as the customer.
#[derive(Clone, Debug, Template)]
#[template(path = "account_exists.html", config = ".askama.toml")]
pub struct AccountExistsPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the login flow.
    pub flow: String,
    /// The app that asked; empty if none did.
    pub client_name: String,
    /// What customers call the provider.
    pub provider: String,
    /// The address, mostly hidden.
    pub masked_email: String,
    /// Whether a code can be mailed.
    pub code_offered: bool,
    /// Why no code was mailed.
    pub error: Option<Message>,
}

impl AccountExistsPage<'_> {
    fn failed(&self) -> bool {
        self.error.as_ref().is_some_and(|message| !message.is_good())
    }
}

impl View for AccountExistsPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
