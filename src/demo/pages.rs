//! What the demonstration shows: the data of its pages and their style sheet.
//!
//! Plain strings in, HTML out; knows nothing of sessions, tokens or HTTP. All text is escaped by the templates, and the
//! pages need no script.

use askama::Template;

/// The style sheet of all demonstration pages, to be served at [`STYLE_SHEET_PATH`].
pub const STYLE_SHEET: &str = include_str!("assets/demo.css");
/// Where every demonstration app serves the style sheet.
pub const STYLE_SHEET_PATH: &str = "/demo.css";

/// One link in the bar that ties the demonstration's apps together.
#[derive(Clone, Debug)]
pub struct NavLink {
    /// What it is called.
    pub label: String,
    /// Where it leads.
    pub href: String,
    /// Whether it is this very page.
    pub current: bool,
}

/// Who an app says is signed in.
#[derive(Clone, Debug)]
pub struct AppCustomer {
    /// The `name` claim, or what stands in for it.
    pub name: String,
    /// The customer ID: the same in every app.
    pub customer_id: String,
    /// The claims that the app got, in the order to show: name and value.
    pub claims: Vec<(String, String)>,
}

impl AppCustomer {
    fn initial(&self) -> String {
        initial(&self.name)
    }

    /// What an app calls the customer: of an address, what stands before the `@`.
    fn first_name(&self) -> &str {
        self.name.split([' ', '@']).find(|word| !word.is_empty()).unwrap_or(&self.name)
    }
}

/// What the back end answered.
#[derive(Clone, Debug)]
pub struct BackEndAnswer {
    /// Whether it took the access token.
    pub accepted: bool,
    /// The status line, such as `200 OK`.
    pub status: String,
    /// What it said, JSON or text.
    pub body: String,
}

/// The shop, Fernweh Outfitters. Links to `/login` and `/logout`; posts to `/call-back-end`.
#[derive(Clone, Debug, Template)]
#[template(path = "shop.html", config = ".askama.toml")]
pub struct ShopPage {
    /// The demonstration's apps.
    pub nav: Vec<NavLink>,
    /// Who is signed in.
    pub customer: Option<AppCustomer>,
    /// What the back end answered to the button.
    pub back_end: Option<BackEndAnswer>,
    /// A line to tell at the top, such as why a sign-in did not work.
    pub notice: Option<String>,
}

/// The second app, Fernweh Magazine: signed in without being asked, because the shop's customer is known already.
#[derive(Clone, Debug, Template)]
#[template(path = "second.html", config = ".askama.toml")]
pub struct SecondPage {
    /// The demonstration's apps.
    pub nav: Vec<NavLink>,
    /// Who is signed in.
    pub customer: Option<AppCustomer>,
    /// Whether nothing had to be asked, because another app had signed the customer in.
    pub known_already: bool,
    /// A line to tell at the top.
    pub notice: Option<String>,
}

/// One signed identity, taken apart.
#[derive(Clone, Debug)]
pub struct Statement {
    /// The protected header, as indented JSON.
    pub header: String,
    /// The claims, as indented JSON.
    pub claims: String,
    /// The JWT itself.
    pub jwt: String,
    /// Seconds until it expires.
    pub seconds_left: u64,
    /// Seconds from its issue to its expiry.
    pub lifetime: u64,
}

impl Statement {
    /// The three parts of the JWT, each with the dot that follows it.
    fn parts(&self) -> Vec<&str> {
        self.jwt.split_inclusive('.').collect()
    }
}

/// Something the page recommends.
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// What.
    pub title: String,
    /// Why this customer sees it.
    pub reason: String,
}

/// The personalization page: the signed identity as a downstream service sees it, loaded anew every five seconds.
#[derive(Clone, Debug, Template)]
#[template(path = "personalization.html", config = ".askama.toml")]
pub struct PersonalizationPage {
    /// The demonstration's apps.
    pub nav: Vec<NavLink>,
    /// `anonymous`, `recognised`, `identified`, `authenticated` or `stepped_up`.
    pub level: String,
    /// How the page greets.
    pub greeting: String,
    /// The statement, if its signature was right.
    pub statement: Option<Statement>,
    /// Why there is none.
    pub problem: Option<String>,
    /// What it recommends to this customer.
    pub recommendations: Vec<Recommendation>,
    /// When the page was made, as text.
    pub refreshed_at: String,
    /// Where a visitor who is not signed in can do so.
    pub sign_in: Option<String>,
}

/// One step of the ladder of levels.
struct Step {
    name: &'static str,
    meaning: &'static str,
    state: &'static str,
}

impl PersonalizationPage {
    fn steps(&self) -> Vec<Step> {
        let levels = [
            ("anonymous", "a visitor"),
            ("recognised", "a known browser"),
            ("identified", "a weak proof"),
            ("authenticated", "signed in"),
            ("stepped_up", "proved twice"),
        ];
        let here = levels.iter().position(|(name, _)| *name == self.level);
        let state = |at: usize| match here {
            Some(here) if at == here => "here",
            Some(here) if at < here => "below",
            _ => "above",
        };
        levels.iter().enumerate().map(|(at, (name, meaning))| Step { name, meaning, state: state(at) }).collect()
    }
}

/// A person who has an account at the stand-in provider.
#[derive(Clone, Debug)]
pub struct Person {
    /// Sent back as `person`.
    pub id: String,
    /// The full name.
    pub name: String,
    /// The name at the provider, without `@`.
    pub handle: String,
    /// The address.
    pub email: String,
}

impl Person {
    fn initial(&self) -> String {
        initial(&self.name)
    }
}

/// The account chooser of Chirp, the stand-in social provider. Posts `person`, or `cancel`, with the hidden fields.
#[derive(Clone, Debug, Template)]
#[template(path = "provider.html", config = ".askama.toml")]
pub struct ProviderPage {
    /// Who asks: the gateway's name.
    pub client_name: String,
    /// Where the form goes.
    pub action: String,
    /// What the form carries along.
    pub fields: Vec<(String, String)>,
    /// Who can be chosen.
    pub people: Vec<Person>,
}

/// One mail that the gateway sent.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Whose mailbox it would be in.
    pub to: String,
    /// What it is about.
    pub subject: String,
    /// Its text part.
    pub text: String,
}

/// All mails, the newest first, loaded anew every five seconds.
#[derive(Clone, Debug, Template)]
#[template(path = "mailbox.html", config = ".askama.toml")]
pub struct MailboxPage {
    /// The demonstration's apps.
    pub nav: Vec<NavLink>,
    /// What was sent.
    pub mails: Vec<Mail>,
}

fn initial(name: &str) -> String {
    let letter = name.chars().find(|c| c.is_alphanumeric());
    letter.map_or_else(|| "·".to_owned(), |letter| letter.to_uppercase().collect())
}

#[cfg(test)]
mod tests;
