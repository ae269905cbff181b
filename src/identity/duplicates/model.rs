//! The frozen parameters of the mixture: how often records of one person, of one household and of nobody in common
//! agree on each field at each level, and how likely two records are each of these before they are looked at.
//!
//! A model is made by [`Model::fit`](super::fit) or imported, never changed afterwards: its version names its contents.

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::drift::Profile;
use super::field::{Field, LevelIndex, MISSING};
use super::hash::{Map, mix, text};
use super::normalize;
use super::records::{Records, Row};

/// How often relatives who live together bear the same given name, and the same birth date as twins do, before
/// anything is learned.
const NAMESAKES: f64 = 0.01;
const TWINS: f64 = 0.015;
/// No agreement counts more for the rareness of its value than this factor.
pub(super) const RAREST: f64 = 512.0;
/// A value that no more records share is taken for as rare as can be told: they may be one person's.
pub(super) const FEW: u32 = 4;
/// So many times as many records as a person leaves besides one may still all be one person's.
const RECORDS_OF_ONE: f64 = 2.0;
/// No probability of a level is smaller: what was never seen is not impossible.
pub(super) const LEAST: f64 = 1e-8;

/// How often a level occurs in each class.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Share {
    pub same: f64,
    pub household: f64,
    pub unrelated: f64,
}

/// One field's levels, in the order of [`Field::levels`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldShares {
    pub field: Field,
    /// The part of a household's pairs that agrees on a personal field for a reason: namesakes, twins.
    #[serde(default)]
    pub related: f64,
    pub levels: Vec<Share>,
}

/// A frozen model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Names the parameters: two models with one version are equal.
    pub version: String,
    /// The normalization they were fitted with.
    pub normalization: u32,
    /// The chance that two records drawn at random are one person's.
    pub prior_same: f64,
    /// The chance that they are two people's of one household.
    pub prior_household: f64,
    pub fields: Vec<FieldShares>,
    /// Values that are frequent enough to matter: hash of field and value, and its share of all records.
    #[serde(default)]
    pub frequencies: Frequencies,
    /// How many records it was fitted on.
    pub records: u64,
    /// What their pairs looked like, for noticing that the data has become another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// The correction that stewards' decisions led to and somebody accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
}

/// Shares of frequent values by hash.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<(String, f32)>", into = "Vec<(String, f32)>")]
pub struct Frequencies(pub(super) Map<u64, f32>);

/// Why a model cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("the model was fitted with normalization {0}, which this program has not")]
    Normalization(u32),
    #[error("the model's {0} has not the levels this program compares")]
    Levels(&'static str),
    #[error("a probability of the model is not between 0 and 1")]
    Probability,
    #[error("{0}")]
    Format(String),
}

impl Model {
    /// The defaults of every level: what a fit begins with.
    pub(super) fn unfitted() -> Self {
        let fields = Field::ALL.into_iter().map(|field| {
            let share = |level: &super::Level| Share {
                same: level.same,
                household: if field.is_personal() { level.unrelated } else { level.same },
                unrelated: level.unrelated,
            };
            FieldShares { field, related: related(field), levels: field.levels().iter().map(share).collect() }
        });
        let mut model = Self {
            version: String::new(),
            normalization: normalize::VERSION,
            prior_same: 1e-5,
            prior_household: 1e-5,
            fields: fields.collect(),
            frequencies: Frequencies::default(),
            records: 0,
            profile: None,
            calibration: None,
        };
        model.fix_personal();
        model
    }

    /// Reads a stored model.
    ///
    /// # Errors
    /// `ModelError` says what of it this program cannot use.
    pub fn from_json(json: &str) -> Result<Self, ModelError> {
        let model: Self = serde_json::from_str(json).map_err(|e| ModelError::Format(e.to_string()))?;
        model.check()?;
        Ok(model)
    }

    /// The stored form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(super) fn check(&self) -> Result<(), ModelError> {
        if self.normalization != normalize::VERSION {
            return Err(ModelError::Normalization(self.normalization));
        }
        for (field, shares) in Field::ALL.into_iter().zip(&self.fields) {
            if shares.field != field || shares.levels.len() != field.levels().len() {
                return Err(ModelError::Levels(field.name()));
            }
        }
        if self.fields.len() != Field::ALL.len() {
            return Err(ModelError::Levels("list of fields"));
        }
        let levels = self.fields.iter().flat_map(|shares| &shares.levels);
        let mut probabilities = levels.flat_map(|share| [share.same, share.household, share.unrelated]);
        let valid = |p: f64| p > 0.0 && p <= 1.0;
        if !probabilities.all(valid) || !valid(self.prior_same) || !valid(self.prior_household) {
            return Err(ModelError::Probability);
        }
        if !self.fields.iter().all(|shares| (0.0..=0.5).contains(&shares.related)) {
            return Err(ModelError::Probability);
        }
        let corrected = self.calibration.is_none_or(|calibration| calibration.is_sound());
        let profiled = self.profile.as_ref().is_none_or(Profile::is_sound);
        if self.prior_same + self.prior_household >= 1.0 || !corrected || !profiled {
            return Err(ModelError::Probability);
        }
        Ok(())
    }

    /// A model whose probabilities are corrected; a correction it has already comes before the new one. It has a
    /// version of its own.
    ///
    /// # Errors
    /// A correction that would turn the order of pairs round.
    pub fn calibrated(&self, calibration: Calibration) -> Result<Self, ModelError> {
        let all = self.calibration.map_or(calibration, |first| calibration.after(first));
        let model = Self { calibration: Some(all), ..self.clone() };
        model.check()?;
        Ok(model.freeze())
    }

    /// In the household class personal fields agree as strangers' do, but for namesakes and twins.
    pub(super) fn fix_personal(&mut self) {
        for shares in self.fields.iter_mut().filter(|shares| shares.field.is_personal()) {
            for share in &mut shares.levels {
                share.household = shares.related * share.same + (1.0 - shares.related) * share.unrelated;
            }
        }
    }

    /// Gives the model the name of its contents.
    pub(super) fn freeze(mut self) -> Self {
        self.version = String::new();
        for shares in &mut self.fields {
            shares.related = rounded(shares.related);
            let levels = shares.levels.iter_mut();
            for probability in levels.flat_map(|share| [&mut share.same, &mut share.household, &mut share.unrelated]) {
                *probability = rounded(*probability);
            }
        }
        for probability in [&mut self.prior_same, &mut self.prior_household] {
            *probability = rounded(*probability);
        }
        if let Some(Calibration { offset, slope }) = &mut self.calibration {
            (*offset, *slope) = (rounded(*offset), rounded(*slope));
        }
        let contents = serde_json::to_string(&self).unwrap_or_default();
        self.version = format!("{}-{:016x}", normalize::VERSION, text(contents.as_bytes()));
        self
    }

    /// The shares of a level; `None` where nothing can be compared.
    pub fn share(&self, field: Field, level: LevelIndex) -> Option<Share> {
        let index = usize::from(level).checked_sub(usize::from(MISSING) + 1)?;
        self.fields.get(field as usize)?.levels.get(index).copied()
    }

    /// The part of a household's pairs that agrees on a personal field for a reason.
    pub(super) fn related(&self, field: Field) -> f64 {
        self.fields.get(field as usize).map_or(0.0, |shares| shares.related)
    }

    /// How often unrelated records have the same value in a field.
    pub(super) fn unrelated(&self, field: Field) -> f64 {
        let levels = (1..).zip(self.fields.get(field as usize).into_iter().flat_map(|shares| &shares.levels));
        levels
            .filter(|(level, _)| field.is_same_value(*level))
            .map(|(_, share)| share.unrelated)
            .sum::<f64>()
            .max(LEAST)
    }

    /// As many records may share a value because they are one person's: its frequency is then none among people.
    pub(super) fn of_one_person(&self) -> f64 {
        f64::from(FEW) + RECORDS_OF_ONE * self.prior_same * self.records as f64
    }

    /// By what factor the shared value of a field is more frequent than exact agreement by chance supposes.
    pub(super) fn rareness(&self, records: &Records, field: Field, a: &Row, b: &Row) -> f64 {
        let unrelated = self.unrelated(field);
        if self.frequencies.0.is_empty() {
            return 1.0;
        }
        // Of several shared values the rarest counts.
        let shares = shared_values(records, field, a, b);
        let shares = shares.map(|value| self.frequencies.0.get(&value).copied().map_or(0.0, f64::from));
        let share = shares.fold(f64::INFINITY, f64::min);
        if share == 0.0 {
            let few = f64::from(FEW) / self.records.max(1) as f64;
            (few / unrelated).clamp(1.0 / RAREST, 1.0)
        } else if share.is_finite() {
            (share / unrelated).max(1.0 / RAREST)
        } else {
            1.0
        }
    }
}

/// To nine digits: so much survives being written as JSON and read again exactly.
fn rounded(probability: f64) -> f64 {
    format!("{probability:.8e}").parse().unwrap_or(probability)
}

/// The part of a household's pairs that agrees on a personal field for a reason, before anything is learned.
const fn related(field: Field) -> f64 {
    match field {
        Field::Given => NAMESAKES,
        Field::Birth => TWINS,
        _ => 0.0,
    }
}

/// The name of a value in the table of frequencies.
pub(super) const fn frequency_key(field: Field, value: u64) -> u64 {
    mix(field as u64 + 1, value)
}

/// What exact agreement of two records on a field is about.
fn shared_values(records: &Records, field: Field, a: &Row, b: &Row) -> impl Iterator<Item = u64> {
    let of_b = values(field, b);
    values(field, a)
        .into_iter()
        .filter(move |value| *value != 0 && of_b.contains(value))
        .map(move |value| frequency_key(field, stable(records, field, value)))
}

/// The values of a record that frequencies are counted of, in this set's numbers; 0 for none.
pub(super) fn values(field: Field, row: &Row) -> [u64; 3] {
    let one = |number: u32| [u64::from(number), 0, 0];
    match field {
        Field::Given => one(row.given),
        Field::Family => one(row.family),
        Field::Birth => one(if row.birth.is_multiple_of(10_000) { 0 } else { row.birth }),
        Field::Email => row.emails.map(u64::from),
        Field::Phone => row.phones.map(u64::from),
        Field::Street if row.street != 0 => [u64::from(row.street) << 32 | u64::from(row.number), 0, 0],
        Field::Place => one(row.postcode),
        Field::Other1 => one(row.others[0]),
        Field::Other2 => one(row.others[1]),
        Field::Other3 => one(row.others[2]),
        Field::Other4 => one(row.others[3]),
        Field::Street | Field::Generation | Field::Gender => [0; 3],
    }
}

/// The same value whatever set of records it is in.
pub(super) fn stable(records: &Records, field: Field, value: u64) -> u64 {
    let hash = |number: u64| text(records.texts.bytes_of(number as u32));
    match field {
        Field::Birth => value,
        Field::Street => mix(hash(value >> 32), hash(value & 0xffff_ffff)),
        _ => hash(value),
    }
}

impl From<Vec<(String, f32)>> for Frequencies {
    fn from(list: Vec<(String, f32)>) -> Self {
        Self(list.into_iter().filter_map(|(hash, share)| Some((u64::from_str_radix(&hash, 16).ok()?, share))).collect())
    }
}

impl From<Frequencies> for Vec<(String, f32)> {
    fn from(frequencies: Frequencies) -> Self {
        let mut list: Self = frequencies.0.into_iter().map(|(hash, share)| (format!("{hash:016x}"), share)).collect();
        list.sort_unstable_by(|x, y| x.0.cmp(&y.0));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::{Claim, Person};
    use super::super::{Blocks, Model, Records};
    use super::*;

    /// A hundred people with eight records each; every twentieth record has a mailbox that many share.
    fn people() -> Records {
        let mut records = Records::new();
        for index in 0..800_u32 {
            let (person, letter) = (index / 8, |number: u32| char::from(b'a' + (number % 26) as u8));
            let family = format!("{}{}son", letter(person), letter(person / 26));
            let given = format!("{}{}ie", letter(person * 7), letter(person * 3));
            let own = format!("{family}.x{}@example.org", person * 37);
            let value = if index % 20 == 0 { "desk@shop.example" } else { &own };
            let emails = [Claim { value, proved: false }];
            let person = Person { given: &given, family: &family, emails: &emails, ..Person::default() };
            records.push(&person).unwrap();
        }
        records
    }

    #[test]
    fn what_one_persons_records_share_is_no_common_value() {
        let records = people();
        let model = Model::fit(&records, &Blocks::new(&records));
        let rareness = |a: u32, b: u32| model.rareness(&records, Field::Email, &records.row(a), &records.row(b));
        assert!(rareness(1, 2) < 1.001, "{}", rareness(1, 2));
        assert!(rareness(0, 20) > 4.0 * rareness(1, 2), "{}", rareness(0, 20));
    }
}
