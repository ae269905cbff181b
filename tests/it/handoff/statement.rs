//! The signed identity itself (rules 6, 7 and 12): what it says, how small it is, and how often one is signed.

use std::time::Duration;

use serde_json::json;

use super::{
    ANN, BOB, arrive, asked, at_the_app, claims, destination, level, members, sid, start, start_url, statement,
    with_shop,
};
use crate::harness::app::{CLIENT_SECRET, PASSWORD, TestApp, web_client};
use crate::harness::upstream::{Fault, Upstream};
use crate::harness::{Browser, Env, RelyingParty};
use crate::on_both;

async fn relying_party(app: &TestApp) -> RelyingParty {
    RelyingParty::discover(&app.address, &web_client("app", json!({})), Some(CLIENT_SECRET), &app.clock).await
}

on_both! {
    async fn a_statement_says_who_how_surely_and_since_when(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let page = asked(&app, &browser, "shop").await;
        let (header, claims) = claims(&app, &page).await;
        assert_eq!(members(&header), ["alg", "kid", "typ"]);
        assert_eq!((&header["typ"], &header["alg"]), (&json!("identity+jwt"), &json!("ES256")));
        let said = ["amr", "aud", "auth_time", "exp", "iat", "iss", "jti", "level", "sid", "sub", "version"];
        assert_eq!(members(&claims), said);
        assert_eq!(claims["iss"], app.issuer.as_str().trim_end_matches('/'));
        assert_eq!(claims["aud"], "shop");
        assert_eq!((&claims["level"], &claims["amr"]), (&json!("authenticated"), &json!(["pwd"])));
        let (now, iat) = (app.clock.now().seconds(), claims["iat"].as_i64().unwrap());
        assert!((now - 10..=now).contains(&iat));
        assert_eq!(claims["exp"], iat + 60);
        assert!(claims["auth_time"].as_i64().unwrap() <= iat);
        assert!(claims["version"].as_i64().unwrap() > 0);
        assert!(statement(&page).len() <= 1536);
    }

    async fn nobody_is_nobody_in_particular(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let (_, claims) = claims(&app, &asked(&app, &Browser::new(), "shop").await).await;
        assert_eq!(members(&claims), ["aud", "exp", "iat", "iss", "jti", "level"]);
        assert_eq!(claims["level"], "anonymous");
    }

    async fn each_audience_has_a_subject_and_a_session_of_its_own(env: &Env) {
        let app = with_shop(env, json!({}))
            .destination(destination("ads", json!({})))
            .destination(destination("mail", json!({ "sector": "campaigns" })))
            .destination(destination("push", json!({ "sector": "campaigns" })))
            .start()
            .await;
        let customer = app.customer(ANN, "Ann Example").await.to_string();
        let browser = Browser::new();
        let mut all = Vec::new();
        for audience in ["shop", "ads", "mail", "push"] {
            arrive(&app, &browser, audience, ANN).await;
            let claims = claims(&app, &asked(&app, &browser, audience).await).await.1;
            assert_eq!(claims["aud"], audience);
            assert!(!claims.to_string().contains(&customer));
            assert!(!claims.to_string().contains(sid(&browser).as_str()));
            all.push((claims["sub"].clone(), claims["sid"].clone()));
        }
        let [shop, ads, mail, push] = all.as_slice() else { panic!() };
        assert_ne!(shop.0, ads.0);
        assert_ne!(shop.0, mail.0);
        assert_eq!(mail.0, push.0, "one sector, one subject");
        let mut sids: Vec<String> = all.iter().map(|(_, sid)| sid.to_string()).collect();
        sids.sort();
        sids.dedup();
        assert_eq!(sids.len(), 4);
        // Another session, another browser: the subject stays, the session does not.
        let elsewhere = browser.another();
        arrive(&app, &elsewhere, "shop", ANN).await;
        let again = claims(&app, &asked(&app, &elsewhere, "shop").await).await.1;
        assert_eq!(again["sub"], shop.0);
        assert_ne!(again["sid"], shop.1);
    }

    async fn only_an_internal_audience_sees_the_customer_id(env: &Env) {
        let app = with_shop(env, json!({ "internal": true })).start().await;
        let customer = app.customer(ANN, "Ann Example").await.to_string();
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let claims = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        assert_eq!(claims["customer_id"], customer.as_str());
        assert_ne!(claims["sub"], customer.as_str());
    }

    async fn each_audience_has_its_algorithm(env: &Env) {
        let app = with_shop(env, json!({ "alg": "EdDSA" }))
            .destination(destination("old", json!({ "alg": "RS256" })))
            .start()
            .await;
        for (audience, algorithm) in [("shop", "EdDSA"), ("old", "RS256")] {
            let (header, claims) = claims(&app, &asked(&app, &Browser::new(), audience).await).await;
            assert_eq!((&header["alg"], &claims["aud"]), (&json!(algorithm), &json!(audience)));
        }
    }

    /// The longest audience, the longest signature, and a provider that has a lot to say.
    async fn a_statement_stays_small(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("u-1", json!({ "email": ANN, "email_verified": true }));
        let methods: Vec<String> = (0..200).map(|number| format!("method-{number}")).collect();
        upstream.faults().add(Fault::Claim("amr", Some(json!(methods))));
        let audience = "a".repeat(128);
        let app = TestApp::builder(env)
            .connector(upstream.config("google"))
            .destination(destination(&audience, json!({ "alg": "RS256", "internal": true })))
            .start()
            .await;
        let browser = Browser::new();
        let cart = at_the_app(&app, "/cart");
        let page = browser.get(start_url(&app, &audience, cart.as_str())).await;
        let page = browser.submit(&page, "/login/social", &[("connector", "google")]).await;
        assert_eq!(page.url, cart, "{}", page.text());
        let page = asked(&app, &browser, &audience).await;
        assert_eq!(level(&page), "authenticated");
        assert!(statement(&page).len() <= 1536, "{} bytes", statement(&page).len());
        assert_eq!(claims(&app, &page).await.1["amr"][0], "method-0");
    }

    /// By its `typ` it is neither an access token nor an ID token.
    async fn a_statement_opens_nothing(env: &Env) {
        let app = start(with_shop(env, json!({})).web_client("app")).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let page = asked(&app, &browser, "shop").await;
        let party = relying_party(&app).await;
        let answer = party.userinfo(statement(&page)).await;
        assert_eq!((answer.status.as_u16(), answer.error()), (401, "invalid_token"));
        // Not an ID token either: signing out still asks first.
        let page = browser.get(party.end_session(&[("id_token_hint", statement(&page))])).await;
        assert_eq!(page.form("/logout/confirm", &[]).method, "post");
        assert_eq!(level(&asked(&app, &browser, "shop").await), "authenticated");
    }

    async fn a_statement_is_reused_until_half_of_its_life(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let (ann, bob) = (Browser::new(), Browser::new());
        arrive(&app, &ann, "shop", ANN).await;
        arrive(&app, &bob, "shop", BOB).await;
        let signed = || app.app.provider.keys.signatures();
        let first = statement(&asked(&app, &ann, "shop").await).to_owned();
        let before = signed();
        app.clock.advance(Duration::from_secs(28));
        for _ in 0..5 {
            assert_eq!(statement(&asked(&app, &ann, "shop").await), first);
        }
        assert_eq!(signed(), before);
        assert_ne!(statement(&asked(&app, &bob, "shop").await), first, "another session, another statement");
        app.clock.advance(Duration::from_secs(2));
        let next = statement(&asked(&app, &ann, "shop").await).to_owned();
        assert_ne!(next, first);
        assert_eq!(statement(&asked(&app, &ann, "shop").await), next);
        assert_eq!(signed(), before + 2);
    }

    /// Everybody who is not known shares one statement.
    async fn strangers_cost_one_signature(env: &Env) {
        let app = start(with_shop(env, json!({}))).await;
        let first = statement(&asked(&app, &Browser::new(), "shop").await).to_owned();
        let before = app.app.provider.keys.signatures();
        for _ in 0..5 {
            assert_eq!(statement(&asked(&app, &Browser::new(), "shop").await), first);
        }
        assert_eq!(app.app.provider.keys.signatures(), before);
    }

    /// The same session, but the customer has proved again who they are.
    async fn a_repeated_authentication_shows_at_once(env: &Env) {
        let app = start(with_shop(env, json!({})).web_client("app")).await;
        let browser = Browser::new();
        arrive(&app, &browser, "shop", ANN).await;
        let before = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        app.clock.advance(Duration::from_secs(5));
        let party = relying_party(&app).await;
        let again = party.authorization_with(&[("prompt", "login")]);
        let page = browser.get(&again.url).await;
        let page = browser.submit(&page, "/login/password", &[("email", ANN), ("password", PASSWORD)]).await;
        party.code(&again, &page);
        arrive(&app, &browser, "shop", ANN).await;
        let after = claims(&app, &asked(&app, &browser, "shop").await).await.1;
        assert_eq!((&after["sub"], &after["sid"]), (&before["sub"], &before["sid"]));
        assert!(after["auth_time"].as_i64() >= before["auth_time"].as_i64().map(|time| time + 5));
    }
}
