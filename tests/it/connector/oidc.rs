//! The good login, and what a provider may say about a person.

use samesake::config::ConnectorAuthMethod;
use samesake::connector::{ConnectorError, Registry, UpstreamCallback};
use serde_json::{Value, json};

use super::{Login, invalid, outbound};
use crate::harness::upstream::{Algorithm, Fault, Upstream};

async fn upstream_with(sub: &str, claims: Value) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.add_person(sub, claims);
    upstream
}

#[tokio::test]
async fn a_login_brings_the_identity_with_its_claims() {
    let ada = json!({
        "email": "Ada@Example.com", "email_verified": true, "name": "Ada Byron", "given_name": "Ada",
        "family_name": "Byron", "preferred_username": "ada", "picture": "https://cdn.example/ada.png",
        "locale": "en-GB", "hd": "example.com",
    });
    let upstream = upstream_with("Ada-1", ada.clone()).await;
    let login = Login::at(&upstream);
    let identity = login.run().await.unwrap();
    assert_eq!(identity.subject, "Ada-1");
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("Ada@Example.com"), true));
    assert_eq!(identity.name.as_deref(), Some("Ada Byron"));
    assert_eq!((identity.given_name.as_deref(), identity.family_name.as_deref()), (Some("Ada"), Some("Byron")));
    assert_eq!(identity.preferred_username.as_deref(), Some("ada"));
    assert_eq!(identity.picture.as_deref(), Some("https://cdn.example/ada.png"));
    assert_eq!((identity.locale.as_deref(), identity.acr.as_deref()), (Some("en-GB"), None));
    assert_eq!(identity.amr, ["pwd"]);
    assert!(identity.auth_time.is_some_and(|at| login.clock.now().since(at).as_secs() < 60));
    let mut raw = ada;
    raw["sub"] = json!("Ada-1");
    assert_eq!(identity.raw, raw);
}

#[tokio::test]
async fn the_authorization_request_is_bound_by_state_nonce_and_pkce() {
    let upstream = upstream_with("a", json!({})).await;
    let login = Login::at(&upstream);
    let (_, first) = login.begin().await.unwrap();
    let request = upstream.last_authorization();
    let (_, second) = login.begin().await.unwrap();
    let third = login
        .connector
        .authorization_request(&login.redirect_uri, Default::default(), login.clock.now())
        .await
        .unwrap();
    assert_eq!((third.url.origin(), third.url.path()), (upstream.issuer().origin(), "/authorize"));
    for (one, other) in [
        (&first.state, &second.state),
        (&first.nonce, &second.nonce),
        (&first.pkce_verifier, &second.pkce_verifier),
        (&first.state, &first.nonce),
        (&first.nonce, &first.pkce_verifier),
    ] {
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
    assert_eq!(request["scope"], "openid email profile");
    assert_eq!(request["redirect_uri"], login.redirect_uri.as_str());
    assert_eq!(request["state"], first.state);
    assert_eq!(request["nonce"], first.nonce);
    assert_eq!(first.connector, "acme");
    let shown = format!("{first:?}");
    assert!(!shown.contains(&first.state) && !shown.contains(&first.nonce) && !shown.contains(&first.pkce_verifier));
}

#[tokio::test]
async fn every_accepted_algorithm_is_verified() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256, Algorithm::EdDsa] {
        let upstream = Upstream::start_at(Default::default(), algorithm).await;
        upstream.add_person("a", json!({"email": "a@b.example", "name": "A"}));
        assert_eq!(Login::at(&upstream).run().await.map(|identity| identity.subject), Ok("a".to_owned()));
        upstream.faults().only(Fault::WrongSignature);
        let refused = Login::at(&upstream).run().await;
        assert_eq!(refused.err(), Some(invalid("the ID token's signature is wrong")), "{algorithm:?}");
    }
}

#[tokio::test]
async fn the_client_authenticates_by_the_configured_method_only() {
    let upstream = upstream_with("a", json!({})).await;
    for method in [ConnectorAuthMethod::ClientSecretBasic, ConnectorAuthMethod::ClientSecretPost] {
        let mut config = upstream.config("acme");
        config.auth_method = Some(method);
        assert!(Login::with(config).run().await.is_ok(), "{method:?}");
    }
    let mut wrong = upstream.config("acme");
    wrong.client_secret = samesake::secret::Secret::new("guess".to_owned());
    let refused = Login::with(wrong).run().await;
    assert_eq!(refused.err(), Some(ConnectorError::Provider { code: "invalid_client".to_owned() }));
}

#[tokio::test]
async fn whether_an_address_is_verified_is_read_as_providers_write_it() {
    let upstream = Upstream::start().await;
    for (said, verified) in [(json!(true), true), (json!(false), false), (json!("true"), true), (json!("false"), false)]
    {
        upstream.add_person("a", json!({"email": "a@b.example", "email_verified": said, "name": "A"}));
        let identity = Login::at(&upstream).run().await.unwrap();
        assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("a@b.example"), verified), "{said}");
    }
    upstream.add_person("a", json!({"email": "a@b.example", "name": "A"}));
    let identity = Login::at(&upstream).run().await.unwrap();
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("a@b.example"), false));
    upstream.add_person("a", json!({"email": "a@b.example", "email_verified": "yes", "name": "A"}));
    assert!(matches!(Login::at(&upstream).run().await, Err(ConnectorError::Invalid { .. })));
}

#[tokio::test]
async fn userinfo_is_asked_when_the_id_token_lacks_what_was_asked_for() {
    let upstream = upstream_with("a", json!({"email": "a@b.example", "email_verified": true, "name": "A"})).await;
    let login = Login::at(&upstream);
    login.run().await.unwrap();
    assert_eq!(upstream.counts().userinfo, 0);
    upstream.faults().only(Fault::LeanIdToken);
    let identity = login.run().await.unwrap();
    assert_eq!((identity.email.as_deref(), identity.email_verified), (Some("a@b.example"), true));
    assert_eq!(upstream.counts().userinfo, 1);
    upstream.faults().clear();
    let mut config = upstream.config("acme");
    config.userinfo = true;
    Login::with(config).run().await.unwrap();
    assert_eq!(upstream.counts().userinfo, 2);
}

#[tokio::test]
async fn a_provider_without_addresses_or_userinfo_works() {
    let upstream = upstream_with("a", json!({})).await;
    upstream.faults().only(Fault::Metadata("userinfo_endpoint", None));
    let identity = Login::at(&upstream).run().await.unwrap();
    assert_eq!((identity.subject.as_str(), identity.email), ("a", None));
}

#[tokio::test]
async fn subjects_are_told_apart_byte_by_byte() {
    let upstream = Upstream::start().await;
    let login = Login::at(&upstream);
    for subject in ["abc", "ABC", "9007199254740993", "a/b c", &"x".repeat(255)] {
        upstream.add_person(subject, json!({"email": "a@b.example", "name": "A"}));
        upstream.choose(subject);
        assert_eq!(login.run().await.unwrap().subject, subject);
    }
}

#[tokio::test]
async fn a_customer_who_says_no_is_told_apart_from_an_error() {
    let upstream = upstream_with("a", json!({})).await;
    let login = Login::at(&upstream);
    let provider = |code: &str| ConnectorError::Provider { code: code.to_owned() };
    for (code, expected) in [
        ("access_denied", ConnectorError::Denied),
        ("login_required", provider("login_required")),
        ("invalid_scope", provider("invalid_scope")),
        ("<script>alert(1)</script>", provider("unreadable")),
        ("server_error", ConnectorError::Unavailable { reason: "server_error".to_owned() }),
    ] {
        upstream.faults().only(Fault::AuthorizeError(code));
        assert_eq!(login.run().await.err(), Some(expected), "{code}");
    }
    assert_eq!(upstream.count_of_token_requests(), 0);
}

/// RFC 9207 and RFC 9700 §4.4: nothing is sent to a token endpoint before the callback is known to be the provider's.
#[tokio::test]
async fn a_callback_of_another_provider_is_refused_before_its_code_is_used() {
    let upstream = upstream_with("a", json!({})).await;
    let login = Login::at(&upstream);
    let other = "https://evil.example";
    for (iss, error, expected) in [
        (Some(other), None, "the callback comes from another provider"),
        (Some(""), None, "the callback comes from another provider"),
        (None, None, "the callback does not name its provider"),
        (Some(other), Some("access_denied"), "the callback comes from another provider"),
        (None, Some("access_denied"), "the callback does not name its provider"),
    ] {
        upstream.faults().only(Fault::CallbackIssuer(iss));
        if let Some(error) = error {
            upstream.faults().add(Fault::AuthorizeError(error));
        }
        assert_eq!(login.run().await.err(), Some(invalid(expected)), "{iss:?} {error:?}");
    }
    assert_eq!(upstream.count_of_token_requests(), 0);
    // A provider that does not promise `iss` may leave it out, but must not send another's.
    upstream.faults().only(Fault::Metadata("authorization_response_iss_parameter_supported", None));
    upstream.faults().add(Fault::CallbackIssuer(None));
    let login = Login::at(&upstream);
    assert!(login.run().await.is_ok());
    let (mut callback, pending) = login.begin().await.unwrap();
    callback.iss = Some(other.to_owned());
    assert_eq!(
        login.finish(&callback, &pending).await.err(),
        Some(invalid("the callback comes from another provider"))
    );
}

#[tokio::test]
async fn a_login_begun_at_one_provider_is_not_finished_at_another() {
    let [honest, evil] = [upstream_with("a", json!({})).await, upstream_with("a", json!({})).await];
    let (here, there) = (Login::at(&honest), Login::with(evil.config("evil")));
    let (callback, pending) = here.begin().await.unwrap();
    let refused = there.finish(&callback, &pending).await.err();
    assert_eq!(refused, Some(invalid("the login was begun at another provider")));
    assert_eq!(evil.count_of_token_requests(), 0);
}

#[tokio::test]
async fn a_code_needs_its_own_verifier_and_nonce_and_works_once() {
    let upstream = upstream_with("a", json!({})).await;
    let login = Login::at(&upstream);
    let invalid_grant = ConnectorError::Provider { code: "invalid_grant".to_owned() };
    let (_, other) = login.begin().await.unwrap();
    let (callback, mut pending) = login.begin().await.unwrap();
    pending.pkce_verifier = other.pkce_verifier;
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(invalid_grant.clone()));
    let (callback, mut pending) = login.begin().await.unwrap();
    pending.nonce = other.nonce;
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(invalid("the ID token has another nonce")));
    let (callback, pending) = login.begin().await.unwrap();
    assert!(login.finish(&callback, &pending).await.is_ok());
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(invalid_grant));
    let empty = UpstreamCallback { iss: callback.iss.clone(), ..UpstreamCallback::default() };
    assert_eq!(login.finish(&empty, &pending).await.err(), Some(invalid("the callback has no code")));
}

#[tokio::test]
async fn connectors_are_listed_in_order_and_an_id_is_taken_once() {
    let upstream = Upstream::start().await;
    let configs = ["zeta", "alpha", "mid"].map(|id| upstream.config(id));
    let registry = Registry::from_config(&configs, outbound()).unwrap();
    assert_eq!(registry.list().iter().map(|connector| connector.id()).collect::<Vec<_>>(), ["zeta", "alpha", "mid"]);
    assert_eq!(registry.get("alpha").map(|connector| connector.name().to_owned()).as_deref(), Some("Upstream alpha"));
    assert!(registry.get("Alpha").is_none());
    let twice = Registry::from_config(&["a", "a"].map(|id| upstream.config(id)), outbound());
    assert_eq!(
        twice.map(|_| ()).map_err(|error| error.to_string()),
        Err("connector `a`: another connector has this ID".to_owned())
    );
    // Nobody is asked anything before the first login.
    assert_eq!(upstream.counts().discovery, 0);
}
