//! Whether a frozen model still fits: the alarm when data drifts, and corrections by what stewards decided.

use samesake::identity::duplicates::calibration::{NoProposal, propose};
use samesake::identity::duplicates::score::Scorer;
use samesake::identity::duplicates::{Blocks, Calibration, Decision, Drift, Field, Model, Scan};

use super::people::{self, Record};
use super::{ALL, TOWN, records};

fn drift(rows: &[Record]) -> Drift {
    let numbered: Vec<(usize, &Record)> = rows.iter().enumerate().collect();
    let records = records(&numbered, ALL);
    Drift::measure(&TOWN.1.model, &records, &Blocks::new(&records))
}

#[test]
fn more_of_the_same_data_raises_no_alarm() {
    let drift = drift(&people::records(1_800, 5));
    assert!(!drift.shifts.is_empty() && !drift.is_alarm(), "{drift:?}");
}

#[test]
fn a_field_that_is_no_longer_filled_in_raises_an_alarm_that_names_it() {
    let mut rows = people::records(1_800, 5);
    rows.iter_mut().for_each(|row| row.birth.clear());
    let drift = drift(&rows);
    assert!(drift.is_alarm(), "{drift:?}");
    assert_eq!(drift.shifts[0].field, Field::Birth);
}

#[test]
fn without_enough_pairs_or_a_profile_nothing_is_said_of_drift() {
    assert!(drift(&people::records(100, 5)).shifts.is_empty());
    let found = &TOWN.1;
    let model = Model { profile: None, ..found.model.clone() };
    assert!(Drift::measure(&model, &found.records, &found.blocks).shifts.is_empty());
}

#[test]
fn decisions_propose_a_correction_and_change_no_model() {
    let found = &TOWN.1;
    let before = found.model.to_json();
    // Stewards see the better pairs, and refuse every third of them.
    let seen = found.pairs.iter().filter(|pair| pair.same >= 0.3).cycle().take(900);
    let decisions: Vec<Decision> =
        seen.enumerate().map(|(at, pair)| Decision { same: f64::from(pair.same), is_same: at % 3 != 0 }).collect();
    let proposal = propose(&found.model, &decisions).unwrap();
    assert_eq!(proposal.model, found.model.version);
    assert!(proposal.loss_corrected < proposal.loss, "{proposal:?}");
    assert_eq!(found.model.to_json(), before);
    assert_eq!(propose(&found.model, &decisions[..499]), Err(NoProposal::Few(499)));
}

#[test]
fn a_corrected_model_scores_alone_as_in_bulk_and_keeps_the_order_of_pairs() {
    let found = &TOWN.1;
    let model = found.model.calibrated(Calibration { offset: -0.7, slope: 0.8 }).unwrap();
    let scorer = Scorer::new(&model);
    let mut pairs = Vec::new();
    Scan::new(&model, &found.records, &found.blocks, 0.5).run(0, |_, kept| {
        pairs.extend(kept);
        true
    });
    assert!(!pairs.is_empty());
    for pair in &pairs {
        assert_eq!(scorer.pair(&found.records, pair.b, pair.a).same, pair.same);
        let waterfall = scorer.explain(&found.records, pair.a, pair.b);
        assert_eq!((waterfall.same as f32, waterfall.calibration), (pair.same, model.calibration));
        assert!((waterfall.same + waterfall.household + waterfall.unrelated - 1.0).abs() < 1e-9, "{waterfall:?}");
    }
    let plain = Scorer::new(&found.model);
    let threshold = model.calibration.unwrap().apply(0.9);
    for (a, b) in pairs.iter().map(|pair| (pair.a, pair.b)) {
        let (same, was) = (scorer.score(&found.records, a, b).same, plain.score(&found.records, a, b).same);
        assert_eq!(same > threshold, was > 0.9, "{same} {was}");
    }
}
