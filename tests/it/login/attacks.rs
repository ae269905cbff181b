//! What other sites, other browsers and clever texts try against the pages of a login.

use serde_json::json;

use super::sessions::desk;
use super::{begin, provider_with_ann, through};
use crate::harness::app::{CLIENT_SECRET, PASSWORD, web_client};
use crate::harness::upstream::{Fault, Upstream};
use crate::harness::{Browser, Env, Page, TestApp, html};
use crate::on_both;

const ANN: &str = "ann@shop.example";
const EVIL: &str = "https://evil.example";

/// Markup that would run if any of it reached a page as it is.
const MARKUP: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "javascript:alert(1)//",
];

/// No text has become markup.
fn assert_harmless(page: &Page) {
    let body = page.body.to_lowercase();
    for sign in ["<script>", "<img src=x", "<svg/onload", "href=\"javascript:", "action=\"javascript:", "49${49}"] {
        assert!(!body.contains(sign), "{sign} is in the page:\n{}", page.body);
    }
    for (_, href) in html::links(&page.body) {
        assert!(href.starts_with('/') || href.starts_with('#') || href.starts_with("http"), "a link to {href}");
    }
}

on_both! {
    /// Protocol rule 43: the forms that do something, sent by another site, or for another flow.
    async fn forms_of_other_sites_do_nothing(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let builder = TestApp::builder(env).connector(upstream.config("google")).web_client("shop");
        let third_party = web_client("guest", json!({"first_party": false}));
        let app = builder.client(third_party, Some(CLIENT_SECRET)).start().await;
        app.customer(ANN, "Ann").await;
        let (shop, guest) = (app.relying_party("shop").await, app.relying_party("guest").await);
        let victim = Browser::new();
        let (_, page) = begin(&shop, &victim).await;
        let flow = page.parameter("flow").unwrap();
        let forms: [(&str, Vec<(&str, &str)>); 8] = [
            ("/login/password", vec![("flow", &flow), ("email", ANN), ("password", PASSWORD)]),
            ("/login/social", vec![("flow", &flow), ("connector", "google")]),
            ("/login/cancel", vec![("flow", &flow)]),
            ("/sign-up", vec![("flow", &flow), ("email", "new@shop.example"), ("password", PASSWORD)]),
            ("/sign-up/code", vec![("flow", &flow), ("code", "000000")]),
            ("/sign-up/resend", vec![("flow", &flow)]),
            ("/consent", vec![("flow", &flow), ("decision", "allow")]),
            ("/select-account", vec![("flow", &flow), ("choice", "continue")]),
        ];
        let own = app.app.config.server.issuer_text();
        for (path, fields) in &forms {
            // "null" is what a sandboxed frame sends.
            for origin in [EVIL, "null", "http://127.0.0.1", "https://shop.example", &format!("{own}.evil.example")] {
                let refused = victim.post_from(origin, &app.url(path), fields).await;
                assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (403, "This form came from another site"));
            }
            // From a page of ours, but without the flow, with a guessed one, or in a browser that did not begin it.
            let without: Vec<(&str, &str)> = fields[1..].to_vec();
            let guessed = [vec![("flow", "guess")], without.clone()].concat();
            for (browser, fields) in [(&victim, &without), (&victim, &guessed), (&Browser::new(), fields)] {
                let refused = browser.post_from(own, &app.url(path), fields).await;
                assert_eq!((refused.status.as_u16(), refused.heading().as_str()), (400, "This page has expired"), "{path}");
            }
        }
        assert!(victim.cookie("samesake-session").is_none());
        assert!(app.app.mailer.sent().is_empty());

        // Signing out and consent, with somebody logged in.
        app.log_in(&victim, shop.authorization().url, ANN).await;
        let consent = victim.get(guest.authorization().url).await;
        assert_eq!(consent.url.path(), "/consent");
        let flow = consent.parameter("flow").unwrap();
        let allow = [("flow", flow.as_str()), ("decision", "allow")];
        assert_eq!(victim.post_from(EVIL, &app.url("/consent"), &allow).await.status.as_u16(), 403);
        let signing_out = victim.get(app.url("/logout")).await;
        let token = signing_out.form("/logout/confirm", &[]).filled_in(&[])[0].1.clone();
        assert_eq!(victim.post_from(EVIL, &app.url("/logout/confirm"), &[("token", &token)]).await.status.as_u16(), 403);
        // The attacker's own token does not sign the victim out.
        let attacker = Browser::new();
        app.customer("eve@shop.example", "Eve").await;
        app.log_in(&attacker, shop.authorization().url, "eve@shop.example").await;
        let theirs = attacker.get(app.url("/logout")).await.form("/logout/confirm", &[]).filled_in(&[])[0].1.clone();
        for token in ["", "guess", &theirs] {
            let refused = victim.post_from(own, &app.url("/logout/confirm"), &[("token", token)]).await;
            assert_eq!(refused.status.as_u16(), 400);
        }
        assert!(victim.get(app.url("/")).await.contains(ANN), "still signed in");
    }

    /// Consent cannot be skipped: not by HEAD, not by prefetch, not by asking again.
    async fn only_the_customers_own_word_is_consent(env: &Env) {
        let third_party = web_client("guest", json!({"first_party": false}));
        let app = TestApp::builder(env).client(third_party, Some(CLIENT_SECRET)).start().await;
        app.customer(ANN, "Ann").await;
        let guest = app.relying_party("guest").await;
        let browser = Browser::new();
        let authorization = guest.authorization();
        let page = app.log_in(&browser, &authorization.url, ANN).await;
        assert_eq!(page.heading(), "Allow The guest to use your account?");
        for url in [&authorization.url, &page.url] {
            for _ in 0..2 {
                assert_eq!(browser.get(url).await.url.path(), "/consent");
            }
        }
        let silent = browser.get(&guest.authorization_with(&[("prompt", "none")]).url).await;
        assert_eq!(silent.parameter("error").as_deref(), Some("consent_required"));
        let unsaid = browser.submit(&page, "/consent", &[]).await;
        assert_eq!(unsaid.url.path(), "/consent");
        let denied = browser.submit(&page, "/consent", &[("decision", "deny")]).await;
        assert_eq!(guest.error(&authorization, &denied), "access_denied");
        let allowed = browser.submit(&page, "/consent", &[("decision", "allow")]).await;
        guest.finish(&authorization, &allowed).await;
        let silent = guest.authorization_with(&[("prompt", "none")]);
        guest.finish(&silent, &browser.get(&silent.url).await).await;
    }

    /// Protocol rule 40: no parameter of ours leads a browser to where nobody registered.
    async fn no_parameter_is_an_open_redirect(env: &Env) {
        let app = TestApp::builder(env).web_client("shop").destination(desk()).start().await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        app.log_in(&browser, app.url("/sign-in"), ANN).await;
        let addresses = [
            "https://evil.example/",
            "//evil.example",
            "\\\\evil.example",
            "/\\evil.example",
            "https:evil.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "https://desk.example@evil.example/",
            "https://desk.example.evil.example/",
            "https://evil.example/https://desk.example/",
            "https://desk.example:8443/",
            "http://desk.example/",
            "https://desk.example\r\nLocation: https://evil.example",
            "https://desk.example%2eevil.example/",
        ];
        for address in addresses {
            let encoded: String = url::form_urlencoded::byte_serialize(address.as_bytes()).collect();
            let state = "s".repeat(43);
            for path in [
                format!("/handoff/desk?rd={encoded}&state={state}"),
                format!("/.samesake/desk/start?rd={encoded}"),
                format!("/.samesake/desk/callback?ticket=x&rd={encoded}&return_to={encoded}"),
                format!("/sign-in?rd={encoded}&return_to={encoded}&next={encoded}&redirect_uri={encoded}"),
                format!("/login?rd={encoded}&return_to={encoded}&next={encoded}"),
                format!("/logout?post_logout_redirect_uri={encoded}&rd={encoded}"),
                format!("/end-session?post_logout_redirect_uri={encoded}"),
                format!("/authorize?client_id=shop&response_type=code&redirect_uri={encoded}"),
                format!("/callback/google?error=x&redirect_uri={encoded}&state={encoded}"),
            ] {
                let answer = browser.get_one(app.url(&path)).await;
                if let Some(target) = answer.redirect() {
                    let ours = target.origin() == app.issuer.origin();
                    let desk = target.origin().ascii_serialization() == "https://desk.example";
                    assert!(ours || desk, "{path} leads to {target}");
                    assert!(!target.path().starts_with("//"), "{path} leads to {target}");
                }
                assert!(answer.headers.get_all("location").iter().count() <= 1, "{path}");
                assert_harmless(&answer);
            }
        }
    }

    /// Protocol rule 44.
    async fn texts_from_outside_never_become_markup(env: &Env) {
        for text in MARKUP {
            let upstream = Upstream::start().await;
            upstream.add_person("ann-1", json!({
                "name": text, "given_name": text, "preferred_username": text, "picture": text, "locale": text,
            }));
            let mut connector = upstream.config("google");
            connector.name = (*text).to_owned();
            let changes = json!({"first_party": false, "client_name": text, "scope": format!("openid profile {}", "x<b>y")});
            let app = TestApp::builder(env)
                .client(web_client("guest", changes), Some(CLIENT_SECRET))
                .connector(connector)
                .configure(|config| config.brand.name = (*text).to_owned())
                .start()
                .await;
            let guest = app.relying_party("guest").await;
            let browser = Browser::new();
            let hostile = [("state", *text), ("login_hint", text), ("ui_locales", text), ("claims_locales", text)];
            let login = browser.get(&guest.authorization_with(&hostile).url).await;
            assert_eq!(login.url.path(), "/login", "{}", login.text());
            assert!(login.contains(text.split_whitespace().next().unwrap()), "the name is shown as it is");
            assert_harmless(&login);
            let fields = [("email", *text), ("password", text)];
            assert_harmless(&browser.submit(&login, "/login/password", &fields).await);
            let sign_up = browser.click(&login, "Create account").await;
            let fields = [("email", *text), ("password", text), ("name", text)];
            assert_harmless(&browser.submit(&sign_up, "/sign-up", &fields).await);
            upstream.faults().only(Fault::AuthorizeError("server_error"));
            assert_harmless(&through(&browser, &login, "google").await);
            upstream.faults().clear();
            let consent = through(&browser, &login, "google").await;
            assert_eq!(consent.url.path(), "/consent", "{}", consent.text());
            assert_harmless(&consent);
            let select = browser.get(&guest.authorization_with(&[("prompt", "select_account")]).url).await;
            for page in [select, browser.get(app.url("/")).await, browser.get(app.url("/logout")).await] {
                assert_eq!(page.status.as_u16(), 200);
                assert_harmless(&page);
            }
            let encoded: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
            for path in [
                format!("/authorize?client_id={encoded}"),
                format!("/authorize?client_id=guest&redirect_uri={encoded}"),
                format!("/callback/google?error={encoded}&error_description={encoded}&state={encoded}"),
                format!("/callback/{encoded}?state=x"),
                format!("/login?flow={encoded}"),
                format!("/{encoded}"),
                format!("/end-session?client_id={encoded}&state={encoded}&id_token_hint={encoded}"),
            ] {
                assert_harmless(&browser.get(app.url(&path)).await);
            }
        }
    }

    /// `state` comes back byte for byte, also in the form that posts itself.
    async fn state_is_returned_as_it_was_without_becoming_markup(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let shop = app.relying_party("shop").await;
        let browser = Browser::new();
        app.log_in(&browser, app.url("/sign-in"), ANN).await;
        for text in MARKUP {
            let authorization = shop.authorization_with(&[("state", text)]);
            let callback = browser.get(&authorization.url).await;
            assert_eq!(callback.parameter("state").as_deref(), Some(*text));
            let posted = shop.authorization_with(&[("state", *text), ("response_mode", "form_post")]);
            let page = browser.get(&posted.url).await;
            assert_harmless(&page);
            let fields = page.forms()[0].filled_in(&[]);
            assert!(fields.contains(&("state".to_owned(), (*text).to_owned())), "{fields:?}");
        }
    }
}
