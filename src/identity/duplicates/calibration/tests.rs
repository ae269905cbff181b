//! Corrections by decisions: when there are enough, what they make of the probabilities, and that the order stays.

use super::super::hash::Draw;
use super::*;

/// Decisions on pairs whose true log-odds are a line of what the model said.
fn decisions(count: usize, offset: f64, slope: f64) -> Vec<Decision> {
    let mut draw = Draw(7);
    let mut unit = move || draw.below(1 << 52) as f64 / (1_u64 << 52) as f64;
    let one = |_| {
        let same = logistic(-2.0 + 8.0 * unit());
        Decision { same, is_same: unit() < logistic(offset + slope * log_odds(same)) }
    };
    (0..count).map(one).collect()
}

#[test]
fn fewer_than_500_decisions_propose_nothing() {
    let model = Model::unfitted();
    assert_eq!(propose(&model, &decisions(499, -1.0, 0.5)), Err(NoProposal::Few(499)));
    assert!(propose(&model, &decisions(500, -1.0, 0.5)).is_ok());
}

#[test]
fn decisions_that_all_agree_propose_nothing() {
    let all: Vec<Decision> =
        decisions(900, 0.0, 1.0).into_iter().map(|one| Decision { is_same: true, ..one }).collect();
    assert_eq!(propose(&Model::unfitted(), &all), Err(NoProposal::OneSided));
}

#[test]
fn probabilities_that_hold_are_left_alone() {
    assert_eq!(propose(&Model::unfitted(), &decisions(3_000, 0.0, 1.0)), Err(NoProposal::Fits));
}

#[test]
fn a_model_too_sure_of_itself_is_corrected() {
    let decisions = decisions(3_000, -1.0, 0.6);
    let proposal = propose(&Model::unfitted(), &decisions).unwrap();
    let Calibration { offset, slope } = proposal.calibration;
    assert!((offset + 1.0).abs() < 0.2 && (slope - 0.6).abs() < 0.1, "{proposal:?}");
    assert!(proposal.loss_corrected < proposal.loss);
    assert_eq!(proposal.bins.iter().map(|bin| bin.decisions).sum::<usize>(), decisions.len());
    let sure = proposal.bins.last().unwrap();
    let rate = sure.of_one_person as f64 / sure.decisions as f64;
    assert!((sure.corrected - rate).abs() < 0.05 && (sure.said - rate).abs() > 0.05, "{sure:?}");
    let mut turned = decisions;
    turned.reverse();
    let again = propose(&Model::unfitted(), &turned).unwrap().calibration;
    assert!((again.offset - offset).abs() < 1e-9 && (again.slope - slope).abs() < 1e-9, "{again:?}");
}

#[test]
fn a_correction_keeps_the_order_of_pairs_even_against_all_decisions() {
    let turned: Vec<Decision> =
        decisions(2_000, 0.0, 1.0).into_iter().map(|one| Decision { is_same: !one.is_same, ..one }).collect();
    let proposal = propose(&Model::unfitted(), &turned).unwrap();
    assert!(proposal.calibration.is_sound(), "{proposal:?}");
    assert!(proposal.calibration.apply(0.2) < proposal.calibration.apply(0.8));
}

#[test]
fn a_corrected_model_is_another_version_and_corrections_add_up() {
    let model = Model::unfitted().freeze();
    let (first, second) = (Calibration { offset: -1.0, slope: 0.5 }, Calibration { offset: 0.5, slope: 0.8 });
    let once = model.calibrated(first).unwrap();
    let twice = once.calibrated(second).unwrap();
    assert!(model.version != once.version && once.version != twice.version);
    assert_eq!(Model::from_json(&twice.to_json()).unwrap(), twice);
    let both = twice.calibration.unwrap();
    for same in [0.001, 0.2, 0.5, 0.9, 0.999] {
        assert!((both.apply(same) - second.apply(first.apply(same))).abs() < 1e-9);
    }
    assert!(model.calibrated(Calibration { offset: 0.0, slope: -1.0 }).is_err());
    let score = Score { same: 0.9, household: 0.06, unrelated: 0.04, bits: 3.0, pattern: Default::default() };
    let corrected = first.correct(score);
    assert!((corrected.same + corrected.household + corrected.unrelated - 1.0).abs() < 1e-12);
    assert!((corrected.household / corrected.unrelated - 1.5).abs() < 1e-9 && corrected.same < 0.9);
}
