//! Making an account: an address that was proved by a mailed code, and a password.

use std::time::Duration;

use serde_json::json;

use super::{begin, code_of_message, log_in_through, provider_with_ann, through};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, Page, Pair, RelyingParty, TestApp, env, invariants};
use crate::on_both;

const ANN: &str = "ann@shop.example";

/// Up to the page that asks for the code.
async fn asked_for_the_code(browser: &Browser, page: &Page, email: &str) -> Page {
    let page = browser.click(page, "Create account").await;
    let page =
        browser.submit(&page, "/sign-up", &[("email", email), ("password", PASSWORD), ("name", "Ann Example")]).await;
    assert_eq!((page.heading().as_str(), page.url.path()), ("Check your email", "/sign-up/code"), "{}", page.text());
    page
}

async fn shop(env: &Env) -> (TestApp, RelyingParty) {
    let app = TestApp::start(env).await;
    let rp = app.relying_party("shop").await;
    (app, rp)
}

/// In process, where the clock is the test's; Redis has its own, and its expiry is shown in the key-value tests.
#[tokio::test]
async fn a_code_lives_ten_minutes() {
    env::run(Pair::SqliteInProcess, async |env| {
        let (app, rp) = shop(env).await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let page = asked_for_the_code(&browser, &page, ANN).await;
        let code = code_of_message(&app, 1).await;
        app.clock.advance(Duration::from_secs(600));
        let late = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        assert!(late.contains("That code no longer works. Ask for a new one below."), "{}", late.text());
    })
    .await;
}

on_both! {
    async fn a_mailed_code_makes_the_account_and_signs_in(env: &Env) {
        let (app, rp) = shop(env).await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = asked_for_the_code(&browser, &page, " Ann@Shop.Example ").await;
        assert!(page.contains("We sent a six-digit code to A•••@Shop.Example."), "{}", page.text());
        assert!(invariants::check(env).await.customers.is_empty(), "nothing is made before the address is proved");
        let code = app.mailed_code(ANN).await;
        // As people type it.
        let spaced = format!(" {} {} ", &code[..3], &code[3..]);
        let callback = browser.submit(&page, "/sign-up/code", &[("code", &spaced)]).await;
        let tokens = rp.finish(&authorization, &callback).await;
        let userinfo = rp.userinfo(&tokens.access_token).await.body;
        assert_eq!(
            (&userinfo["email"], &userinfo["email_verified"], &userinfo["name"]),
            (&json!("Ann@Shop.Example"), &json!(true), &json!("Ann Example"))
        );
        let graph = invariants::check(env).await;
        let link = graph.live("email", ANN)[0];
        assert_eq!(graph.history(&link.root), ["customer.created", "link.added", "credential.added"]);
        // And from then on the password does it, elsewhere too.
        let elsewhere = Browser::new();
        assert_eq!(app.log_in(&elsewhere, app.url("/sign-in"), ANN).await.url.path(), "/");
    }

    async fn a_code_is_bound_to_its_browser_and_flow(env: &Env) {
        let (app, rp) = shop(env).await;
        let (squatter, victim) = (Browser::new(), Browser::new());
        let (_, page) = begin(&rp, &squatter).await;
        let at_squatter = asked_for_the_code(&squatter, &page, ANN).await;
        let (_, page) = begin(&rp, &victim).await;
        let at_victim = asked_for_the_code(&victim, &page, ANN).await;
        let codes = [code_of_message(&app, 1).await, code_of_message(&app, 2).await];
        let crossed = squatter.submit(&at_squatter, "/sign-up/code", &[("code", &codes[1])]).await;
        assert!(crossed.contains("That’s not the code we sent."), "{}", crossed.text());
        // Nor does the flow help in another browser.
        let fields = [("flow", at_victim.parameter("flow").unwrap()), ("code", codes[1].clone())];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let stolen = squatter.post_from(app.app.config.server.issuer_text(), &app.url("/sign-up/code"), &fields).await;
        assert_eq!((stolen.status.as_u16(), stolen.heading().as_str()), (400, "This page has expired"));
        assert!(invariants::check(env).await.customers.is_empty());
        let done = victim.submit(&at_victim, "/sign-up/code", &[("code", &codes[1])]).await;
        assert!(done.stopped, "{}", done.text());
        assert_eq!(invariants::check(env).await.live("email", ANN).len(), 1);
    }

    async fn a_code_takes_five_tries_and_a_new_one_goes_on(env: &Env) {
        let (app, rp) = shop(env).await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let mut page = asked_for_the_code(&browser, &page, ANN).await;
        let code = code_of_message(&app, 1).await;
        let wrong = if code == "000000" { "111111" } else { "000000" };
        for said in ["You have 4 more tries.", "3 more", "2 more", "one more try", "That code no longer works."] {
            page = browser.submit(&page, "/sign-up/code", &[("code", wrong)]).await;
            assert_eq!(page.status.as_u16(), 422);
            assert!(page.contains(said), "{said}: {}", page.text());
        }
        page = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        assert!(page.contains("That code no longer works."), "{}", page.text());
        page = browser.submit(&page, "/sign-up/resend", &[]).await;
        assert!(page.contains("A new code is on its way."), "{}", page.text());
        let code = code_of_message(&app, 2).await;
        let callback = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        rp.finish(&authorization, &callback).await;
    }

    async fn what_cannot_be_an_account_is_refused_by_name(env: &Env) {
        let (app, rp) = shop(env).await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let page = browser.click(&page, "Create account").await;
        let (long, name) = ("x7Q".repeat(400), "n".repeat(201));
        let cases = [
            (["ann", PASSWORD, ""], "Enter an email address"),
            (["info@shop.example", PASSWORD, ""], "This address belongs to a shared mailbox."),
            (["noreply+ann@shop.example", PASSWORD, ""], "This address belongs to a shared mailbox."),
            (["test@test.com", PASSWORD, ""], "This address belongs to a shared mailbox."),
            ([ANN, "", ""], "Enter your password."),
            ([ANN, "short7!", ""], "Use at least 8 characters"),
            ([ANN, "password123", ""], "Too many people use that password"),
            ([ANN, &long, ""], "That password is too long."),
            ([ANN, PASSWORD, &name], "That name is too long."),
            ([ANN, PASSWORD, "Ann\nExample"], "That name is too long."),
        ];
        for ([email, password, name], said) in cases {
            let fields = [("email", email), ("password", password), ("name", name)];
            let answer = browser.submit(&page, "/sign-up", &fields).await;
            assert_eq!(answer.status.as_u16(), 422, "{said}");
            assert!(answer.contains(said), "{said}: {}", answer.text());
        }
        assert_eq!((app.app.hasher.hashes(), app.app.mailer.sent().len()), (0, 0));
    }

    /// Pre-hijacking (spec/identity.md rule 9): a squatter cannot put a password under somebody's address, whoever came
    /// first and by whatever way.
    async fn an_address_that_came_through_a_provider_gets_no_password_by_sign_up(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = TestApp::builder(env).web_client("shop").connector(upstream.config("google")).start().await;
        let rp = app.relying_party("shop").await;
        let own = log_in_through(&rp, &Browser::new(), "google").await.claims["sub"].clone();
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = asked_for_the_code(&browser, &page, ANN).await;
        // The mailbox is told where the account is; there is no code to be phished for.
        let message = app.mail_to(ANN).await;
        assert_eq!(message.subject, "You already have an account at Samesake");
        assert!(message.text.contains("through the provider"), "{}", message.text);
        let refused = browser.submit(&page, "/sign-up/code", &[("code", "000000")]).await;
        assert!(refused.contains("That’s not the code we sent."), "{}", refused.text());
        // No dead end: from the same flow the provider leads into the account that is there.
        let page = browser.click(&refused, "Change it").await;
        let page = browser.click(&page, "Sign in").await;
        let callback = through(&browser, &page, "google").await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims["sub"], own);
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("email", ANN).len()), (1, 1));
    }

    /// Two browsers prove the same mailbox at once: one account, and the other is told how to sign in to it.
    async fn two_sign_ups_of_one_address_make_one_account(env: &Env) {
        let (app, rp) = shop(env).await;
        let browsers = [Browser::new(), Browser::new()];
        let mut pages = Vec::new();
        for browser in &browsers {
            let (_, page) = begin(&rp, browser).await;
            pages.push(asked_for_the_code(browser, &page, ANN).await);
        }
        let codes = [code_of_message(&app, 1).await, code_of_message(&app, 2).await];
        let answers = futures::future::join_all([0, 1].map(|number| {
            let (browser, page, code) = (&browsers[number], &pages[number], &codes[number]);
            async move { browser.submit(page, "/sign-up/code", &[("code", code)]).await }
        }))
        .await;
        assert_eq!(answers.iter().filter(|answer| answer.stopped).count(), 1, "one is in");
        let other = answers.iter().find(|answer| !answer.stopped).unwrap();
        assert_eq!(other.status.as_u16(), 422);
        assert!(other.contains("There is already an account with this email address."), "{}", other.text());
        assert!(other.forms().iter().any(|form| form.action == "/login/password"));
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("email", ANN).len()), (1, 1));
    }

    /// The form that has done its work, sent again: whoever is signed in goes on.
    async fn a_second_click_on_the_code_goes_on(env: &Env) {
        let (app, rp) = shop(env).await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = asked_for_the_code(&browser, &page, ANN).await;
        let code = code_of_message(&app, 1).await;
        browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        let again = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        rp.finish(&authorization, &again).await;
        assert_eq!(invariants::check(env).await.customers.len(), 1);
    }

    async fn sign_up_can_be_closed(env: &Env) {
        let app = TestApp::builder(env)
            .web_client("shop")
            .configure(|config| config.password.sign_up = false)
            .start()
            .await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        assert!(!page.contains("Create account"), "{}", page.text());
        let flow = page.parameter("flow").unwrap();
        assert_eq!(browser.get(app.url(&format!("/sign-up?flow={flow}"))).await.url.path(), "/login");
        let fields = [("flow", flow.as_str()), ("email", ANN), ("password", PASSWORD)];
        let posted = browser.post_from(app.app.config.server.issuer_text(), &app.url("/sign-up"), &fields).await;
        assert_eq!(posted.redirect().unwrap().path(), "/login");
        assert!(app.app.mailer.sent().is_empty());
    }

    /// OpenID Connect prompt=create: the app may send its visitors straight to the form.
    async fn an_app_may_ask_for_a_new_account(env: &Env) {
        let (app, rp) = shop(env).await;
        let browser = Browser::new();
        let authorization = rp.authorization_with(&[("prompt", "create")]);
        let page = browser.get(&authorization.url).await;
        assert_eq!(page.heading(), "Create your account");
        let page = browser.submit(&page, "/sign-up", &[("email", ANN), ("password", PASSWORD)]).await;
        let code = code_of_message(&app, 1).await;
        let callback = browser.submit(&page, "/sign-up/code", &[("code", &code)]).await;
        rp.finish(&authorization, &callback).await;
        assert_eq!(invariants::check(env).await.live("email", ANN).len(), 1);
    }
}
