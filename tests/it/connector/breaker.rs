//! A provider that does not answer is left alone for a while; refusals are answers (`[connectors.breaker]`).

use std::time::Duration;

use futures::FutureExt;
use futures::future::join;
use samesake::clock::Clock;
use samesake::config::{BreakerConfig, ConnectorConfig};
use samesake::connector::ConnectorError;
use serde_json::json;

use super::{Login, gateway, impatient, invalid, press, provider_error, sign_in};
use crate::harness::providers::generic::Generic;
use crate::harness::upstream::{Algorithm, BadAnswer, Endpoint, Fault, Upstream};
use crate::harness::{Browser, Env};
use crate::on_both;

const PAUSE: Duration = Duration::from_secs(60);

fn breaks_after(failures: u32, config: ConnectorConfig) -> ConnectorConfig {
    ConnectorConfig { breaker: BreakerConfig { failures, pause: PAUSE }, ..config }
}

/// A provider whose metadata are known, and what it takes to log in there.
async fn known(failures: u32) -> (Upstream, Login) {
    let clock = Clock::system();
    let upstream = Upstream::start_at(clock.clone(), Algorithm::Es256).await;
    upstream.add_person("a", json!({"email": "a@b.example", "name": "A"}));
    let login = Login { clock, ..Login::with(breaks_after(failures, upstream.config("acme"))) };
    login.run().await.unwrap();
    (upstream, login)
}

fn down(upstream: &Upstream) {
    upstream.faults().only(Fault::Answer(Endpoint::Token, BadAnswer::Status(503)));
}

/// Logs in until the provider is left alone.
async fn wear_out(login: &Login, failures: u32) {
    for _ in 0..failures {
        assert!(matches!(login.run().await, Err(ConnectorError::Unavailable { .. })));
    }
    assert!(login.connector.is_paused());
}

#[tokio::test]
async fn after_enough_failures_the_provider_is_not_asked() {
    let (upstream, login) = known(3).await;
    for bad in [BadAnswer::Status(503), BadAnswer::Endless, BadAnswer::Status(429)] {
        upstream.faults().only(Fault::Answer(Endpoint::Token, bad.clone()));
        for number in 0..3 {
            assert!(!login.connector.is_paused(), "{bad:?} {number}");
            assert!(login.run().await.is_err());
        }
        let asked = upstream.counts();
        for _ in 0..5 {
            assert_eq!(login.run().await.err(), Some(ConnectorError::Paused), "{bad:?}");
        }
        assert_eq!(upstream.counts(), asked, "{bad:?}");
        // When the pause is over, whoever comes first finds it well.
        upstream.faults().clear();
        login.clock.advance(PAUSE);
        assert!(login.connector.is_paused());
        login.run().await.unwrap();
        assert!(!login.connector.is_paused());
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_none() {
    let upstream = Upstream::start().await;
    upstream.add_person("a", json!({}));
    upstream.faults().only(Fault::Answer(Endpoint::Discovery, BadAnswer::Dripping));
    let config = breaks_after(1, upstream.config("acme"));
    let login = Login::through(impatient(Duration::from_millis(400)), config);
    wear_out(&login, 1).await;
    assert_eq!(login.run().await.err(), Some(ConnectorError::Paused));
    assert_eq!(upstream.counts().discovery, 1);
}

/// A login that was on its way when the provider fell silent does not wait for it either.
#[tokio::test]
async fn a_customer_on_the_way_back_is_told_at_once() {
    let (upstream, login) = known(3).await;
    let (callback, pending) = login.begin().await.unwrap();
    down(&upstream);
    wear_out(&login, 3).await;
    let asked = upstream.count_of_token_requests();
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(ConnectorError::Paused));
    assert_eq!(upstream.count_of_token_requests(), asked);
}

#[tokio::test]
async fn refusals_and_bad_answers_are_answers() {
    let (upstream, login) = known(2).await;
    for (fault, expected) in [
        (Fault::TokenError("invalid_grant"), Some(provider_error("invalid_grant"))),
        (Fault::AuthorizeError("access_denied"), Some(ConnectorError::Denied)),
        // Anybody can say this to us, in a callback of their own.
        (Fault::AuthorizeError("server_error"), None),
        (Fault::WrongSignature, Some(invalid("the ID token's signature is wrong"))),
        (Fault::NoIdToken, Some(invalid("there is no ID token"))),
        (Fault::Answer(Endpoint::Token, BadAnswer::Status(404)), None),
    ] {
        upstream.faults().only(fault);
        for _ in 0..5 {
            let refused = login.run().await.unwrap_err();
            assert!(expected.as_ref().is_none_or(|expected| *expected == refused), "{refused:?}");
        }
        assert!(!login.connector.is_paused());
    }
}

#[tokio::test]
async fn one_answer_in_between_and_the_count_begins_anew() {
    let (upstream, login) = known(3).await;
    for _ in 0..4 {
        down(&upstream);
        for _ in 0..2 {
            assert!(login.run().await.is_err());
        }
        upstream.faults().only(Fault::TokenError("invalid_grant"));
        assert_eq!(login.run().await.err(), Some(provider_error("invalid_grant")));
    }
    assert!(!login.connector.is_paused());
}

#[tokio::test]
async fn one_tries_after_the_pause_and_the_next_pause_is_longer() {
    let (upstream, login) = known(3).await;
    let mut ways = Vec::new();
    for _ in 0..4 {
        ways.push(login.begin().await.unwrap());
    }
    down(&upstream);
    wear_out(&login, 3).await;
    login.clock.advance(PAUSE);
    let asked = upstream.count_of_token_requests();
    let [first, second, third, fourth] = ways.try_into().unwrap();
    let (tried, told) = join(login.finish(&first.0, &first.1), login.finish(&second.0, &second.1)).await;
    assert!(matches!(tried, Err(ConnectorError::Unavailable { .. })), "{tried:?}");
    assert_eq!(told.err(), Some(ConnectorError::Paused));
    assert_eq!(upstream.count_of_token_requests(), asked + 1);
    // Twice as long, shortened by half at most: half of the first pause is not enough, nor is nearly all of it.
    login.clock.advance(PAUSE - Duration::from_secs(1));
    assert_eq!(login.finish(&third.0, &third.1).await.err(), Some(ConnectorError::Paused));
    assert_eq!(upstream.count_of_token_requests(), asked + 1);
    login.clock.advance(PAUSE + Duration::from_secs(1));
    upstream.faults().clear();
    login.finish(&fourth.0, &fourth.1).await.unwrap();
    assert!(!login.connector.is_paused());
}

/// Sending a browser away asks an OAuth 2.0 server nothing, so it decides nothing; giving up on the way neither.
#[tokio::test]
async fn a_trial_that_comes_to_nothing_leaves_the_next_one_to_try() {
    let club = Generic::start(true).await;
    club.0.log_in_as(json!({"member": {"number": "7"}}));
    let login = Login::with(breaks_after(2, club.config(json!({}))));
    let ways = [login.begin().await.unwrap(), login.begin().await.unwrap()];
    club.0.answer("/token", 503, json!({}));
    for (callback, pending) in &ways {
        assert!(matches!(login.finish(callback, pending).await, Err(ConnectorError::Unavailable { .. })));
    }
    assert!(matches!(login.begin().await, Err(ConnectorError::Paused)));
    login.clock.advance(PAUSE);
    let (callback, pending) = login.begin().await.unwrap();
    assert!(login.connector.is_paused(), "nobody has answered yet");
    // A caller who gives up in the middle.
    assert!(login.finish(&callback, &pending).now_or_never().is_none());
    let another = login.begin().await.unwrap();
    assert!(matches!(login.finish(&another.0, &another.1).await, Err(ConnectorError::Unavailable { .. })));
    assert_eq!(login.finish(&callback, &pending).await.err(), Some(ConnectorError::Paused));
}

on_both! {
    async fn customers_are_told_at_once_and_have_other_ways(env: &Env) {
        let upstream = Upstream::start_at(env.clock.clone(), Algorithm::Es256).await;
        upstream.add_person("a", json!({"name": "A"}));
        let app = gateway(env, breaks_after(2, upstream.config("acme"))).await;
        app.customer("ann@shop.example", "Ann").await;
        let rp = app.relying_party("shop").await;
        let browser = Browser::new();
        let health = async || {
            let page = Browser::new().get(app.url("/health/ready")).await;
            (page.status.as_u16(), serde_json::from_str::<serde_json::Value>(&page.body).unwrap())
        };
        assert_eq!(health().await, (200, json!({"status": "ok", "missing": []})));
        let authorization = rp.authorization();
        let mut page = browser.get(&authorization.url).await;
        down(&upstream);
        for _ in 0..2 {
            page = press(&browser, &page, "acme").await;
            assert!(page.contains("didn’t work this time"), "{}", page.text());
        }
        page = press(&browser, &page, "acme").await;
        assert_eq!(page.status.as_u16(), 503);
        assert!(page.contains("Upstream acme isn’t available right now. Please choose another way"), "{}", page.text());
        let told = json!({"status": "ok", "missing": [], "connectors_not_answering": ["acme"]});
        assert_eq!(health().await, (200, told), "no reason to take the replica away");
        let entered = [("email", "ann@shop.example"), ("password", crate::harness::app::PASSWORD)];
        let callback = browser.submit(&page, "/login/password", &entered).await;
        rp.finish(&authorization, &callback).await;

        upstream.faults().clear();
        app.clock.advance(PAUSE);
        sign_in(&app, "acme").await;
        assert_eq!(health().await, (200, json!({"status": "ok", "missing": []})));
    }
}
