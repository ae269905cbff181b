//! The score of a pair as a waterfall: where it begins, what each field adds or takes, in bits.
//!
//! Pure: from the explanation that the search kept to numbers for a drawing. The same stands as text beside each bar.

use serde_json::Value;

use crate::identity::duplicates::score::{Step, Waterfall};
use crate::store::Candidate;

/// The width of a bar's drawing.
const WIDTH: f64 = 200.0;
/// Room on each side, so that a bar of nothing is seen.
const MARGIN: f64 = 2.0;

/// What a search thinks of two customers.
pub struct Score {
    pub chances: Chances,
    /// Proved identifiers that both have.
    pub rules: Vec<&'static str>,
    /// Empty for pairs that were scored elsewhere.
    pub bars: Vec<Bar>,
    pub total: String,
    /// Where nothing speaks for or against.
    pub zero: String,
    pub model: String,
}

/// The three probabilities, in hundredths.
pub struct Chances {
    pub same: f64,
    pub household: f64,
}

impl Chances {
    pub fn of(candidate: &Candidate) -> Self {
        let bounded = |share: f64| if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 0.0 };
        Self { same: bounded(candidate.same), household: bounded(candidate.household) }
    }

    fn unrelated(&self) -> f64 {
        (100.0 - self.same - self.household).max(0.0)
    }

    pub fn same_words(&self) -> String {
        percent(self.same)
    }

    pub fn household_words(&self) -> String {
        percent(self.household)
    }

    pub fn unrelated_words(&self) -> String {
        percent(self.unrelated())
    }

    pub fn same_width(&self) -> String {
        format!("{:.2}", self.same)
    }

    /// Of both together: the first is drawn over the second.
    pub fn both_width(&self) -> String {
        format!("{:.2}", (self.same + self.household).min(100.0))
    }
}

/// Certainty is never said: what is nearly all or nearly nothing says so.
fn percent(share: f64) -> String {
    match share {
        share if share > 99.95 => "over 99.9 %".to_owned(),
        share if share < 0.05 => "under 0.1 %".to_owned(),
        share => format!("{share:.1} %"),
    }
}

/// One bar: from where the ones before it left off.
pub struct Bar {
    pub label: &'static str,
    pub level: String,
    pub bits: String,
    pub class: &'static str,
    pub x: String,
    pub width: String,
}

impl Score {
    pub fn of(candidate: &Candidate) -> Self {
        let reasons = &candidate.reasons;
        let waterfall = reasons.get("waterfall").cloned();
        let waterfall = waterfall.and_then(|steps| serde_json::from_value::<Waterfall>(steps).ok());
        let rules = reasons.get("rules").and_then(Value::as_array).into_iter().flatten();
        let (bars, total, zero) = waterfall.as_ref().map(bars).unwrap_or_default();
        Self {
            chances: Chances::of(candidate),
            rules: rules.filter_map(Value::as_str).filter_map(rule).collect(),
            bars,
            total,
            zero,
            model: candidate.model.clone(),
        }
    }
}

fn rule(name: &str) -> Option<&'static str> {
    match name {
        "proved_email" => Some("Both have proved the same e-mail address."),
        "proved_phone" => Some("Both have proved the same phone number lately."),
        "external_id" => Some("Another system knows both by one ID."),
        _ => None,
    }
}

fn bars(waterfall: &Waterfall) -> (Vec<Bar>, String, String) {
    let mut sums = vec![0.0, waterfall.prior_bits];
    for step in &waterfall.steps {
        sums.push(sums.last().copied().unwrap_or_default() + step.bits);
    }
    let low = sums.iter().copied().fold(0.0, f64::min);
    let high = sums.iter().copied().fold(0.0, f64::max);
    let scale = (WIDTH - 2.0 * MARGIN) / (high - low).max(1.0);
    let place = |bits: f64| MARGIN + (bits - low) * scale;
    let bar = |label, level: String, bits: f64, from: f64, class| Bar {
        label,
        level,
        bits: signed(bits),
        class,
        x: format!("{:.1}", place(from.min(from + bits))),
        width: format!("{:.1}", (bits.abs() * scale).max(1.0)),
    };
    let begin = "how rarely two customers are one person".to_owned();
    let mut bars = vec![bar("Before looking", begin, waterfall.prior_bits, 0.0, "begin")];
    for (step, from) in waterfall.steps.iter().zip(sums.iter().skip(1)) {
        let class = if step.bits < 0.0 { "against" } else { "" };
        bars.push(bar(field(&step.field), level(step), step.bits, *from, class));
    }
    let total = sums.last().copied().unwrap_or_default();
    bars.push(bar("All together", "the sum".to_owned(), total, 0.0, "total"));
    (bars, signed(total), format!("{:.1}", place(0.0)))
}

/// With a sign, and a minus that is one.
fn signed(bits: f64) -> String {
    if bits < -0.05 { format!("−{:.1}", bits.abs()) } else { format!("+{:.1}", bits.abs()) }
}

fn field(name: &str) -> &'static str {
    match name {
        "given" => "Given name",
        "family" => "Family name",
        "generation" => "Senior or junior",
        "birth" => "Birth date",
        "gender" => "Gender",
        "email" => "E-mail",
        "phone" => "Phone",
        "street" => "Street and number",
        "place" => "Postcode and place",
        _ => "Another field",
    }
}

fn level(step: &Step) -> String {
    let known = match step.level.as_str() {
        "exact" => "the same",
        "nickname" => "one is a short form of the other",
        "near" => "nearly the same",
        "similar" => "similar",
        "initial" => "an initial of the other",
        "swapped" => "given and family name swapped",
        "middle_differs" => "another middle name",
        "day_month_swapped" => "day and month swapped",
        "two_parts" => "two of three parts are the same",
        "partial" => "one is incomplete",
        "part" => "one is a part of the other",
        "year" => "the same year",
        "same_local_part" => "the same before the @",
        "near_local_part" => "nearly the same before the @",
        "number_differs" => "the same street, another number",
        "number_only" => "the same number, another street",
        "postcode" => "the same postcode",
        "locality" => "the same town",
        "region" => "the same region",
        "different" => "different",
        other => return other.replace('_', " "),
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(field: &str, level: &str, bits: f64) -> Step {
        Step { field: field.to_owned(), level: level.to_owned(), bits, household_bits: 0.0 }
    }

    #[test]
    fn each_bar_begins_where_the_last_one_ended() {
        let waterfall = Waterfall {
            model: "m".to_owned(),
            prior_bits: -10.0,
            household_prior_bits: -9.0,
            steps: vec![step("email", "exact", 20.0), step("birth", "different", -5.0)],
            calibration: None,
            same: 0.9,
            household: 0.05,
            unrelated: 0.05,
        };
        let (bars, total, zero) = bars(&waterfall);
        let shown: Vec<_> = bars.iter().map(|bar| (bar.bits.as_str(), bar.class)).collect();
        assert_eq!(shown, [("−10.0", "begin"), ("+20.0", ""), ("−5.0", "against"), ("+5.0", "total")]);
        assert_eq!(total, "+5.0");
        let number = |text: &str| text.parse::<f64>().unwrap();
        let ends: Vec<_> = bars.iter().map(|bar| (number(&bar.x), number(&bar.x) + number(&bar.width))).collect();
        // Ten below zero, ten above, back to five: each within the drawing.
        assert!((ends[0].1 - number(&zero)).abs() < 0.2 && (ends[0].0 - ends[1].0).abs() < 0.2, "{ends:?}");
        assert!((ends[1].1 - ends[2].1).abs() < 0.2 && (ends[2].0 - ends[3].1).abs() < 0.2, "{ends:?}");
        assert!(ends.iter().all(|(from, to)| *from >= 0.0 && *to <= WIDTH), "{ends:?}");
    }

    #[test]
    fn certainty_is_never_said() {
        assert_eq!(percent(100.0), "over 99.9 %");
        assert_eq!(percent(0.0), "under 0.1 %");
        assert_eq!(percent(99.94), "99.9 %");
    }
}
