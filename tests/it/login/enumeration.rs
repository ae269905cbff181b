//! Nobody learns from our pages whether an address has an account: not by words, headers or statuses, and not by the
//! work we do (spec/protocol.md rule 50).

use super::{begin, code_of_message, log_in_through, provider_with_ann};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, Page, TestApp, until};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const NOBODY: &str = "eve@shop.example";

/// Everything an onlooker can tell apart, with what differs in every answer anyway blanked.
fn shape(page: &Page, email: &str) -> String {
    let mut headers: Vec<String> = page
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    let whole = format!("{}\n{}\n{}", page.status, headers.join("\n"), page.body);
    let flow = page.forms().iter().flat_map(|form| form.filled_in(&[])).find(|(name, _)| name == "flow");
    let flow = flow.map(|(_, flow)| flow).or_else(|| page.redirect().and_then(|url| url.query().map(str::to_owned)));
    let masked = format!("{}•••", email.chars().next().unwrap());
    whole.replace(&flow.unwrap(), "FLOW").replace(email, "ADDRESS").replace(&masked, "MASKED")
}

on_both! {
    async fn signing_in_looks_and_costs_the_same_for_known_and_unknown_addresses(env: &Env) {
        let upstream = provider_with_ann(env).await;
        upstream.add_person("bob-1", serde_json::json!({"email": "bob@shop.example", "email_verified": true}));
        let app = TestApp::builder(env).web_client("shop").connector(upstream.config("google")).start().await;
        app.customer(ANN, "Ann").await;
        let rp = app.relying_party("shop").await;
        upstream.choose("bob-1");
        log_in_through(&rp, &Browser::new(), "google").await;
        let mut seen = Vec::new();
        // Known with a password, known without one, and unknown.
        for email in [ANN, "bob@shop.example", NOBODY] {
            let browser = Browser::new();
            let (_, page) = begin(&rp, &browser).await;
            let before = (app.app.hasher.hashes(), app.store.statements(), app.kv.round_trips());
            let answer = browser.submit_one(&page, "/login/password", &[("email", email), ("password", "wrong")]).await;
            let cost = (
                app.app.hasher.hashes() - before.0,
                app.store.statements() - before.1,
                app.kv.round_trips() - before.2,
            );
            assert_eq!(cost, (1, 1, 1), "one hash, one look-up, one round trip for {email}");
            seen.push(shape(&answer, email));
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0], seen[2]);
    }

    async fn making_an_account_looks_and_costs_the_same_for_known_and_unknown_addresses(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let rp = app.relying_party("shop").await;
        let mut seen: Vec<Vec<String>> = Vec::new();
        for (number, email) in [ANN, NOBODY].into_iter().enumerate() {
            let browser = Browser::new();
            let (_, page) = begin(&rp, &browser).await;
            let page = browser.click(&page, "Create account").await;
            let before = (app.app.hasher.hashes(), app.kv.round_trips());
            let fields = [("email", email), ("password", PASSWORD), ("name", "X")];
            let posted = browser.submit_one(&page, "/sign-up", &fields).await;
            let cost = (app.app.hasher.hashes() - before.0, app.kv.round_trips() - before.1);
            let code_page = browser.get(posted.redirect().unwrap()).await;
            let mut answers = vec![shape(&posted, email), shape(&code_page, email), format!("{cost:?}")];
            // No guess comes closer than any other, with or without an account.
            for _ in 0..2 {
                let wrong = browser.submit_one(&code_page, "/sign-up/code", &[("code", "000 000")]).await;
                answers.push(shape(&wrong, email));
            }
            let again = browser.submit_one(&code_page, "/sign-up/resend", &[]).await;
            answers.push(shape(&again, email));
            for _ in 0..5 {
                let wrong = browser.submit_one(&code_page, "/sign-up/code", &[("code", "000000")]).await;
                answers.push(shape(&wrong, email));
            }
            until("both mails", async || app.app.mailer.sent().len() == 2 * number + 2).await;
            seen.push(answers);
        }
        assert_eq!(seen[0], seen[1]);

        // The mailbox tells, and only the mailbox: a notice without a code for Ann, a code for the other.
        let sent = app.app.mailer.sent();
        for message in sent.iter().filter(|message| message.to.normalized() == ANN) {
            assert_eq!(message.subject, "You already have an account at Samesake");
            let link = app.app.config.server.endpoint("/sign-in");
            assert!(message.text.contains(&link), "{}", message.text);
        }
        assert_eq!(sent.iter().filter(|message| message.to.normalized() == ANN).count(), 2);
        assert_eq!(code_of_message(&app, 4).await.len(), 6);
    }

    /// A limit reached for one address says nothing either.
    async fn limits_are_those_of_what_is_typed(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let mut seen = Vec::new();
        for email in [ANN, NOBODY] {
            let browser = Browser::new();
            let page = browser.get(app.url("/sign-in")).await;
            let mut answers = Vec::new();
            for _ in 0..12 {
                let entered = [("email", email), ("password", "wrong")];
                let answer = browser.submit_one(&page, "/login/password", &entered).await;
                answers.push(answer.status.as_u16());
            }
            seen.push(answers);
        }
        assert_eq!(seen[0], seen[1]);
        assert_eq!(seen[0][9..], [422, 429, 429]);
    }
}
