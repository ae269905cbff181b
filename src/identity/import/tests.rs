//! The decisions of the import, as tables.

use serde_json::json;

use super::*;
use crate::connector::claims;
use crate::identity::profile::Profile;

const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const LATER: Timestamp = Timestamp::from_seconds(1_800_003_600);

fn link(number: u128) -> LinkId {
    LinkId(uuid::Uuid::from_u128(number))
}

/// A profile whose name came from there; the customer's own entry if from nowhere.
fn named(name: &str, from: Option<LinkId>) -> Profile {
    named_at(name, from, NOW)
}

fn named_at(name: &str, from: Option<LinkId>, at: Timestamp) -> Profile {
    let mut profile = Profile::default();
    profile.set("name", Some(name), from, at);
    profile
}

fn offer(name: &str, forced: Option<OnConflict>) -> Vec<Offer> {
    vec![Offer { claim: Importable::Name, value: name.to_owned(), forced, verified: false }]
}

fn upstream(said: Value) -> UpstreamIdentity {
    let mut claims = said.as_object().cloned().unwrap();
    claims.insert("sub".to_owned(), json!("a"));
    claims::identity(claims, None).unwrap()
}

fn config(import: Value) -> ImportConfig {
    serde_json::from_value(import).unwrap()
}

#[test]
fn each_kind_of_conflict_ends_as_it_is_defined() {
    use OnConflict::{Add, Fail, Replace, Set};
    let (here, elsewhere) = (link(1), Some(link(2)));
    let kept = || Ok(None);
    let becomes = |name: &str, from: Option<LinkId>| {
        Ok(Some(Imported { profile: named_at(name, from, LATER), changed: vec![Importable::Name] }))
    };
    let beside = |own: Profile| {
        let mut profile = own;
        assert!(profile.keep_beside("name", json!("Anna"), here, LATER));
        Ok(Some(Imported { profile, changed: vec![Importable::Name] }))
    };
    let differs = || Err(Differs(Importable::Name));
    for (own, forced, expected) in [
        // No value: all are alike.
        (Profile::default(), None, becomes("Anna", Some(here))),
        (Profile::default(), Some(Set), becomes("Anna", Some(here))),
        (Profile::default(), Some(Fail), becomes("Anna", Some(here))),
        (Profile::default(), Some(Add), becomes("Anna", Some(here))),
        (Profile::default(), Some(Replace), becomes("Anna", Some(here))),
        // Its own value of before: a suggestion is made once.
        (named("Ann", Some(here)), None, kept()),
        (named("Ann", Some(here)), Some(Set), becomes("Anna", Some(here))),
        (named("Ann", Some(here)), Some(Fail), becomes("Anna", Some(here))),
        (named("Ann", Some(here)), Some(Add), becomes("Anna", Some(here))),
        (named("Ann", Some(here)), Some(Replace), becomes("Anna", Some(here))),
        // The same from elsewhere.
        (named("Anna", elsewhere), None, kept()),
        (named("Anna", elsewhere), Some(Set), kept()),
        (named("Anna", elsewhere), Some(Fail), kept()),
        (named("Anna", elsewhere), Some(Add), kept()),
        (named("Anna", elsewhere), Some(Replace), kept()),
        // Another from elsewhere.
        (named("Ann", elsewhere), None, kept()),
        (named("Ann", elsewhere), Some(Set), kept()),
        (named("Ann", elsewhere), Some(Fail), differs()),
        (named("Ann", elsewhere), Some(Add), beside(named("Ann", elsewhere))),
        (named("Ann", elsewhere), Some(Replace), becomes("Anna", Some(here))),
        // Another of the customer's own.
        (named("Ann", None), None, kept()),
        (named("Ann", None), Some(Set), kept()),
        (named("Ann", None), Some(Fail), differs()),
        (named("Ann", None), Some(Add), beside(named("Ann", None))),
        (named("Ann", None), Some(Replace), becomes("Anna", Some(here))),
    ] {
        let case = format!("{own:?} {forced:?}");
        assert_eq!(import(&own, &offer("Anna", forced), here, LATER), expected, "{case}");
    }
}

/// Who says which birth date, and whether it is verified: what the customer has afterwards.
#[test]
fn only_a_verified_birth_date_takes_the_place_of_a_verified_one() {
    use OnConflict::{Add, Fail, Replace, Set};
    let (one, other) = ("1980-02-03", "1999-09-09");
    let (here, elsewhere) = (link(1), link(2));
    let born = |day: &str, verified: bool, forced: Option<OnConflict>| Offer {
        claim: Importable::Birthdate,
        value: day.to_owned(),
        forced,
        verified,
    };
    let all = [None, Some(Set), Some(Add), Some(Replace), Some(Fail)];
    for forced in all {
        let imported = import(&Profile::default(), &[born(one, true, forced)], here, NOW).unwrap().unwrap().profile;
        assert!(imported.is_true("birthdate_verified"), "{forced:?}");
        for from in [here, elsewhere] {
            let after = |own: &Offer, said: &Offer| {
                let mut profile = Profile::default();
                own.write(&mut profile, from, NOW);
                let imported = import(&profile, std::slice::from_ref(said), here, LATER)?;
                let once = imported.map_or(profile, |imported| imported.profile);
                assert_eq!(import(&once, std::slice::from_ref(said), here, LATER)?, None, "twice is once");
                let beside = once.to_json()["birthdate"]["beside"].as_array().map_or(0, Vec::len);
                Ok((once.text("birthdate").unwrap(), once.is_true("birthdate_verified"), beside))
            };
            let (proved, said) = (born(one, true, None), born(one, false, None));
            let case = format!("{forced:?} {from:?}");
            let is = |day: &str, verified: bool, beside: usize| Ok((day.to_owned(), verified, beside));
            assert_eq!(after(&said, &born(one, true, forced)), is(one, true, 0), "confirmed: {case}");
            assert_eq!(after(&proved, &born(one, false, forced)), is(one, true, 0), "said again: {case}");
            let unproved = match forced {
                Some(Add) if from == elsewhere => is(one, true, 1),
                Some(Fail) if from == elsewhere => Err(Differs(Importable::Birthdate)),
                _ => is(one, true, 0),
            };
            assert_eq!(after(&proved, &born(other, false, forced)), unproved, "not verified: {case}");
            let verified = match forced {
                None => is(one, true, 0),
                Some(_) if from == here => is(other, true, 0),
                Some(Replace) => is(other, true, 0),
                Some(Set) => is(one, true, 0),
                Some(Add) => is(one, true, 1),
                Some(Fail) => Err(Differs(Importable::Birthdate)),
            };
            assert_eq!(after(&proved, &born(other, true, forced)), verified, "verified: {case}");
        }
    }
}

#[test]
fn what_was_imported_once_changes_nothing_the_second_time() {
    for forced in [None, Some(OnConflict::Set), Some(OnConflict::Add), Some(OnConflict::Replace)] {
        for own in [Profile::default(), named("Ann", None), named("Ann", Some(link(1))), named("Anna", Some(link(2)))] {
            let offers = offer("Anna", forced);
            let Some(once) = import(&own, &offers, link(1), NOW).unwrap() else { continue };
            assert_eq!(import(&once.profile, &offers, link(1), LATER), Ok(None), "{own:?} {forced:?}");
        }
    }
}

#[test]
fn values_side_by_side_are_one_per_link_and_few() {
    let add = |profile: Profile, name: &str, from: u128| {
        let imported = import(&profile, &offer(name, Some(OnConflict::Add)), link(from), LATER).unwrap();
        imported.map_or(profile, |imported| imported.profile)
    };
    let beside = |profile: &Profile| profile.to_json()["name"]["beside"].as_array().map_or(0, Vec::len);
    let mut profile = add(add(named("Ann", None), "Anna", 1), "Annie", 1);
    assert_eq!(profile.to_json()["name"]["beside"][0]["value"], "Annie");
    assert_eq!((profile.text("name").as_deref(), beside(&profile)), (Some("Ann"), 1));
    for from in 2..100 {
        profile = add(profile, "Anna", from);
    }
    assert_eq!(beside(&profile), 8);
    // Who says the same as the customer at last has no value of its own.
    profile = add(profile, "Ann", 1);
    assert_eq!(beside(&profile), 7);
    assert_eq!(Profile::from_json(&profile.to_json()), profile, "all of it is kept");
}

#[test]
fn one_conflict_refuses_the_whole_login() {
    let forced = Some(OnConflict::Set);
    let mut offers = vec![Offer { claim: Importable::Locale, value: "en".to_owned(), forced, verified: false }];
    offers.extend(offer("Anna", Some(OnConflict::Fail)));
    assert_eq!(import(&named("Ann", None), &offers, link(1), NOW), Err(Differs(Importable::Name)));
}

#[test]
fn actions_decide_what_is_offered_when() {
    let config = config(json!({
        "name": "force", "given_name": "suggest", "family_name": {"action": "require", "on_conflict": "replace"},
        "picture": "ignore", "locale": {"action": "force", "on_conflict": "add"},
    }));
    let said = json!({
        "name": "Ann Lee", "given_name": "Ann", "family_name": "Lee", "picture": "https://p.example/a.png", "locale": "en",
        "preferred_username": "ann", "email": "ann@shop.example", "hd": "shop.example",
    });
    let upstream = upstream(said);
    let listed = |offers: Vec<Offer>| {
        offers.into_iter().map(|offer| (offer.claim.as_str(), offer.value, offer.forced)).collect::<Vec<_>>()
    };
    let first = listed(first_offers(&config, BirthdateTrust::Verified, &upstream));
    let expected = [
        ("name", "Ann Lee".to_owned(), Some(OnConflict::Set)),
        ("given_name", "Ann".to_owned(), None),
        ("family_name", "Lee".to_owned(), Some(OnConflict::Replace)),
        ("preferred_username", "ann".to_owned(), None),
        ("locale", "en".to_owned(), Some(OnConflict::Add)),
    ];
    assert_eq!(first, expected);
    let forced: Vec<_> = expected.iter().filter(|(_, _, forced)| forced.is_some()).cloned().collect();
    assert_eq!(listed(later_offers(&config, BirthdateTrust::Verified, &upstream)), forced);
    let never = ImportConfig { update: ImportUpdate::Never, ..config };
    assert!(later_offers(&never, BirthdateTrust::Verified, &upstream).is_empty());
    assert_eq!(listed(first_offers(&never, BirthdateTrust::Verified, &upstream)), expected);
    let raw = kept(&config, &upstream.raw);
    assert_eq!(
        (raw.get("picture"), &raw["email"], &raw["hd"]),
        (None, &json!("ann@shop.example"), &json!("shop.example"))
    );
}

#[test]
fn what_is_required_and_not_said_is_missing() {
    let config = config(json!({"name": "require", "picture": {"action": "require"}, "locale": "force"}));
    let missing = |said: Value| missing(&config, &upstream(said));
    assert_eq!(missing(json!({"name": "Ann", "picture": "https://p.example/a.png"})), []);
    assert_eq!(
        missing(json!({"name": " ", "picture": "http://p.example/a.png"})),
        [Importable::Name, Importable::Picture]
    );
    assert_eq!(missing(json!({"name": "Ann"})), [Importable::Picture]);
}
