//! Authentication levels: from a provider's `acr` and `amr` to ours, and from ours to what it is asked for.
//!
//! Pure. What is not listed in the configuration claims nothing, whatever the provider calls it (spec/protocol.md rule
//! 7, OpenID Connect Core §2 and §3.1.2.1).

use super::UpstreamIdentity;
use crate::config::LevelRule;

/// What a login was worth: the first entry that fits it.
pub(super) fn reached<'a>(rules: &'a [LevelRule], identity: &UpstreamIdentity) -> Option<&'a str> {
    let fits = |rule: &&LevelRule| match (&rule.acr, &rule.amr) {
        (Some(acr), _) => identity.acr.as_ref() == Some(acr),
        (None, Some(amr)) => identity.amr.contains(amr),
        (None, None) => false,
    };
    rules.iter().find(fits).map(|rule| rule.level.as_str())
}

/// The `acr_values` for the provider: what it calls the levels that an app wants, in the app's order. A level that is
/// known by its methods only cannot be asked for.
pub(super) fn wanted(rules: &[LevelRule], levels: &[String]) -> Option<String> {
    let mut values: Vec<&str> = Vec::new();
    for level in levels {
        let theirs = rules.iter().filter(|rule| rule.level == *level).filter_map(|rule| rule.acr.as_deref());
        for value in theirs {
            if !values.contains(&value) {
                values.push(value);
            }
        }
    }
    (!values.is_empty()).then(|| values.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connector::claims;

    fn rules() -> Vec<LevelRule> {
        let rule = |acr: Option<&str>, amr: Option<&str>, level: &str| LevelRule {
            acr: acr.map(str::to_owned),
            amr: amr.map(str::to_owned),
            level: level.to_owned(),
        };
        vec![
            rule(Some("phrh"), None, "gold"),
            rule(None, Some("hwk"), "gold"),
            rule(Some("phr"), None, "silver"),
            rule(Some("phr2"), None, "silver"),
            rule(None, Some("mfa"), "silver"),
        ]
    }

    #[test]
    fn the_first_entry_that_fits_is_the_level_and_nothing_else_is_one() {
        for (said, level) in [
            (json!({"acr": "phrh"}), Some("gold")),
            (json!({"acr": "phr", "amr": ["pwd", "hwk"]}), Some("gold")),
            (json!({"acr": "phr"}), Some("silver")),
            (json!({"acr": "0", "amr": ["pwd", "mfa"]}), Some("silver")),
            (json!({"acr": "gold", "amr": ["gold", "pwd"]}), None),
            (json!({"acr": "PHR"}), None),
            (json!({"acr": ["phr"], "amr": "mfa"}), None),
            (json!({}), None),
        ] {
            let mut claims = said.as_object().cloned().unwrap();
            claims.insert("sub".to_owned(), json!("a"));
            let identity = claims::identity(claims, None).unwrap();
            assert_eq!(reached(&rules(), &identity), level, "{said}");
        }
    }

    #[test]
    fn a_provider_is_asked_in_its_own_words_and_in_the_order_of_the_app() {
        let asked = |levels: &[&str]| {
            let levels: Vec<String> = levels.iter().map(|level| (*level).to_owned()).collect();
            wanted(&rules(), &levels)
        };
        assert_eq!(asked(&["silver", "gold", "silver"]).as_deref(), Some("phr phr2 phrh"));
        assert_eq!(asked(&["gold"]).as_deref(), Some("phrh"));
        assert_eq!(asked(&["bronze"]), None);
        assert_eq!(asked(&[]), None);
    }
}
