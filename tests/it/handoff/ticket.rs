//! The way of a browser from an app's domain to the gateway and back (rule 11): where it may come back to, and who may
//! bring a ticket.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use url::Url;

use super::{ANN, arrive, asked, at_the_app, claims, destination, level, start, start_url, with_shop};
use crate::harness::app::{PASSWORD, TestApp};
use crate::harness::{Browser, Env, Page};
use crate::on_both;

/// Logs Ann in, up to the callback with its ticket, which is not fetched.
async fn ticket(app: &TestApp, browser: &Browser, destination: &str) -> Url {
    let url = start_url(app, destination, at_the_app(app, "/cart").as_str());
    let stopping = browser.clone().stop_at(&at_the_app(app, &format!("/.samesake/{destination}/callback")));
    let page = app.log_in(&stopping, url, ANN).await;
    assert!(page.stopped && page.parameter("ticket").is_some(), "{} {}", page.url, page.text());
    page.url
}

/// The ticket was good for nothing: a page of the issuer's says how to begin again, and nobody is vouched for.
async fn assert_refused(app: &TestApp, browser: &Browser, callback: &Url) {
    let page = browser.get(callback).await;
    assert_eq!((page.status, page.url.clone()), (StatusCode::BAD_REQUEST, app.url("/handoff/shop/expired")));
    let origin = at_the_app(app, "/");
    assert!(page.body.contains(&format!("href=\"{origin}\"")), "{}", page.body);
    assert!(browser.cookies().iter().all(|cookie| !cookie.name.starts_with("samesake-forward-")));
    assert_eq!(level(&asked(app, browser, "shop").await), "anonymous");
}

fn assert_no_redirect(page: &Page, what: &str) {
    assert_eq!((page.status, page.header("location")), (StatusCode::BAD_REQUEST, None), "{what}");
    assert_eq!(page.heading(), "This link does not lead anywhere we know", "{what}");
    assert_eq!(page.header("cache-control"), Some("no-store"), "{what}");
}

on_both! {
    /// Every step tells caches and the next page nothing.
    async fn a_browser_comes_back_to_the_page_it_wanted(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        let cart = at_the_app(&app, "/cart?a=1&b=%C3%A4#reviews");
        let first = browser.get_one(start_url(&app, "shop", cart.as_str())).await;
        let page = app.log_in(&browser.clone().stop_at(&at_the_app(&app, "/")), first.redirect().unwrap(), ANN).await;
        let last = browser.get_one(&page.url).await;
        assert_eq!(last.redirect(), Some(cart));
        for step in [&first, &last] {
            assert_eq!(step.status, StatusCode::SEE_OTHER);
            assert_eq!(step.header("cache-control"), Some("no-store"));
            assert_eq!(step.header("referrer-policy"), Some("no-referrer"));
        }
        assert_eq!(page.header("cache-control"), Some("no-store"));
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
    }

    async fn a_live_session_needs_no_login(env: &Env) {
        let app = start(with_shop(env, json!({})).destination(destination("ads", json!({})))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let cart = at_the_app(&app, "/cart");
        let page = browser.get(start_url(&app, "ads", cart.as_str())).await;
        assert_eq!((page.url, page.visited.len()), (cart, 4), "start, handoff, callback, page");
        assert_eq!(level(&asked(&app, &browser, "ads").await), "authenticated");
    }

    /// nginx puts the address behind `rd=` as it is, with its own query.
    async fn a_bare_address_keeps_its_query(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        let cart = at_the_app(&app, "/cart?a=1&b=%26&rd=http%3A%2F%2Fevil.example");
        let mut url = at_the_app(&app, "/.samesake/shop/start");
        url.set_query(Some(&format!("rd={cart}")));
        let page = app.log_in(&browser, url, ANN).await;
        assert_eq!(page.url, cart);
    }

    /// No open redirect: not at the start, not at the issuer.
    async fn the_way_back_leads_to_a_registered_origin_only(env: &Env) {
        let app = start(with_shop(env, json!({ "origins": ["http://localhost", "https://shop.example"] }))).await;
        let port = app.address.port().unwrap();
        for address in [
            "https://evil.example/",
            "https://shop.example.evil.example/",
            "https://evil.example/https://shop.example/",
            "//shop.example/",
            "///shop.example/",
            "/cart",
            "cart",
            "",
            "https:shop.example/",
            "https:/shop.example/",
            "\\\\shop.example/",
            "https:\\\\shop.example/",
            "https://shop.example\\@evil.example/",
            "https://evil.example\\@shop.example/",
            "https://evil.example\\.shop.example/",
            "https://shop.example/\\evil.example",
            "https://ann@shop.example/",
            "https://ann:secret@shop.example/",
            "https://shop.example@evil.example/",
            "https://shop.example%40evil.example/",
            "http://shop.example/",
            "ftp://shop.example/",
            "javascript://shop.example/%0aalert(1)",
            "blob:https://shop.example/x",
            "filesystem:https://shop.example/x",
            "https://shop.example:444/",
            "https://shop.example:80/",
            "http://localhost/",
            &format!("https://localhost:{port}/"),
            &format!("http://127.0.0.1:{port}/"),
            "https://shop.example/\r\nSet-Cookie: a=b",
            "https://shop.example/\nx",
            "https://shop.example/\tx",
            "https://shop\t.example/",
            " https://shop.example/",
            "https://shop.example /",
            "https://shop.example\0.evil.example/",
            "https://SHOP.example.evil.example/",
            "https://shop.example./",
            "https://[::1]/",
            "https://shop\u{3002}example.evil.example/",
        ] {
            let page = Browser::new().get_one(start_url(&app, "shop", address)).await;
            assert_no_redirect(&page, address);
            assert_eq!(page.header("set-cookie"), None, "{address}");
            let mut at_issuer = app.url("/handoff/shop");
            let state = samesake::secret::random_token();
            at_issuer.query_pairs_mut().append_pair("rd", address).append_pair("state", &state);
            assert_no_redirect(&Browser::new().get_one(&at_issuer).await, address);
        }
        let allowed = ["https://shop.example", "https://shop.example:443/a?b#c", "https://SHOP.example/"];
        for address in allowed {
            let page = Browser::new().get_one(start_url(&app, "shop", address)).await;
            assert_eq!(page.redirect().map(|url| url.origin()), Some(app.issuer.origin()), "{address}");
        }
    }

    /// What does not come from `start` is not answered.
    async fn the_issuer_wants_destination_address_and_state(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let cart = at_the_app(&app, "/cart");
        let state = samesake::secret::random_token();
        for (path, rd, state) in [
            ("/handoff/shop", cart.as_str(), ""),
            ("/handoff/shop", cart.as_str(), "short"),
            ("/handoff/shop", "", state.as_str()),
            ("/handoff/none", cart.as_str(), state.as_str()),
        ] {
            let mut url = app.url(path);
            url.query_pairs_mut().append_pair("rd", rd).append_pair("state", state);
            assert_no_redirect(&Browser::new().get_one(&url).await, url.as_str());
        }
        assert_no_redirect(&Browser::new().get_one(at_the_app(&app, "/.samesake/none/callback?ticket=x")).await, "none");
    }

    async fn a_ticket_is_good_once(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        let callback = ticket(&app, &browser, "shop").await;
        assert_eq!(browser.get_one(&callback).await.redirect(), Some(at_the_app(&app, "/cart")));
        let forward: Vec<_> = browser.cookies().into_iter().filter(|one| one.name.contains("forward")).collect();
        browser.forget_cookies(Some(&forward[0].name));
        assert_refused(&app, &browser, &callback).await;
    }

    /// A ticket that somebody sends to somebody else logs nobody in.
    async fn a_ticket_is_good_in_the_browser_that_began(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let (ann, bob) = (Browser::new(), Browser::new());
        let callback = ticket(&app, &ann, "shop").await;
        bob.get_one(start_url(&app, "shop", at_the_app(&app, "/").as_str())).await;
        assert_refused(&app, &bob, &callback).await;
        // It is used up by the attempt.
        assert_refused(&app, &ann, &callback).await;
    }

    async fn a_ticket_needs_the_state_cookie(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        let callback = ticket(&app, &browser, "shop").await;
        browser.forget_cookies(None);
        assert_refused(&app, &browser, &callback).await;
    }

    async fn a_ticket_is_good_for_its_destination(env: &Env) {
        let app = start(with_shop(env, json!({})).destination(destination("ads", json!({})))).await;
        let browser = Browser::new();
        browser.get_one(start_url(&app, "shop", at_the_app(&app, "/").as_str())).await;
        let mut callback = ticket(&app, &browser, "ads").await;
        callback.set_path("/.samesake/shop/callback");
        assert_refused(&app, &browser, &callback).await;
    }

    async fn a_ticket_lives_for_a_minute(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        let callback = ticket(&app, &browser, "shop").await;
        app.clock.advance(Duration::from_secs(60));
        assert_refused(&app, &browser, &callback).await;
    }

    async fn a_made_up_ticket_is_nothing(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        for query in ["ticket=x", "ticket=", "", "ticket=a&ticket=b"] {
            let mut callback = at_the_app(&app, "/.samesake/shop/callback");
            callback.set_query(Some(query));
            assert_refused(&app, &Browser::new(), &callback).await;
        }
    }

    /// All tabs of a window that is opened again arrive.
    async fn two_tabs_come_back_both(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let tab = Browser::new();
        let other = tab.clone();
        let here = tab.get(start_url(&app, "shop", at_the_app(&app, "/here").as_str())).await;
        let there = other.get(start_url(&app, "shop", at_the_app(&app, "/there").as_str())).await;
        let login = [("email", ANN), ("password", PASSWORD)];
        let page = tab.submit(&here, "/login/password", &login).await;
        assert_eq!(page.url, at_the_app(&app, "/here"));
        let page = other.submit(&there, "/login/password", &login).await;
        assert_eq!(page.url, at_the_app(&app, "/there"));
        assert_eq!(level(&asked(&app, &tab, "shop").await), "authenticated");
    }

    async fn turning_back_leads_to_the_app(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        let page = browser.get(start_url(&app, "shop", at_the_app(&app, "/cart").as_str())).await;
        let page = browser.submit(&page, "/login/cancel", &[]).await;
        assert_eq!(page.url, at_the_app(&app, "/"));
        assert_eq!(level(&asked(&app, &browser, "shop").await), "anonymous");
    }

    /// An audience may hold characters that mean something in a path or may not stand in the name of a cookie.
    async fn an_audience_may_be_an_address(env: &Env) {
        let audience = "https://api.shop.example/v1?a=b;c,d\"%2F#e";
        let app = start(with_shop(env, json!({ "id": audience }))).await;
        let mut path = app.address.clone();
        path.path_segments_mut().unwrap().push(audience);
        let encoded = path.path().trim_start_matches('/');
        let browser = Browser::new();
        arrive(&app, &browser, encoded, ANN).await;
        let page = asked(&app, &browser, encoded).await;
        assert_eq!(level(&page), "authenticated");
        assert_eq!(claims(&app, &page).await.1["aud"], audience);
    }
}
