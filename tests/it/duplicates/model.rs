//! What the model finds, and that nothing but the two records decides it.

use std::collections::HashSet;

use samesake::identity::duplicates::score::Scorer;
use samesake::identity::duplicates::{Band, Blocks, Claim, Model, Person, Policy, Records, Rule, Scan, rules};

use super::people::{self, Random, Record};
use super::{ALL, Fields, TOWN, by_key, f1, find, push, quality, records, scan};

fn above(pairs: &[samesake::identity::duplicates::ScoredPair]) -> impl Iterator<Item = (u32, u32)> {
    pairs.iter().filter(|pair| pair.same >= 0.95).map(|pair| (pair.a, pair.b))
}

#[test]
fn duplicates_are_found_without_labels() {
    let found = find(&people::records(3_000, 7), ALL);
    let quality = quality(&found.truth, above(&found.pairs));
    assert!(quality.0 >= 0.985 && f1(quality) >= 0.87, "{quality:?}");
}

#[test]
fn a_file_of_names_addresses_and_birth_dates_alone_works_as_well() {
    for (fields, precision, least) in [
        (Fields { email_and_phone: false, ..ALL }, 0.97, 0.70),
        (Fields { address: false, ..ALL }, 0.97, 0.70),
        (Fields { birth: false, ..ALL }, 0.97, 0.80),
        (Fields { email_and_phone: true, birth: false, address: false }, 0.96, 0.50),
    ] {
        let found = find(&people::records(3_000, 11), fields);
        let quality = quality(&found.truth, above(&found.pairs));
        assert!(quality.0 >= precision && f1(quality) >= least, "{quality:?}");
    }
}

#[test]
fn where_there_are_no_duplicates_next_to_none_are_found() {
    let mut seen = HashSet::new();
    let rows: Vec<Record> = people::records(4_000, 3).into_iter().filter(|row| seen.insert(row.person)).collect();
    let found = find(&rows, ALL);
    let false_pairs = above(&found.pairs).count();
    assert!(false_pairs <= rows.len() / 500, "{false_pairs} of {} records", rows.len());
}

#[test]
fn households_and_twins_are_not_taken_for_one_person() {
    let found = &TOWN.1;
    let mut records = Records::new();
    let twin = |given: &str| Record {
        given: given.to_owned(),
        family: "Featherstone".to_owned(),
        birth: "1990-04-05".to_owned(),
        phone: "01632960123".to_owned(),
        street: "3 Mill Lane".to_owned(),
        locality: "Fenham".to_owned(),
        postcode: "10987".to_owned(),
        ..Record::default()
    };
    let ann = push(&mut records, 900_001, &twin("Hannah"), ALL);
    let bob = push(&mut records, 900_002, &twin("Gregory"), ALL);
    let mother = push(&mut records, 900_003, &Record { birth: "1962-11-30".to_owned(), ..twin("Ursula") }, ALL);
    let again = push(&mut records, 900_004, &twin("Hanna"), ALL);
    let scorer = Scorer::new(&found.model);
    for child in [ann, bob] {
        let score = scorer.score(&records, child, mother);
        assert!(score.household > 0.99, "{score:?}");
    }
    let twins = scorer.score(&records, ann, bob);
    assert!(twins.same < 0.9 && twins.household > 0.1, "{twins:?}");
    assert!(scorer.score(&records, ann, again).same > 0.95);
}

#[test]
fn a_score_is_symmetric_and_its_reasons_add_up() {
    let found = &TOWN.1;
    let scorer = Scorer::new(&found.model);
    let mut random = Random::new(1);
    let drawn: Vec<(u32, u32)> = (0..2_000)
        .map(|_| (random.below(found.records.len()) as u32, random.below(found.records.len()) as u32))
        .collect();
    let scored = found.pairs.iter().map(|pair| (pair.a, pair.b));
    for (a, b) in drawn.into_iter().chain(scored).filter(|(a, b)| a != b) {
        let score = scorer.score(&found.records, a, b);
        assert_eq!(score, scorer.score(&found.records, b, a));
        assert!((score.same + score.household + score.unrelated - 1.0).abs() < 1e-9, "{score:?}");
        let waterfall = scorer.explain(&found.records, a, b);
        let bits = waterfall.prior_bits + waterfall.steps.iter().map(|step| step.bits).sum::<f64>();
        let household =
            waterfall.household_prior_bits + waterfall.steps.iter().map(|step| step.household_bits).sum::<f64>();
        assert!((bits - score.bits).abs() < 1e-9, "{waterfall:?}");
        let all = bits.exp2() + household.exp2() + 1.0;
        assert!((waterfall.same - bits.exp2() / all).abs() < 1e-6, "{waterfall:?}");
    }
}

#[test]
fn scores_depend_on_neither_order_nor_batches() {
    let (rows, found) = &*TOWN;
    let expected = by_key(&found.records, &found.pairs);
    let mut shuffled: Vec<(usize, &Record)> = rows.iter().enumerate().collect();
    let mut random = Random::new(2);
    for place in (1..shuffled.len()).rev() {
        shuffled.swap(place, random.below(place + 1));
    }
    let others = records(&shuffled, ALL);
    let blocks = Blocks::new(&others);
    assert_eq!(by_key(&others, &scan(&found.model, &others, &blocks)), expected);

    let scorer = Scorer::new(&found.model);
    for pair in found.pairs.iter().step_by(7) {
        let mut two = Records::new();
        let (a, b) = (found.records.key(pair.a), found.records.key(pair.b));
        let first = push(&mut two, b, &rows[b as usize], ALL);
        let second = push(&mut two, a, &rows[a as usize], ALL);
        let scored = scorer.score_one(&two, second, [first]);
        assert_eq!(scored[0].1.same as f32, pair.same, "alone as in bulk");
    }
}

#[test]
fn a_stopped_scan_goes_on_where_it_was() {
    let found = &TOWN.1;
    let scan = Scan::new(&found.model, &found.records, &found.blocks, 0.01).in_units_of(100);
    let (mut pairs, mut reached, mut runs) = (Vec::new(), 0, 0);
    while reached < scan.units() {
        scan.run(reached, |progress, kept| {
            pairs.extend(kept);
            reached = progress.units;
            assert_eq!(progress.of_units, scan.units());
            false
        });
        runs += 1;
    }
    assert!(runs > 1, "the scan was really stopped");
    assert_eq!(by_key(&found.records, &pairs), by_key(&found.records, &found.pairs));
    let single = Scan::new(&found.model, &found.records, &found.blocks, 0.01).single_threaded();
    let mut alone = Vec::new();
    single.run(0, |_, kept| {
        alone.extend(kept);
        true
    });
    assert_eq!(by_key(&found.records, &alone), by_key(&found.records, &found.pairs));
}

#[test]
fn the_candidates_of_a_record_are_those_of_the_bulk() {
    let found = &TOWN.1;
    for pair in found.pairs.iter().step_by(5) {
        assert!(found.blocks.neighbors(pair.a).contains(&pair.b));
        assert!(found.blocks.neighbors(pair.b).contains(&pair.a));
    }
}

#[test]
fn a_model_is_frozen_and_names_its_contents() {
    let found = &TOWN.1;
    let again = Model::from_json(&found.model.to_json()).unwrap();
    assert_eq!(again, found.model);
    assert_eq!(Model::fit(&found.records, &found.blocks).version, found.model.version);
    assert_ne!(find(&people::records(600, 31), ALL).model.version, found.model.version);
    for broken in [
        found
            .model
            .to_json()
            .replace(&format!("\"normalization\":{}", found.model.normalization), "\"normalization\":1"),
        found.model.to_json().replacen("\"field\":\"given\"", "\"field\":\"family\"", 1),
        found.model.to_json().replacen("\"same\":", "\"same\":-", 1),
        "{}".to_owned(),
    ] {
        assert!(Model::from_json(&broken).is_err());
    }
}

#[test]
fn a_junk_value_is_no_evidence() {
    let found = &TOWN.1;
    let mut records = Records::new();
    let mut add = |key: u128, email: &str, phone: &str, birth: &str| {
        let (email, phone) = ([Claim { value: email, proved: true }], [Claim { value: phone, proved: true }]);
        records.push(&Person { key, emails: &email, phones: &phone, birth, ..Person::default() }).unwrap()
    };
    let a = add(1, "test@test.com", "0000000000", "1900-01-01");
    let b = add(2, "test@test.com", "0000000000", "1900-01-01");
    assert!(rules::rules(&records, a, b).is_empty());
    let waterfall = Scorer::new(&found.model).explain(&records, a, b);
    assert!(waterfall.steps.is_empty(), "{waterfall:?}");
}

#[test]
fn automatic_needs_two_proved_identifiers_and_no_veto_and_is_off() {
    let found = &TOWN.1;
    let best = found.pairs.iter().max_by(|x, y| x.bits.total_cmp(&y.bits)).unwrap();
    let score = Scorer::new(&found.model).score(&found.records, best.a, best.b);
    assert!(score.same >= 0.999);
    let (one, two) = ([Rule::ProvedEmail], [Rule::ProvedEmail, Rule::ProvedPhone]);
    let on = Policy { automatic: true, ..Policy::default() };
    assert_eq!(Policy::default().band(&score, &two, None), Band::Queue);
    assert_eq!(on.band(&score, &two, None), Band::Automatic);
    assert_eq!(on.band(&score, &one, None), Band::Queue);
    assert_eq!(on.band(&score, &two, Some(rules::Veto::BirthDates)), Band::Drop);
    let unsure = samesake::identity::duplicates::Score { same: 0.998, ..score };
    assert_eq!(on.band(&unsure, &two, None), Band::Queue);
    let unlikely = samesake::identity::duplicates::Score { same: 0.05, household: 0.2, ..score };
    assert_eq!(on.band(&unlikely, &[], None), Band::Drop);
    assert_eq!(on.band(&unlikely, &one, None), Band::Watch);
}
