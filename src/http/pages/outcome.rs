//! Pages at the end of a road: the answer posted to an app, failures, an expired flow.

use askama::Template;

use super::assets::{FORM_POST, asset_url};
use super::{Brand, View, app_link};

/// The authorization response as a form (OAuth 2.0 Form Post Response Mode): sent by script, or by its button.
#[derive(Clone, Debug, Template)]
#[template(path = "form_post.html", config = ".askama.toml")]
pub struct FormPostPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// The redirect URI, already proved to be the client's.
    pub action: String,
    /// The response parameters.
    pub fields: Vec<(String, String)>,
}

impl FormPostPage<'_> {
    fn script_url(&self) -> String {
        asset_url(FORM_POST)
    }
}

impl View for FormPostPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }

    fn scripted(&self) -> bool {
        true
    }

    fn referrer_policy(&self) -> &'static str {
        // The app may want to see that the post comes from here: our origin is told, the page's address is not.
        "strict-origin"
    }
}

/// Something to do next.
#[derive(Clone, Debug)]
pub struct Action {
    /// What the button says.
    pub label: String,
    /// Where it leads.
    pub href: String,
}

/// What a developer needs to know, behind a fold. Never a secret, never personal data.
#[derive(Clone, Debug)]
pub struct DeveloperDetail {
    /// The protocol's error code.
    pub code: String,
    /// The public description.
    pub description: String,
}

/// A failure in the customer's words.
#[derive(Clone, Debug, Template)]
#[template(path = "error.html", config = ".askama.toml")]
pub struct ErrorPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// What happened.
    pub title: String,
    /// What that means.
    pub text: String,
    /// The best first.
    pub what_to_do: Vec<Action>,
    /// Finds the request in the logs.
    pub request_id: String,
    /// For the app's developers.
    pub developer: Option<DeveloperDetail>,
}

impl ErrorPage<'_> {
    fn actions(&self) -> Vec<(&str, &str)> {
        self.what_to_do.iter().filter_map(|action| Some((action.label.as_str(), app_link(&action.href)?))).collect()
    }
}

impl View for ErrorPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}

/// The login flow is over or its cookie is lost.
#[derive(Clone, Debug, Template)]
#[template(path = "expired.html", config = ".askama.toml")]
pub struct ExpiredPage<'a> {
    /// The company's look.
    pub brand: &'a Brand,
    /// Where to start again: the app's name and address, if they are still known.
    pub start_again: Option<(String, String)>,
    /// Finds the request in the logs.
    pub request_id: String,
}

impl ExpiredPage<'_> {
    fn start_link(&self) -> Option<(&str, &str)> {
        let (name, url) = self.start_again.as_ref()?;
        Some((name, app_link(url)?))
    }
}

impl View for ExpiredPage<'_> {
    fn brand(&self) -> &Brand {
        self.brand
    }
}
