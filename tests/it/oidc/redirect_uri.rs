//! Where an authorization request may lead: protocol rule 2. Whatever else is wrong, an address that is not registered
//! is never redirected to.

use serde_json::json;

use super::{Visit, assert_error_page, plus};
use crate::harness::app::{TestApp, web_client};
use crate::harness::{Browser, Env, Page};
use crate::on_both;

/// Everything that is nearly `https://shop.example/callback`.
const NEARLY: &[&str] = &[
    "https://evil.example/callback",
    "https://shop.example.evil.example/callback",
    "https://evilshop.example/callback",
    "https://www.shop.example/callback",
    "https://shop.example/",
    "https://shop.example/call",
    "https://shop.example/callback/",
    "https://shop.example/callback/more",
    "https://shop.example/callbacks",
    "https://shop.example/callback/..",
    "https://shop.example/x/../callback",
    "https://shop.example/./callback",
    "https://shop.example//callback",
    "https://shop.example/callback?a=b",
    "https://shop.example/callback?",
    "https://shop.example/callback#fragment",
    "https://shop.example/callback#",
    "https://ann@shop.example/callback",
    "https://shop.example@evil.example/callback",
    "https://shop.example:443/callback",
    "https://shop.example:8443/callback",
    "http://shop.example/callback",
    "HTTPS://shop.example/callback",
    "https://SHOP.example/callback",
    "https://shop.example/Callback",
    "https://shop.example%2Fcallback",
    "https://shop.example/%63allback",
    "https://shop.example/callback%2f",
    "https://shop.example./callback",
    "https://shop\u{3002}example/callback",
    "https:\\\\shop.example\\callback",
    "https://evil.example\\@shop.example/callback",
    "//shop.example/callback",
    "/callback",
    "https://shop.example/callback ",
    " https://shop.example/callback",
    "https://shop.example/callback\r\nLocation: https://evil.example",
    "https://shop.example/callback\0",
    "javascript:alert(1)//https://shop.example/callback",
    "data:text/html,https://shop.example/callback",
    "https://*.example/callback",
    "urn:ietf:wg:oauth:2.0:oob",
];

on_both! {
    /// Also when the request is wrong in other ways, which must not decide earlier, and by POST.
    async fn a_redirect_uri_that_is_not_exactly_registered_is_a_page(env: &Env) {
        let visit = Visit::start(env).await;
        for uri in NEARLY {
            for more in [("prompt", ""), ("prompt", "none"), ("response_type", "token"), ("response_mode", "form_post")]
            {
                let request = visit.shop.authorization_with(&[("redirect_uri", uri), more]);
                assert_error_page(&visit.browser.get_one(&request.url).await);
            }
        }
        let request = visit.shop.authorization_with(&[("redirect_uri", NEARLY[0])]);
        let fields: Vec<_> = request.url.query_pairs().collect();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
        // Once a browser has our cookie; before that a POST is sent round as a GET, see authorize.rs.
        visit.browser.get(visit.app.url("/sign-in")).await;
        let page = visit.browser.post_from("https://evil.example", &visit.app.url("/authorize"), &fields).await;
        assert_error_page(&page);
        assert!(visit.browser.get_one(&visit.shop.authorization().url).await.redirect().is_some());
    }

    async fn an_unknown_client_is_a_page_even_silently(env: &Env) {
        let visit = Visit::start(env).await;
        for client_id in ["", "shopp", "SHOP", "shop ", "shop\0", "' OR 1=1 --", "../shop", &"s".repeat(5000)] {
            for prompt in ["", "none"] {
                let request = visit.shop.authorization_with(&[("client_id", client_id), ("prompt", prompt)]);
                assert_error_page(&visit.browser.get_one(&request.url).await);
            }
        }
    }

    /// Which of two the checks saw, and which the app's own parser would, nobody can say.
    async fn a_repeated_client_or_redirect_uri_is_a_page(env: &Env) {
        let visit = Visit::start(env).await;
        let request = visit.shop.authorization();
        for (name, value) in [
            ("redirect_uri", "https://evil.example/callback"),
            ("redirect_uri", "https://shop.example/callback"),
            ("client_id", "other"),
            ("client_id", "shop"),
        ] {
            assert_error_page(&visit.browser.get_one(plus(&request.url, name, value)).await);
        }
    }

    /// RFC 6749 §3.1.2.3: only a sole registered one may be left out.
    async fn a_missing_redirect_uri_is_a_page_if_several_are_registered(env: &Env) {
        let two = json!({ "redirect_uris": ["https://shop.example/callback", "https://shop.example/other"] });
        let visit = Visit::with(env, two).await;
        let request = visit.shop.authorization_with(&[("redirect_uri", ""), ("prompt", "none")]);
        assert_error_page(&visit.browser.get_one(&request.url).await);

        let elsewhere = Env::new(env.pair);
        let visit = Visit::start(&elsewhere).await;
        let request = visit.shop.authorization_with(&[("redirect_uri", ""), ("prompt", "none")]);
        let page = visit.browser.get(&request.url).await;
        assert_eq!(visit.shop.error(&request, &page), "login_required");
    }

    /// RFC 8252 §7.3: an app on the customer's own computer cannot know its port in advance.
    async fn only_a_native_client_on_a_loopback_address_may_choose_its_port(env: &Env) {
        let uris = ["http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb", "com.example.app:/cb"];
        let public = |kind: &str| {
            json!({ "redirect_uris": uris, "token_endpoint_auth_method": "none", "application_type": kind })
        };
        let app = TestApp::builder(env)
            .client(web_client("native", public("native")), None)
            .client(web_client("web", public("web")), None)
            .start()
            .await;
        let ask = async |client_id: &str, redirect_uri: &str| -> Page {
            let shop = app.relying_party(client_id).await;
            let request = shop.authorization_with(&[("redirect_uri", redirect_uri), ("prompt", "none")]);
            Browser::new().get_one(&request.url).await
        };
        for uri in ["http://127.0.0.1/cb", "http://127.0.0.1:49152/cb", "http://[::1]:65535/cb", "com.example.app:/cb"] {
            let target = ask("native", uri).await.redirect().unwrap();
            assert!(target.as_str().starts_with(&format!("{uri}?error=login_required")), "{target}");
        }
        for uri in [
            "http://localhost:49152/cb",
            "https://127.0.0.1:49152/cb",
            "http://127.0.0.1:49152/cb/x",
            "http://127.0.0.1:49152/cb?x",
            "http://127.0.0.1:/cb",
            "http://127.0.0.1:655360/cb",
            "http://127.0.0.1:80@evil.example/cb",
            "http://127.0.0.1.evil.example/cb",
            "http://127.0.0.2:49152/cb",
            "http://127.1:49152/cb",
            "http://2130706433:49152/cb",
            "http://[::ffff:127.0.0.1]:49152/cb",
        ] {
            assert_error_page(&ask("native", uri).await);
        }
        assert_error_page(&ask("web", "http://127.0.0.1:49152/cb").await);
        assert!(ask("web", "http://127.0.0.1/cb").await.redirect().is_some());
    }
}
