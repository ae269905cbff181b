//! Whoever sees one side of a merge proves the other, and sees everything (rule 25).

use std::time::Duration;

use samesake::identity::merge::{self, Terms};
use samesake::ids::MergeId;

use super::both_mine::{ANN, HUB, account_through, customer_of, told, two_customers};
use crate::harness::{Browser, Env, Page, TestApp, invariants, until};
use crate::identity::merge::{by_operator, done, undo_request};
use crate::on_both;

const PART: &str = "This is a part of your account";
const SUBJECT: &str = "All of your account at Samesake is open to you";

/// An admin makes the customer of `github` a part of that of `google`.
async fn merged(env: &Env, app: &TestApp) -> MergeId {
    let (ann, hub) =
        (customer_of(env, "social:google", "ann-1").await, customer_of(env, "social:github", "hub-1").await);
    let (store, request) = (app.store.background(), by_operator(ann, hub));
    let config = &app.app.config.merge;
    done(merge::execute(&store, config, &request, Terms::default(), app.clock.now()).await.unwrap()).merge
}

/// Presses the first of the buttons that mail a code.
async fn mail(browser: &Browser, page: &Page) -> Page {
    let form = page.form("/account/whole", &[]);
    let button = form.fields.iter().find(|field| field.name == "link").unwrap();
    browser.submit(page, "/account/whole", &[("link", &button.value)]).await
}

async fn keys_joined(env: &Env) -> usize {
    let graph = invariants::check(env).await;
    graph.events.iter().filter(|event| event.kind == "customer.keys_joined").count()
}

on_both! {
    async fn a_code_mailed_to_the_other_side_opens_everything(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        merged(env, &app).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "github").await;
        assert!(page.contains(PART) && page.contains("Email a code to a•••@shop.example"), "{}", page.text());
        assert!(!page.body.contains(ANN), "no more of it than needed: {}", page.body);
        let before = browser.cookie("samesake-session").unwrap();
        let code = mail(&browser, &page).await;
        assert_eq!((code.url.path(), code.heading().as_str()), ("/whole/code", "Confirm your email"), "{}", code.text());
        assert!(!code.body.contains(ANN), "{}", code.body);
        let digits = app.mailed_code(ANN).await;
        let wrong = if digits == "000000" { "111111" } else { "000000" };
        let again = browser.submit(&code, "/whole/code", &[("code", wrong)]).await;
        assert!(again.contains("That’s not the code we sent."), "{}", again.text());
        assert_eq!(keys_joined(env).await, 0);
        let whole = browser.submit(&code, "/whole/code", &[("code", &digits)]).await;
        assert_eq!(whole.url.path(), "/account", "{}", whole.text());
        assert!(whole.contains(ANN) && whole.contains(HUB) && !whole.contains(PART), "{}", whole.text());
        assert_ne!(browser.cookie("samesake-session").unwrap().value, before.value, "it opens more than before");
        assert_eq!(keys_joined(env).await, 1);
        until("the mails", async || told(&app, SUBJECT, ANN) == 1 && told(&app, SUBJECT, HUB) == 1).await;
        // Once more is nothing, and every later login sees everything.
        let twice = browser.submit(&code, "/whole/code", &[("code", &digits)]).await;
        assert_eq!(twice.url.path(), "/account");
        assert_eq!(keys_joined(env).await, 1);
        assert!(account_through(&app, &Browser::new(), "github").await.contains(ANN));
    }

    async fn an_account_of_the_other_side_opens_everything(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        merged(env, &app).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "github").await;
        let whole = browser.submit(&page, "/account/connect", &[("connector", "google")]).await;
        assert!(whole.contains(ANN) && !whole.contains(PART), "{}", whole.text());
        assert_eq!(keys_joined(env).await, 1);
    }

    /// The survivor sees what was joined, and cannot lock out whom it may not be: not before it proves that side, too.
    async fn the_survivor_disconnects_nothing_of_a_side_that_it_has_not_proved(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        merged(env, &app).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "google").await;
        let own = page.form("/account/disconnect", &[]);
        assert_eq!(own.fields.iter().filter(|field| field.name == "link").count(), 1, "{}", page.text());
        assert!(page.contains(HUB) && page.contains("Connect it once more, and you can disconnect it."), "{}", page.text());
        let other = invariants::check(env).await.live("social:github", "hub-1")[0].id.clone();
        let other = uuid::Uuid::parse_str(&other).unwrap().to_string();
        let token = &own.fields.iter().find(|field| field.name == "token").unwrap().value;
        let origin = app.issuer.origin().ascii_serialization();
        let fields = [("token", token.as_str()), ("link", other.as_str())];
        let refused = browser.post_from(&origin, &app.url("/account/disconnect"), &fields).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (403, "Sign in with it first"));
        assert_eq!(invariants::check(env).await.live("social:github", "hub-1").len(), 1);
        let page = browser.submit(&page, "/account/connect", &[("connector", "github")]).await;
        assert_eq!(keys_joined(env).await, 1, "{}", page.text());
        let gone = browser.submit(&page, "/account/disconnect", &[("link", &other)]).await;
        assert_eq!(gone.url.path(), "/account", "{}", gone.text());
        assert!(invariants::check(env).await.live("social:github", "hub-1").is_empty());
    }

    /// Signing in as the other side where one is signed in already is a proof, too, and told like any other.
    async fn a_login_as_the_other_side_opens_everything_and_is_told(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        merged(env, &app).await;
        let (browser, shop) = (Browser::new(), app.relying_party("shop").await);
        account_through(&app, &browser, "github").await;
        for _ in 0..2 {
            let authorization = shop.authorization_with(&[("prompt", "login")]);
            let page = browser.get(&authorization.url).await;
            let callback = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
            shop.finish(&authorization, &callback).await;
        }
        assert_eq!(keys_joined(env).await, 1);
        until("the mails", async || told(&app, SUBJECT, ANN) == 1 && told(&app, SUBJECT, HUB) == 1).await;
    }

    /// The code is for one flow of one session and one address; a link that is no address of the other side is none.
    async fn nobody_else_and_nothing_else_opens_it(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        merged(env, &app).await;
        let (browser, other) = (Browser::new(), Browser::new());
        let page = account_through(&app, &browser, "github").await;
        let code = mail(&browser, &page).await;
        let digits = app.mailed_code(ANN).await;
        account_through(&app, &other, "github").await;
        let stolen = other.submit(&code, "/whole/code", &[("code", &digits)]).await;
        assert_eq!(stolen.heading(), "This page has expired");
        // Another session of the same browser.
        browser.forget_cookies(Some("samesake-session"));
        account_through(&app, &browser, "github").await;
        assert_eq!(browser.submit(&code, "/whole/code", &[("code", &digits)]).await.heading(), "This page has expired");
        // Their own account at the provider is no address of the other side.
        let page = browser.get(app.url("/account")).await;
        let graph = invariants::check(env).await;
        let own = uuid::Uuid::parse_str(&graph.live("social:github", "hub-1")[0].id).unwrap().to_string();
        let token = page.form("/account/whole", &[]).filled_in(&[]).into_iter().find(|(name, _)| name == "token").unwrap();
        let fields = [("token", token.1.as_str()), ("link", own.as_str())];
        let origin = app.issuer.origin().ascii_serialization();
        let nothing = browser.post_from(&origin, &app.url("/account/whole"), &fields).await;
        assert_eq!(nothing.redirect().unwrap().path(), "/account");
        // The survivor has nothing to prove.
        assert!(!account_through(&app, &Browser::new(), "google").await.contains(PART));
        assert_eq!(keys_joined(env).await, 0);
    }

    async fn a_session_from_before_an_undoing_sees_no_account(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let merge = merged(env, &app).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "github").await;
        let page = browser.submit(&page, "/account/connect", &[("connector", "google")]).await;
        assert!(page.contains(ANN));
        app.clock.advance(Duration::from_secs(1));
        let (store, config) = (app.store.background(), &app.app.config.merge);
        merge::undo(&store, config, &undo_request(merge), None, app.clock.now()).await.unwrap();
        assert_eq!(browser.get(app.url("/account")).await.url.path(), "/login");
        let pressed = browser.submit(&page, "/account/connect", &[("connector", "google")]).await;
        assert_eq!(pressed.url.path(), "/login", "{}", pressed.text());
        let home = browser.get(app.url("/")).await;
        assert!(!home.body.contains("hub.example") && !home.body.contains(ANN), "{}", home.text());
        invariants::check(env).await;
    }

    /// What an ended session has begun ends with it.
    async fn what_was_begun_before_an_undoing_is_not_finished(env: &Env) {
        let (_google, _github, app) = two_customers(env).await;
        let merge = merged(env, &app).await;
        let browser = Browser::new();
        let page = account_through(&app, &browser, "github").await;
        let page = browser.submit(&page, "/account/address", &[]).await;
        let code = browser.submit(&page, "/address", &[("email", "late@shop.example")]).await;
        let digits = app.mailed_code("late@shop.example").await;
        app.clock.advance(Duration::from_secs(1));
        let (store, config) = (app.store.background(), &app.app.config.merge);
        merge::undo(&store, config, &undo_request(merge), None, app.clock.now()).await.unwrap();
        let late = browser.submit(&code, "/address/code", &[("code", &digits)]).await;
        assert_eq!(late.heading(), "This page has expired", "{}", late.text());
        assert!(invariants::check(env).await.live("email", "late@shop.example").is_empty());
    }
}
