//! OAuth 2.0 servers that are broken or hostile: what they answer is refused in bounded time, and no refusal repeats it
//! (protocol rules 35 and 49).

use std::time::Duration;

use samesake::connector::ConnectorError;
use serde_json::json;

use super::{Login, impatient, invalid, provider_error};
use crate::harness::providers::generic::Generic;
use crate::harness::upstream::BadAnswer;

async fn club() -> Generic {
    let club = Generic::start(true).await;
    club.0.log_in_as(json!({"member": {"number": "7", "title": "secret-name"}}));
    club
}

async fn refusal(club: &Generic) -> ConnectorError {
    checked(Login::with(club.config(json!({}))).run().await.unwrap_err())
}

fn checked(refusal: ConnectorError) -> ConnectorError {
    let printed = format!("{refusal} {refusal:?}");
    assert!(!printed.contains("secret"), "{printed}");
    refusal
}

#[tokio::test]
async fn answers_of_an_api_without_end_or_measure_are_cut_off() {
    let club = club().await;
    for path in ["/token", "/profile"] {
        for (bad, unavailable) in [
            (BadAnswer::Endless, false),
            (BadAnswer::Oversized, false),
            (BadAnswer::DeeplyNested, false),
            (BadAnswer::NotJson, false),
            (BadAnswer::Status(500), true),
            (BadAnswer::Status(503), true),
            (BadAnswer::Status(429), true),
        ] {
            club.0.spoil(path, bad.clone());
            let refused = refusal(&club).await;
            match refused {
                ConnectorError::Unavailable { .. } => assert!(unavailable, "{path} {bad:?}"),
                ConnectorError::Invalid { .. } => assert!(!unavailable, "{path} {bad:?}"),
                other => panic!("{path} {bad:?}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn slow_answers_of_an_api_are_given_up() {
    let club = club().await;
    for bad in [BadAnswer::Slow(Duration::from_secs(60)), BadAnswer::Dripping] {
        let login = Login::through(impatient(Duration::from_millis(400)), club.config(json!({})));
        club.0.spoil("/token", bad);
        let refused = checked(login.run().await.unwrap_err());
        assert!(matches!(refused, ConnectorError::Unavailable { .. }), "{refused:?}");
    }
}

#[tokio::test]
async fn bad_answers_of_a_token_endpoint_are_refused() {
    let club = club().await;
    let unreadable = "the token endpoint's answer cannot be read";
    for (status, body, expected) in [
        (200, json!({"token_type": "Bearer"}), invalid(unreadable)),
        (200, json!({"access_token": 7, "token_type": "Bearer"}), invalid(unreadable)),
        (200, json!({"access_token": "a\nb", "token_type": "Bearer"}), invalid("the access token is not a token")),
        (200, json!([]), invalid(unreadable)),
        (200, json!({"error": "secret <script>"}), provider_error("unreadable")),
        (400, json!({"error": "invalid_grant", "error_description": "secret"}), provider_error("invalid_grant")),
    ] {
        club.0.answer("/token", status, body.clone());
        assert_eq!(refusal(&club).await, expected, "{body}");
    }
}

/// Nested within what a parser takes, but with nobody in it.
#[tokio::test]
async fn an_answer_about_nobody_is_no_login() {
    let club = club().await;
    let nested = (0..100).fold(json!({"number": "7"}), |inner, _| json!({"member": inner}));
    for (body, expected) in [
        (nested, "there is no subject"),
        (json!({"member": {"number": "x".repeat(200_000)}}), "the subject is empty, too long or not printable"),
        (json!({"member": {"number": "x".repeat(500_000)}}), "an answer is too long"),
        (json!([{"member": {"number": "7"}}]), "the API's answer is not an object"),
    ] {
        club.0.answer("/profile", 200, body);
        assert_eq!(refusal(&club).await, invalid(expected));
    }
}

/// Protocol rule 35: what the redirect back says is a code or an error, never both to be chosen from.
#[tokio::test]
async fn an_error_in_the_redirect_wins_over_a_code() {
    let club = club().await;
    for (answer, expected) in [
        (vec![("error", "access_denied"), ("code", "c")], ConnectorError::Denied),
        (vec![("error", "invalid_scope"), ("error_description", "secret")], provider_error("invalid_scope")),
        (vec![("error", "<b>secret")], provider_error("unreadable")),
        (vec![], invalid("the callback has no code")),
        (vec![("code", "")], invalid("the callback has no code")),
    ] {
        club.0.refuse_with(&answer);
        assert_eq!(refusal(&club).await, expected, "{answer:?}");
        assert!(club.0.last_token_request().is_empty());
    }
}
