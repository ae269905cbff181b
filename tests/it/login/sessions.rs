//! The session that a login begins: one for all apps, renewed at every login, gone everywhere at once.

use serde_json::{Value, json};

use super::{begin, log_in_through, provider_with_ann};
use crate::harness::app::PASSWORD;
use crate::harness::relying_party::Tokens;
use crate::harness::{Browser, Env, RelyingParty, TestApp};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const BOB: &str = "bob@shop.example";

/// A destination of forward-auth.
pub fn desk() -> Value {
    json!({"id": "desk", "origins": ["https://desk.example"], "policy": "authenticated"})
}

async fn with_ann_and_bob(env: &Env) -> (TestApp, RelyingParty, RelyingParty) {
    let app = TestApp::builder(env).web_client("shop").web_client("news").start().await;
    app.customer(ANN, "Ann").await;
    app.customer(BOB, "Bob").await;
    let (shop, news) = (app.relying_party("shop").await, app.relying_party("news").await);
    (app, shop, news)
}

async fn log_in(app: &TestApp, rp: &RelyingParty, browser: &Browser, email: &str) -> Tokens {
    let authorization = rp.authorization_with(&[("prompt", "login")]);
    let callback = app.log_in(browser, &authorization.url, email).await;
    rp.finish(&authorization, &callback).await
}

/// Without a page: `None` if nobody is logged in.
async fn silently(rp: &RelyingParty, browser: &Browser) -> Option<Tokens> {
    let authorization = rp.authorization_with(&[("prompt", "none")]);
    let callback = browser.get(&authorization.url).await;
    match callback.parameter("error") {
        None => Some(rp.finish(&authorization, &callback).await),
        Some(error) => {
            assert_eq!(
                (error.as_str(), rp.error(&authorization, &callback).as_str()),
                ("login_required", error.as_str())
            );
            None
        }
    }
}

fn session(browser: &Browser) -> String {
    browser.cookie("samesake-session").unwrap().value
}

on_both! {
    async fn one_login_is_enough_for_all_apps(env: &Env) {
        let (app, shop, news) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let at_shop = log_in(&app, &shop, &browser, ANN).await;
        let statements = app.store.statements();
        let at_news = silently(&news, &browser).await.unwrap();
        assert_eq!(app.app.hasher.hashes(), 3, "two sign-ups and one login");
        assert!(app.store.statements() > statements);
        assert_eq!(at_news.claims["sid"], at_shop.claims["sid"]);
        assert_eq!(at_news.claims["auth_time"], at_shop.claims["auth_time"]);
        assert!(silently(&news, &Browser::new()).await.is_none());
    }

    /// Session fixation (protocol 42): the ID that was there before a login is never the logged-in one.
    async fn the_session_id_changes_at_every_login_and_sid_stays(env: &Env) {
        let (app, shop, _) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        begin(&shop, &browser).await;
        assert!(browser.cookie("samesake-session").is_none(), "nobody has a session before a login");
        let first = log_in(&app, &shop, &browser, ANN).await;
        let old = browser.cookie("samesake-session").unwrap();
        let second = log_in(&app, &shop, &browser, ANN).await;
        assert_eq!(second.claims["sid"], first.claims["sid"]);
        assert_ne!(session(&browser), old.value);
        // The old ID is worth nothing, neither to a thief nor as a present to a victim.
        let thief = Browser::new();
        thief.put_cookie(old.clone());
        assert!(silently(&shop, &thief).await.is_none());
        let planted = log_in(&app, &shop, &thief, BOB).await;
        assert_ne!(session(&thief), old.value);
        assert_ne!(planted.claims["sid"], first.claims["sid"]);
        for forged in ["", "AAAAAAAAAAAAAAAAAAAAAA", "not a session", "../../x"] {
            let victim = Browser::new();
            victim.put_cookie(crate::harness::cookies::Cookie { value: forged.to_owned(), ..old.clone() });
            log_in(&app, &shop, &victim, BOB).await;
            assert_ne!(session(&victim), forged);
        }
    }

    /// Another customer in the same browser: the first one's session ends, with what hung on it.
    async fn another_customers_login_ends_the_session_before(env: &Env) {
        let (app, shop, _) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let online = shop.authorization_with(&[("scope", "openid")]);
        let callback = app.log_in(&browser, &online.url, ANN).await;
        let ann = shop.finish(&online, &callback).await;
        let stolen = browser.cookie("samesake-session").unwrap();
        let bob = log_in(&app, &shop, &browser, BOB).await;
        assert_ne!((&ann.claims["sub"], &ann.claims["sid"]), (&bob.claims["sub"], &bob.claims["sid"]));
        let other = Browser::new();
        other.put_cookie(stolen);
        assert!(silently(&shop, &other).await.is_none());
        let refused = shop.refresh(ann.refresh_token.as_deref().unwrap()).await;
        assert_eq!((refused.status.as_u16(), refused.error()), (400, "invalid_grant"));
        assert_eq!(shop.userinfo(&ann.access_token).await.status.as_u16(), 401);
        assert_eq!(silently(&shop, &browser).await.unwrap().claims["sub"], bob.claims["sub"]);
    }

    /// Two tabs on two login pages: both end well.
    async fn two_tabs_with_two_flows_both_work(env: &Env) {
        let (_app, shop, news) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let (one, first) = begin(&shop, &browser).await;
        let tab = browser.clone();
        let (two, second) = begin(&news, &tab).await;
        let entered = [("email", ANN), ("password", PASSWORD)];
        let at_news = tab.submit(&second, "/login/password", &entered).await;
        let at_shop = browser.submit(&first, "/login/password", &entered).await;
        let (shop, news) = (shop.finish(&one, &at_shop).await, news.finish(&two, &at_news).await);
        assert_eq!(shop.claims["sid"], news.claims["sid"]);
    }

    /// Protocol rule 14: the back button shows a page that still works.
    async fn the_back_button_leads_to_a_working_page(env: &Env) {
        let (_app, shop, _) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let (authorization, page) = begin(&shop, &browser).await;
        let entered = [("email", ANN), ("password", PASSWORD)];
        let first = browser.submit(&page, "/login/password", &entered).await;
        let sub = shop.finish(&authorization, &first).await.claims["sub"].clone();
        let back = browser.get(&page.url).await;
        assert_eq!((back.status.as_u16(), back.heading().as_str()), (200, "Confirm it’s you"));
        assert!(back.contains("a•••@shop.example") && !back.contains(ANN), "{}", back.text());
        let again = browser.submit(&back, "/login/password", &entered).await;
        assert_eq!(shop.finish(&authorization, &again).await.claims["sub"], sub);
    }

    /// Whoever wants to be somebody else is not asked to prove that they are who is signed in.
    async fn another_account_may_be_chosen_or_made(env: &Env) {
        let (app, shop, _) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        log_in(&app, &shop, &browser, ANN).await;
        let authorization = shop.authorization_with(&[("prompt", "select_account")]);
        let page = browser.get(&authorization.url).await;
        let page = browser.submit(&page, "/select-account", &[("choice", "other")]).await;
        assert_eq!((page.status.as_u16(), page.heading().as_str()), (200, "Sign in"));
        assert!(!page.contains("ann@shop.example") && !page.contains("a•••"), "{}", page.text());
        assert_eq!(browser.click(&page, "Create account").await.heading(), "Create your account");
        let callback = browser.submit(&page, "/login/password", &[("email", BOB), ("password", PASSWORD)]).await;
        let userinfo = shop.userinfo(&shop.finish(&authorization, &callback).await.access_token).await;
        assert_eq!(userinfo.body["email"], BOB);
    }

    async fn a_lost_cookie_leads_to_a_page_that_offers_a_login(env: &Env) {
        let (app, shop, _) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let (_, page) = begin(&shop, &browser).await;
        browser.forget_cookies(None);
        let lost = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!((lost.status.as_u16(), lost.heading().as_str()), (400, "This page has expired"));
        let start = browser.click(&lost, "Go to the start page").await;
        let login = browser.click(&start, "Sign in").await;
        let home = browser.submit(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert!(home.url == app.url("/") && home.contains(ANN), "{}", home.text());
    }

    async fn signing_out_asks_and_ends_everything_of_the_session(env: &Env) {
        let (app, shop, news) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let online = shop.authorization_with(&[("scope", "openid")]);
        let callback = app.log_in(&browser, &online.url, ANN).await;
        let tokens = shop.finish(&online, &callback).await;
        let stolen = browser.cookie("samesake-session").unwrap();
        // A code that was under way when the session ended.
        let pending = news.authorization();
        let code = news.code(&pending, &browser.get(&pending.url).await);

        let page = browser.get(app.url("/logout")).await;
        assert_eq!(page.heading(), "Sign out?");
        assert!(silently(&shop, &browser).await.is_some(), "asking ends nothing");
        let out = browser.submit(&page, "/logout/confirm", &[]).await;
        assert_eq!((out.status.as_u16(), out.heading().as_str()), (200, "You’re signed out"));
        assert!(browser.cookie("samesake-session").is_none(), "the browser has forgotten it too");
        browser.put_cookie(stolen);
        assert!(silently(&shop, &browser).await.is_none());
        assert_eq!(news.redeem(&pending, &code).await.error(), "invalid_grant");
        assert_eq!(shop.refresh(tokens.refresh_token.as_deref().unwrap()).await.error(), "invalid_grant");
        assert_eq!(shop.userinfo(&tokens.access_token).await.status.as_u16(), 401);
        // The same confirmation again does no harm and says the truth.
        let again = browser.submit(&page, "/logout/confirm", &[]).await;
        assert_eq!(again.heading(), "You’re signed out");
    }

    /// The known trap of session stores: a request in flight writes its record after the logout, and undoes it.
    async fn a_request_in_flight_does_not_undo_a_logout(env: &Env) {
        let hour = std::time::Duration::from_secs(3600);
        let app = TestApp::builder(env).web_client("shop").configure(|config| config.session.idle = hour).start().await;
        app.customer(ANN, "Ann").await;
        let shop = app.relying_party("shop").await;
        for round in 0..8 {
            let browser = Browser::new();
            log_in(&app, &shop, &browser, ANN).await;
            let kept = browser.cookie("samesake-session").unwrap();
            let page = browser.get(app.url("/logout")).await;
            // From here on every request wants to write the session, because a tenth of its idle time has passed.
            app.clock.advance(hour / 10 + std::time::Duration::from_secs(1));
            let tabs: Vec<Browser> = (0..6).map(|_| browser.clone()).collect();
            let requests = futures::future::join_all(tabs.iter().map(|tab| tab.get(app.url("/"))));
            let (out, answers) = futures::join!(browser.submit(&page, "/logout/confirm", &[]), requests);
            assert_eq!(out.heading(), "You’re signed out", "round {round}");
            assert!(answers.iter().all(|answer| answer.status.as_u16() == 200), "round {round}");
            browser.put_cookie(kept);
            assert!(silently(&shop, &browser).await.is_none(), "round {round}: the logout was undone");
        }
    }

    /// Sessions end by themselves: when idle, and at last whatever happens.
    async fn a_session_in_use_lives_until_its_absolute_end(env: &Env) {
        let (app, shop, _) = with_ann_and_bob(env).await;
        let browser = Browser::new();
        let first = log_in(&app, &shop, &browser, ANN).await;
        let config = &app.app.config.session;
        let used = Browser::new();
        used.put_cookie(browser.cookie("samesake-session").unwrap());
        let step = config.idle - std::time::Duration::from_secs(60);
        let steps = config.absolute.as_secs() / step.as_secs();
        for number in 0..steps {
            app.clock.advance(step);
            let still = silently(&shop, &used).await.unwrap_or_else(|| panic!("over after {number} steps"));
            assert_eq!(still.claims["auth_time"], first.claims["auth_time"]);
        }
        app.clock.advance(step);
        assert!(silently(&shop, &used).await.is_none());
        // And one that nobody uses, after its idle time.
        let idle = Browser::new();
        log_in(&app, &shop, &idle, BOB).await;
        app.clock.advance(config.idle);
        assert!(silently(&shop, &idle).await.is_none());
    }

    /// A login through a provider is a session like any other.
    async fn a_login_through_a_provider_is_for_all_apps_too(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let builder = TestApp::builder(env).web_client("shop").web_client("news");
        let app = builder.connector(upstream.config("google")).start().await;
        let (shop, news) = (app.relying_party("shop").await, app.relying_party("news").await);
        let browser = Browser::new();
        let at_shop = log_in_through(&shop, &browser, "google").await;
        let at_news = silently(&news, &browser).await.unwrap();
        assert_eq!(at_news.claims["sid"], at_shop.claims["sid"]);
        assert_eq!(upstream.counts().authorize, 1);
    }
}
