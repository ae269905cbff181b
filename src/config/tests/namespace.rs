//! What namespaces declare: the defaults of the specification, what may be said otherwise, and what may not.

use std::time::Duration;

use super::super::{Normalizer, Policy};

const DAY: Duration = Duration::from_secs(86_400);

fn policy(text: &str, namespace: &str) -> Policy {
    super::load(text, &[]).unwrap().namespaces.policy(namespace)
}

#[test]
fn each_kind_declares_what_the_specification_says() {
    let said = |namespace: &str| {
        let Policy { exclusive, immutable, login, live, .. } = policy("", namespace);
        (exclusive, immutable, login, live)
    };
    for (namespace, expected) in [
        ("social:google", (true, true, true, 5)),
        ("email", (true, false, true, 5)),
        ("unproved_email", (false, false, false, 5)),
        ("phone", (true, false, false, 3)),
        ("app:shop", (true, true, false, 3)),
        ("ext:crm", (true, true, false, 3)),
        ("visitor:shops", (false, false, false, 50)),
    ] {
        assert_eq!(said(namespace), expected, "{namespace}");
        assert!(policy("", namespace).new_per_week >= 1, "{namespace}");
    }
    assert_eq!(policy("", "phone").proof_lifetime, Some(180 * DAY));
    assert_eq!(policy("", "email").proof_lifetime, None);
    // The order in which namespaces have the last word.
    let order = ["app:shop", "ext:crm", "social:google", "email", "phone", "visitor:shops", "unproved_email"];
    let priorities: Vec<u32> = order.iter().map(|namespace| policy("", namespace).priority).collect();
    assert!(priorities.is_sorted_by(|before, after| before > after), "{priorities:?}");
}

#[test]
fn one_namespace_may_differ_from_its_kind() {
    let text = "[namespaces.\"ext:*\"]\nlive = 7\npriority = 91\n\
                [namespaces.\"ext:loyalty\"]\nnew_per_week = 2\nnormalizer = \"compact\"\nexclusive = false\n\
                proof_lifetime = \"30d\"\n[namespaces.phone]\nproof_lifetime = \"90d\"\n";
    let loyalty = policy(text, "ext:loyalty");
    assert_eq!((loyalty.live, loyalty.priority, loyalty.new_per_week, loyalty.exclusive), (7, 91, 2, false));
    assert_eq!((loyalty.normalizer, loyalty.proof_lifetime), (Normalizer::Compact, Some(30 * DAY)));
    let crm = policy(text, "ext:crm");
    assert_eq!((crm.live, crm.priority, crm.new_per_week, crm.exclusive), (7, 91, 10, true));
    assert_eq!((policy(text, "phone").proof_lifetime, policy(text, "phone").login), (Some(90 * DAY), false));
    // What nobody declared may nothing.
    for unknown in ["", "mail", "ext", "ext:", "loyalty:gold"] {
        let policy = policy(text, unknown);
        assert_eq!((policy.live, policy.new_per_week, policy.login, policy.matches), (0, 0, false, false), "{unknown}");
    }
    // A merge counts by the same.
    assert_eq!(super::load(text, &[]).unwrap().merge.namespaces.policy("ext:crm").live, 7);
}

#[test]
fn everything_that_is_wrong_with_namespaces_is_said_at_once() {
    let text = "[namespaces.\"ext:crm\"]\nlive = 0\nnew_per_week = \"many\"\npriority = 101\nnormalizer = \"phone\"\nlogin = true\n\
                [namespaces.\"social:gogle\"]\nlive = 6\n[namespaces.\"social:*\"]\nlogin = false\nproof_lifetime = \"30d\"\n\
                [namespaces.email]\nexclusive = false\ncountry_code = \"49\"\nblocked = [\"\"]\n\
                [namespaces.phone]\nlogin = true\nproof_lifetime = \"1h\"\ncountry_code = \"+49\"\ntrunk_prefix = \"x\"\nlifes = 3\n\
                [namespaces.loyalty]\nlive = 2\n";
    let lines = super::lines(super::load(text, &[]));
    for line in [
        "samesake.toml: namespaces.ext:crm.live: 0 is out of range; expected 1 to 200",
        "samesake.toml: namespaces.ext:crm.new_per_week: ",
        "samesake.toml: namespaces.ext:crm.priority: 101 is out of range; expected 0 to 100",
        "samesake.toml: namespaces.ext:crm.normalizer: `phone` is not for this namespace; expected exact, lower_case or compact",
        "samesake.toml: namespaces.ext:crm.login: `true` is not possible: it is fixed for ext:*; expected login = false",
        "samesake.toml: namespaces.social:gogle: `gogle` is no connector; expected \"social:\" and the ID of a connector",
        "samesake.toml: namespaces.social:*.login: `false` is not possible: it is fixed for social:*; expected login = true",
        "samesake.toml: namespaces.social:*.proof_lifetime: `30d` is not possible",
        "samesake.toml: namespaces.email.exclusive: `false` is not possible",
        "samesake.toml: namespaces.email.country_code: says nothing of this namespace; expected it in [namespaces.phone]",
        "samesake.toml: namespaces.email.blocked[0]: is empty",
        "samesake.toml: namespaces.phone.login: `true` is not possible: it is fixed for phone; expected login = false",
        "samesake.toml: namespaces.phone.proof_lifetime: 1h is out of range; expected \"1d\" to \"3650d\"",
        "samesake.toml: namespaces.phone.country_code: `+49` is no country code; expected its digits without a plus",
        "samesake.toml: namespaces.phone.trunk_prefix: `x` is no prefix",
        "samesake.toml: namespaces.phone.lifes: is not a known key",
        "samesake.toml: namespaces.loyalty: is no namespace; expected one of social:*, email, ",
    ] {
        assert!(lines.iter().any(|found| found.starts_with(line)), "{line}\nis not in\n{}", lines.join("\n"));
    }
    assert_eq!(lines.len(), 17, "{}", lines.join("\n"));
}
