//! Metadata and keys are fetched once, renewed by one caller, and outlive an outage.

use std::time::Duration;

use futures::future::join_all;
use samesake::clock::Clock;
use samesake::connector::ConnectorError;
use serde_json::json;

use super::{Login, invalid};
use crate::harness::upstream::{Algorithm, BadAnswer, Endpoint, Fault, Upstream};

async fn on_one_clock() -> (Upstream, Login) {
    let clock = Clock::system();
    let upstream = Upstream::start_at(clock.clone(), Algorithm::Es256).await;
    upstream.add_person("a", json!({"email": "a@b.example", "name": "A"}));
    let login = Login { clock, ..Login::at(&upstream) };
    (upstream, login)
}

fn fetched(upstream: &Upstream) -> (usize, usize) {
    (upstream.counts().discovery, upstream.counts().jwks)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_first_logins_at_once_ask_for_the_metadata_once() {
    let (upstream, login) = on_one_clock().await;
    upstream.faults().only(Fault::Answer(Endpoint::Discovery, BadAnswer::Slow(Duration::from_millis(100))));
    let logins = join_all((0..20).map(|_| login.run())).await;
    assert!(logins.iter().all(Result::is_ok));
    assert_eq!(fetched(&upstream), (1, 1));
    assert_eq!(upstream.count_of_token_requests(), 20);
}

#[tokio::test]
async fn metadata_is_renewed_after_an_hour() {
    let (upstream, login) = on_one_clock().await;
    login.run().await.unwrap();
    login.clock.advance(Duration::from_secs(59 * 60));
    login.run().await.unwrap();
    assert_eq!(fetched(&upstream), (1, 1));
    login.clock.advance(Duration::from_secs(61));
    login.run().await.unwrap();
    assert_eq!(fetched(&upstream), (2, 2));
}

#[tokio::test]
async fn an_outage_of_the_metadata_is_bridged_for_a_day() {
    let (upstream, login) = on_one_clock().await;
    login.run().await.unwrap();
    upstream.faults().only(Fault::Answer(Endpoint::Discovery, BadAnswer::Status(503)));
    login.clock.advance(Duration::from_secs(23 * 60 * 60));
    login.run().await.unwrap();
    login.run().await.unwrap();
    assert_eq!(upstream.counts().discovery, 2, "the second login does not wait for a second failure");
    login.clock.advance(Duration::from_secs(60 * 60));
    assert!(matches!(login.run().await, Err(ConnectorError::Unavailable { .. })));
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_asked_at_every_login() {
    let (upstream, login) = on_one_clock().await;
    upstream.faults().only(Fault::Answer(Endpoint::Discovery, BadAnswer::Status(503)));
    for _ in 0..5 {
        let refused = login.run().await.err();
        assert_eq!(refused, Some(ConnectorError::Unavailable { reason: "status 503".to_owned() }));
    }
    assert_eq!(upstream.counts().discovery, 1);
    upstream.faults().clear();
    login.clock.advance(Duration::from_secs(1));
    login.run().await.unwrap();
    assert_eq!(upstream.counts().discovery, 2);
}

#[tokio::test]
async fn a_rotated_key_is_fetched_at_the_first_token_that_names_it() {
    let (upstream, login) = on_one_clock().await;
    login.run().await.unwrap();
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256] {
        upstream.rotate_keys(algorithm);
        let before = fetched(&upstream);
        login.run().await.unwrap();
        login.run().await.unwrap();
        assert_eq!(fetched(&upstream), (before.0, before.1 + 1), "{algorithm:?}");
        login.clock.advance(Duration::from_secs(11));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_with_unknown_keys_fetch_the_keys_once_and_at_a_bounded_rate() {
    let (upstream, login) = on_one_clock().await;
    login.run().await.unwrap();
    upstream.rotate_keys(Algorithm::Es256);
    let logins = join_all((0..20).map(|_| login.run())).await;
    assert!(logins.iter().all(Result::is_ok));
    assert_eq!(fetched(&upstream), (1, 2));
    login.clock.advance(Duration::from_secs(11));
    upstream.faults().only(Fault::Header("kid", Some(json!("nobody's"))));
    let unknown = invalid("the ID token is signed with a key that is not published");
    for _ in 0..20 {
        assert_eq!(login.run().await.err(), Some(unknown.clone()));
    }
    let (_, keys) = fetched(&upstream);
    assert!(keys <= 4, "{keys} fetches");
}
