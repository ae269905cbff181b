//! Too many tries: they wait, with the time said; the customer's own browser does not.

use std::time::Duration;

use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, Page, TestApp};
use crate::on_both;

const ANN: &str = "ann@shop.example";

async fn with_ann(env: &Env) -> TestApp {
    with_ann_behind(env, &[]).await
}

async fn with_ann_behind(env: &Env, proxies: &[&str]) -> TestApp {
    let trusted = proxies.iter().map(|network| network.parse().unwrap()).collect();
    let app = TestApp::builder(env).configure(|config| config.server.trusted_proxies = trusted).start().await;
    let seconds = u64::try_from(app.clock.now().seconds()).unwrap();
    // The windows begin at whole multiples of their length: from the beginning of an hour, none ends in between.
    app.clock.advance(Duration::from_secs(3600 - seconds % 3600));
    app.customer(ANN, "Ann").await;
    app
}

async fn attempt(app: &TestApp, browser: &Browser, email: &str, password: &str) -> Page {
    let page = browser.get(app.url("/sign-in")).await;
    browser.submit_one(&page, "/login/password", &[("email", email), ("password", password)]).await
}

on_both! {
    async fn tries_beyond_the_limit_wait_and_are_told_how_long(env: &Env) {
        let app = with_ann(env).await;
        let attacker = Browser::new();
        for _ in 0..10 {
            assert_eq!(attempt(&app, &attacker, ANN, "guess").await.status.as_u16(), 422);
        }
        let hashes = app.app.hasher.hashes();
        let refused = attempt(&app, &attacker, ANN, PASSWORD).await;
        assert_eq!(refused.status.as_u16(), 429);
        let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=300).contains(&seconds), "{seconds}");
        assert!(refused.contains("Too many tries. Please wait"), "{}", refused.text());
        assert_eq!(app.app.hasher.hashes(), hashes, "nothing is hashed for a refused try");
        assert!(attacker.cookie("samesake-session").is_none());
        // What was said is true.
        app.clock.advance(Duration::from_secs(seconds));
        assert_eq!(attempt(&app, &attacker, ANN, PASSWORD).await.status.as_u16(), 303);
    }

    /// Nobody can lock a customer out of a browser in which they have signed in before.
    async fn an_attacker_does_not_lock_the_customer_out(env: &Env) {
        let app = with_ann(env).await;
        let own = Browser::new();
        assert_eq!(attempt(&app, &own, ANN, PASSWORD).await.status.as_u16(), 303);
        own.forget_cookies(Some("samesake-session"));
        let attacker = Browser::new();
        for _ in 0..40 {
            attempt(&app, &attacker, ANN, "guess").await;
        }
        assert_eq!(attempt(&app, &attacker, ANN, PASSWORD).await.status.as_u16(), 429);
        assert_eq!(attempt(&app, &own, ANN, PASSWORD).await.status.as_u16(), 303);
        // The customer's own success gives the attacker nothing back.
        assert_eq!(attempt(&app, &attacker, ANN, PASSWORD).await.status.as_u16(), 429);
        // The proof is for that account alone, and only if it is ours.
        let proof = own.cookie("samesake-device").unwrap();
        attacker.put_cookie(crate::harness::cookies::Cookie { value: format!("{}A", proof.value), ..proof });
        assert_eq!(attempt(&app, &attacker, ANN, PASSWORD).await.status.as_u16(), 429);
    }

    /// Trying one password on many accounts is bounded by the network it comes from.
    async fn spraying_is_bounded_by_the_network(env: &Env) {
        let app = with_ann_behind(env, &["127.0.0.0/8"]).await;
        let attacker = Browser::new().with_header("x-forwarded-for", "203.0.113.7");
        // One browser has one cookie: forty first requests at once would each be given another.
        attacker.get(app.url("/sign-in")).await;
        let mut refused = 0;
        for batch in 0..3 {
            let accounts: Vec<String> = (0..40).map(|number| format!("x{batch}-{number}@shop.example")).collect();
            let tries = accounts.iter().map(|email| attempt(&app, &attacker, email, "guess"));
            let answers = futures::future::join_all(tries).await;
            refused += answers.iter().filter(|answer| answer.status.as_u16() == 429).count();
        }
        assert_eq!(refused, 20, "a hundred a minute may try");
        let elsewhere = Browser::new().with_header("x-forwarded-for", "198.51.100.7");
        assert_eq!(attempt(&app, &elsewhere, ANN, PASSWORD).await.status.as_u16(), 303);
    }

    /// Rule 47: whoever is no trusted proxy cannot choose its own address, and so not escape the limit.
    async fn a_forged_address_does_not_escape_the_limit(env: &Env) {
        let app = with_ann(env).await;
        let mut refused = 0;
        for batch in 0..3 {
            let tries = (0..40_u8).map(async |number| {
                let forged = format!("203.{batch}.{number}.7");
                let attacker = Browser::new().with_header("x-forwarded-for", &forged);
                attempt(&app, &attacker, &format!("x{batch}-{number}@shop.example"), "guess").await
            });
            let answers = futures::future::join_all(tries).await;
            refused += answers.iter().filter(|answer| answer.status.as_u16() == 429).count();
        }
        assert_eq!(refused, 20);
    }

    async fn mails_to_one_address_are_few(env: &Env) {
        let app = with_ann(env).await;
        let mut answers = Vec::new();
        for _ in 0..5 {
            let browser = Browser::new();
            let page = browser.get(app.url("/sign-in")).await;
            let page = browser.click(&page, "Create account").await;
            let fields = [("email", "new@shop.example"), ("password", PASSWORD)];
            answers.push(browser.submit_one(&page, "/sign-up", &fields).await);
        }
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
        assert_eq!(statuses, [303, 303, 303, 429, 429]);
        let refused = answers.last().unwrap();
        assert!(refused.header("retry-after").unwrap().parse::<u64>().unwrap() <= 300);
        assert!(refused.contains("Too many tries."), "{}", refused.text());
        crate::harness::until("three mails", async || app.app.mailer.sent().len() == 3).await;
        // Asking for another code is asking for a mail.
        let browser = Browser::new();
        let page = browser.get(app.url("/sign-in")).await;
        let page = browser.click(&page, "Create account").await;
        let page = browser.submit(&page, "/sign-up", &[("email", "other@shop.example"), ("password", PASSWORD)]).await;
        for status in [200, 200, 429] {
            let answer = browser.submit_one(&page, "/sign-up/resend", &[]).await;
            assert_eq!(answer.status.as_u16(), status);
            assert_eq!(answer.headers.contains_key("retry-after"), status == 429);
        }
    }
}
