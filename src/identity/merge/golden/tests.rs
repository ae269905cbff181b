//! Which value counts, rule by rule, and that what belongs together comes from one row.

use serde_json::json;

use super::super::tree::tests::{id, member};
use super::*;
use crate::config::Config;

fn config() -> MergeConfig {
    let dir = std::env::temp_dir();
    Config::load(None, Vec::new()).map(|config| config.merge).unwrap_or_else(|error| panic!("{dir:?}: {error}"))
}

fn row(number: u128, profile: Value) -> Member {
    Member { profile, ..member(number, (number > 1).then_some((1, i64::try_from(number).unwrap(), true))) }
}

fn chosen(name: &str, rule: Survivorship, rows: &[Member]) -> CustomerId {
    let mut config = config();
    config.survivorship.insert(name.to_owned(), rule);
    config.trusted_sources = vec!["customer".to_owned(), "google".to_owned()];
    let rows: Vec<&Member> = rows.iter().collect();
    fields(&rows, &config, &BTreeMap::new()).into_iter().find(|field| field.name == name).unwrap().chosen
}

#[test]
fn each_rule_chooses_by_its_own_measure() {
    let rows = [
        row(1, json!({"locale": {"value": "de", "at": 5, "source": "facebook"}})),
        row(2, json!({"locale": {"value": "de-CH", "at": 9, "source": "google"}})),
        row(
            3,
            json!({"locale": {"value": "fr", "at": 7, "source": "customer"}, "locale_verified": {"value": true, "at": 1}}),
        ),
    ];
    for (rule, expected) in [
        (Survivorship::Survivor, 1),
        (Survivorship::Ask, 1),
        (Survivorship::MostRecent, 2),
        (Survivorship::MostTrusted, 3),
        (Survivorship::VerifiedFirst, 3),
        (Survivorship::MostComplete, 2),
    ] {
        assert_eq!(chosen("locale", rule, &rows), id(expected), "{rule:?}");
    }
}

#[test]
fn an_address_and_its_proof_come_from_one_row() {
    let rows = [
        row(1, json!({"email": {"value": "a@x.example", "at": 9}, "email_verified": {"value": false, "at": 9}})),
        row(2, json!({"email": {"value": "b@x.example", "at": 1}, "email_verified": {"value": true, "at": 1}})),
    ];
    let rows: Vec<&Member> = rows.iter().collect();
    let golden = record(&rows, &config());
    assert_eq!((&golden["email"]["value"], &golden["email_verified"]["value"]), (&json!("b@x.example"), &json!(true)));
}

#[test]
fn parts_of_a_name_are_never_mixed() {
    let rows = [
        row(1, json!({"name": {"value": "Ada", "at": 9}})),
        row(2, json!({"given_name": {"value": "Ada", "at": 1}, "family_name": {"value": "Lovelace", "at": 1}})),
    ];
    let rows: Vec<&Member> = rows.iter().collect();
    let golden = record(&rows, &config());
    assert_eq!(golden["family_name"]["value"], "Lovelace");
    assert!(golden.get("name").is_none(), "{golden}");
}

#[test]
fn what_somebody_decided_wins_over_the_rule_and_goes_with_its_merge() {
    let mut rows =
        [row(1, json!({"locale": {"value": "de", "at": 9}})), row(2, json!({"locale": {"value": "fr", "at": 1}}))];
    rows[1].choices = Some(json!({"locale": id(2)}));
    let refs: Vec<&Member> = rows.iter().collect();
    assert_eq!(record(&refs, &config())["locale"]["value"], "fr");
    assert_eq!(record(&refs[..1], &config())["locale"]["value"], "de");
}

#[test]
fn a_value_of_one_row_alone_is_in_the_record() {
    let rows = [row(1, json!({})), row(2, json!({"locale": {"value": "fr", "at": 1}}))];
    let refs: Vec<&Member> = rows.iter().collect();
    assert_eq!(record(&refs, &config())["locale"]["value"], "fr");
}
