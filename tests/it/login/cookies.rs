//! Cookies as the browser is told to keep them.

use super::{provider_with_ann, through};
use crate::harness::app::PASSWORD;
use crate::harness::cookies::Cookie;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, TestApp};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const ISSUER: &str = "https://localhost";

/// A gateway behind a proxy that ends TLS, and a browser that comes through it.
async fn behind_tls(env: &Env, upstream: &Upstream) -> (TestApp, Browser) {
    let app = TestApp::builder(env).connector(upstream.config("google")).start_as(ISSUER).await;
    app.customer(ANN, "Ann").await;
    let browser = Browser::new().via(&app.issuer, &app.address);
    (app, browser)
}

fn assert_common(cookie: &Cookie) {
    assert!(cookie.http_only && cookie.host_only && cookie.path == "/", "{cookie:?}");
    // Lax: it must come along when a provider sends the browser back.
    assert_eq!(cookie.same_site.as_deref(), Some("Lax"), "{cookie:?}");
}

on_both! {
    /// Protocol rule 42: on https no sibling sub-domain can plant a cookie of ours.
    async fn on_https_every_cookie_is_secure_and_bound_to_the_host(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let (app, browser) = behind_tls(env, &upstream).await;
        let at = |path: &str| app.issuer.join(path).unwrap();
        let page = browser.get(at("/sign-in")).await;
        assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
        // What the listener is called does not matter: the form must come from a page of the issuer.
        let here = app.address.origin().ascii_serialization();
        assert_eq!(browser.post_from(&here, &at("/login/password"), &[]).await.status.as_u16(), 403);
        let home = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert!(home.contains(ANN), "{}", home.text());

        let cookies = browser.cookies();
        let mut names: Vec<&str> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["__Host-samesake-browser", "__Host-samesake-device", "__Host-samesake-session"]);
        for cookie in &cookies {
            assert!(cookie.secure, "{cookie:?}");
            assert_common(cookie);
        }
        // A cookie of the plain name, as a sibling or plain http could plant it, is nobody's.
        let planted = Browser::new().via(&app.issuer, &app.address);
        let session = browser.cookie("__Host-samesake-session").unwrap();
        planted.put_cookie(Cookie { name: "samesake-session".to_owned(), ..session.clone() });
        assert!(!planted.get(at("/")).await.contains(ANN));
        planted.put_cookie(session);
        assert!(planted.get(at("/")).await.contains(ANN));
        // Signing out removes it with the same attributes: anything else a browser refuses, as the jar does.
        let question = planted.get(at("/logout")).await;
        planted.submit(&question, "/logout/confirm", &[]).await;
        assert!(planted.cookie("__Host-samesake-session").is_none());
        // They are there when a provider sends the browser back, here with somebody who is nobody's customer yet.
        upstream.add_person("stranger", serde_json::json!({}));
        upstream.choose("stranger");
        let other = Browser::new().via(&app.issuer, &app.address);
        let page = other.get(at("/sign-in")).await;
        let home = through(&other, &page, "google").await;
        assert!(home.url == at("/") && other.cookie("__Host-samesake-session").is_some(), "{}", home.text());
    }

    /// On plain http, for loopback only, browsers would refuse the prefix.
    async fn on_http_cookies_have_plain_names(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let home = app.log_in(&browser, app.url("/sign-in"), ANN).await;
        assert_eq!(home.header("strict-transport-security"), None);
        let cookies = browser.cookies();
        let mut names: Vec<&str> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["samesake-browser", "samesake-device", "samesake-session"]);
        for cookie in &cookies {
            assert!(!cookie.secure, "{cookie:?}");
            assert_common(cookie);
        }
        // The session cookie lasts as long as an idle session, the others for months.
        let idle = i64::try_from(app.app.config.session.idle.as_secs()).unwrap();
        let session = browser.cookie("samesake-session").unwrap().max_age.unwrap();
        assert!((idle - 60..=idle).contains(&session), "{session}");
    }

    /// Values of ours name nobody and carry nothing to be read.
    async fn cookies_hold_nothing_of_the_customer(env: &Env) {
        let app = TestApp::start(env).await;
        let ann = app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        app.log_in(&browser, app.url("/sign-in"), ANN).await;
        for cookie in browser.cookies() {
            let bytes = samesake::secret::from_base64url(&cookie.value).unwrap_or_default();
            let readable = format!("{} {}", cookie.value, String::from_utf8_lossy(&bytes)).to_lowercase();
            for secret in ["shop.example", &ann.to_string(), &ann.0.simple().to_string()] {
                assert!(!readable.contains(secret), "{} holds {secret}", cookie.name);
            }
        }
    }
}
