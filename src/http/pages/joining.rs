//! Pages on which two accounts of one person become one: what it would do, and that it is done.

use askama::Template;

use super::text::{Phrase, Text};
use super::{Brand, View, initial, tone};

/// What joining two accounts does, before it is done. Posts to `/both-mine/join` (`flow`, `plan`); links back to the
/// account page.
#[derive(Clone, Debug, Template)]
#[template(path = "join.html", config = ".askama.toml")]
pub struct JoinPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the flow.
    pub flow: String,
    /// Names what is shown: nothing else is done.
    pub plan: String,
    /// What the account that stays calls itself.
    pub account: String,
    /// What the other account is signed in to with.
    pub ways: Vec<WayLine>,
    /// What will stand in the profile where the two differ.
    pub values: Vec<ValueLine>,
    /// The apps that know either account.
    pub apps: Vec<AppLine>,
    /// Whether the other account's password stops working.
    pub password_rests: bool,
    /// Whether the other account is signed out elsewhere.
    pub signs_out: bool,
    /// For how many days it can be undone.
    pub undo_days: u64,
}

/// One way to sign in that comes over.
#[derive(Clone, Debug)]
pub struct WayLine {
    /// The connector's ID, or the address: what its color is made of.
    pub id: String,
    /// The provider as customers know it, or an address.
    pub provider: String,
    /// Which account there, as the provider shows it.
    pub label: String,
}

impl WayLine {
    fn initial(&self) -> String {
        initial(&self.provider)
    }

    fn tone(&self) -> u32 {
        tone(&self.id)
    }
}

/// One value that will count.
#[derive(Clone, Debug)]
pub struct ValueLine {
    /// What it is.
    pub of: ValueOf,
    /// The value.
    pub value: String,
}

/// What of a profile customers are shown by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueOf {
    /// OpenID Connect Core §5.1 `name`.
    Name,
    /// `email`
    Email,
    /// `phone_number`
    Phone,
    /// `birthdate`
    Birthdate,
    /// `preferred_username`
    Username,
    /// `locale`
    Locale,
}

impl ValueOf {
    /// Of a claim's name.
    pub fn claim(name: &str) -> Option<Self> {
        Some(match name {
            "name" => Self::Name,
            "email" => Self::Email,
            "phone_number" => Self::Phone,
            "birthdate" => Self::Birthdate,
            "preferred_username" => Self::Username,
            "locale" => Self::Locale,
            _ => return None,
        })
    }

    fn words(self, text: &Text) -> &'static str {
        match self {
            Self::Name => text.name,
            Self::Email => text.email,
            Self::Phone => text.join_phone,
            Self::Birthdate => text.join_birthdate,
            Self::Username => text.join_username,
            Self::Locale => text.join_locale,
        }
    }
}

/// What one app will see.
#[derive(Clone, Debug)]
pub struct AppLine {
    /// Its name.
    pub name: String,
    /// What changes for it.
    pub knew: Knew,
}

/// Which of the two accounts an app knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Knew {
    /// The one that stays.
    This,
    /// The other one.
    Other,
    /// Both: to it, they were two people.
    Both,
}

impl AppLine {
    fn words(&self, text: &Text) -> Phrase {
        match self.knew {
            Knew::This => text.join_app_this,
            Knew::Other => text.join_app_other,
            Knew::Both => text.join_app_both,
        }
    }
}

impl View for JoinPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// The two are one. Links to the account page.
#[derive(Clone, Debug, Template)]
#[template(path = "joined.html", config = ".askama.toml")]
pub struct JoinedPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Whether both sides were told by mail.
    pub mailed: bool,
    /// For how many days it can be undone.
    pub undo_days: u64,
}

impl View for JoinedPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
