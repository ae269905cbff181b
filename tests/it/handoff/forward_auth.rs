//! What a proxy is answered (rule 11): to pass, a challenge, or a redirect, whatever the proxy and the browser send.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use samesake::http::session_store;
use serde_json::json;
use url::Url;

use super::{ANN, BOB, arrive, asked, at_the_app, destination, level, start, with_shop};
use crate::harness::app::TestApp;
use crate::harness::browser::http_client;
use crate::harness::cookies::Cookie;
use crate::harness::{Browser, Env, Page};
use crate::on_both;

async fn guarded(env: &Env) -> TestApp {
    start(with_shop(env, json!({ "policy": "authenticated" }))).await
}

/// What a proxy that sends these headers is answered at this path below forward-auth.
async fn ask_with(app: &TestApp, path: &str, headers: &[(&'static str, &str)]) -> Page {
    let browser = headers.iter().fold(Browser::new(), |browser, (name, value)| browser.with_header(name, value));
    browser.get_one(at_the_app(app, &format!("/forward-auth/{path}"))).await
}

fn assert_challenge(page: &Page) {
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{}", page.text());
    assert_eq!(
        page.header("www-authenticate"),
        Some("Bearer error=\"insufficient_user_authentication\", error_description=\"a live session is required\"")
    );
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    assert_eq!((page.header("samesake-identity"), page.header("samesake-level")), (None, None));
}

/// The redirect to the login on the app's own origin, and where it comes back to.
fn assert_redirect(app: &TestApp, page: &Page, back_to: &str) {
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{back_to}: {}", page.text());
    assert_eq!(page.header("cache-control"), Some("private, no-store"));
    assert_eq!((page.header("samesake-identity"), page.header("samesake-level")), (None, None));
    let mut start = at_the_app(app, "/.samesake/shop/start");
    start.query_pairs_mut().append_pair("rd", back_to);
    assert_eq!(page.redirect(), Some(start));
}

on_both! {
    async fn observing_never_blocks(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        assert_eq!(level(&asked(&app, &Browser::new(), "shop").await), "anonymous");
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
    }

    /// A look-up that fails vouches for nobody. Where a login is needed, nobody gets through by it.
    async fn a_fault_of_ours_does_not_block_what_is_only_observed(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        app.log_in(&browser, app.url("/sign-in"), ANN).await;
        let cookie = browser.cookie("samesake-session").unwrap();
        let key = session_store::session_key(&session_store::session_id(&cookie.value).unwrap());
        env.kv().await.set(&key, b"no session".to_vec(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(level(&browser.get_one(app.url("/forward-auth/shop")).await), "anonymous");
        let guarded = browser.get_one(app.url("/forward-auth/shop?policy=authenticated")).await;
        assert_eq!(guarded.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(guarded.header("samesake-identity"), None);
    }

    async fn a_guarded_destination_is_challenged_until_somebody_logs_in(env: &Env) {
        let app = guarded(env).await;
        let browser = Browser::new();
        assert_challenge(&asked(&app, &browser, "shop").await);
        arrive(&app, &browser, "shop", ANN).await;
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
    }

    /// Policy is per route: the proxy says so in the address it asks.
    async fn a_route_may_ask_for_more_or_less(env: &Env) {
        let guarded = destination("orders", json!({ "policy": "authenticated" }));
        let app = start(with_shop(env, json!({})).destination(guarded)).await;
        assert_challenge(&ask_with(&app, "shop?policy=authenticated", &[]).await);
        assert_eq!(level(&ask_with(&app, "orders?policy=observe", &[]).await), "anonymous");
        let misspelt = ask_with(&app, "shop?policy=obsreve", &[]).await;
        assert_eq!((misspelt.status, misspelt.header("samesake-identity")), (StatusCode::BAD_REQUEST, None));
    }

    async fn an_unknown_destination_gets_nothing(env: &Env) {
        let app = guarded(env).await;
        for path in ["shop2", "shop2/cart", "SHOP"] {
            let page = ask_with(&app, path, &[]).await;
            assert_eq!((page.status, page.header("samesake-identity")), (StatusCode::NOT_FOUND, None), "{path}");
            assert_eq!(page.header("cache-control"), Some("private, no-store"));
        }
    }

    /// A proxy asks with the method of the original request.
    async fn any_method_is_answered(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
            let request = http_client().request(method.clone(), app.url("/forward-auth/shop"));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK, "{method}");
            assert!(answer.headers().contains_key("samesake-identity"), "{method}");
        }
    }

    /// In redirect mode the proxy passes our answer on: Traefik and Caddy tell the address in three headers, nginx in
    /// one.
    async fn in_redirect_mode_the_browser_is_sent_to_the_login(env: &Env) {
        let app = guarded(env).await;
        let host = at_the_app(&app, "/");
        let host = &host[url::Position::BeforeHost..url::Position::AfterPort];
        let cart = format!("http://{host}/cart?item=1&size=%C3%A4");
        let whole: &[_] = &[("x-original-url", cart.as_str())];
        let parts: &[_] = &[
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", host),
            ("x-forwarded-uri", "/cart?item=1&size=%C3%A4"),
        ];
        for headers in [whole, parts] {
            assert_redirect(&app, &ask_with(&app, "shop?mode=redirect", headers).await, &cart);
            assert_challenge(&ask_with(&app, "shop", headers).await);
        }
    }

    /// Only to a registered origin; otherwise it is the challenge.
    async fn nobody_is_sent_to_a_foreign_origin(env: &Env) {
        let app = guarded(env).await;
        let home = at_the_app(&app, "/");
        let host = &home[url::Position::BeforeHost..url::Position::AfterPort];
        for (proto, host, path) in [
            ("http", "evil.example", "/"),
            ("https", host, "/"),
            ("http", "localhost", "/"),
            ("http", host, "@evil.example/"),
            ("http", host, ".evil.example/"),
            ("http", host, "\\@evil.example/"),
            ("http, https", host, "/"),
            ("javascript", host, "/"),
            ("http", &format!("{host}@evil.example"), "/"),
            ("http", &format!("evil.example, {host}"), "/"),
        ] {
            let headers = [("x-forwarded-proto", proto), ("x-forwarded-host", host), ("x-forwarded-uri", path)];
            assert_challenge(&ask_with(&app, "shop?mode=redirect", &headers).await);
        }
        for whole in ["https://evil.example/", "//evil.example/", "/cart", "blob:http://localhost/", ""] {
            assert_challenge(&ask_with(&app, "shop?mode=redirect", &[("x-original-url", whole)]).await);
        }
        assert_challenge(&ask_with(&app, "shop?mode=redirect", &[]).await);
    }

    /// Envoy appends the original path and query to ours, and sends its own `Host`.
    async fn envoy_appends_the_original_path(env: &Env) {
        let app = guarded(env).await;
        let cart = at_the_app(&app, "/cart/1?policy=observe&mode=redirect");
        let path = "shop/cart/1?policy=observe&mode=redirect";
        assert_challenge(&ask_with(&app, path, &[]).await);
        let headers = [("x-forwarded-proto", "http"), ("samesake-mode", "redirect")];
        assert_redirect(&app, &ask_with(&app, path, &headers).await, cart.as_str());
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        assert_eq!(level(&asked(&app, &browser, "shop/cart/1").await), "authenticated");
        assert_eq!(level(&asked(&app, &browser, "shop/").await), "authenticated");
    }

    /// An app on the issuer's own origin needs no cookie of its own.
    async fn on_the_issuers_origin_the_session_vouches(env: &Env) {
        let app = guarded(env).await;
        let browser = Browser::new();
        app.log_in(&browser, app.url("/sign-in"), ANN).await;
        let there = browser.get_one(app.url("/forward-auth/shop")).await;
        assert_eq!(level(&there), "authenticated");
        assert_challenge(&asked(&app, &browser, "shop").await);
        let page = browser.get(app.url("/logout")).await;
        browser.submit(&page, "/logout/confirm", &[]).await;
        assert_challenge(&browser.get_one(app.url("/forward-auth/shop")).await);
    }

    /// The cookie of one destination is nothing at another, and what is no cookie of ours is nobody's.
    async fn a_cookie_is_good_for_its_own_destination(env: &Env) {
        let app = start(with_shop(env, json!({})).destination(destination("ads", json!({})))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        assert_eq!(level(&asked(&app, &browser, "ads").await), "anonymous");
        let shop = browser.cookies().into_iter().find(|cookie| cookie.name.starts_with("samesake-forward-")).unwrap();
        let visitor = Browser::new();
        arrive(&app, &visitor, "ads", BOB).await;
        let ads = visitor.cookies().into_iter().find(|cookie| cookie.name.starts_with("samesake-forward-")).unwrap();
        assert_ne!(shop.name, ads.name);
        let (sid, token) = shop.value.split_once('.').unwrap();
        let strange = ["".to_owned(), ".".to_owned(), sid.to_owned(), format!("{sid}."), format!(".{token}"),
            format!("{}.{token}", ads.value.split_once('.').unwrap().0), format!("{}.x", shop.value), "x".repeat(1000)];
        for value in strange.into_iter().chain([shop.value.clone()]) {
            let thief = Browser::new();
            thief.put_cookie(Cookie { value: value.clone(), ..ads.clone() });
            assert_eq!(level(&asked(&app, &thief, "ads").await), "anonymous", "{value}");
        }
    }

    /// The cookie is out of reach of scripts, and no other host gets it.
    async fn the_cookie_on_the_apps_domain_is_kept_close(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let cookies = browser.cookies();
        let forward = cookies.iter().find(|cookie| cookie.name.starts_with("samesake-forward-")).unwrap();
        assert_eq!((forward.domain.as_str(), forward.host_only, forward.path.as_str()), ("localhost", true, "/"));
        assert_eq!((forward.http_only, forward.same_site.as_deref()), (true, Some("Lax")));
        assert!(forward.max_age.is_some_and(|age| age <= app.app.config.session.absolute.as_secs() as i64));
        let session = cookies.iter().find(|cookie| cookie.name == "samesake-session").unwrap();
        assert_eq!(session.domain, "127.0.0.1");
        assert!(Url::parse(&forward.value).is_err() && !forward.value.contains(&session.value));
    }
}
