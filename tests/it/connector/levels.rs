//! What a provider's `acr` and `amr` are worth here, and how an app asks for more (protocol rule 7).

use samesake::config::ConnectorConfig;
use serde_json::{Value, json};

use super::press;
use crate::harness::app::PASSWORD;
use crate::harness::relying_party::Authorization;
use crate::harness::upstream::{Fault, Upstream};
use crate::harness::{Browser, Env, Page, RelyingParty, TestApp};
use crate::on_both;

const ANN: &str = "ann@shop.example";

fn connector(upstream: &Upstream) -> ConnectorConfig {
    let levels = json!([
        {"acr": "phrh", "level": "gold"},
        {"acr": "phr", "level": "silver"},
        {"amr": "mfa", "level": "silver"},
    ]);
    ConnectorConfig { levels: serde_json::from_value(levels).unwrap(), ..upstream.config("acme") }
}

/// The gateway, an app and a provider at which there is Ann.
async fn start(env: &Env) -> (TestApp, RelyingParty, Upstream) {
    let upstream = Upstream::start().await;
    upstream.add_person("ann-1", json!({"name": "Ann"}));
    let app = super::gateway(env, connector(&upstream)).await;
    let rp = app.relying_party("shop").await;
    (app, rp, upstream)
}

/// The provider says so of the next login.
fn says(upstream: &Upstream, acr: Option<&str>, amr: Value) {
    upstream.faults().only(Fault::Claim("acr", acr.map(|acr| json!(acr))));
    upstream.faults().add(Fault::Claim("amr", Some(amr)));
}

async fn ask(rp: &RelyingParty, browser: &Browser, parameters: &[(&str, &str)]) -> (Authorization, Page) {
    let authorization = rp.authorization_with(parameters);
    let page = browser.get(&authorization.url).await;
    (authorization, page)
}

on_both! {
    async fn a_level_is_reached_only_by_what_is_listed(env: &Env) {
        let (_app, rp, upstream) = start(env).await;
        for (acr, amr, level) in [
            (Some("phrh"), json!(["pwd"]), json!("gold")),
            (Some("phr"), json!(["pwd"]), json!("silver")),
            (None, json!(["pwd", "mfa"]), json!("silver")),
            (Some("gold"), json!(["pwd", "gold"]), json!(null)),
            (Some("0"), json!(["hwk"]), json!(null)),
            (None, json!([]), json!(null)),
        ] {
            says(&upstream, acr, amr.clone());
            let browser = Browser::new();
            let (authorization, page) = ask(&rp, &browser, &[]).await;
            let callback = press(&browser, &page, "acme").await;
            let tokens = rp.finish(&authorization, &callback).await;
            assert_eq!(tokens.claims["acr"], level, "{acr:?} {amr}");
            assert_eq!(upstream.last_authorization().get("acr_values"), None, "nothing was wished for");
        }
    }

    async fn a_wanted_level_is_asked_for_in_the_providers_words(env: &Env) {
        let (_app, rp, upstream) = start(env).await;
        assert_eq!(rp.metadata["acr_values_supported"], json!(["gold", "silver"]));
        assert!(rp.metadata["claims_supported"].as_array().unwrap().contains(&json!("acr")));
        for (wanted, asked) in [
            ("silver gold", Some("phr phrh")),
            ("gold unheard-of gold", Some("phrh")),
            ("phrh", None),
            ("urn:unheard-of", None),
        ] {
            says(&upstream, Some("phr"), json!([]));
            let browser = Browser::new();
            let (authorization, page) = ask(&rp, &browser, &[("acr_values", wanted)]).await;
            let callback = press(&browser, &page, "acme").await;
            // Whatever was wished for, what was reached is told.
            assert_eq!(rp.finish(&authorization, &callback).await.claims["acr"], "silver", "{wanted}");
            assert_eq!(upstream.last_authorization().get("acr_values").map(String::as_str), asked, "{wanted}");
        }
    }

    /// OpenID Connect Core §3.1.2.1: a voluntary claim. The customer gets one chance to reach it, the app the truth.
    async fn a_session_below_the_wanted_level_steps_up_once(env: &Env) {
        let (app, rp, upstream) = start(env).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let (authorization, page) = ask(&rp, &browser, &[]).await;
        let by_password = [("email", ANN), ("password", PASSWORD)];
        let callback = browser.submit(&page, "/login/password", &by_password).await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims.get("acr"), None);

        let silent = [("acr_values", "gold"), ("prompt", "none")];
        let (authorization, callback) = ask(&rp, &browser, &silent).await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims.get("acr"), None, "silently: the truth");

        let (authorization, page) = ask(&rp, &browser, &[("acr_values", "gold")]).await;
        assert_eq!(page.url.path(), "/login", "{}", page.text());
        let callback = browser.submit(&page, "/login/password", &by_password).await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims.get("acr"), None, "once");

        says(&upstream, Some("phrh"), json!(["hwk"]));
        let (authorization, page) = ask(&rp, &browser, &[("acr_values", "gold silver")]).await;
        let callback = press(&browser, &page, "acme").await;
        let claims = rp.finish(&authorization, &callback).await.claims;
        assert_eq!((&claims["acr"], &claims["amr"]), (&json!("gold"), &json!(["hwk"])));

        // A session that has it goes straight through.
        let (authorization, callback) = ask(&rp, &browser, &[("acr_values", "silver gold")]).await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims["acr"], "gold");
    }

    /// OpenID Connect Core §5.5.1.1: an essential level is reached, or the login has failed.
    async fn an_essential_level_is_reached_or_the_app_is_told(env: &Env) {
        let (app, rp, upstream) = start(env).await;
        app.customer(ANN, "Ann").await;
        let browser = Browser::new();
        let asks = |level: &str| json!({"id_token": {"acr": {"essential": true, "values": [level]}}}).to_string();
        // What nobody here can reach is refused at once.
        let (authorization, callback) = ask(&rp, &browser, &[("claims", &asks("platinum"))]).await;
        assert_eq!(rp.error(&authorization, &callback), "unmet_authentication_requirements");
        let (authorization, callback) = ask(&rp, &browser, &[("claims", "[]")]).await;
        assert_eq!(rp.error(&authorization, &callback), "invalid_request");
        // A login that does not reach it has failed.
        let (authorization, page) = ask(&rp, &browser, &[("claims", &asks("gold"))]).await;
        let by_password = [("email", ANN), ("password", PASSWORD)];
        let callback = browser.submit(&page, "/login/password", &by_password).await;
        assert_eq!(rp.error(&authorization, &callback), "unmet_authentication_requirements");
        let silent = asks("gold");
        let (authorization, callback) = ask(&rp, &browser, &[("claims", &silent), ("prompt", "none")]).await;
        assert_eq!(rp.error(&authorization, &callback), "login_required");
        // One that does is told as it is; the provider was asked for it.
        says(&upstream, Some("phrh"), json!([]));
        let browser = Browser::new();
        let (authorization, page) = ask(&rp, &browser, &[("claims", &asks("gold"))]).await;
        let callback = press(&browser, &page, "acme").await;
        assert_eq!(upstream.last_authorization().get("acr_values").map(String::as_str), Some("phrh"));
        assert_eq!(rp.finish(&authorization, &callback).await.claims["acr"], "gold");
    }

    /// The level travels with an account that waits for a proof.
    async fn a_level_survives_the_question_whose_account_it_is(env: &Env) {
        let (app, rp, upstream) = start(env).await;
        app.customer(ANN, "Ann").await;
        upstream.add_person("ann-1", json!({"email": ANN, "email_verified": true}));
        says(&upstream, Some("phrh"), json!([]));
        let browser = Browser::new();
        let (authorization, page) = ask(&rp, &browser, &[]).await;
        let page = press(&browser, &page, "acme").await;
        let page = browser.submit(&page, "/link/send", &[]).await;
        let code = app.mailed_code(ANN).await;
        let callback = browser.submit(&page, "/link/code", &[("code", &code)]).await;
        assert_eq!(rp.finish(&authorization, &callback).await.claims["acr"], "gold");
    }
}
