//! Back-channel logout of a provider (OpenID Connect Back-Channel Logout 1.0, protocol 34).

use std::time::Duration;

use serde_json::{Value, json};

use super::{FORM, ann_in, is_signed_in, log_in, refreshes, send, send_logout, told};
use crate::harness::browser::NeverComes;
use crate::harness::relying_party::Answer;
use crate::harness::upstream::notices::LOGOUT;
use crate::harness::upstream::{Algorithm, BadAnswer, Endpoint, Fault, Upstream};
use crate::harness::{Browser, Env, RelyingParty, TestApp, invariants};
use crate::on_both;

const OFFLINE: &str = "openid offline_access";

async fn gateway(env: &Env) -> (Upstream, TestApp, RelyingParty) {
    let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
    ann_in(&upstream, "up-1");
    let app = TestApp::builder(env).web_client("shop").connector(upstream.config("acme")).start().await;
    let rp = app.relying_party("shop").await;
    (upstream, app, rp)
}

fn refused(answer: &Answer) -> (u16, &str) {
    assert!(answer.body["error_description"].is_string(), "{}", answer.text);
    (answer.status.as_u16(), answer.error())
}

on_both! {
    async fn a_logout_at_the_provider_ends_the_session_that_came_from_it(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        let (phone, desk) = (Browser::new(), Browser::new());
        let bound = log_in(&rp, &phone, "acme", "openid").await;
        let offline = log_in(&rp, &phone, "acme", OFFLINE).await;
        ann_in(&upstream, "up-2");
        let other = log_in(&rp, &desk, "acme", "openid").await;
        let answer = send_logout(&app, "acme", &upstream.logout_token(json!({"sid": "up-1", "sub": "ann-1"}))).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        assert!(!is_signed_in(&app, &phone).await);
        assert!(is_signed_in(&app, &desk).await);
        assert!(!refreshes(&rp, &bound).await);
        assert!(refreshes(&rp, &offline).await, "offline_access survives a logout");
        assert!(refreshes(&rp, &other).await);
        let graph = invariants::check(env).await;
        assert_eq!(told(&graph, "session.ended_upstream"), [json!({"connector": "acme", "sessions": 1})]);
        // A session that is over, or never was, is no error and no event.
        for sid in ["up-1", "never"] {
            let answer = send_logout(&app, "acme", &upstream.logout_token(json!({"sid": sid}))).await;
            assert_eq!(answer.status.as_u16(), 200);
        }
        assert_eq!(invariants::check(env).await.events.len(), graph.events.len());
        assert!(is_signed_in(&app, &desk).await);
    }

    async fn a_logout_by_subject_ends_every_session_of_the_account_and_no_other(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Rs256).await;
        ann_in(&upstream, "up-1");
        upstream.add_person("bob-1", json!({"email": "bob@shop.example", "email_verified": true, "sid": "up-b"}));
        let hub = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        hub.add_person("hub-1", json!({"name": "Ann"}));
        let builder = TestApp::builder(env).web_client("shop").connector(upstream.config("acme"));
        let app = builder.connector(hub.config("hub")).start().await;
        let rp = app.relying_party("shop").await;
        let [phone, desk, laptop, bobs] = [Browser::new(), Browser::new(), Browser::new(), Browser::new()];
        log_in(&rp, &phone, "acme", "openid").await;
        log_in(&rp, &desk, "acme", "openid").await;
        let page = desk.get(app.url("/account")).await;
        desk.submit(&page, "/account/connect", &[("connector", "hub")]).await;
        log_in(&rp, &laptop, "hub", "openid").await;
        upstream.choose("bob-1");
        log_in(&rp, &bobs, "acme", "openid").await;
        let answer = send_logout(&app, "acme", &upstream.logout_token(json!({"sub": "ann-1"}))).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        for (browser, stays) in [(&phone, false), (&desk, false), (&laptop, true), (&bobs, true)] {
            assert_eq!(is_signed_in(&app, browser).await, stays);
        }
        let graph = invariants::check(env).await;
        assert_eq!(told(&graph, "session.ended_upstream"), [json!({"connector": "acme", "sessions": 2})]);
        // A subject that nobody here has is no error.
        let answer = send_logout(&app, "acme", &upstream.logout_token(json!({"sub": "stranger"}))).await;
        assert_eq!(answer.status.as_u16(), 200);
    }

    /// Who logs in again another way has a session that no longer rests on the provider's.
    async fn a_session_renewed_another_way_does_not_end_with_the_providers(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        app.customer("ann@home.example", "Ann").await;
        let browser = Browser::new();
        let page = app.log_in(&browser, app.url("/account"), "ann@home.example").await;
        browser.submit(&page, "/account/connect", &[("connector", "acme")]).await;
        log_in(&rp, &browser, "acme", "openid").await;
        let authorization = rp.authorization_with(&[("prompt", "login")]);
        let callback = app.log_in(&browser, &authorization.url, "ann@home.example").await;
        rp.finish(&authorization, &callback).await;
        send_logout(&app, "acme", &upstream.logout_token(json!({"sid": "up-1"}))).await;
        assert!(is_signed_in(&app, &browser).await);
    }

    /// A provider with one key need not name it; of several none is tried.
    async fn a_logout_token_without_a_kid_counts_where_one_key_fits(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        let browser = Browser::new();
        log_in(&rp, &browser, "acme", "openid").await;
        let answer = send_logout(&app, "acme", &upstream.logout_token_without_kid(json!({"sid": "up-1"}))).await;
        assert_eq!(answer.status.as_u16(), 200, "{}", answer.text);
        assert!(!is_signed_in(&app, &browser).await);
        upstream.rotate_keys(Algorithm::Es256);
        log_in(&rp, &browser, "acme", "openid").await;
        let answer = send_logout(&app, "acme", &upstream.logout_token_without_kid(json!({"sid": "up-1"}))).await;
        assert_eq!(refused(&answer).0, 400);
        assert!(is_signed_in(&app, &browser).await);
    }

    async fn a_repeated_logout_token_is_answered_and_does_nothing_again(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        let browser = Browser::new();
        log_in(&rp, &browser, "acme", "openid").await;
        let token = upstream.logout_token(json!({"sid": "up-1"}));
        assert_eq!(send_logout(&app, "acme", &token).await.status.as_u16(), 200);
        assert!(!is_signed_in(&app, &browser).await);
        log_in(&rp, &browser, "acme", "openid").await;
        assert_eq!(send_logout(&app, "acme", &token).await.status.as_u16(), 200);
        assert!(is_signed_in(&app, &browser).await);
    }

    async fn a_logout_token_that_comes_late_spares_what_its_subject_has_begun_since(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        let (old, new) = (Browser::new(), Browser::new());
        log_in(&rp, &old, "acme", "openid").await;
        let in_a_day = env.clock.now().seconds() + 86_400;
        let token = upstream.logout_token(json!({"sub": "ann-1", "exp": in_a_day}));
        app.clock.advance(Duration::from_secs(600));
        log_in(&rp, &new, "acme", "openid").await;
        assert_eq!(send_logout(&app, "acme", &token).await.status.as_u16(), 200);
        assert!(!is_signed_in(&app, &old).await);
        assert!(is_signed_in(&app, &new).await);
    }

    async fn what_is_no_logout_token_ends_nothing(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        let browser = Browser::new();
        let tokens = log_in(&rp, &browser, "acme", "openid").await;
        let now = env.clock.now().seconds();
        let (sub, whole) = (json!({"sub": "ann-1"}), |more: Value| {
            let mut claims = json!({"sub": "ann-1"});
            claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            claims
        });
        for (changes, code) in [
            (whole(json!({"nonce": "n"})), "invalid_request"),
            (whole(json!({"events": null})), "invalid_request"),
            (whole(json!({"events": {"https://other.example": {}}})), "invalid_request"),
            (whole(json!({"events": json!({LOGOUT: {}}).to_string()})), "invalid_request"),
            (json!({}), "invalid_request"),
            (json!({"sid": 7, "sub": "ann-1"}), "invalid_request"),
            (whole(json!({"jti": null})), "invalid_request"),
            (whole(json!({"jti": ""})), "invalid_request"),
            (whole(json!({"iat": null})), "invalid_request"),
            (whole(json!({"iat": now + 3600})), "invalid_request"),
            (whole(json!({"exp": null})), "invalid_request"),
            (whole(json!({"exp": now - 1})), "invalid_request"),
            (whole(json!({"iss": "https://evil.example"})), "invalid_issuer"),
            (whole(json!({"aud": "another client"})), "invalid_audience"),
            (whole(json!({"aud": ["another client"]})), "invalid_audience"),
            (whole(json!({"aud": null})), "invalid_request"),
        ] {
            let answer = send_logout(&app, "acme", &upstream.logout_token(changes.clone())).await;
            assert_eq!(refused(&answer), (400, code), "{changes}: {}", answer.text);
        }
        for fault in [
            Fault::AlgorithmNone,
            Fault::WrongSignature,
            Fault::EmptySignature,
            Fault::ForeignKey,
            Fault::EmbeddedKey,
            Fault::Hs256WithClientSecret,
            Fault::Hs256WithPublicKey,
        ] {
            upstream.faults().only(fault.clone());
            let answer = send_logout(&app, "acme", &upstream.logout_token(sub.clone())).await;
            assert_eq!(answer.status.as_u16(), 400, "{fault:?}: {}", answer.text);
        }
        upstream.faults().clear();
        // Tokens of another kind, of ours, and no tokens.
        let event = upstream.security_event("sessions-revoked", "ann-1", json!({}), json!({}));
        for token in [event.as_str(), &tokens.id_token, "", "a.b.c", "not a token"] {
            assert_eq!(refused(&send_logout(&app, "acme", token).await).0, 400, "{token}");
        }
        assert!(is_signed_in(&app, &browser).await);
        assert_eq!(told(&invariants::check(env).await, "session.ended_upstream"), Vec::<Value>::new());
    }

    async fn a_logout_token_of_one_connector_is_nothing_to_another(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        ann_in(&upstream, "up-1");
        let evil = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        let builder = TestApp::builder(env).web_client("shop").connector(upstream.config("acme"));
        let app = builder.connector(evil.config("evil")).start().await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        log_in(&rp, &browser, "acme", "openid").await;
        // Signed well, by somebody else: at the wrong door it is refused, at its own it means other sessions.
        let token = evil.logout_token(json!({"sid": "up-1", "sub": "ann-1"}));
        assert_eq!(send_logout(&app, "acme", &token).await.status.as_u16(), 400);
        assert_eq!(send_logout(&app, "evil", &token).await.status.as_u16(), 200);
        let named = evil.logout_token(json!({"sub": "ann-1"}));
        assert_eq!(send_logout(&app, "evil", &named).await.status.as_u16(), 200);
        assert!(is_signed_in(&app, &browser).await);
        assert_eq!(send_logout(&app, "nobody", &token).await.status.as_u16(), 404);
    }

    async fn a_request_that_is_no_form_or_too_large_is_refused(env: &Env) {
        let (upstream, app, _) = gateway(env).await;
        let token = upstream.logout_token(json!({"sub": "ann-1"}));
        let json = send(&app, "acme", "backchannel-logout", "application/json", format!("logout_token={token}")).await;
        assert_eq!(refused(&json), (400, "invalid_request"));
        let empty = send(&app, "acme", "backchannel-logout", FORM, String::new()).await;
        assert_eq!(refused(&empty), (400, "invalid_request"));
        let long = upstream.logout_token(json!({"sub": "ann-1", "filler": "x".repeat(20_000)}));
        assert_eq!(refused(&send_logout(&app, "acme", &long).await), (400, "invalid_request"));
        let url = app.url("/connectors/acme/backchannel-logout");
        let huge = NeverComes { announced: Some(4 * 1024 * 1024) };
        let refused = Browser::new().post_without_body(&url, huge).await;
        assert_eq!(refused.status.as_u16(), 413);
    }

    async fn keys_are_fetched_again_for_a_new_one_and_their_absence_is_no_refusal(env: &Env) {
        let (upstream, app, rp) = gateway(env).await;
        let browser = Browser::new();
        log_in(&rp, &browser, "acme", "openid").await;
        upstream.rotate_keys(Algorithm::Rs256);
        upstream.faults().only(Fault::Answer(Endpoint::Jwks, BadAnswer::Status(503)));
        let token = upstream.logout_token(json!({"sid": "up-1"}));
        let answer = send_logout(&app, "acme", &token).await;
        assert_eq!(refused(&answer), (503, "temporarily_unavailable"));
        assert!(answer.headers.contains_key("retry-after"));
        assert!(is_signed_in(&app, &browser).await);
        upstream.faults().clear();
        app.clock.advance(Duration::from_secs(30));
        assert_eq!(send_logout(&app, "acme", &token).await.status.as_u16(), 200, "the same token, once the keys are there");
        assert!(!is_signed_in(&app, &browser).await);
    }
}
