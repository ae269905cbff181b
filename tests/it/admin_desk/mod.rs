//! The desk at `/admin` as admins use it: signing in, finding, comparing, merging and undoing, each by its role.
//!
//! Rules 10 to 12 of spec/experience.md; 20, 24, 28 to 30 and 35 of spec/identity.md. `walk` goes the whole way in a real
//! browser, by keyboard.

mod access;
mod audit;
mod customers;
mod deeds;
mod done;
mod granting;
mod keyboard;
mod keys;
mod merging;
mod roles;
mod sessions;
mod settling;
mod signing_out;
mod waiting;
mod walk;

use samesake::board::admin::{Change, grant};
use samesake::events::Actor;
use samesake::identity::profile::Profile;
use samesake::ids::CustomerId;
use samesake::protocol::admin_role::AdminRole;
use serde_json::{Value, json};

use crate::harness::app::TestApp;
use crate::harness::{Browser, Page};

pub const ANN: &str = "ann@example.com";
pub const BEN: &str = "ben@example.com";
pub const CLEO: &str = "cleo@example.com";
pub const DORA: &str = "dora@example.com";

/// Somebody with this role, signed in at the desk.
pub async fn admin(app: &TestApp, email: &str, role: AdminRole) -> Browser {
    let name = email.split('@').next().unwrap();
    let customer = app.customer(email, name).await;
    give(app, customer, role).await;
    let browser = Browser::new();
    let page = app.log_in(&browser, app.url("/admin"), email).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/admin"), "{}", page.text());
    browser
}

/// Gives a role, as the command line does.
pub async fn give(app: &TestApp, customer: CustomerId, role: AdminRole) {
    let mut tx = app.store.background().begin().await.unwrap();
    let actor = Actor::Admin("test".to_owned());
    let change = grant(&mut tx, customer, role, &actor, None, app.clock.now()).await.unwrap();
    assert_eq!(change, Change::Done);
    tx.commit().await.unwrap();
}

/// Sets values of a customer's profile, as the customer's own.
pub async fn fill_in(app: &TestApp, customer: CustomerId, values: &[(&str, Value)]) {
    let mut tx = app.store.background().begin().await.unwrap();
    let stored = tx.customer_find(customer).await.unwrap().unwrap().profile;
    let mut profile = Profile::from_json(&stored);
    for (name, value) in values {
        profile.set(name, Some(value.clone()), None, app.clock.now());
    }
    tx.member_profile_set(customer, &profile.to_json(), app.clock.now()).await.unwrap();
    tx.commit().await.unwrap();
}

/// A page of the desk, which must be there, whole, and of our making.
pub async fn open(app: &TestApp, browser: &Browser, path: &str) -> Page {
    let page = browser.get(app.url(path)).await;
    assert_eq!(page.status.as_u16(), 200, "{path}: {}", page.text());
    assert_sound(&page);
    page
}

/// What holds for every page of the desk.
pub fn assert_sound(page: &Page) {
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe") && !policy.contains("script-src"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    for inline in ["<script", " style=", "<style", " onclick", "javascript:"] {
        assert!(!page.body.contains(inline), "{inline} in {}", page.url);
    }
    assert_eq!((page.body.matches("<h1").count(), page.body.matches("<main").count()), (1, 1), "{}", page.url);
    let levels = page.body.match_indices("<h").filter_map(|(at, _)| page.body[at + 2..].chars().next()?.to_digit(10));
    levels.fold(0, |before, level| {
        assert!(level <= before + 1, "h{level} after h{before}: {}", page.url);
        level
    });
    for form in page.forms().iter().filter(|form| form.method == "post") {
        assert!(form.fields.iter().any(|field| field.name == "token"), "{}: {form:?}", page.url);
    }
}

/// What the audit log says that somebody did.
pub async fn actions_of(app: &TestApp, customer: CustomerId) -> Vec<String> {
    let rows = app.store.background().begin_read().await.unwrap().audit_of(customer, 100).await.unwrap();
    rows.into_iter().map(|row| row.action).collect()
}

/// A value of a profile that is nobody's idea of a name.
pub fn hostile() -> Value {
    json!(r#"<script>alert("1")</script>'"><img src=x onerror=alert(1)>{{7*7}}"#)
}

/// Where the dry run of a merge is.
pub fn plan_path(survivor: CustomerId, absorbed: CustomerId) -> String {
    format!("/admin/merges/new?survivor={survivor}&absorbed={absorbed}")
}

/// Presses a button at the end of a dry run, with a reason.
pub async fn agree(browser: &Browser, plan: &Page, act: &str) -> Page {
    browser.submit(plan, "/admin/merges", &[("reason", "they wrote to us"), ("act", act)]).await
}

/// Whether a customer lives on in another one.
pub async fn is_merged(app: &TestApp, customer: CustomerId) -> bool {
    let mut tx = app.store.background().begin_read().await.unwrap();
    tx.customer_living(customer).await.unwrap().unwrap().id != customer
}
