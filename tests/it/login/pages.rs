//! Every page of ours: headers that no frame, no cache and no foreign script gets past (protocol rule 45).

use serde_json::json;

use super::{begin, provider_with_ann, through};
use crate::harness::app::{CLIENT_SECRET, PASSWORD, web_client};
use crate::harness::browser::NeverComes;
use crate::harness::upstream::Fault;
use crate::harness::{Browser, Env, Page, TestApp};
use crate::on_both;

const ANN: &str = "ann@shop.example";

fn assert_guarded(what: &str, page: &Page) {
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
    assert_eq!(page.header("x-frame-options"), Some("DENY"), "{what}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"), "{what}");
    assert_eq!(page.header("cache-control"), Some("no-store"), "{what}");
    assert!(matches!(page.header("referrer-policy"), Some("same-origin" | "strict-origin")), "{what}");
    assert_eq!(page.header("access-control-allow-origin"), None, "{what}");
    let policy = page.header("content-security-policy").unwrap_or_else(|| panic!("{what} has no policy"));
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'self'"] {
        assert!(policy.contains(part), "{what}: {policy}");
    }
    assert!(!policy.contains("unsafe-") && !policy.contains('*'), "{what}: {policy}");
    // What the policy forbids is not there either.
    let body = page.body.to_lowercase();
    for inline in ["<style", " style=\"", " onclick", " onload", "javascript:", "<iframe"] {
        assert!(!body.contains(inline), "{what} has {inline}");
    }
    assert!(!body.contains("<script>"), "{what} has a script of its own");
    assert!(page.header("x-request-id").is_some_and(|id| id.len() == 16), "{what}");
    assert!(!page.heading().is_empty(), "{what} has no heading");
}

on_both! {
    async fn every_page_is_guarded(env: &Env) {
        let upstream = provider_with_ann(env).await;
        let app = TestApp::builder(env)
            .web_client("shop")
            .client(web_client("guest", json!({"first_party": false})), Some(CLIENT_SECRET))
            .connector(upstream.config("google"))
            .start()
            .await;
        app.customer(ANN, "Ann").await;
        let (shop, guest) = (app.relying_party("shop").await, app.relying_party("guest").await);
        let browser = Browser::new();
        assert_guarded("the start page", &browser.get(app.url("/")).await);
        assert_guarded("nobody signed in", &browser.get(app.url("/logout")).await);
        let (_, login) = begin(&shop, &browser).await;
        assert_guarded("the login page", &login);
        let wrong = [("email", ANN), ("password", "wrong")];
        assert_guarded("a wrong password", &browser.submit(&login, "/login/password", &wrong).await);
        upstream.faults().only(Fault::NoIdToken);
        assert_guarded("a provider's fault", &through(&browser, &login, "google").await);
        let sign_up = browser.click(&login, "Create account").await;
        assert_guarded("the sign-up page", &sign_up);
        assert_guarded("a bad sign-up", &browser.submit(&sign_up, "/sign-up", &[("email", "x")]).await);
        let fields = [("email", "new@shop.example"), ("password", PASSWORD)];
        let code = browser.submit(&sign_up, "/sign-up", &fields).await;
        assert_guarded("the code page", &code);
        assert_guarded("a bad code", &browser.submit(&code, "/sign-up/code", &[("code", "x")]).await);
        assert_guarded("a new code", &browser.submit(&code, "/sign-up/resend", &[]).await);
        assert_guarded("an expired page", &browser.get(app.url("/login?flow=x")).await);
        assert_guarded("a lost callback", &browser.get(app.url("/callback/google?state=x")).await);
        assert_guarded("a bad client", &browser.get(app.url("/authorize?client_id=x")).await);
        assert_guarded("no such page", &browser.get(app.url("/nowhere")).await);
        let evil = browser.post_from("https://evil.example", &app.url("/login/cancel"), &[]).await;
        assert_guarded("another site's form", &evil);
        assert_guarded("no such destination", &browser.get(app.url("/handoff/x")).await);

        let callback = app.log_in(&browser, shop.authorization().url, ANN).await;
        assert!(callback.stopped, "{}", callback.text());
        assert_guarded("the start page of a customer", &browser.get(app.url("/")).await);
        assert_guarded("the question before signing out", &browser.get(app.url("/logout")).await);
        assert_guarded("an app's end of session", &browser.get(app.url("/end-session")).await);
        assert_guarded("the consent page", &browser.get(guest.authorization().url).await);
        let select = shop.authorization_with(&[("prompt", "select_account")]);
        assert_guarded("the choice of account", &browser.get(select.url).await);
        let again = shop.authorization_with(&[("prompt", "login")]);
        assert_guarded("once more", &browser.get(again.url).await);
        let posted = shop.authorization_with(&[("response_mode", "form_post")]);
        assert_guarded("the form that posts itself", &browser.get(posted.url).await);
        let question = browser.get(app.url("/logout")).await;
        assert_guarded("signed out", &browser.submit(&question, "/logout/confirm", &[]).await);
    }

    /// A redirect that carries a code is in no cache, and tells no later page where it came from.
    async fn redirects_with_a_code_are_not_kept(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let shop = app.relying_party("shop").await;
        let browser = Browser::new();
        app.log_in(&browser, app.url("/sign-in"), ANN).await;
        let answer = browser.get_one(shop.authorization().url).await;
        assert_eq!(answer.status.as_u16(), 303);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }

    /// A body beyond reason is refused before it is read.
    async fn a_huge_form_is_refused(env: &Env) {
        let app = TestApp::start(env).await;
        let announced = u64::try_from(app.app.config.server.max_body_bytes).unwrap() + 1;
        let huge = NeverComes { announced: Some(announced) };
        let refused = Browser::new().post_without_body(&app.url("/login/password"), huge).await;
        assert_eq!(refused.status.as_u16(), 413);
    }

    /// What takes too long, or fails before any handler has a say, is a page all the same.
    async fn a_request_out_of_time_is_answered_by_a_page(env: &Env) {
        let hurried = |config: &mut samesake::config::Config| {
            config.server.request_timeout = std::time::Duration::from_millis(50);
        };
        let app = TestApp::builder(env).configure(hurried).start().await;
        // A body that never comes is out of time on any machine, however fast.
        let page = Browser::new().post_without_body(&app.url("/login/password"), NeverComes::default()).await;
        assert_eq!((page.status.as_u16(), page.heading().as_str()), (503, "We can\u{2019}t do that just now"));
        assert_eq!(page.header("retry-after"), Some("2"));
        assert_guarded("out of time", &page);
        assert!(page.contains(page.header("x-request-id").unwrap()), "{}", page.text());
    }

    /// What may succeed in a moment says so, and when to come back.
    async fn without_a_database_a_page_says_to_come_back(env: &Env) {
        let app = TestApp::start(env).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let login = browser.get(app.url("/sign-in")).await;
        app.store.close().await;
        let page = browser.submit(&login, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        assert_eq!(page.status.as_u16(), 503);
        assert_eq!(page.header("retry-after"), Some("2"));
        assert_guarded("no database", &page);
    }
}
