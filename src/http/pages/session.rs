//! Pages about the session in this browser: who is signed in, and signing out.

use askama::Template;

use super::{Brand, View, app_link, initial, tone, web_link};

/// The start page: who is signed in here, where to go, signing in (`/sign-in`) or out (`/logout`, which asks first).
#[derive(Clone, Debug, Template)]
#[template(path = "signed_in.html", config = ".askama.toml")]
pub struct SignedInPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Who is signed in, as the customer calls themselves.
    pub account: Option<String>,
    /// Apps to go to: name and address.
    pub apps: Vec<(String, String)>,
}

/// An app as the start page shows it.
struct AppLine<'a> {
    name: &'a str,
    href: &'a str,
    initial: String,
    tone: u32,
}

impl SignedInPage<'_> {
    fn account_initial(&self) -> String {
        initial(self.account.as_deref().unwrap_or_default())
    }

    fn app_links(&self) -> Vec<AppLine<'_>> {
        self.apps
            .iter()
            .filter_map(|(name, url)| {
                Some(AppLine { name, href: web_link(url)?, initial: initial(name), tone: tone(name) })
            })
            .collect()
    }
}

impl View for SignedInPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// Asks before signing out. Posts to `/logout/confirm` (`token`).
#[derive(Clone, Debug, Template)]
#[template(path = "logout.html", config = ".askama.toml")]
pub struct LogoutPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Proves that this page was shown, and carries what the request asked for.
    pub token: String,
    /// The app that asked.
    pub client_name: Option<String>,
}

impl View for LogoutPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// The end of a session.
#[derive(Clone, Debug, Template)]
#[template(path = "logged_out.html", config = ".askama.toml")]
pub struct LoggedOutPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// The app to return to: name and address.
    pub return_to: Option<(String, String)>,
}

impl LoggedOutPage<'_> {
    fn return_link(&self) -> Option<(&str, &str)> {
        let (name, url) = self.return_to.as_ref()?;
        Some((name, app_link(url)?))
    }
}

impl View for LoggedOutPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
