//! Pages about the accounts at providers that a customer signs in with.

use std::borrow::Cow;

use askama::Template;

use super::text::{Message, Phrase, Text};
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

/// How an identifier came to a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// With the first sign-in.
    FirstSignIn,
    /// With the account's creation by address and password.
    SignUp,
    /// The customer connected it later.
    Connected,
    /// The customer typed it here, and a mailed code proved it.
    Added,
    /// A provider brought it, and a mailed code proved it since.
    Confirmed,
    /// A provider vouches for it.
    From(String),
    /// By an import, or somebody who runs this installation.
    Brought,
    /// Somebody said so, and nobody has proved it.
    Unproved,
}

impl Came {
    fn words(&self, text: &Text) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::FirstSignIn => text.came_first,
            Self::SignUp => text.came_sign_up,
            Self::Connected => text.came_connected,
            Self::Added => text.came_added,
            Self::Confirmed => text.came_confirmed,
            Self::From(provider) => return text.came_from.with(provider).into(),
            Self::Brought => text.came_brought,
            Self::Unproved => text.came_unproved,
        })
    }
}

/// Why an account at a provider does not sign its customer in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// The customer took back what they had allowed; a login gives it anew.
    ConsentRevoked,
    /// The account is no more.
    Gone,
    /// The provider closed it, or sees it at risk.
    InDoubt,
}

impl Stopped {
    fn words(self, text: &Text, provider: &str) -> String {
        let phrase = match self {
            Self::ConsentRevoked => text.stopped_consent,
            Self::Gone => text.stopped_gone,
            Self::InDoubt => text.stopped_doubt,
        };
        phrase.with(provider)
    }
}

/// One identifier of the customer's, as the account page lists it.
#[derive(Clone, Debug)]
pub struct ConnectionLine {
    /// The connector's ID, or the address: what its color is made of.
    pub id: String,
    /// The provider as customers know it, or an address.
    pub provider: String,
    /// Which account there, as the provider shows it.
    pub label: String,
    /// How it came.
    pub came: Came,
    /// The day it came.
    pub since: String,
    /// The day it was last used, where that is known.
    pub last_used: Option<String>,
    /// Why it does not sign in, and what to do.
    pub stopped: Option<Stopped>,
    /// It opens a side of a merge that the customer has not proved (rule 25).
    pub is_apart: bool,
    /// What names it when it can be disconnected.
    pub unlink: Option<String>,
    /// The address, when it can be proved.
    pub confirm: Option<String>,
}

impl ConnectionLine {
    fn initial(&self) -> String {
        initial(&self.provider)
    }

    fn tone(&self) -> u32 {
        tone(&self.id)
    }
}

/// An address of the rest of an account.
#[derive(Clone, Debug)]
pub struct ChannelLine {
    /// Names it.
    pub link: String,
    /// The address, mostly hidden.
    pub masked: String,
}

/// What a customer logs in with. Posts to `/account/disconnect` (`token`, `link`), `/account/connect` (`token`,
/// `connector`), `/account/address` (`token`, perhaps `email`) and `/account/whole` (`token`, `link`).
#[derive(Clone, Debug, Template)]
#[template(path = "account.html", config = ".askama.toml")]
pub struct AccountPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// What the customer calls themselves.
    pub account: String,
    /// Proves that a form is this session's.
    pub token: String,
    /// Where a code can go that opens the rest, if this is a part of an account.
    pub part: Option<Vec<ChannelLine>>,
    /// In the order in which they came.
    pub connections: Vec<ConnectionLine>,
    /// Providers that can be connected.
    pub connectors: Vec<ConnectorButton>,
    /// Whether an address can be added.
    pub addresses_offered: bool,
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

/// Add an address. Posts to `/address` (`flow`, `email`) and `/address/skip` (`flow`); links to `/login?flow=` or back to
/// the account page.
#[derive(Clone, Debug, Template)]
#[template(path = "address.html", config = ".askama.toml")]
pub struct AddressPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the flow.
    pub flow: String,
    /// The app that asked; empty if none did.
    pub client_name: String,
    /// Fills the field.
    pub email: String,
    /// What went wrong last time.
    pub error: Option<Message>,
    /// Whether it is asked of somebody who has just come for the first time.
    pub newcomer: bool,
    /// Whether they may go without.
    pub skip_offered: bool,
}

impl AddressPage<'_> {
    fn is_wrong(&self, field: &str) -> bool {
        self.error.as_ref().and_then(Message::field) == Some(field)
    }

    fn failed(&self) -> bool {
        self.error.as_ref().is_some_and(|message| !message.is_good())
    }

    fn title(&self) -> &'static str {
        if self.newcomer { self.brand.text.address_title_newcomer } else { self.brand.text.address_title }
    }

    fn lead(&self) -> &'static str {
        if self.newcomer { self.brand.text.address_lead_newcomer } else { self.brand.text.address_lead }
    }
}

impl View for AddressPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// What somebody has just proved is another account's here; if both are theirs, the two can become one. Posts to
/// `/both-mine` (`flow`). If somebody has to look at it first, it says so afterwards. Nothing of the other account is on it.
#[derive(Clone, Debug, Template)]
#[template(path = "both_mine.html", config = ".askama.toml")]
pub struct BothMinePage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the flow.
    pub flow: String,
    /// What was proved.
    pub by: ProvedBy,
    /// Why they are not joined at once, if it was asked for.
    pub waits: Option<Hindrance>,
}

/// Why somebody has to look at two accounts before they are joined, as far as the customer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// They give different dates of birth, or are of a minor and an adult.
    Births,
    /// Each holds something that one person has only one of.
    Numbers,
    /// The company keeps them apart.
    Brands,
    /// Anything else, which is not theirs to know.
    Other,
}

/// What proved somebody to be another customer as well.
#[derive(Clone, Debug)]
pub enum ProvedBy {
    /// A login at this provider, as customers know it.
    Provider(String),
    /// The address that they typed.
    Address(String),
}

impl BothMinePage<'_> {
    fn lead(&self) -> Phrase {
        match self.by {
            ProvedBy::Provider(_) => self.brand.text.both_lead_provider,
            ProvedBy::Address(_) => self.brand.text.both_lead_address,
        }
    }

    fn shown(&self) -> &str {
        match &self.by {
            ProvedBy::Provider(shown) | ProvedBy::Address(shown) => shown,
        }
    }

    fn why(&self, hindrance: &Hindrance) -> &'static str {
        let text = self.brand.text;
        match hindrance {
            Hindrance::Births => text.both_why_births,
            Hindrance::Numbers => text.both_why_numbers,
            Hindrance::Brands => text.both_why_brands,
            Hindrance::Other => text.both_why_other,
        }
    }
}

impl View for BothMinePage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
