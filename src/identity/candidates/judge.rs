//! From scored pairs to candidates: bands, the guard of clusters, reasons (spec/identity.md rules 36, 37 and 39).
//!
//! Pairs are judged together, so that no chain of them joins people whom somebody keeps apart.

use serde_json::json;

use super::{Loaded, Rules};
use crate::clock::Timestamp;
use crate::identity::duplicates::rules::rules;
use crate::identity::duplicates::score::Scorer;
use crate::identity::duplicates::{Band, Guard, Objection, Rule, ScoredPair, Verdict};
use crate::ids::CustomerId;
use crate::store::{Candidate, CandidateState};

/// A pair with what the bands make of it alone.
struct Banded<'a> {
    pair: &'a ScoredPair,
    rules: Vec<Rule>,
    band: Band,
}

/// What is to be kept of pairs that were scored together, in their order. `around` are further pairs that speak for and
/// against clusters, and are not kept.
pub(super) fn judge(
    scorer: &Scorer<'_>,
    loaded: &Loaded,
    pairs: &[ScoredPair],
    around: &[ScoredPair],
    by: &Rules,
    now: Timestamp,
) -> Vec<Candidate> {
    let banded: Vec<Banded<'_>> = pairs.iter().map(|pair| banded(scorer, loaded, pair, by)).collect();
    let joinable = banded.iter().filter(|pair| pair.band >= Band::Queue).map(|pair| *pair.pair);
    let joinable: Vec<ScoredPair> = joinable.chain(around.iter().copied()).collect();
    // Whether a pair is worth joining the bands have said, some of them by rules and not by probability.
    let guard = Guard { threshold: 0.0, ..Guard::default() };
    let clusters = guard.join(scorer, &loaded.records, &joinable, &loaded.limits);
    let verdicts = clusters.verdicts();
    let kept = banded.into_iter().filter_map(|banded| {
        let ScoredPair { a, b, .. } = *banded.pair;
        let (band, objection, needs_review) = match (banded.band, verdicts.of(a, b)) {
            (Band::Drop, _) | (_, Verdict::Apart(Objection::Veto(_))) => return None,
            (Band::Watch, _) => ("watch", None, false),
            (Band::Automatic, Verdict::Together { needs_review: false }) => ("automatic", None, false),
            (_, Verdict::Together { needs_review }) => ("queue", None, needs_review),
            (_, Verdict::Apart(Objection::Large)) => ("queue", Some(Objection::Large), true),
            (_, Verdict::Apart(objection)) => ("watch", Some(objection), false),
            (_, Verdict::Unjoined) => ("watch", None, false),
        };
        let together = verdicts.cluster(a).filter(|cluster| verdicts.cluster(b) == Some(*cluster));
        let members = together.and_then(|cluster| clusters.clusters.get(cluster as usize)).map(|found| &found.members);
        let cluster = members.and_then(|members| members.first()).map(|first| loaded.customer(*first));
        let outcome = Outcome { band, objection, cluster, needs_review };
        Some(candidate(scorer, loaded, &banded, outcome, now))
    });
    kept.collect()
}

fn banded<'a>(scorer: &Scorer<'_>, loaded: &Loaded, pair: &'a ScoredPair, by: &Rules) -> Banded<'a> {
    let score = scorer.score(&loaded.records, pair.a, pair.b);
    let rules = rules(&loaded.records, pair.a, pair.b);
    let veto = loaded.limits.veto(&loaded.records, &[pair.a, pair.b]);
    let band = by.policy.band(&score, &rules, veto);
    Banded { pair, rules, band }
}

struct Outcome {
    band: &'static str,
    objection: Option<Objection>,
    cluster: Option<CustomerId>,
    needs_review: bool,
}

fn candidate(scorer: &Scorer<'_>, loaded: &Loaded, banded: &Banded<'_>, outcome: Outcome, now: Timestamp) -> Candidate {
    let ScoredPair { a, b, .. } = *banded.pair;
    let (x, y) = (loaded.customer(a), loaded.customer(b));
    let (a, b, first, second) = if x <= y { (x, y, a, b) } else { (y, x, b, a) };
    let waterfall = scorer.explain(&loaded.records, first, second);
    let mut reasons = json!({ "waterfall": waterfall, "rules": banded.rules });
    if let (Some(objection), Some(reasons)) = (outcome.objection, reasons.as_object_mut()) {
        reasons.insert("objection".to_owned(), json!(objection));
    }
    Candidate {
        a,
        b,
        same: waterfall.same,
        household: waterfall.household,
        model: waterfall.model,
        reasons,
        band: outcome.band.to_owned(),
        cluster: outcome.cluster,
        needs_review: outcome.needs_review,
        state: CandidateState::Open,
        created_at: now,
        updated_at: now,
    }
}
