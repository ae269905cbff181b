//! The limits of guessing hold when everything comes at once, and cost no round trip of their own.

use std::time::Duration;

use futures::future::join_all;
use samesake::clock::Timestamp;
use samesake::config::{Config, Limit, Limits, ThrottlePolicy};
use samesake::credential::device::DeviceCookie;
use samesake::credential::throttle::{Action, Attempt, Browser, Decision, Throttle};
use samesake::kv::{Kv, Op, Reply};

use super::key;
use crate::harness::Env;
use crate::on_both;

const ACCOUNT: &str = "alice@example.com";

/// A window so long that no test crosses its end.
fn policy(account: u64, known_browser: u64, network: u64) -> ThrottlePolicy {
    let limit = |most| vec![Limit { most, window: Duration::from_secs(24 * 60 * 60) }];
    let limits = Limits { account: limit(account), known_browser: limit(known_browser), network: limit(network) };
    ThrottlePolicy { password: limits.clone(), mail: limits }
}

fn attempt(account: &str, browser: Browser) -> Attempt<'_> {
    Attempt { action: Action::Password, account, client: "192.0.2.1".parse().unwrap(), browser }
}

async fn decide(kv: &Kv, throttle: &Throttle, attempt: &Attempt<'_>) -> Decision {
    let check = throttle.before(attempt, Timestamp::from_seconds(1_800_014_400));
    check.decide(&kv.run(check.ops()).await.unwrap())
}

on_both! {
    async fn of_fifty_attempts_at_once_no_more_pass_than_the_limit(env: &Env) {
        let (kv, throttle) = (env.kv().await, Throttle::new(key(), policy(10, 10, 1000)));
        let tasks = (0..50).map(|_| {
            let (kv, throttle) = (kv.clone(), throttle.clone());
            tokio::spawn(async move { decide(&kv, &throttle, &attempt(ACCOUNT, Browser::Unknown)).await })
        });
        let decisions: Vec<Decision> = join_all(tasks).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(decisions.iter().filter(|decision| **decision == Decision::Allowed).count(), 10);
    }

    async fn a_customer_gets_in_while_the_account_is_under_attack(env: &Env) {
        let (kv, throttle) = (env.kv().await, Throttle::new(key(), policy(10, 10, 1000)));
        let (devices, now) = (key(), Timestamp::from_seconds(1_800_014_400));
        let cookie = DeviceCookie::default().remember(&devices, ACCOUNT, now);
        for _ in 0..40 {
            decide(&kv, &throttle, &attempt(ACCOUNT, Browser::Unknown)).await;
        }
        assert!(matches!(
            decide(&kv, &throttle, &attempt(ACCOUNT, Browser::Unknown)).await,
            Decision::Refused { .. }
        ));
        let browser = DeviceCookie::parse(&cookie).browser(&devices, ACCOUNT, now);
        assert_eq!(decide(&kv, &throttle, &attempt(ACCOUNT, browser)).await, Decision::Allowed);
        // The same cookie proves nothing for another account.
        let other = DeviceCookie::parse(&cookie).browser(&devices, "bob@example.com", now);
        assert_eq!(other, Browser::Unknown);
    }

    async fn a_success_sets_the_account_back_and_the_limit_holds_again(env: &Env) {
        let (kv, throttle) = (env.kv().await, Throttle::new(key(), policy(3, 3, 1000)));
        let now = Timestamp::from_seconds(1_800_014_400);
        for _ in 0..2 {
            for _ in 0..3 {
                assert_eq!(decide(&kv, &throttle, &attempt(ACCOUNT, Browser::Unknown)).await, Decision::Allowed);
            }
            let refused = decide(&kv, &throttle, &attempt(ACCOUNT, Browser::Unknown)).await;
            assert!(matches!(refused, Decision::Refused { .. }));
            kv.run(throttle.before(&attempt(ACCOUNT, Browser::Unknown), now).forgive()).await.unwrap();
        }
    }

    async fn counting_rides_along_in_the_callers_round_trip(env: &Env) {
        let (kv, throttle) = (env.kv().await, Throttle::new(key(), Config::load(None, Vec::new()).unwrap().throttle));
        let before = kv.round_trips();
        let check = throttle.before(&attempt(ACCOUNT, Browser::Unknown), Timestamp::from_seconds(1_800_014_400));
        let mut ops = check.ops();
        ops.push(Op::Get { key: "flow".to_owned() });
        let replies = kv.run(ops).await.unwrap();
        assert_eq!(check.decide(&replies), Decision::Allowed);
        assert_eq!(replies.get(check.len()), Some(&Reply::Value(None)));
        assert_eq!(kv.round_trips() - before, 1);
    }
}
