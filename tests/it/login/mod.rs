//! Signing in as a customer does it: by password, by a new account, through a provider; and everything that is tried
//! against it.

mod address;
mod attacks;
mod becoming_one;
mod both_mine;
mod connections;
mod continuing;
mod cookies;
mod enumeration;
mod faults;
mod pages;
mod password;
mod sessions;
mod sign_up;
mod social;
mod throttle;
mod walk;
mod whole;

use serde_json::json;

use crate::harness::relying_party::{Authorization, Tokens};
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty, TestApp, until};

/// A login at an app, up to the login page.
pub async fn begin(rp: &RelyingParty, browser: &Browser) -> (Authorization, Page) {
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/login"), "{}", page.text());
    (authorization, page)
}

/// Presses the button of a provider and goes through it.
pub async fn through(browser: &Browser, page: &Page, connector: &str) -> Page {
    browser.submit(page, "/login/social", &[("connector", connector)]).await
}

/// Presses it, but stops at the address the provider sends the browser back to.
pub async fn up_to_callback(browser: &Browser, page: &Page, connector: &str) -> Page {
    let at_provider = browser.submit_one(page, "/login/social", &[("connector", connector)]).await;
    let back = browser.get_one(at_provider.redirect().unwrap()).await;
    let callback = back.redirect().unwrap();
    assert_eq!(callback.path(), format!("/callback/{connector}"));
    Page { url: callback, ..back }
}

/// A whole login through a provider.
pub async fn log_in_through(rp: &RelyingParty, browser: &Browser, connector: &str) -> Tokens {
    let (authorization, page) = begin(rp, browser).await;
    let callback = through(browser, &page, connector).await;
    rp.finish(&authorization, &callback).await
}

/// A provider at which there is Ann.
pub async fn provider_with_ann(env: &Env) -> Upstream {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    upstream.add_person("ann-1", json!({"email": "ann@shop.example", "email_verified": true, "name": "Ann"}));
    upstream
}

/// The code in the newest message, once `count` have left.
pub async fn code_of_message(app: &TestApp, count: usize) -> String {
    until("the mail", async || app.app.mailer.sent().len() >= count).await;
    let text = app.app.mailer.sent()[count - 1].text.clone();
    let mut words = text.split(|c: char| !c.is_ascii_digit());
    words.find(|word| word.len() == 6).unwrap_or_else(|| panic!("no code in: {text}")).to_owned()
}
