//! Whatever a provider does wrong, the customer gets a page that says what to do, and nothing is written.

use std::time::Duration;

use serde_json::json;

use super::{begin, through};
use crate::harness::upstream::{BadAnswer, Endpoint, Fault, Upstream};
use crate::harness::{Browser, Env, TestApp, invariants};
use crate::on_both;

/// One of each kind; what exactly the connector says to each is in its own tests.
fn faults() -> Vec<Fault> {
    let mut faults = vec![
        Fault::Claim("iss", Some(json!("https://evil.example"))),
        Fault::Claim("aud", Some(json!("another client"))),
        Fault::Claim("nonce", Some(json!("another nonce"))),
        Fault::Claim("nonce", None),
        Fault::Claim("exp", Some(json!(0))),
        Fault::Claim("sub", Some(json!(""))),
        Fault::Claim("sub", Some(json!(9_007_199_254_740_993_u64))),
        Fault::Claim("sub", None),
        Fault::Claim("at_hash", Some(json!("AAAAAAAAAAAAAAAAAAAAAA"))),
        Fault::Header("typ", Some(json!("logout+jwt"))),
        Fault::Header("kid", Some(json!("../../dev/null"))),
        Fault::WrongSignature,
        Fault::EmptySignature,
        Fault::ZeroSignature,
        Fault::ForeignKey,
        Fault::EmbeddedKey,
        Fault::AlgorithmNone,
        Fault::Hs256WithClientSecret,
        Fault::Hs256WithPublicKey,
        Fault::NoIdToken,
        Fault::TokenError("invalid_grant"),
        Fault::TokenError("<script>alert(1)</script>"),
        Fault::AuthorizeError("server_error"),
        Fault::AuthorizeError("temporarily_unavailable"),
        Fault::AuthorizeError("<b>x"),
        Fault::CallbackIssuer(Some("https://evil.example")),
        Fault::CallbackIssuer(None),
        Fault::ManyTinyKeys(10_000),
        Fault::Metadata("issuer", Some(json!("https://evil.example"))),
        Fault::Metadata("token_endpoint", None),
        Fault::Metadata("authorization_endpoint", Some(json!("javascript:alert(1)"))),
        Fault::Metadata("jwks_uri", Some(json!("http://169.254.169.254/"))),
    ];
    for endpoint in [Endpoint::Discovery, Endpoint::Jwks, Endpoint::Token] {
        for bad in [
            BadAnswer::Dripping,
            BadAnswer::Endless,
            BadAnswer::Oversized,
            BadAnswer::DeeplyNested,
            BadAnswer::NotJson,
            BadAnswer::Status(500),
            BadAnswer::RedirectTo("http://127.0.0.1:1/".to_owned()),
        ] {
            faults.push(Fault::Answer(endpoint, bad));
        }
    }
    faults
}

on_both! {
    async fn every_fault_ends_on_a_page_with_a_way_on_and_writes_nothing(env: &Env) {
        let upstream = Upstream::start().await;
        upstream.add_person("ann-1", json!({"email": "secret-address@shop.example", "email_verified": true}));
        let mut builder = TestApp::builder(env).web_client("shop");
        // What is learned of a provider is kept: each fault meets a connector that knows nothing yet.
        let faults = faults();
        for number in 0..=faults.len() {
            builder = builder.connector(upstream.config(&format!("google{number}")));
        }
        let impatient = |config: &mut samesake::config::Config| config.outbound.timeout = Duration::from_millis(1500);
        let app = builder.configure(impatient).start().await;
        let rp = app.relying_party("shop").await;
        let statements = app.store.statements();
        let browser = Browser::new();
        let (authorization, mut page) = begin(&rp, &browser).await;
        for (number, fault) in faults.into_iter().enumerate() {
            let said = format!("{fault:?}").chars().take(80).collect::<String>();
            upstream.faults().only(fault);
            let connector = format!("google{number}");
            page = through(&browser, &page, &connector).await;
            assert_eq!(page.status.as_u16(), 422, "{said}: {}", page.text());
            let told = format!("Signing in with Upstream {connector} didn’t work this time.");
            assert!(page.contains(&told), "{said}: {}", page.text());
            for secret in ["eyJ", "secret-address", "<script>", "evil", "as told"] {
                assert!(!page.body.contains(secret), "{said}: the page holds {secret}");
            }
            assert!(browser.cookie("samesake-session").is_none(), "{said}");
        }
        assert_eq!(app.store.statements(), statements, "the database was not asked");
        assert!(invariants::check(env).await.customers.is_empty());
        // The way on works: the same page, once the provider is well again.
        upstream.faults().clear();
        let healthy = format!("google{}", page.forms().len() - 3);
        let callback = through(&browser, &page, &healthy).await;
        rp.finish(&authorization, &callback).await;
    }

    /// A provider that is not there at all.
    async fn a_provider_that_is_down_does_not_take_the_login_page_with_it(env: &Env) {
        let mut config = Upstream::start().await.config("google");
        config.issuer = format!("http://127.0.0.1:{}", crate::harness::free_port());
        let app = TestApp::builder(env).web_client("shop").connector(config).start().await;
        let rp = app.relying_party("shop").await;
        app.customer("ann@shop.example", "Ann").await;
        let browser = Browser::new();
        let (authorization, page) = begin(&rp, &browser).await;
        let page = through(&browser, &page, "google").await;
        assert!(page.contains("Try again or choose another way."), "{}", page.text());
        let entered = [("email", "ann@shop.example"), ("password", crate::harness::app::PASSWORD)];
        let callback = browser.submit(&page, "/login/password", &entered).await;
        rp.finish(&authorization, &callback).await;
    }
}
