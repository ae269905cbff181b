//! Signing in through a provider.

use serde_json::json;

use super::{begin, log_in_through, provider_with_ann, through, up_to_callback};
use crate::harness::upstream::{Fault, Upstream};
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::on_both;

async fn shop(env: &Env, upstream: &Upstream) -> TestApp {
    TestApp::builder(env).web_client("shop").connector(upstream.config("google")).start().await
}

on_both! {
    async fn the_first_login_makes_the_customer_and_the_next_finds_it(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let first = log_in_through(&rp, &Browser::new(), "google").await;
        let graph = invariants::check(env).await;
        assert_eq!(graph.customers.len(), 1);
        let link = graph.live("social:google", "ann-1")[0];
        assert_eq!(graph.live("email", "ann@shop.example")[0].root, link.root);
        assert_eq!(graph.history(&link.root), ["customer.created", "link.added", "link.added"]);
        let userinfo = rp.userinfo(&first.access_token).await.body;
        assert_eq!((&userinfo["name"], &userinfo["email_verified"]), (&json!("Ann"), &json!(true)));
        assert_eq!(first.claims["amr"], json!(["pwd"]), "what the provider says of the login is passed on");

        let again = log_in_through(&rp, &Browser::new(), "google").await;
        assert_eq!(again.claims["sub"], first.claims["sub"]);
        assert_ne!(again.claims["sid"], first.claims["sid"], "another browser, another session");
        assert_eq!(invariants::check(env).await.events.len(), 3, "a return is no event");
    }

    /// Names, addresses and pictures of a provider are its own business afterwards (spec/identity.md rule 13).
    async fn what_the_provider_changes_later_does_not_change_who_the_customer_is(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let first = log_in_through(&rp, &Browser::new(), "google").await;
        let other = app.customer("other@shop.example", "Other").await;
        upstream.add_person("ann-1", json!({"email": "other@shop.example", "email_verified": true, "name": "Anna"}));
        app.clock.advance(std::time::Duration::from_secs(3600));
        let again = log_in_through(&rp, &Browser::new(), "google").await;
        assert_eq!(again.claims["sub"], first.claims["sub"]);
        let userinfo = rp.userinfo(&again.access_token).await.body;
        assert_eq!(userinfo["email"], "ann@shop.example", "the customer's own contact stays");
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", "other@shop.example")[0].root, other.0.simple().to_string());
        let mut tx = app.store.background().begin_read().await.unwrap();
        let link = &tx.links_find("social:google", "ann-1").await.unwrap()[0];
        assert_eq!(link.profile["email"], "other@shop.example", "the link's copy follows");
    }

    /// An address the provider gives to another person is another customer, never a login into the old one.
    async fn an_address_in_new_hands_is_a_new_customer(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let ann = log_in_through(&rp, &Browser::new(), "google").await;
        upstream.add_person("heir-7", json!({"email": "ann@shop.example", "email_verified": true, "name": "Heir"}));
        upstream.choose("heir-7");
        let heir = log_in_through(&rp, &Browser::new(), "google").await;
        assert_ne!(heir.claims["sub"], ann.claims["sub"]);
        let userinfo = rp.userinfo(&heir.access_token).await.body;
        assert_eq!(
            (&userinfo["email"], &userinfo["email_verified"]),
            (&json!("ann@shop.example"), &json!(false)),
            "two customers never both own an address"
        );
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", "ann@shop.example").len(), 1);
        assert_eq!(graph.live("unproved_email", "ann@shop.example").len(), 1);
        let conflicts = app.store.background().begin_read().await.unwrap().conflicts_open(10).await.unwrap();
        assert_eq!(conflicts.len(), 1, "a person is told to look at it");
        assert_eq!(conflicts[0].detail, json!({"connector": "google", "subject": "heir-7"}));
    }

    async fn turning_back_at_the_provider_leads_back_to_the_login_page(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        upstream.faults().only(Fault::AuthorizeError("access_denied"));
        let back = through(&browser, &page, "google").await;
        assert!(back.contains("You turned back at Upstream google."), "{}", back.text());
        assert!(invariants::check(env).await.customers.is_empty());
        // From there everything works, the same provider too.
        upstream.faults().clear();
        let callback = through(&browser, &back, "google").await;
        rp.finish(&authorization, &callback).await;
        // And turning back altogether tells the app (RFC 6749 §4.1.2.1).
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let callback = browser.submit(&page, "/login/cancel", &[]).await;
        assert_eq!(rp.error(&authorization, &callback), "access_denied");
    }

    /// Rule 14 of spec/identity.md: a reload gives the first one's result; nothing is redeemed or written twice.
    async fn a_replayed_callback_gives_the_first_ones_result(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let callback = up_to_callback(&browser, &page, "google").await.url;
        let first = browser.get(&callback).await;
        let tokens = rp.finish(&authorization, &first).await;
        let again = browser.get(&callback).await;
        let more = rp.finish(&authorization, &again).await;
        assert_eq!((&more.claims["sub"], &more.claims["sid"]), (&tokens.claims["sub"], &tokens.claims["sid"]));
        assert_eq!(upstream.count_of_token_requests(), 1);
        // Without the session it is a way to begin again, and no way in.
        browser.forget_cookies(Some("samesake-session"));
        let again = browser.get(&callback).await;
        assert_eq!((again.status.as_u16(), again.url.path()), (200, "/login"));
        assert_eq!(invariants::check(env).await.events.len(), 3);
    }

    /// A double click: both requests at once.
    async fn a_doubled_callback_makes_one_customer_and_two_clean_pages(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let callback = up_to_callback(&browser, &page, "google").await.url;
        let tabs = [browser.clone(), browser.clone(), browser.clone()];
        let answers = futures::future::join_all(tabs.iter().map(|tab| tab.get(&callback))).await;
        assert!(answers.iter().any(|answer| answer.stopped), "the login itself goes through");
        for answer in &answers {
            assert!(answer.stopped || answer.url.path() == "/login", "{} {}", answer.url, answer.text());
        }
        // Whichever answer the browser shows, from there it goes on to the app.
        let page = browser.get(&authorization.url).await;
        rp.finish(&authorization, &page).await;
        assert_eq!(upstream.count_of_token_requests(), 1);
        let graph = invariants::check(env).await;
        assert_eq!((graph.customers.len(), graph.live("social:google", "ann-1").len()), (1, 1));
    }

    /// Protocol rules 36 and 37: what one browser began no other can end, neither with a stolen address nor by being
    /// sent there (login CSRF).
    async fn a_callback_counts_only_in_the_browser_that_began(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let attacker = Browser::new();
        let (_, page) = begin(&rp, &attacker).await;
        let callback = up_to_callback(&attacker, &page, "google").await.url;
        let victim = Browser::new();
        begin(&rp, &victim).await;
        for other in [&victim, &Browser::new()] {
            let refused = other.get(&callback).await;
            assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"));
            assert!(other.cookie("samesake-session").is_none());
            assert!(!refused.forms().is_empty() || refused.contains("Go to the start page"), "{}", refused.text());
        }
        assert_eq!(upstream.count_of_token_requests(), 0);
        assert!(invariants::check(env).await.customers.is_empty());
    }

    async fn a_callback_without_our_state_is_refused(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let callback = up_to_callback(&browser, &page, "google").await.url;
        let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
        for query in ["", "state=", "state=guess", "state=guess&state=again"] {
            let refused = browser.get(app.url(&format!("/callback/google?code={code}&{query}"))).await;
            assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"));
        }
        let nowhere = browser.get(app.url(&format!("/callback/nobody?{}", callback.query().unwrap()))).await;
        assert_eq!(nowhere.status.as_u16(), 400);
        assert_eq!(upstream.count_of_token_requests(), 0);
        // The true callback still works afterwards.
        assert!(browser.get(&callback).await.stopped);
    }

    /// Protocol rule 35, mix-up: the answer must come from the provider that was asked, by path and by `iss`.
    async fn the_answer_of_another_provider_is_refused(env: &Env) {
        let (upstream, evil) = (provider_with_ann(env).await, provider_with_ann(env).await);
        let builder = TestApp::builder(env).web_client("shop").connector(upstream.config("google"));
        let app = builder.connector(evil.config("evil")).start().await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let callback = up_to_callback(&browser, &page, "google").await.url;
        let crossed = app.url(&format!("/callback/evil?{}", callback.query().unwrap()));
        assert_eq!(browser.get(crossed).await.status.as_u16(), 400);
        assert_eq!((upstream.count_of_token_requests(), evil.count_of_token_requests()), (0, 0));

        // The evil one answers with the other's name, or without one: nothing is sent to either.
        for iss in [Some("https://accounts.google.example"), None] {
            let browser = Browser::new();
            let (_, page) = begin(&rp, &browser).await;
            upstream.faults().only(Fault::CallbackIssuer(iss));
            let refused = through(&browser, &page, "google").await;
            assert!(refused.contains("Signing in with Upstream google didn’t work this time."), "{}", refused.text());
            assert_eq!(upstream.count_of_token_requests(), 0);
        }
        assert!(invariants::check(env).await.customers.is_empty());
    }

    /// Two providers are two namespaces: the same subject at each is two people.
    async fn the_same_subject_at_two_providers_is_two_customers(env: &Env) {
        let (google, github) = (Upstream::start().await, Upstream::start().await);
        google.add_person("1", json!({"name": "One"}));
        github.add_person("1", json!({"name": "Another"}));
        let builder = TestApp::builder(env).web_client("shop").connector(google.config("google"));
        let app = builder.connector(github.config("github")).start().await;
        let rp = app.relying_party("shop").await;
        let one = log_in_through(&rp, &Browser::new(), "google").await;
        let another = log_in_through(&rp, &Browser::new(), "github").await;
        assert_ne!(one.claims["sub"], another.claims["sub"]);
        assert_eq!(invariants::check(env).await.customers.len(), 2);
    }

    /// An address that a password account has proved stays with it, whatever a provider says.
    async fn a_provider_does_not_open_the_account_of_an_address(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = shop(env, &upstream).await;
        let ann = app.customer("ann@shop.example", "Ann").await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let (_, page) = begin(&rp, &browser).await;
        let asked = through(&browser, &page, "google").await;
        assert_eq!((asked.status.as_u16(), asked.url.path()), (200, "/link"));
        assert!(browser.cookie("samesake-session").is_none(), "nobody is logged in yet");
        let graph = invariants::check(env).await;
        assert_eq!(graph.live("email", "ann@shop.example")[0].root, ann.0.simple().to_string());
        assert_eq!((graph.customers.len(), graph.live("social:google", "ann-1").len()), (1, 0));
    }
}
