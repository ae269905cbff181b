//! "You already have an account": an account at a provider is linked to a customer only after a proof (rules 8 to 11).

use std::time::Duration;

use samesake::config::EmailTrust;
use samesake::store::CustomerState;
use serde_json::json;

use super::{gateway, log_in_and_prove, log_in_as, person};
use crate::harness::app::PASSWORD;
use crate::harness::relying_party::Authorization;
use crate::harness::upstream::{Algorithm, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty, TestApp, invariants, until};
use crate::on_both;

const ANN: &str = "ann@shop.example";

/// A provider at which there is somebody with Ann's address.
async fn provider() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.add_person("ann-1", person(ANN));
    upstream
}

/// Goes through a provider from a new login.
async fn arrive(rp: &RelyingParty, browser: &Browser, connector: &str) -> (Authorization, Page) {
    let authorization = rp.authorization();
    let page = browser.get(&authorization.url).await;
    (authorization, browser.submit(&page, "/login/social", &[("connector", connector)]).await)
}

/// The same where a proof must be asked for.
async fn asked(rp: &RelyingParty, browser: &Browser, connector: &str) -> (Authorization, Page) {
    let (authorization, page) = arrive(rp, browser, connector).await;
    assert_eq!((page.status.as_u16(), page.url.path()), (200, "/link"), "{}", page.text());
    assert_eq!(page.heading(), "You already have an account");
    (authorization, page)
}

/// The `sub` of a login with Ann's password.
async fn sub_by_password(app: &TestApp, rp: &RelyingParty, email: &str) -> String {
    let authorization = rp.authorization();
    let callback = app.log_in(&Browser::new(), &authorization.url, email).await;
    rp.finish(&authorization, &callback).await.claims["sub"].as_str().unwrap().to_owned()
}

/// Waits for the mail to Ann with this subject.
async fn told(app: &TestApp, subject: &str) {
    let is_it = |mail: &samesake::mail::Message| mail.subject == subject && mail.to.normalized() == ANN;
    until(subject, async || app.app.mailer.sent().iter().any(is_it)).await;
}

on_both! {
    async fn a_mailed_code_proves_it_and_links(env: &Env) {
        let google = provider().await;
        let (app, rp) = gateway(env, [google.config("google")]).await;
        let ann = app.customer(ANN, "Ann").await.0.simple().to_string();
        let browser = Browser::new();
        let (authorization, page) = asked(&rp, &browser, "google").await;
        assert!(page.contains("a•••@shop.example") && page.contains("Upstream google"), "{}", page.text());
        assert!(!page.body.contains(ANN), "the whole address is the provider's to show");
        let before = invariants::check(env).await;
        assert_eq!((before.customers.len(), before.links.len()), (1, 1), "nothing is made before the proof");

        let page = browser.submit(&page, "/link/send", &[]).await;
        assert_eq!((page.url.path(), page.heading().as_str()), ("/link/code", "Confirm your email"));
        let wrong = browser.submit(&page, "/link/code", &[("code", "000000")]).await;
        assert_eq!(wrong.status.as_u16(), 422, "{}", wrong.text());
        let code = app.mailed_code(ANN).await;
        let callback = browser.submit(&wrong, "/link/code", &[("code", &code)]).await;
        let tokens = rp.finish(&authorization, &callback).await;
        assert_eq!(tokens.claims["sub"], sub_by_password(&app, &rp, ANN).await);
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("social:google", "ann-1")[0].root, ann);
        assert_eq!(graph.customers.len(), 1);
        assert_eq!(graph.history(&ann), ["customer.created", "link.added", "credential.added", "link.added"]);
        told(&app, "Upstream google was connected to your account").await;

        // From now on the provider is a way in, and a second click on the code leads on.
        assert_eq!(log_in_as(&rp, &google, "google", "ann-1").await.claims["sub"], tokens.claims["sub"]);
        let again = browser.submit(&wrong, "/link/code", &[("code", &code)]).await;
        assert_eq!(rp.finish(&authorization, &again).await.claims["sub"], tokens.claims["sub"]);
        assert_eq!(invariants::check(env).await.events.len(), 4);
    }

    async fn logging_in_as_the_customer_proves_it_and_links(env: &Env) {
        let (google, github) = (provider().await, provider().await);
        let (app, rp) = gateway(env, [google.config("google"), github.config("github")]).await;
        let ann = app.customer(ANN, "Ann").await.0.simple().to_string();
        // By password.
        let browser = Browser::new();
        let (authorization, page) = asked(&rp, &browser, "google").await;
        let page = browser.click(&page, "Sign in to that account").await;
        let said = "Sign in the way you usually do. Upstream google is then connected to your account.";
        assert!(page.status.as_u16() == 200 && page.contains(said), "{}", page.text());
        let wrong = browser.submit(&page, "/login/password", &[("email", ANN), ("password", "not it")]).await;
        assert_eq!(invariants::check(env).await.links.len(), 1);
        let callback = browser.submit(&wrong, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        let first = rp.finish(&authorization, &callback).await;
        assert_eq!(invariants::check(env).await.live("social:google", "ann-1")[0].root, ann);
        // By the provider that is linked by now.
        let browser = Browser::new();
        let (authorization, page) = asked(&rp, &browser, "github").await;
        let page = browser.click(&page, "Sign in to that account").await;
        let callback = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        let second = rp.finish(&authorization, &callback).await;
        assert_eq!(second.claims["sub"], first.claims["sub"]);
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("social:github", "ann-1")[0].root, ann);
        assert_eq!(graph.customers.len(), 1);
    }

    /// Rule 10: what waits is for one customer. Whoever logs in as another one takes nothing along.
    async fn logging_in_as_somebody_else_links_nothing(env: &Env) {
        let google = provider().await;
        let (app, rp) = gateway(env, [google.config("google")]).await;
        app.customer(ANN, "Ann").await;
        app.customer("eve@shop.example", "Eve").await;
        let browser = Browser::new();
        let (authorization, page) = asked(&rp, &browser, "google").await;
        let page = browser.click(&page, "Sign in to that account").await;
        let eve = [("email", "eve@shop.example"), ("password", PASSWORD)];
        let callback = browser.submit(&page, "/login/password", &eve).await;
        rp.finish(&authorization, &callback).await;
        assert!(invariants::check(env).await.live("social:google", "ann-1").is_empty());
        // It is forgotten: Ann's login in the same flow finds nothing that waits.
        let ann = [("email", ANN), ("password", PASSWORD)];
        let callback = browser.submit(&page, "/login/password", &ann).await;
        rp.finish(&authorization, &callback).await;
        assert!(invariants::check(env).await.live("social:google", "ann-1").is_empty());
    }

    /// Rule 10: a code proves one upstream account to one customer in one flow.
    async fn a_mail_proof_is_of_no_use_for_another_upstream_account(env: &Env) {
        let (google, github) = (provider().await, provider().await);
        github.add_person("eve-2", person(ANN));
        github.choose("eve-2");
        let (app, rp) = gateway(env, [google.config("google"), github.config("github")]).await;
        app.customer(ANN, "Ann").await;
        let (ann, eve) = (Browser::new(), Browser::new());
        let (authorization, page) = asked(&rp, &ann, "google").await;
        let for_ann = ann.submit(&page, "/link/send", &[]).await;
        let code = app.mailed_code(ANN).await;
        // In another browser, with another account.
        let (_, page) = asked(&rp, &eve, "github").await;
        let for_eve = eve.submit(&page, "/link/send", &[]).await;
        let refused = eve.submit(&for_eve, "/link/code", &[("code", &code)]).await;
        assert_eq!(refused.status.as_u16(), 422, "{}", refused.text());
        // Another browser with the address of Ann's page.
        let refused = eve.submit(&for_ann, "/link/code", &[("code", &code)]).await;
        assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"));
        // In Ann's own flow, after going to the other provider.
        let page = ann.get(&authorization.url).await;
        let other = ann.submit(&page, "/login/social", &[("connector", "github")]).await;
        let sent = ann.submit(&other, "/link/send", &[]).await;
        let refused = ann.submit(&sent, "/link/code", &[("code", &code)]).await;
        assert_eq!(refused.status.as_u16(), 422, "{}", refused.text());
        let graph = invariants::check(env).await;
        assert!(graph.links.iter().all(|link| link.namespace == "email"), "{:?}", graph.links);
        // Where it belongs it is still good.
        let callback = ann.submit(&for_ann, "/link/code", &[("code", &code)]).await;
        rp.finish(&authorization, &callback).await;
        assert_eq!(invariants::check(env).await.live("social:google", "ann-1").len(), 1);
    }

    /// Rules 8 and 9: who claims an address first, without a proof, has nothing by it, and costs its owner nothing.
    async fn a_squatter_with_an_unproved_address_gains_nothing(env: &Env) {
        let (google, unverified) = (provider().await, Upstream::start().await);
        unverified.add_person("squatter", person(ANN));
        let mut config = unverified.config("open");
        config.email_trust = Some(EmailTrust::Unverified);
        let (app, rp) = gateway(env, [google.config("google"), config]).await;
        let squatter = log_in_as(&rp, &unverified, "open", "squatter").await;
        // The owner comes: nobody asks them about an account that is not theirs.
        let owner = log_in_as(&rp, &google, "google", "ann-1").await;
        assert_ne!(owner.claims["sub"], squatter.claims["sub"]);
        let userinfo = rp.userinfo(&owner.access_token).await.body;
        assert_eq!((&userinfo["email"], &userinfo["email_verified"]), (&json!(ANN), &json!(true)));
        let userinfo = rp.userinfo(&squatter.access_token).await.body;
        assert_eq!(userinfo["email_verified"], false);
        // And the other way round: an unproved address does not even lead to the question.
        unverified.add_person("late", person(ANN));
        let late = log_in_as(&rp, &unverified, "open", "late").await;
        assert_ne!(late.claims["sub"], owner.claims["sub"]);
        let again = log_in_as(&rp, &unverified, "open", "squatter").await;
        assert_eq!(again.claims["sub"], squatter.claims["sub"], "they stay who they are");
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("email", ANN).len()), (3, 1));
        assert_eq!(graph.live("unproved_email", ANN).len(), 2);
        assert!(app.app.mailer.sent().is_empty(), "nobody was asked to prove anything");
    }

    /// Rule 8: without a question only where the configuration, the provider and the customer's own proof all allow it.
    async fn linking_without_a_question_takes_every_condition(env: &Env) {
        let upstream = Upstream::start().await;
        let connector = |id: &str, trust: EmailTrust, automatic: bool| {
            let mut config = upstream.config(id);
            (config.email_trust, config.link_automatically) = (Some(trust), automatic);
            config
        };
        let (app, rp) = gateway(env, [
            connector("auto", EmailTrust::Authoritative, true),
            connector("manual", EmailTrust::Authoritative, false),
            connector("lax", EmailTrust::Verified, true),
        ]).await;
        app.customer(ANN, "Ann").await;
        upstream.add_person("ann-1", person(ANN));
        for other in ["manual", "lax"] {
            asked(&rp, &Browser::new(), other).await;
        }
        let tokens = log_in_as(&rp, &upstream, "auto", "ann-1").await;
        assert_eq!(tokens.claims["sub"], sub_by_password(&app, &rp, ANN).await);
        told(&app, "Upstream auto was connected to your account").await;
        assert_eq!(invariants::check(env).await.customers.len(), 1);

        // An address that only another provider vouched for is not proved here.
        upstream.add_person("bob-1", person("bob@shop.example"));
        log_in_as(&rp, &upstream, "lax", "bob-1").await;
        asked(&rp, &Browser::new(), "auto").await;
        // After a mailed code it is. A day must have passed since the last thing nobody proved.
        log_in_and_prove(&app, &rp, &upstream, "manual", "bob-1", "bob@shop.example").await;
        let bob = log_in_as(&rp, &upstream, "auto", "bob-1").await;
        assert_eq!(bob.claims["sub"], log_in_as(&rp, &upstream, "lax", "bob-1").await.claims["sub"]);
        assert_eq!(invariants::check(env).await.customers.len(), 2);
    }

    async fn what_waits_is_kept_for_a_short_time(env: &Env) {
        let google = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        google.add_person("ann-1", person(ANN));
        let (app, rp) = gateway(env, [google.config("google")]).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let (authorization, page) = asked(&rp, &browser, "google").await;
        let sent = browser.submit(&page, "/link/send", &[]).await;
        app.clock.advance(Duration::from_secs(21 * 60));
        assert_eq!(browser.get(&page.url).await.url.path(), "/login");
        let late = browser.submit(&sent, "/link/resend", &[]).await;
        assert_eq!(late.url.path(), "/login", "the login itself is still open");
        let callback = browser.submit(&late, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        rp.finish(&authorization, &callback).await;
        assert!(invariants::check(env).await.live("social:google", "ann-1").is_empty());
    }

    async fn a_reload_of_the_callback_leads_to_the_question_again(env: &Env) {
        let google = provider().await;
        let (app, rp) = gateway(env, [google.config("google")]).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let (_, page) = asked(&rp, &browser, "google").await;
        let callback = page.visited.iter().find(|url| url.path() == "/callback/google").unwrap();
        let again = browser.get(callback).await;
        assert_eq!((again.url.path(), again.heading()), ("/link", page.heading()));
        assert_eq!(google.count_of_token_requests(), 1);
    }

    async fn a_blocked_customer_is_not_linked_to(env: &Env) {
        let google = provider().await;
        let (app, rp) = gateway(env, [google.config("google")]).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let (_, page) = asked(&rp, &browser, "google").await;
        let page = browser.submit(&page, "/link/send", &[]).await;
        let mut tx = app.store.background().begin().await.unwrap();
        tx.customer_state_set(ann, CustomerState::Blocked, app.clock.now()).await.unwrap();
        tx.commit().await.unwrap();
        let code = app.mailed_code(ANN).await;
        let refused = browser.submit(&page, "/link/code", &[("code", &code)]).await;
        assert_eq!(refused.status.as_u16(), 422);
        assert!(refused.contains("This account can’t be used at the moment."), "{}", refused.text());
        assert!(invariants::check(env).await.live("social:google", "ann-1").is_empty());
    }

    /// Rule 3: a limit refuses, and pushes nothing out.
    async fn a_sixth_account_of_one_provider_is_refused(env: &Env) {
        let google = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let (app, rp) = gateway(env, [google.config("google")]).await;
        app.customer(ANN, "Ann").await;
        for number in 0..6 {
            // The provider lets people change their address there; each time it is Ann's in turn.
            let subject = format!("ann-{number}");
            google.add_person(&subject, person(ANN));
            google.choose(&subject);
            let browser = Browser::new();
            let (authorization, page) = asked(&rp, &browser, "google").await;
            let page = browser.click(&page, "Sign in to that account").await;
            let after = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
            if number < 5 {
                rp.finish(&authorization, &after).await;
                google.add_person(&subject, person(&format!("old{number}@elsewhere.example")));
                env.clock.advance(Duration::from_secs(120));
                log_in_as(&rp, &google, "google", &subject).await;
            } else {
                assert_eq!((after.status.as_u16(), after.heading().as_str()), (409, "Too many connected accounts"));
                let back = browser.click(&after, "Sign in").await;
                assert_eq!((back.status.as_u16(), back.url.path()), (200, "/login"));
            }
        }
        let graph = invariants::check(env).await;
        let live = graph.links.iter().filter(|link| link.namespace == "social:google" && link.live).count();
        assert_eq!((graph.customers.len(), live), (1, 5));
    }
}
