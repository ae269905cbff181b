//! `samesake connector test`: what is wrong with a connector, in words, without a customer.

use std::time::Duration;

use samesake::config::ConnectorConfig;
use samesake::connector::{Finding, Verdict};
use samesake::secret::Secret;
use serde_json::json;

use super::Login;
use crate::harness::providers::apple::Apple;
use crate::harness::providers::github::GitHub;
use crate::harness::upstream::{BadAnswer, Endpoint, Fault, Upstream};

async fn findings(login: &Login) -> Vec<Finding> {
    login.connector.self_check(&login.redirect_uri, login.clock.now()).await
}

/// The one thing that is wrong.
fn wrong(findings: &[Finding]) -> (&str, &str) {
    let mut wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong);
    let found = wrong.next().unwrap_or_else(|| panic!("nothing is wrong: {findings:#?}"));
    assert_eq!(wrong.next(), None, "{findings:#?}");
    (&found.what, &found.words)
}

#[tokio::test]
async fn a_connector_that_works_says_so_point_by_point() {
    let upstream = Upstream::start().await;
    let findings = findings(&Login::at(&upstream)).await;
    let told: Vec<_> = findings.iter().map(|finding| (finding.what.as_str(), finding.verdict)).collect();
    let expected = [
        ("redirect URI", Verdict::Note),
        ("metadata", Verdict::Right),
        ("keys", Verdict::Right),
        ("token endpoint", Verdict::Right),
        ("clock", Verdict::Right),
    ];
    assert_eq!(told, expected, "{findings:#?}");
    assert!(findings[0].words.starts_with("https://id.shop.example/login/callback/acme must be registered"));
    let github = GitHub::start().await;
    let login = Login::with(github.config(json!({})));
    assert!(self::findings(&login).await.iter().all(|finding| finding.verdict != Verdict::Wrong));
    let apple = Apple::start().await;
    let login = Login::with(apple.config(json!({})));
    assert!(self::findings(&login).await.iter().all(|finding| finding.verdict != Verdict::Wrong));
    assert_eq!(apple.client_secrets().len(), 1, "the key has signed, and Apple has looked");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_what_to_do() {
    let upstream = Upstream::start().await;
    let secret = |config: ConnectorConfig| ConnectorConfig { client_secret: Secret::new("guess".to_owned()), ..config };
    let refused = findings(&Login::with(secret(upstream.config("acme")))).await;
    let words = "127.0.0.1 refuses the client (invalid_client): client_id, the secret or key, or auth_method is wrong";
    assert_eq!(wrong(&refused), ("token endpoint", words));

    let github = GitHub::start().await;
    let refused = findings(&Login::with(github.config(json!({"client_secret": "guess"})))).await;
    assert!(wrong(&refused).1.contains("incorrect_client_credentials"));

    let apple = Apple::start().await;
    let refused = findings(&Login::with(apple.config(json!({"key_id": "ANOTHER"})))).await;
    assert!(wrong(&refused).1.contains("invalid_client"));

    upstream.faults().only(Fault::Answer(Endpoint::Discovery, BadAnswer::Status(404)));
    let refused = findings(&Login::at(&upstream)).await;
    let (what, words) = wrong(&refused);
    assert_eq!(what, "metadata");
    let url = format!("{}/.well-known/openid-configuration: ", upstream.issuer_text());
    assert!(words.starts_with(&url) && words.contains("status 404") && words.contains("check the issuer"), "{words}");

    upstream.faults().only(Fault::Metadata("issuer", Some(json!("https://other.example"))));
    let refused = findings(&Login::at(&upstream)).await;
    assert!(wrong(&refused).1.contains("the issuer must be written exactly as the provider writes it"));

    upstream.faults().only(Fault::Answer(Endpoint::Token, BadAnswer::Status(503)));
    let refused = findings(&Login::at(&upstream)).await;
    assert!(wrong(&refused).1.contains("the token endpoint answered with status 503"));
}

#[tokio::test]
async fn a_clock_that_is_off_is_named() {
    let github = GitHub::start().await;
    let login = Login::with(github.config(json!({})));
    login.clock.advance(Duration::from_secs(600));
    let found = findings(&login).await;
    let (what, words) = wrong(&found);
    assert_eq!(what, "clock");
    assert!(words.contains("s ahead of the provider: logins fail until it is set right"), "{words}");
}
