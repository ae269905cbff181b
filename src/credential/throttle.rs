//! How often one may try: counters per account and per network, in fixed windows that grow by steps.
//!
//! Every attempt is counted before it is made, atomically and in the caller's own round trip, so that any number at
//! once stays within the limits. Accounts are counted by what was typed, whether or not it exists, and answered
//! alike. An attacker must not be able to lock the customer out: a browser that has logged in to this very account
//! before carries a proof of it (see `device`), has counters of its own, and is not touched by anybody else's.
//! Keys are MACs, so that the store holds no e-mail address and no client address (spec/protocol.md rule 50).

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::{Limit, ThrottlePolicy};
use crate::credential::device::DeviceId;
use crate::kv::{Op, Reply};
use crate::secret::{self, DerivedKey};

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Logging in with a password.
    Password,
    /// Having a code or a notice mailed to an address.
    Mail,
    /// Typing the code of a device. The limits are a password's.
    UserCode,
}

impl Action {
    const fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Mail => "mail",
            Self::UserCode => "user-code",
        }
    }
}

/// Who asks, as far as the throttle can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Browser {
    /// It has logged in to this account before, and proves it.
    Known(DeviceId),
    /// Any other.
    Unknown,
}

/// One attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    pub action: Action,
    /// What names the account: a normalized e-mail address. It need not exist.
    pub account: &'a str,
    /// The client's address, as the trusted proxies tell it.
    pub client: IpAddr,
    pub browser: Browser,
}

/// Counts attempts and decides. Holds no state of its own.
#[derive(Clone, Debug)]
pub struct Throttle {
    key: DerivedKey,
    policy: ThrottlePolicy,
}

/// Whether the attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allowed,
    /// Not now. `retry_after` is in whole seconds and at least one, for the header of that name.
    Refused {
        retry_after: Duration,
    },
}

/// One attempt's counters: the operations that count it, and what their answers mean.
#[derive(Clone, Debug)]
pub struct Check {
    counters: Vec<Counter>,
    now: Timestamp,
}

#[derive(Clone, Debug)]
struct Counter {
    key: String,
    limit: Limit,
    ends: Timestamp,
    /// Whether a successful attempt sets it back.
    forgiven: bool,
}

impl Throttle {
    /// With these limits. The key is for this purpose alone.
    pub fn new(key: DerivedKey, policy: ThrottlePolicy) -> Self {
        Self { key, policy }
    }

    /// What to count before this attempt is made.
    pub fn before(&self, attempt: &Attempt<'_>, now: Timestamp) -> Check {
        let limits = match attempt.action {
            Action::Password | Action::UserCode => &self.policy.password,
            Action::Mail => &self.policy.mail,
        };
        let action = attempt.action.name();
        let account = attempt.account.as_bytes();
        let counter = |limit: &Limit, mac: &[&[u8]], forgiven: bool| self.counter(limit, action, mac, forgiven, now);
        let counters = match attempt.browser {
            Browser::Known(device) => limits
                .known_browser
                .iter()
                .map(|limit| counter(limit, &[b"known", account, device.as_bytes()], true))
                .collect(),
            Browser::Unknown => {
                let network = network(attempt.client).octets();
                let per_account = limits.account.iter().map(|limit| counter(limit, &[b"account", account], true));
                // A success does not set these back: an attacker has an account of their own.
                let per_network = limits.network.iter().map(|limit| counter(limit, &[b"network", &network], false));
                per_account.chain(per_network).collect()
            }
        };
        Check { counters, now }
    }

    fn counter(&self, limit: &Limit, action: &str, who: &[&[u8]], forgiven: bool, now: Timestamp) -> Counter {
        let window = i64::try_from(limit.window.as_micros()).unwrap_or(i64::MAX).max(1);
        let number = now.micros().div_euclid(window);
        let ends = Timestamp::from_micros(number.saturating_add(1).saturating_mul(window));
        let mut parts = vec![action.as_bytes()];
        parts.extend_from_slice(who);
        let mac = self.key.mac(&parts);
        let who = secret::base64url(mac.first_chunk::<16>().unwrap_or(&[0; 16]));
        let key = format!("throttle:{action}:{}:{number}:{who}", limit.window.as_secs());
        Counter { key, limit: *limit, ends, forgiven }
    }
}

impl Check {
    /// The operations that count the attempt. Put them first in the caller's round trip, and give `decide` all its
    /// answers.
    pub fn ops(&self) -> Vec<Op> {
        let count = |counter: &Counter| Op::Increment { key: counter.key.clone(), ttl: counter.limit.window };
        self.counters.iter().map(count).collect()
    }

    /// How many operations `ops` gives: where the caller's own answers begin.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether there is nothing to count: the policy sets no limit.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// Reads the answers to `ops`; any answers behind them are not looked at.
    pub fn decide(&self, replies: &[Reply]) -> Decision {
        let mut wait: Option<Duration> = None;
        for (index, counter) in self.counters.iter().enumerate() {
            // An answer that is no count means that nothing was counted: nothing may be allowed then.
            let within = matches!(replies.get(index), Some(Reply::Count(count)) if *count <= counter.limit.most);
            if !within {
                wait = wait.max(Some(counter.ends.since(self.now)));
            }
        }
        match wait {
            None => Decision::Allowed,
            Some(wait) => Decision::Refused { retry_after: whole_seconds(wait) },
        }
    }

    /// What to do after the attempt has succeeded: set back the counters of this account in this kind of browser.
    /// The customer's own log-in from a known browser does not set back what attackers elsewhere have used up.
    pub fn forgive(&self) -> Vec<Op> {
        let forgiven = self.counters.iter().filter(|counter| counter.forgiven);
        forgiven.map(|counter| Op::Delete { key: counter.key.clone() }).collect()
    }
}

/// The network that one line of one household or office usually has: the /24 or the /64.
fn network(client: IpAddr) -> Ipv6Addr {
    match client.to_canonical() {
        IpAddr::V4(client) => {
            let [a, b, c, _] = client.octets();
            std::net::Ipv4Addr::new(a, b, c, 0).to_ipv6_mapped()
        }
        IpAddr::V6(client) => Ipv6Addr::from_bits(client.to_bits() & !u128::from(u64::MAX)),
    }
}

fn whole_seconds(duration: Duration) -> Duration {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    Duration::from_secs(seconds.max(1))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::config::Limits;
    use crate::secret::MasterKey;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_014_400);

    fn throttle() -> Throttle {
        let limit = |most, seconds| vec![Limit { most, window: Duration::from_secs(seconds) }];
        let limits = Limits {
            account: [limit(3, 60), limit(5, 3600)].concat(),
            known_browser: limit(4, 60),
            network: limit(6, 60),
        };
        let policy = ThrottlePolicy { password: limits.clone(), mail: limits };
        Throttle::new(MasterKey::generate().derive("throttle"), policy)
    }

    fn attempt<'a>(account: &'a str, client: &str, browser: Browser) -> Attempt<'a> {
        Attempt { action: Action::Password, account, client: client.parse().unwrap(), browser }
    }

    /// Counts like the store does, without its expiry: keys name their window.
    #[derive(Default)]
    struct Counts(HashMap<String, u64>);

    impl Counts {
        fn run(&mut self, ops: Vec<Op>) -> Vec<Reply> {
            let one = |op| match op {
                Op::Increment { key, .. } => {
                    let count = self.0.entry(key).or_default();
                    *count += 1;
                    Reply::Count(*count)
                }
                Op::Delete { key } => Reply::Done(self.0.remove(&key).is_some()),
                other => panic!("{other:?} is not the throttle's"),
            };
            ops.into_iter().map(one).collect()
        }

        fn decide(&mut self, check: &Check) -> Decision {
            let replies = self.run(check.ops());
            check.decide(&replies)
        }
    }

    fn refused(seconds: u64) -> Decision {
        Decision::Refused { retry_after: Duration::from_secs(seconds) }
    }

    #[test]
    fn attempts_beyond_a_limit_wait_for_the_longest_window_exceeded() {
        let (throttle, mut counts) = (throttle(), Counts::default());
        let mut try_at = |seconds| {
            let now = NOON + Duration::from_secs(seconds);
            counts.decide(&throttle.before(&attempt("a@example.com", "192.0.2.1", Browser::Unknown), now))
        };
        let decisions = [0, 1, 2, 3, 60, 61, 3600].map(&mut try_at);
        let allowed = Decision::Allowed;
        // The refused attempt at three seconds counts in the hour too: hammering does not pay.
        assert_eq!(decisions, [allowed, allowed, allowed, refused(57), allowed, refused(3539), allowed]);
    }

    #[test]
    fn an_attacker_does_not_lock_out_a_browser_that_has_logged_in_before() {
        let (throttle, mut counts) = (throttle(), Counts::default());
        let attacker = attempt("a@example.com", "192.0.2.1", Browser::Unknown);
        for _ in 0..100 {
            counts.decide(&throttle.before(&attacker, NOON));
        }
        assert!(matches!(counts.decide(&throttle.before(&attacker, NOON)), Decision::Refused { .. }));
        let own = attempt("a@example.com", "192.0.2.1", Browser::Known(DeviceId::new([1; 16])));
        for _ in 0..4 {
            assert_eq!(counts.decide(&throttle.before(&own, NOON)), Decision::Allowed);
        }
        // The proof is no licence to guess: whoever holds the browser is bounded by its own counter.
        assert_eq!(counts.decide(&throttle.before(&own, NOON)), refused(60));
        let other = attempt("a@example.com", "192.0.2.1", Browser::Known(DeviceId::new([2; 16])));
        assert_eq!(counts.decide(&throttle.before(&other, NOON)), Decision::Allowed);
    }

    #[test]
    fn one_network_is_bounded_over_all_accounts_and_others_are_not_touched() {
        let (throttle, mut counts) = (throttle(), Counts::default());
        let mut spray = |number: u64, client: &str| {
            let account = format!("{number}@example.com");
            counts.decide(&throttle.before(&attempt(&account, client, Browser::Unknown), NOON))
        };
        for number in 0..6 {
            assert_eq!(spray(number, "192.0.2.7"), Decision::Allowed);
        }
        assert_eq!(spray(6, "192.0.2.200"), refused(60));
        assert_eq!(spray(7, "::ffff:192.0.2.9"), refused(60));
        assert_eq!(spray(8, "192.0.3.7"), Decision::Allowed);
        for number in 10..16 {
            assert_eq!(spray(number, "2001:db8::1"), Decision::Allowed);
        }
        assert_eq!(spray(16, "2001:db8::ffff:ffff:ffff:ffff"), refused(60));
        assert_eq!(spray(17, "2001:db8:0:1::1"), Decision::Allowed);
    }

    #[test]
    fn success_sets_back_the_account_but_not_the_network() {
        let (throttle, mut counts) = (throttle(), Counts::default());
        for round in 0..2 {
            for _ in 0..3 {
                let check = throttle.before(&attempt("a@example.com", "192.0.2.1", Browser::Unknown), NOON);
                assert_eq!(counts.decide(&check), Decision::Allowed, "round {round}");
                if round == 0 {
                    counts.run(check.forgive());
                }
            }
        }
        let own = throttle.before(&attempt("a@example.com", "192.0.2.1", Browser::Unknown), NOON);
        assert_eq!(counts.decide(&own), refused(60));
        let elsewhere = throttle.before(&attempt("b@example.com", "192.0.2.1", Browser::Unknown), NOON);
        assert_eq!(counts.decide(&elsewhere), refused(60), "six attempts and two came from this network");
    }

    #[test]
    fn success_in_a_known_browser_does_not_give_an_attacker_new_attempts() {
        let throttle = throttle();
        let known = attempt("a@example.com", "192.0.2.1", Browser::Known(DeviceId::new([1; 16])));
        let unknown = attempt("a@example.com", "192.0.2.1", Browser::Unknown);
        let keys = |ops: Vec<Op>| ops.into_iter().map(|op| format!("{op:?}")).collect::<Vec<_>>();
        let counted = keys(throttle.before(&unknown, NOON).forgive());
        for deleted in keys(throttle.before(&known, NOON).forgive()) {
            assert!(!counted.contains(&deleted));
        }
    }

    #[test]
    fn an_answer_that_is_no_count_allows_nothing() {
        let check = throttle().before(&attempt("a@example.com", "192.0.2.1", Browser::Unknown), NOON);
        let good = vec![Reply::Count(1); check.len()];
        assert_eq!(check.decide(&good), Decision::Allowed);
        assert!(matches!(check.decide(&[]), Decision::Refused { .. }));
        let mut bad = good.clone();
        bad[1] = Reply::Done(true);
        assert!(matches!(check.decide(&bad), Decision::Refused { .. }));
        let longer = [good, vec![Reply::Value(None)]].concat();
        assert_eq!(check.decide(&longer), Decision::Allowed);
    }

    #[test]
    fn keys_hold_neither_the_account_nor_the_address() {
        for op in throttle().before(&attempt("alice@example.com", "192.0.2.1", Browser::Unknown), NOON).ops() {
            let text = format!("{op:?}");
            assert!(!text.contains("alice") && !text.contains("192.0"), "{text}");
        }
    }

    #[test]
    fn actions_do_not_share_counters() {
        let throttle = throttle();
        let password = attempt("a@example.com", "192.0.2.1", Browser::Unknown);
        let mail = Attempt { action: Action::Mail, ..password };
        let keys = |attempt: &Attempt<'_>| format!("{:?}", throttle.before(attempt, NOON).ops());
        assert_ne!(keys(&password), keys(&mail));
    }
}
