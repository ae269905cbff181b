//! Pages on which a signed-in customer decides: what an app may have, and which account it gets.

use askama::Template;

use super::text::Phrase;
use super::{Brand, View, image_origin, initial, tone, web_link};

/// One thing an app asks for, in the customer's words.
#[derive(Clone, Debug)]
pub struct ScopeLine {
    /// What it is.
    pub title: String,
    /// What that means; may be empty.
    pub text: String,
}

/// A device that is to be connected.
#[derive(Clone, Debug)]
pub struct DeviceLine {
    /// What it shows.
    pub user_code: String,
    /// Where it asked from.
    pub place: String,
}

/// What became of a device.
#[derive(Clone, Debug, Template)]
#[template(path = "device_answered.html", config = ".askama.toml")]
pub struct DeviceAnsweredPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Whether it was allowed.
    pub connected: bool,
}

impl DeviceAnsweredPage<'_> {
    const fn title(&self) -> &'static str {
        if self.connected { self.brand.text.device_done_title } else { self.brand.text.device_denied_title }
    }
}

impl View for DeviceAnsweredPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// Consent, to an app or for a device. Posts to `/consent` or `/device/confirm` (`flow`, `decision`: `allow` or `deny`).
#[derive(Clone, Debug, Template)]
#[template(path = "consent.html", config = ".askama.toml")]
pub struct ConsentPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the login flow.
    pub flow: String,
    /// The app that asks.
    pub client_name: String,
    /// Its picture.
    pub logo_uri: Option<String>,
    /// Its privacy policy.
    pub policy_uri: Option<String>,
    /// Its terms of service.
    pub tos_uri: Option<String>,
    /// The host the customer returns to: what an impostor cannot choose as freely as a name.
    pub client_host: String,
    /// What it asks for.
    pub scopes: Vec<ScopeLine>,
    /// Who is signed in, as the customer calls themselves.
    pub account: String,
    /// The device that the app runs on, if it is not this one.
    pub device: Option<DeviceLine>,
}

impl ConsentPage<'_> {
    fn title(&self) -> Phrase {
        if self.device.is_some() { self.brand.text.device_confirm_title } else { self.brand.text.consent_title }
    }

    fn action(&self) -> &'static str {
        if self.device.is_some() { "/device/confirm" } else { "/consent" }
    }

    fn logo(&self) -> Option<&str> {
        self.logo_uri.as_deref().filter(|uri| image_origin(uri).is_some())
    }

    fn policy(&self) -> Option<&str> {
        self.policy_uri.as_deref().and_then(web_link)
    }

    fn terms(&self) -> Option<&str> {
        self.tos_uri.as_deref().and_then(web_link)
    }

    fn initial(&self) -> String {
        initial(&self.client_name)
    }

    fn tone(&self) -> u32 {
        tone(&self.client_name)
    }

    fn account_initial(&self) -> String {
        initial(&self.account)
    }
}

impl View for ConsentPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }

    fn image_origin(&self) -> Option<String> {
        self.logo().and_then(image_origin)
    }
}

/// Which account to go on with. Posts to `/select-account` (`flow`, `choice`: `continue` or `other`).
#[derive(Clone, Debug, Template)]
#[template(path = "select_account.html", config = ".askama.toml")]
pub struct SelectAccountPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Names the login flow.
    pub flow: String,
    /// The app that asked; empty if none did.
    pub client_name: String,
    /// Who is signed in, as the customer calls themselves.
    pub account: String,
}

impl SelectAccountPage<'_> {
    fn account_initial(&self) -> String {
        initial(&self.account)
    }
}

impl View for SelectAccountPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
