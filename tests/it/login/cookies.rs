//! Cookies as the browser is told to keep them.

use url::Url;

use crate::harness::app::PASSWORD;
use crate::harness::cookies::Cookie;
use crate::harness::{Browser, Env, TestApp};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const ISSUER: &str = "https://id.shop.example";

/// A gateway behind a proxy that ends TLS: its issuer is https, what reaches it is http.
async fn behind_tls(env: &Env) -> TestApp {
    let app = TestApp::builder(env).web_client("shop").start_as(ISSUER).await;
    app.customer(ANN, "Ann").await;
    app
}

fn assert_common(cookie: &Cookie) {
    assert!(cookie.http_only && cookie.host_only && cookie.path == "/", "{cookie:?}");
    // Lax: it must come along when a provider sends the browser back.
    assert_eq!(cookie.same_site.as_deref(), Some("Lax"), "{cookie:?}");
}

on_both! {
    /// Protocol rule 42: on https no sibling sub-domain can plant a cookie of ours.
    async fn on_https_every_cookie_is_secure_and_bound_to_the_host(env: &Env) {
        let app = behind_tls(env).await;
        let browser = Browser::new();
        let page = browser.get_one(app.url("/sign-in")).await;
        let page = browser.get_one(app.url(&at_proxy(&page.redirect().unwrap()))).await;
        assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000; includeSubDomains"));
        let flow = page.form("/login/password", &[]).filled_in(&[])[0].1.clone();
        let fields = [("flow", flow.as_str()), ("email", ANN), ("password", PASSWORD)];
        // What the listener is called does not matter: the form must come from a page of the issuer.
        let here = app.address.origin().ascii_serialization();
        let refused = browser.post_from(&here, &app.url("/login/password"), &fields).await;
        assert_eq!(refused.status.as_u16(), 403);
        let answer = browser.post_from(ISSUER, &app.url("/login/password"), &fields).await;
        assert_eq!(answer.status.as_u16(), 303, "{}", answer.text());

        let cookies = browser.cookies();
        let mut names: Vec<&str> = cookies.iter().map(|cookie| cookie.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["__Host-samesake-browser", "__Host-samesake-device", "__Host-samesake-session"]);
        for cookie in &cookies {
            assert!(cookie.secure, "{cookie:?}");
            assert_common(cookie);
        }
        // A cookie of the plain name, as a sibling or plain http could plant it, is nobody's.
        let planted = Browser::new();
        let session = browser.cookie("__Host-samesake-session").unwrap();
        planted.put_cookie(Cookie { name: "samesake-session".to_owned(), ..session.clone() });
        assert!(!planted.get(app.url("/")).await.contains(ANN));
        planted.put_cookie(session);
        let page = planted.get(app.url("/")).await;
        assert!(page.contains(ANN), "{}", page.text());
        // Signing out removes it with the same attributes: anything else a browser refuses, as the jar does.
        let page = planted.get(app.url("/logout")).await;
        let token = page.form("/logout/confirm", &[]).filled_in(&[])[0].1.clone();
        planted.post_from(ISSUER, &app.url("/logout/confirm"), &[("token", &token)]).await;
        assert!(planted.cookie("__Host-samesake-session").is_none());
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

/// The path and query of an address, as the proxy passes them on.
fn at_proxy(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}
