//! The limits of the throttle: their form, and what is refused.

use std::time::Duration;

use super::super::{Limit, ThrottlePolicy};

fn load(text: &str) -> Result<ThrottlePolicy, Vec<String>> {
    match super::load(text, &[]) {
        Ok(config) => Ok(config.throttle),
        Err(problems) => Err(problems.0.into_iter().map(|problem| problem.key).collect()),
    }
}

#[test]
fn limits_are_a_number_and_a_time_and_one_list_may_differ() {
    let policy = load("[throttle.mail]\naccount = [\"2/1m\", \"5 / 1d\"]\n").unwrap();
    let limit = |most, seconds| Limit { most, window: Duration::from_secs(seconds) };
    assert_eq!(policy.mail.account, [limit(2, 60), limit(5, 86_400)]);
    assert_eq!(policy.mail.network, load("").unwrap().mail.network);
    // NIST SP 800-63B §3.2.2: no more than 100 failed attempts on one account.
    assert!(load("").unwrap().password.account.iter().all(|limit| limit.most <= 100));
}

#[test]
fn every_wrong_limit_is_named() {
    let text = "[throttle.password]\naccount = [\"10\", \"10/5m\", \"x/1h\"]\nnetwork = []\nbrowser = [\"1/1m\"]\n\
                [throttle.mail]\naccount = [\"0/1m\", \"1/0s\", \"5/1d\"]\n[throttle.sms]\naccount = []\nknown_browser = []\nnetwork = []\n";
    let mut keys = load(text).unwrap_err();
    keys.sort();
    assert_eq!(
        keys,
        [
            "throttle.mail.account[0]",
            "throttle.mail.account[1]",
            "throttle.password.account[0]",
            "throttle.password.account[2]",
            "throttle.password.browser",
            "throttle.password.network",
            "throttle.sms",
        ]
    );
}
