//! Pages about the accounts at providers that a customer signs in with.

use askama::Template;

use super::text::Message;
use super::{Brand, ConnectorButton, View, initial, tone};

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

/// A way in, as the account page lists it.
#[derive(Clone, Debug)]
pub struct ConnectionLine {
    /// The provider as customers know it, or a proved address.
    pub provider: String,
    /// Which account there, as the provider shows it.
    pub label: String,
    /// The day it was connected.
    pub since: String,
    /// The day it was last used.
    pub last_used: String,
    /// What names it when it can be disconnected.
    pub unlink: Option<String>,
}

impl ConnectionLine {
    fn initial(&self) -> String {
        initial(&self.provider)
    }

    fn tone(&self) -> u32 {
        tone(&self.provider)
    }
}

/// What a customer logs in with. Posts to `/account/disconnect` (`token`, `link`) and `/account/connect` (`token`,
/// `connector`).
#[derive(Clone, Debug, Template)]
#[template(path = "account.html", config = ".askama.toml")]
pub struct AccountPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// What the customer calls themselves.
    pub account: String,
    /// Proves that a form is this session's.
    pub token: String,
    /// In the order in which they were connected.
    pub connections: Vec<ConnectionLine>,
    /// Providers that can be connected.
    pub connectors: Vec<ConnectorButton>,
}

impl AccountPage<'_> {
    fn account_initial(&self) -> String {
        initial(&self.account)
    }
}

impl View for AccountPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
