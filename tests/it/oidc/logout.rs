//! RP-Initiated Logout: protocol rule 31. Only a signed hint speaks for the customer; everybody else has to ask.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::LOCATION;
use serde_json::json;
use url::Url;

use super::{ANN, BEN, Visit, plus};
use crate::harness::app::{CLIENT_SECRET, TestApp, web_client};
use crate::harness::browser::http_client;
use crate::harness::upstream::Upstream;
use crate::harness::{Browser, Env, Page};
use crate::on_both;

const HOME: &str = "https://shop.example/";

/// The session is over, here and for everything that hung on it.
async fn assert_signed_out(visit: &Visit) {
    assert_eq!(visit.silently().await.as_deref(), Some("login_required"));
}

async fn assert_signed_in(visit: &Visit) {
    assert_eq!(visit.silently().await, None);
}

/// The customer is asked, and nothing has happened yet.
async fn assert_asks(visit: &Visit, page: &Page) {
    assert_eq!((page.status, page.heading().as_str(), page.stopped), (StatusCode::OK, "Sign out?", false));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_signed_in(visit).await;
}

async fn two(env: &Env) -> Visit {
    Visit::of(TestApp::builder(env).web_client("shop").web_client("other")).await
}

on_both! {
    async fn a_hint_signs_out_at_once_and_returns(env: &Env) {
        let visit = Visit::start(env).await;
        let tokens = visit.tokens(&[("scope", "openid email")]).await;
        let state = "a b&c=\u{e4}";
        let logout =
            [("id_token_hint", tokens.id_token.as_str()), ("post_logout_redirect_uri", HOME), ("state", state)];
        let page = visit.browser.get(visit.shop.end_session(&logout)).await;
        assert!(page.stopped && page.visited.len() == 1);
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert_eq!((page.url.origin(), page.url.path()), (Url::parse(HOME).unwrap().origin(), "/"));
        assert_eq!(page.parameter("state").as_deref(), Some(state));
        assert_eq!(page.url.query_pairs().count(), 1);
        assert_eq!(visit.browser.cookie("samesake-session"), None);
        assert_signed_out(&visit).await;
        assert_eq!(visit.shop.userinfo(&tokens.access_token).await.status, StatusCode::UNAUTHORIZED);
        // A second time, and without a session, it is no error.
        assert!(visit.browser.get(visit.shop.end_session(&logout)).await.stopped);
    }

    /// RP-Initiated Logout §2: an expired ID token will do, by GET and by POST.
    async fn an_expired_hint_is_accepted(env: &Env) {
        let visit = Visit::start(env).await;
        for post in [false, true] {
            let hint = visit.tokens(&[]).await.id_token;
            visit.app.clock.advance(Duration::from_secs(3600));
            let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", HOME)];
            let page = match post {
                true => visit.browser.post_from("https://shop.example", &visit.app.url("/end-session"), &fields).await,
                false => visit.browser.get_one(visit.shop.end_session(&fields)).await,
            };
            assert_eq!(page.headers[LOCATION], HOME);
            assert_signed_out(&visit).await;
        }
    }

    /// Browsers keep our Lax cookies back from another site's form: it must not report a logout that never was.
    async fn a_form_posted_by_another_site_signs_out_too(env: &Env) {
        let visit = Visit::start(env).await;
        let hint = visit.tokens(&[]).await.id_token;
        let post = http_client().post(visit.app.url("/end-session"));
        let answer = post.form(&[("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", HOME)]).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER);
        let again = visit.app.issuer.join(answer.headers()[LOCATION].to_str().unwrap()).unwrap();
        assert_eq!(again.path(), "/end-session");
        assert_signed_in(&visit).await;
        assert_eq!(visit.browser.get_one(&again).await.headers[LOCATION], HOME);
        assert_signed_out(&visit).await;
    }

    /// Without a hint anybody could have sent this browser here: it takes the customer's word.
    async fn without_a_hint_the_customer_confirms(env: &Env) {
        let visit = Visit::start(env).await;
        for (fields, target) in [
            (vec![], None),
            (vec![("client_id", "shop")], None),
            (vec![("post_logout_redirect_uri", HOME)], None),
            (vec![("client_id", "nobody"), ("post_logout_redirect_uri", HOME)], None),
            (vec![("client_id", "shop"), ("post_logout_redirect_uri", HOME), ("state", "s")], Some("https://shop.example/?state=s")),
        ] {
            visit.tokens(&[]).await;
            let page = visit.browser.get(visit.shop.end_session(&fields)).await;
            assert_asks(&visit, &page).await;
            let stayed = visit.browser.click(&page, "Stay").await;
            assert_eq!(stayed.heading(), "You\u{2019}re signed in");
            let done = visit.browser.submit(&page, "/logout/confirm", &[]).await;
            match target {
                Some(target) => assert_eq!((done.url.as_str(), done.stopped), (target, true)),
                None => assert_eq!((done.heading().as_str(), done.stopped), ("You\u{2019}re signed out", false)),
            }
            assert_signed_out(&visit).await;
        }
    }

    /// Foreign, changed, unsigned, or not an ID token at all: nothing it says counts, and there is no redirect even
    /// after the customer has confirmed.
    async fn a_bad_hint_asks_and_never_redirects(env: &Env) {
        let visit = two(env).await;
        let tokens = visit.tokens(&[]).await;
        let (head, rest) = tokens.id_token.split_once('.').unwrap();
        let (claims, _) = rest.split_once('.').unwrap();
        let foreign = {
            let elsewhere = Env::new(env.pair);
            let there = Visit::start(&elsewhere).await;
            there.tokens(&[]).await.id_token
        };
        let mut changed = tokens.id_token.clone();
        changed.replace_range(changed.len() - 8..changed.len() - 4, "AAAA");
        let none = format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{claims}.");
        let refresh_token = tokens.refresh_token.clone().unwrap();
        for hint in ["x", &format!("{head}.{claims}."), &foreign, &changed, &none, &tokens.access_token, &refresh_token] {
            visit.tokens(&[]).await;
            let fields = [("id_token_hint", hint), ("client_id", "shop"), ("post_logout_redirect_uri", HOME)];
            let page = visit.browser.get(visit.shop.end_session(&fields)).await;
            assert_asks(&visit, &page).await;
            let done = visit.browser.submit(&page, "/logout/confirm", &[]).await;
            assert_eq!((done.heading().as_str(), done.stopped), ("You\u{2019}re signed out", false));
            // With nobody signed in there is no redirect either.
            assert!(!visit.browser.get(visit.shop.end_session(&fields)).await.stopped);
        }
        let good = visit.tokens(&[]).await.id_token;
        let mismatch = [("id_token_hint", good.as_str()), ("client_id", "other"), ("post_logout_redirect_uri", HOME)];
        assert_asks(&visit, &visit.browser.get(visit.shop.end_session(&mismatch)).await).await;
        let once = visit.shop.end_session(&[("id_token_hint", &good), ("post_logout_redirect_uri", HOME)]);
        let twice = plus(&once, "post_logout_redirect_uri", "https://shop.example/");
        assert_asks(&visit, &visit.browser.get(twice).await).await;
    }

    /// Exact match, like a redirect URI; the hint still signs out.
    async fn only_an_exact_post_logout_redirect_uri_is_followed(env: &Env) {
        let visit = two(env).await;
        for uri in [
            "https://evil.example/",
            "https://shop.example",
            "https://shop.example/x",
            "https://shop.example/?",
            "https://shop.example/?x=y",
            "https://shop.example/#x",
            "https://shop.example//",
            "https://shop.example:443/",
            "https://SHOP.example/",
            "https://ann@shop.example/",
            "https://shop.example.evil.example/",
            "https://other.example/",
            "https://shop.example/callback",
            "//shop.example/",
            "javascript:alert(1)",
            "https://shop.example/\r\nx: y",
        ] {
            let hint = visit.tokens(&[]).await.id_token;
            let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", uri), ("state", "s")];
            let page = visit.browser.get(visit.shop.end_session(&fields)).await;
            assert_eq!((page.heading().as_str(), page.stopped), ("You\u{2019}re signed out", false), "{uri}");
            assert_signed_out(&visit).await;
        }
        for state in ["s".repeat(4097).as_str(), "a\nb"] {
            let hint = visit.tokens(&[]).await.id_token;
            let fields = [("id_token_hint", hint.as_str()), ("post_logout_redirect_uri", HOME), ("state", state)];
            let page = visit.browser.get(visit.shop.end_session(&fields)).await;
            assert!(!page.stopped, "a state is returned intact or not at all");
            assert_signed_out(&visit).await;
        }
    }

    /// Whoever signed in again since, in the same browser, still means to sign out.
    async fn a_hint_of_an_earlier_session_of_the_same_customer_signs_out(env: &Env) {
        let pairwise = json!({ "subject_type": "pairwise" });
        let visit = Visit::of(TestApp::builder(env).client(web_client("shop", pairwise), Some(CLIENT_SECRET))).await;
        let old = visit.tokens(&[]).await;
        visit.browser.forget_cookies(Some("samesake-session"));
        let new = visit.tokens(&[]).await;
        assert_ne!(old.claims["sid"], new.claims["sid"]);
        let fields = [("id_token_hint", old.id_token.as_str()), ("post_logout_redirect_uri", HOME)];
        assert_eq!(visit.browser.get(visit.shop.end_session(&fields)).await.url.as_str(), HOME);
        assert_signed_out(&visit).await;
        assert_eq!(visit.shop.userinfo(&new.access_token).await.status, StatusCode::OK, "offline_access lives on");
    }

    /// Somebody else is signed in here by now: Ann's app does not sign Ben out, and gets no answer about him.
    async fn a_hint_of_another_customer_asks_and_never_redirects(env: &Env) {
        let visit = Visit::start(env).await;
        visit.app.customer(BEN, "Ben Example").await;
        let elsewhere = Browser::new();
        let request = visit.shop.authorization();
        let page = visit.app.log_in(&elsewhere, &request.url, BEN).await;
        let bens = visit.shop.finish(&request, &page).await.id_token;
        visit.tokens(&[]).await;
        let fields = [("id_token_hint", bens.as_str()), ("post_logout_redirect_uri", HOME)];
        let page = visit.browser.get(visit.shop.end_session(&fields)).await;
        assert_asks(&visit, &page).await;
        let done = visit.browser.submit(&page, "/logout/confirm", &[]).await;
        assert_eq!((done.heading().as_str(), done.stopped), ("You\u{2019}re signed out", false));
        let silent = visit.shop.authorization_with(&[("prompt", "none")]);
        let page = elsewhere.get(&silent.url).await;
        visit.shop.finish(&silent, &page).await;
    }

    /// Rule 43: the word is given on our page, in this session, once.
    async fn a_confirmation_cannot_be_forged_or_replayed(env: &Env) {
        let visit = Visit::start(env).await;
        visit.tokens(&[]).await;
        let page = visit.browser.get(visit.app.url("/logout")).await;
        let token = page.form("/logout/confirm", &[]).filled_in(&[]).remove(0);
        let (name, token) = (token.0.as_str(), token.1.as_str());
        let confirm = visit.app.url("/logout/confirm");
        for (origin, field) in [("https://evil.example", token), ("null", token), (&visit.shop.issuer, "x"), (&visit.shop.issuer, "")] {
            let forged = visit.browser.post_from(origin, &confirm, &[(name, field)]).await;
            assert!(forged.status.is_client_error() && forged.redirect().is_none(), "{origin} {}", forged.status);
            assert_signed_in(&visit).await;
        }
        // The refused forgeries have not used it up; another session's browser cannot use it either.
        let other = Browser::new();
        let request = visit.shop.authorization();
        visit.app.log_in(&other, &request.url, ANN).await;
        let page = visit.browser.get(visit.app.url("/logout")).await;
        let stolen = page.form("/logout/confirm", &[]).filled_in(&[]).remove(0).1;
        let refused = other.post_from(&visit.shop.issuer, &confirm, &[(name, &stolen)]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        let done = visit.browser.post_from(&visit.shop.issuer, &confirm, &[(name, token)]).await;
        assert_eq!(done.heading(), "You\u{2019}re signed out");
        assert_signed_out(&visit).await;
        visit.tokens(&[]).await;
        let again = visit.browser.post_from(&visit.shop.issuer, &confirm, &[(name, token)]).await;
        assert_eq!(again.status, StatusCode::BAD_REQUEST);
        assert_signed_in(&visit).await;
    }

    /// A single upstream that still knows the customer: the next request shows a page, and nobody is signed in unasked.
    async fn a_logout_does_not_sign_straight_back_in(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("u1", json!({ "email": ANN, "email_verified": true }));
        let builder = TestApp::builder(env).web_client("shop").connector(upstream.config("google"));
        let app = builder.configure(|config| config.password.enabled = false).start().await;
        let shop = app.relying_party("shop").await;
        let browser = Browser::new();
        let sign_in = async || {
            let request = shop.authorization();
            let login = browser.get(&request.url).await;
            assert_eq!(login.url.path(), "/login");
            let callback = browser.submit(&login, "/login/social", &[("connector", "google")]).await;
            shop.finish(&request, &callback).await
        };
        let tokens = sign_in().await;
        browser.get(shop.end_session(&[("id_token_hint", &tokens.id_token)])).await;
        let again = sign_in().await;
        assert_eq!(again.claims["sub"], tokens.claims["sub"]);
        assert_ne!(again.claims["sid"], tokens.claims["sid"]);
    }
}
