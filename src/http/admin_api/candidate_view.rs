//! How pairs that may be one person stand in the API's answers: the three probabilities, and where they come from.
//!
//! Identity specification, rule 36: the bits of the prior and of all fields add up to the score's.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::candidates::PairState;
use super::view::{Id, Time};
use crate::identity::duplicates::score::Waterfall;
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::store::CandidateLine;

/// A pair that may be one person.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CandidateView {
    pub a: Side,
    pub b: Side,
    /// The chance that they are one person.
    pub same: f64,
    /// The chance that they are two people of one household.
    pub household: f64,
    /// The chance that they have nothing to do with each other.
    pub unrelated: f64,
    /// `queue`, `watch` or `automatic`.
    pub band: String,
    /// Whether an admin put it on watch.
    pub watched: bool,
    pub state: PairState,
    /// The version of the model, or where the pair was imported from.
    pub model: String,
    pub created_at: Time,
    pub updated_at: Time,
}

/// One of the two.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Side {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// A pair with what speaks for it and against it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CandidateDetail {
    #[serde(flatten)]
    pub pair: CandidateView,
    /// Proved identifiers that both have: `proved_email`, `proved_phone`, `external_id`.
    pub rules: Vec<String>,
    /// Absent for pairs that were scored elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waterfall: Option<WaterfallView>,
}

/// How the score comes about, in bits: each says how often more likely it is seen of one person than of strangers.
#[derive(Debug, Serialize, JsonSchema)]
pub struct WaterfallView {
    /// Where it begins: how rarely two customers are one person.
    pub prior_bits: f64,
    /// The same for two people of one household.
    pub household_prior_bits: f64,
    pub steps: Vec<StepView>,
}

/// What one field contributed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StepView {
    pub field: String,
    /// How far the two agree in it.
    pub level: String,
    pub bits: f64,
    pub household_bits: f64,
}

fn side(id: CustomerId, profile: &Value) -> Side {
    let profile = Profile::from_json(profile);
    Side { id: id.into(), name: profile.text("name"), email: profile.text("email") }
}

impl From<&CandidateLine> for CandidateView {
    fn from(line: &CandidateLine) -> Self {
        let pair = &line.candidate;
        Self {
            a: side(pair.a, &line.a_profile),
            b: side(pair.b, &line.b_profile),
            same: pair.same,
            household: pair.household,
            unrelated: (1.0 - pair.same - pair.household).max(0.0),
            band: pair.band.clone(),
            watched: line.watched,
            state: pair.state.into(),
            model: pair.model.clone(),
            created_at: pair.created_at.into(),
            updated_at: pair.updated_at.into(),
        }
    }
}

impl From<CandidateLine> for CandidateDetail {
    fn from(line: CandidateLine) -> Self {
        let reasons = &line.candidate.reasons;
        let waterfall = reasons.get("waterfall").cloned();
        let waterfall = waterfall.and_then(|steps| serde_json::from_value::<Waterfall>(steps).ok());
        let rules = reasons.get("rules").and_then(Value::as_array);
        let rules = rules.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        Self { pair: CandidateView::from(&line), rules, waterfall: waterfall.map(WaterfallView::from) }
    }
}

impl From<Waterfall> for WaterfallView {
    fn from(waterfall: Waterfall) -> Self {
        let steps = waterfall.steps.into_iter().map(|step| StepView {
            field: step.field,
            level: step.level,
            bits: step.bits,
            household_bits: step.household_bits,
        });
        Self {
            prior_bits: waterfall.prior_bits,
            household_prior_bits: waterfall.household_prior_bits,
            steps: steps.collect(),
        }
    }
}
