//! Addresses that customers add themselves, and the question to a newcomer who brings none (rule 11).

use std::time::Duration;

use samesake::config::{AskEmail, EmailTrust};
use serde_json::json;

use super::begin;
use crate::harness::app::PASSWORD;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty, TestApp, invariants, until};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const NEW: &str = "new@shop.example";

/// A provider that gives no address, asked for one as told, and a gateway with it.
async fn gateway(env: &Env, ask: AskEmail) -> (Upstream, TestApp, RelyingParty) {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    upstream.add_person("x-1", json!({"name": "Ann", "preferred_username": "ann_x"}));
    let mut config = upstream.config("x");
    (config.ask_email, config.email_trust) = (ask, Some(EmailTrust::Unverified));
    let app = TestApp::builder(env).web_client("shop").connector(config).start().await;
    let rp = app.relying_party("shop").await;
    (upstream, app, rp)
}

/// Types an address and the code that is mailed to it.
async fn prove(app: &TestApp, browser: &Browser, page: &Page, email: &str) -> Page {
    let codes = || app.app.mailer.sent().iter().filter(|mail| mail.to.normalized() == email).count();
    let before = codes();
    let page = browser.submit(page, "/address", &[("email", email)]).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/address/code"), "{}", page.text());
    until("the code", async || codes() > before).await;
    let code = app.mailed_code(email).await;
    browser.submit(&page, "/address/code", &[("code", &code)]).await
}

/// The account page of a new customer who came through the provider without an address.
async fn account(app: &TestApp, browser: &Browser) -> Page {
    let login = browser.get(app.url("/account")).await;
    let page = browser.submit(&login, "/login/social", &[("connector", "x")]).await;
    assert_eq!(page.url.path(), "/account", "{}", page.text());
    page
}

on_both! {
    async fn a_newcomer_without_an_address_may_skip_the_question(env: &Env) {
        let (_upstream, _app, rp) = gateway(env, AskEmail::Offer).await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (200, "/address"), "{}", page.text());
        assert!(invariants::check(env).await.customers.is_empty(), "nobody is made before the answer");
        let callback = browser.submit(&page, "/address/skip", &[]).await;
        let tokens = rp.finish(&authorization, &callback).await;
        assert_eq!(rp.userinfo(&tokens.access_token).await.body.get("email"), None);
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.links.len()), (1, 1));
        // A known customer is not asked again.
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let callback = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims["sub"], tokens.claims["sub"]);
    }

    async fn a_newcomers_address_that_is_nobodys_becomes_theirs(env: &Env) {
        let (_upstream, app, rp) = gateway(env, AskEmail::Offer).await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        let callback = prove(&app, &browser, &page, NEW).await;
        let tokens = rp.finish(&authorization, &callback).await;
        let userinfo = rp.userinfo(&tokens.access_token).await.body;
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!(NEW), &json!(true)));
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", NEW)[0].root, graph.live("social:x", "x-1")[0].root);
        assert_eq!(graph.customers.len(), 1);
    }

    /// The heart of rule 11: the account leads to whoever has the address, and no second customer is made.
    async fn a_newcomers_address_that_is_a_customers_leads_there(env: &Env) {
        let (_upstream, app, rp) = gateway(env, AskEmail::Offer).await;
        let ann = app.customer(ANN, "Ann").await.0.simple().to_string();
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        let sent = browser.submit(&page, "/address", &[("email", " ANN@Shop.example ")]).await;
        assert!(!sent.contains("already"), "the page tells nobody who has an account: {}", sent.text());
        let wrong = browser.submit(&sent, "/address/code", &[("code", "000000")]).await;
        assert_eq!(wrong.status.as_u16(), 422);
        let code = app.mailed_code(ANN).await;
        let thief = Browser::new().submit(&sent, "/address/code", &[("code", &code)]).await;
        assert_eq!(thief.status.as_u16(), 400, "another browser's flow");
        let callback = browser.submit(&sent, "/address/code", &[("code", &code)]).await;
        let tokens = rp.finish(&authorization, &callback).await;
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), &graph.live("social:x", "x-1")[0].root), (1, &ann));
        assert_eq!(rp.userinfo(&tokens.access_token).await.body["email"], ANN);
        assert_eq!(app.mail_to(ANN).await.subject, "Upstream x was connected to your account");
        // A second click leads on.
        let again = browser.submit(&sent, "/address/code", &[("code", &code)]).await;
        assert_eq!(rp.finish(&authorization, &again).await.claims["sub"], tokens.claims["sub"]);
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
    }

    async fn a_required_address_cannot_be_skipped(env: &Env) {
        let (upstream, app, rp) = gateway(env, AskEmail::Require).await;
        upstream.add_person("x-1", json!({"email": "Ann@Hub.example", "email_verified": true}));
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        assert!(!page.contains("Skip") && page.body.contains("value=\"Ann@Hub.example\""), "a hint: {}", page.body);
        let flow = page.parameter("flow").unwrap();
        let own = app.app.config.server.issuer_text();
        let forced = browser.post_from(own, &app.url("/address/skip"), &[("flow", &flow)]).await;
        assert_eq!(forced.redirect().unwrap().path(), "/address");
        for bad in ["", "nobody", "info@shop.example"] {
            assert_eq!(browser.submit(&page, "/address", &[("email", bad)]).await.status.as_u16(), 422, "{bad}");
        }
        assert!(invariants::check(env).await.customers.is_empty());
        // The callback once more leads to the question.
        let callback = page.visited.iter().find(|url| url.path() == "/callback/x").unwrap();
        assert_eq!(browser.get(callback).await.url.path(), "/address");
        let callback = prove(&app, &browser, &page, "ann@hub.example").await;
        rp.finish(&authorization, &callback).await;
        assert_eq!(invariants::check(env).await.live("email", "ann@hub.example").len(), 1);
    }

    async fn who_came_another_way_is_asked_no_more(env: &Env) {
        let (_upstream, app, rp) = gateway(env, AskEmail::Offer).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        let login = browser.click(&page, "Sign in another way").await;
        let callback = browser.submit(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        rp.finish(&authorization, &callback).await;
        assert_eq!(browser.get(&page.url).await.heading(), "This page has expired");
        assert!(invariants::check(env).await.live("social:x", "x-1").is_empty());
    }

    /// Rule 9: whoever was signed in before the address was proved is so no more, whichever way the proof came.
    async fn who_became_a_customer_in_another_tab_proves_the_address_there(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        upstream.add_person("x-1", json!({"name": "Ann"}));
        upstream.add_person("y-1", json!({"email": NEW, "email_verified": true}));
        let (mut x, mut y) = (upstream.config("x"), upstream.config("y"));
        (x.ask_email, x.email_trust) = (AskEmail::Offer, Some(EmailTrust::Unverified));
        y.email_trust = Some(EmailTrust::Verified);
        let app = TestApp::builder(env).web_client("shop").connector(x).connector(y).start().await;
        let rp = app.relying_party("shop").await;
        let (browser, other) = (Browser::new(), Browser::new());
        upstream.choose("x-1");
        let (authorization, page) = begin(&rp, &browser).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "x")]).await;
        let page = browser.submit(&page, "/address", &[("email", NEW)]).await;
        assert_eq!(page.url.path(), "/address/code", "{}", page.text());
        let code = app.mailed_code(NEW).await;
        upstream.choose("y-1");
        let login = other.get(app.url("/account")).await;
        let account = other.submit(&login, "/login/social", &[("connector", "y")]).await;
        upstream.choose("x-1");
        let account = other.submit(&account, "/account/connect", &[("connector", "x")]).await;
        assert_eq!(account.url.path(), "/account", "{}", account.text());
        env.clock.advance(Duration::from_secs(1));
        let callback = browser.submit(&page, "/address/code", &[("code", &code)]).await;
        let tokens = rp.finish(&authorization, &callback).await;
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", NEW)[0].root, graph.live("social:x", "x-1")[0].root);
        assert_eq!(rp.userinfo(&tokens.access_token).await.body["email"], NEW);
        assert_eq!(other.get(app.url("/account")).await.url.path(), "/login");
        assert!(browser.get(app.url("/account")).await.contains("Confirmed by you"));
        let told = || app.app.mailer.sent().iter().any(|mail| mail.subject.contains("address"));
        until("the mail", async || told()).await;
    }

    async fn a_customer_adds_an_address_and_it_is_theirs_once_proved(env: &Env) {
        let (_upstream, app, _) = gateway(env, AskEmail::Never).await;
        let browser = Browser::new();
        let page = account(&app, &browser).await;
        assert!(page.contains("ann_x"), "what the account is called there: {}", page.text());
        let page = browser.submit(&page, "/account/address", &[]).await;
        assert_eq!((page.url.path(), page.heading().as_str()), ("/address", "Add an email address"));
        let before = invariants::check(env).await;
        let sent = browser.submit(&page, "/address", &[("email", NEW)]).await;
        assert_eq!(sent.url.path(), "/address/code");
        let typed = invariants::check(env).await;
        assert_eq!((typed.links.len(), typed.events.len()), (before.links.len(), before.events.len()), "nothing yet");
        let page = prove(&app, &browser, &page, NEW).await;
        assert_eq!(page.url.path(), "/account");
        assert!(page.contains("Added and confirmed by you"), "{}", page.text());
        let graph = invariants::check(env).await;
        let row = &graph.customers[&graph.live("email", NEW)[0].root];
        assert_eq!((&row.profile["email"]["value"], &row.profile["email_verified"]["value"]), (&json!(NEW), &json!(true)));
        assert_eq!(graph.history(&row.canonical), ["customer.created", "link.added", "link.added"]);
        assert_eq!(app.mail_to(NEW).await.subject, "An e-mail address was confirmed for your account");
        // Proving it again is no event.
        let again = browser.submit(&page, "/account/address", &[]).await;
        assert_eq!(prove(&app, &browser, &again, NEW).await.url.path(), "/account");
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
    }

    /// A hint that a provider brought is confirmed by the same way, and is a hint no more.
    async fn an_unproved_address_is_confirmed(env: &Env) {
        let (upstream, app, _) = gateway(env, AskEmail::Never).await;
        upstream.add_person("x-1", json!({"email": NEW, "email_verified": true}));
        let browser = Browser::new();
        let page = account(&app, &browser).await;
        assert!(page.contains("Not confirmed"), "{}", page.text());
        let page = browser.submit(&page, "/account/address", &[("email", NEW)]).await;
        assert!(page.body.contains(&format!("value=\"{NEW}\"")), "{}", page.body);
        let page = prove(&app, &browser, &page, NEW).await;
        assert!(!page.contains("Not confirmed"), "{}", page.text());
        let graph = invariants::check(env).await;
        assert_eq!((graph.live("email", NEW).len(), graph.live("unproved_email", NEW).len()), (1, 0));
    }

    /// Rule 11 for a customer who is there already: nothing is moved without both proofs and their word.
    async fn an_address_of_another_customer_leads_to_both_are_mine(env: &Env) {
        let (_upstream, app, _) = gateway(env, AskEmail::Never).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let page = account(&app, &browser).await;
        let page = browser.submit(&page, "/account/address", &[]).await;
        let page = prove(&app, &browser, &page, ANN).await;
        assert_eq!((page.status.as_u16(), page.url.path()), (409, "/both-mine"), "{}", page.text());
        let shown = browser.submit(&page, "/both-mine", &[]).await;
        assert_eq!(shown.heading(), "Make them one account?");
        let graph = invariants::check(env).await;
        assert_ne!(graph.live("email", ANN)[0].root, graph.live("social:x", "x-1")[0].root, "nothing has moved");
        let joined = browser.submit(&shown, "/both-mine/join", &[]).await;
        assert_eq!(joined.heading(), "Your accounts are one now");
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", ANN)[0].root, graph.live("social:x", "x-1")[0].root);
    }

    async fn a_flow_gets_four_codes_and_then_another_way(env: &Env) {
        let (_upstream, app, _) = gateway(env, AskEmail::Never).await;
        let browser = Browser::new();
        let page = account(&app, &browser).await;
        let page = browser.submit(&page, "/account/address", &[]).await;
        let mut page = browser.submit(&page, "/address", &[("email", NEW)]).await;
        for _ in 0..3 {
            app.clock.advance(Duration::from_secs(120));
            page = browser.submit(&page, "/address/resend", &[]).await;
            assert!(page.contains("A new code is on its way."), "{}", page.text());
        }
        app.clock.advance(Duration::from_secs(120));
        let no_more = browser.submit(&page, "/address/resend", &[]).await;
        assert!(no_more.contains("That’s as many codes as we can send for this."), "{}", no_more.text());
        assert!(!no_more.body.contains("/address/resend"), "no button that cannot work");
        assert_eq!(browser.click(&no_more, "Change it").await.url.path(), "/address");
    }

    /// Rule 3: a limit refuses.
    async fn a_sixth_address_is_refused(env: &Env) {
        let (_upstream, app, _) = gateway(env, AskEmail::Never).await;
        let browser = Browser::new();
        let mut page = account(&app, &browser).await;
        for number in 0..6 {
            app.clock.advance(Duration::from_secs(60));
            let form = browser.submit(&page, "/account/address", &[]).await;
            let after = prove(&app, &browser, &form, &format!("ann{number}@shop.example")).await;
            if number < 5 {
                page = after;
            } else {
                assert_eq!((after.status.as_u16(), after.heading().as_str()), (409, "Too many addresses"));
                assert_eq!(browser.click(&after, "Back to your account").await.url.path(), "/account");
            }
        }
        assert_eq!(invariants::check(env).await.links.len(), 6);
    }
}
