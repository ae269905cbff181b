//! Back button, double click, two tabs, a long lunch, lost cookies: protocol rule 14. Each ends in a working login or on
//! a page that offers one.

use std::time::Duration;

use reqwest::StatusCode;

use super::{ANN, Visit};
use crate::harness::app::PASSWORD;
use crate::harness::{Browser, Env, Page};
use crate::on_both;

const CREDENTIALS: [(&str, &str); 2] = [("email", ANN), ("password", PASSWORD)];

/// The page says that it is too late, and its button leads to a login that works.
async fn offers_a_working_login(visit: &Visit, page: &Page) {
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.text());
    assert_eq!(page.heading(), "This page has expired");
    let home = visit.browser.click(page, "start page").await;
    let login = visit.browser.click(&home, "Sign in").await;
    let home = visit.browser.submit(&login, "/login/password", &CREDENTIALS).await;
    assert_eq!((home.status, home.heading().as_str()), (StatusCode::OK, "You\u{2019}re signed in"));
    // And the app, once the customer begins there anew.
    visit.tokens(&[]).await;
}

on_both! {
    async fn the_back_button_leads_to_a_working_login(env: &Env) {
        let visit = Visit::start(env).await;
        let request = visit.shop.authorization();
        let login = visit.browser.get(&request.url).await;
        let callback = visit.browser.submit(&login, "/login/password", &CREDENTIALS).await;
        let first = visit.shop.finish(&request, &callback).await;
        // The kept page, and the same address loaded again.
        let callback = visit.browser.submit(&login, "/login/password", &CREDENTIALS).await;
        let second = visit.shop.finish(&request, &callback).await;
        assert_eq!(second.claims["sub"], first.claims["sub"]);
        let again = visit.browser.get(&login.url).await;
        let callback = match again.stopped {
            true => again,
            false => visit.browser.submit(&again, "/login/password", &CREDENTIALS).await,
        };
        visit.shop.finish(&request, &callback).await;
        assert_eq!(visit.shop.userinfo(&first.access_token).await.status, StatusCode::OK);
    }

    async fn a_double_click_signs_in_once_and_well(env: &Env) {
        let visit = Visit::start(env).await;
        let request = visit.shop.authorization();
        let login = visit.browser.get(&request.url).await;
        let press = || visit.browser.submit(&login, "/login/password", &CREDENTIALS);
        let (one, two) = tokio::join!(press(), press());
        for callback in [one, two] {
            visit.shop.finish(&request, &callback).await;
        }
        assert_eq!(visit.silently().await, None);
    }

    async fn two_tabs_with_two_flows_both_arrive(env: &Env) {
        let visit = Visit::start(env).await;
        let (one, two) = (visit.shop.authorization(), visit.shop.authorization());
        let (tab_one, tab_two) = (visit.browser.get(&one.url).await, visit.browser.get(&two.url).await);
        let second = visit.browser.submit(&tab_two, "/login/password", &CREDENTIALS).await;
        let second = visit.shop.finish(&two, &second).await;
        let first = visit.browser.submit(&tab_one, "/login/password", &CREDENTIALS).await;
        let first = visit.shop.finish(&one, &first).await;
        assert_eq!(first.claims["sid"], second.claims["sid"], "one browser, one session");
    }

    async fn an_expired_flow_offers_a_working_login(env: &Env) {
        let visit = Visit::start(env).await;
        let login = visit.browser.get(&visit.shop.authorization().url).await;
        visit.app.clock.advance(Duration::from_secs(2 * 3600));
        let page = visit.browser.submit(&login, "/login/password", &CREDENTIALS).await;
        offers_a_working_login(&visit, &page).await;
        assert_eq!(visit.browser.get(&login.url).await.heading(), "This page has expired");
    }

    async fn a_lost_cookie_offers_a_working_login(env: &Env) {
        let visit = Visit::start(env).await;
        let login = visit.browser.get(&visit.shop.authorization().url).await;
        visit.browser.forget_cookies(None);
        let page = visit.browser.submit(&login, "/login/password", &CREDENTIALS).await;
        offers_a_working_login(&visit, &page).await;
    }

    /// A session that ended while its consent page or its choice of accounts was open.
    async fn a_session_lost_on_the_way_asks_for_the_login_again(env: &Env) {
        let visit = Visit::start(env).await;
        visit.tokens(&[]).await;
        for (prompt, path, button) in
            [("consent", "/consent", ("decision", "allow")), ("select_account", "/select-account", ("choice", "continue"))]
        {
            let request = visit.shop.authorization_with(&[("prompt", prompt)]);
            let page = visit.browser.get(&request.url).await;
            visit.browser.forget_cookies(Some("samesake-session"));
            let login = visit.browser.submit(&page, path, &[button]).await;
            assert_eq!(login.url.path(), "/login");
            let page = visit.browser.submit(&login, "/login/password", &CREDENTIALS).await;
            let callback = match page.stopped {
                true => page,
                false => visit.browser.submit(&page, path, &[button]).await,
            };
            visit.shop.finish(&request, &callback).await;
        }
    }

    /// Rule 37: a flow is its own browser's. Whoever else gets its address gets a login of their own.
    async fn another_browser_cannot_take_over_a_flow(env: &Env) {
        let visit = Visit::start(env).await;
        let login = visit.browser.get(&visit.shop.authorization().url).await;
        let thief = Browser::new();
        thief.get(&visit.shop.authorization().url).await;
        for page in [thief.get(&login.url).await, thief.submit(&login, "/login/password", &CREDENTIALS).await] {
            assert_eq!((page.status, page.heading().as_str()), (StatusCode::BAD_REQUEST, "This page has expired"));
        }
        assert_eq!(thief.cookie("samesake-session"), None);
    }

    /// Whatever is typed into the address bar: a page with a way on, never an error 500.
    async fn no_address_is_a_dead_end(env: &Env) {
        let visit = Visit::start(env).await;
        visit.browser.get(&visit.shop.authorization().url).await;
        let long = "x".repeat(5000);
        for path in ["/login", "/consent", "/select-account", "/sign-up", "/sign-up/code", "/callback/nowhere"] {
            for query in ["", "?flow=", "?flow=x", "?flow=%00%FF", "?flow=../x", &format!("?flow={long}&state={long}")] {
                let page = visit.browser.get(visit.app.url(&format!("{path}{query}"))).await;
                assert_eq!(page.status, StatusCode::BAD_REQUEST, "{path}{query:.20}");
                visit.browser.click(&page, "start page").await;
            }
        }
        for path in ["/login/password", "/login/social", "/login/cancel", "/consent", "/select-account", "/sign-up"] {
            let page = visit.browser.post_from(&visit.shop.issuer, &visit.app.url(path), &[("flow", "x")]).await;
            assert!(page.status == StatusCode::BAD_REQUEST, "{path} {} {}", page.status, page.text());
        }
    }
}
