//! Pages on which a customer proves who they are: sign in, create an account, enter the mailed code.

use askama::Template;

use super::text::{CodePurpose, Message, Phrase};
use super::{Brand, View, initial, tone};

/// A button that leads to a provider.
#[derive(Clone, Debug)]
pub struct ConnectorButton {
    /// The connector's ID, sent back as `connector`.
    pub id: String,
    /// What customers call the provider.
    pub name: String,
    /// The connector's kind, such as `oidc`.
    pub kind: String,
}

impl ConnectorButton {
    pub(super) fn initial(&self) -> String {
        initial(&self.name)
    }

    pub(super) fn tone(&self) -> u32 {
        tone(&self.id)
    }
}

/// Sign in. Posts to `/login/social` (`flow`, `connector`), `/login/password` (`flow`, `email`, `password`) and
/// `/login/cancel` (`flow`); links to `/sign-up?flow=`.
#[derive(Clone, Debug, Template)]
#[template(path = "login.html", config = ".askama.toml")]
pub struct LoginPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the login flow in every form.
    pub flow: String,
    /// The app that asked; empty if none did.
    pub client_name: String,
    /// Fills the address field.
    pub email: String,
    /// What went wrong last time.
    pub error: Option<Message>,
    /// Providers, in the order of the configuration.
    pub connectors: Vec<ConnectorButton>,
    /// Whether address and password are asked for.
    pub password_enabled: bool,
    /// Whether new customers may create an account.
    pub sign_up_enabled: bool,
    /// The masked address of the customer who has to sign in again.
    pub reauthenticate: Option<String>,
}

impl LoginPage<'_> {
    fn heading(&self) -> &'static str {
        if self.reauthenticate.is_some() { self.brand.text.reauthenticate_title } else { self.brand.text.sign_in }
    }

    fn lead(&self) -> Option<Phrase> {
        let text = self.brand.text;
        let phrase = if self.reauthenticate.is_some() { text.reauthenticate_for } else { text.to_continue_to };
        (!self.client_name.is_empty()).then_some(phrase)
    }

    fn account_initial(&self) -> String {
        initial(self.reauthenticate.as_deref().unwrap_or_default())
    }

    fn is_wrong(&self, field: &str) -> bool {
        is_wrong(self.error.as_ref(), field)
    }

    fn failed(&self) -> bool {
        failed(self.error.as_ref())
    }
}

impl View for LoginPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// Create an account. Posts to `/sign-up` (`flow`, `email`, `password`, `name`).
#[derive(Clone, Debug, Template)]
#[template(path = "sign_up.html", config = ".askama.toml")]
pub struct SignUpPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the login flow.
    pub flow: String,
    /// The app that asked; empty if none did.
    pub client_name: String,
    /// As typed last time.
    pub email: String,
    /// As typed last time.
    pub name: String,
    /// What went wrong last time.
    pub error: Option<Message>,
    /// The least number of characters, told before it is missed.
    pub password_min_length: usize,
}

impl SignUpPage<'_> {
    fn is_wrong(&self, field: &str) -> bool {
        is_wrong(self.error.as_ref(), field)
    }

    fn failed(&self) -> bool {
        failed(self.error.as_ref())
    }
}

impl View for SignUpPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// Enter the mailed code. Posts to `/sign-up/code` (`flow`, `code`: six digits, perhaps with white space as pasted)
/// and `/sign-up/resend` (`flow`); links back to `/sign-up?flow=`. To prove an address, the same below `/link`.
#[derive(Clone, Debug, Template)]
#[template(path = "code.html", config = ".askama.toml")]
pub struct CodePage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the login flow.
    pub flow: String,
    /// Where the code went, mostly hidden.
    pub masked_email: String,
    /// What the code is for.
    pub purpose: CodePurpose,
    /// What went wrong last time, or that a new code was sent.
    pub error: Option<Message>,
    /// Whether a new code may be asked for now.
    pub resend_allowed: bool,
}

impl CodePage<'_> {
    fn is_wrong(&self, field: &str) -> bool {
        is_wrong(self.error.as_ref(), field)
    }

    fn failed(&self) -> bool {
        failed(self.error.as_ref())
    }
}

impl View for CodePage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// The code of a device. Posts to `/device` (`user_code`).
#[derive(Clone, Debug, Template)]
#[template(path = "device.html", config = ".askama.toml")]
pub struct DevicePage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// What stands in the field.
    pub user_code: String,
    /// What went wrong last time.
    pub error: Option<Message>,
}

impl DevicePage<'_> {
    fn is_wrong(&self, field: &str) -> bool {
        is_wrong(self.error.as_ref(), field)
    }

    fn failed(&self) -> bool {
        failed(self.error.as_ref())
    }
}

impl View for DevicePage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

fn is_wrong(error: Option<&Message>, field: &str) -> bool {
    error.and_then(Message::field) == Some(field)
}

fn failed(error: Option<&Message>) -> bool {
    error.is_some_and(|message| !message.is_good())
}
