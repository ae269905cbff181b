//! Comparing all customers: with progress, in bounded memory, resumable (spec/identity.md rule 38).
//!
//! A scan keeps what it has found with how far it is in one transaction, and judges all of it together at the end: a
//! chain shows only when all its links are known. One that was stopped goes on where it was, as long as the customers
//! are the same. Whoever changed meanwhile is weighed again by the [`Follower`](super::Follower). It merges nothing.

use serde_json::json;

use super::judge::judge;
use super::{Loaded, Rules, ScanError};
use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::identity::duplicates::score::Scorer;
use crate::identity::duplicates::{Blocks, Drift, Model, Scan, ScoredPair};
use crate::store::{Candidate, DuplicateScan, Store};

/// Candidates in one transaction.
const BATCH: usize = 500;

/// Whether a scan makes a model of its own. Nothing is refitted silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refit {
    /// Only if there is none.
    Never,
    Now,
}

/// The model to scan with: the stored one, or a new one that is stored.
///
/// # Errors
/// The database, or a stored model of another version of this program.
pub async fn model(
    store: &Store,
    loaded: &Loaded,
    blocks: &Blocks,
    refit: Refit,
    now: Timestamp,
) -> Result<Model, ScanError> {
    if refit == Refit::Never
        && let Some(parameters) = store.begin_read().await?.duplicate_model_latest().await?
    {
        return Ok(Model::from_json(&parameters.to_string())?);
    }
    let model = tokio::task::block_in_place(|| Model::fit(&loaded.records, blocks));
    keep_model(store, &model, now).await?;
    Ok(model)
}

/// Stores a model as the one that is used from now on.
///
/// # Errors
/// The database.
pub async fn keep_model(store: &Store, model: &Model, now: Timestamp) -> Result<(), ScanError> {
    let parameters = serde_json::from_str(&model.to_json()).unwrap_or_default();
    let mut tx = store.begin().await?;
    tx.duplicate_model_insert(&model.version, &parameters, now).await?;
    tx.commit().await?;
    Ok(())
}

/// Scans, from where a scan of the same customers with the same model was stopped; `progress` hears of each step and
/// answers whether to go on.
///
/// # Errors
/// The database. What was found until then stays, and the next run goes on there.
pub async fn scan(
    store: &Store,
    clock: &Clock,
    loaded: &Loaded,
    (model, blocks): (&Model, &Blocks),
    rules: &Rules,
    mut progress: impl FnMut(&DuplicateScan) -> bool,
) -> Result<DuplicateScan, ScanError> {
    let bulk = Scan::new(model, &loaded.records, blocks, rules.policy.watch);
    let mut job = begin(store, loaded, model, bulk.units(), clock.now()).await?;
    if job.drift.is_none() {
        let drift = tokio::task::block_in_place(|| Drift::measure(model, &loaded.records, blocks));
        job.drift = serde_json::to_value(&drift).ok();
    }
    let mut goes_on = progress(&job);
    while goes_on && job.units < job.of_units {
        let from = usize::try_from(job.units).unwrap_or_default();
        let (reached, pairs) = tokio::task::block_in_place(|| bulk.step(from));
        let found: Vec<(u32, u32)> = pairs.iter().map(|pair| (pair.a, pair.b)).collect();
        job.units = i64::try_from(reached.units).unwrap_or(i64::MAX);
        job.updated_at = clock.now();
        let mut tx = store.begin().await?;
        tx.duplicate_found_put(job.id, job.units, &found).await?;
        tx.duplicate_scan_advance(&job).await?;
        tx.commit().await?;
        goes_on = progress(&job);
    }
    if goes_on {
        finish(store, clock, loaded, (model, blocks), rules, &mut job).await?;
        progress(&job);
    }
    Ok(job)
}

async fn begin(
    store: &Store,
    loaded: &Loaded,
    model: &Model,
    units: usize,
    now: Timestamp,
) -> Result<DuplicateScan, ScanError> {
    let mut tx = store.begin().await?;
    let of_units = i64::try_from(units).unwrap_or(i64::MAX);
    let latest = tx.duplicate_scan_latest().await?.filter(|scan| {
        let same = scan.model == model.version && scan.records == loaded.digest && scan.of_units == of_units;
        same && scan.finished_at.is_none()
    });
    if let Some(stopped) = latest {
        return Ok(stopped);
    }
    let job = DuplicateScan {
        id: uuid_v7(now),
        model: model.version.clone(),
        records: loaded.digest.clone(),
        units: 0,
        of_units,
        kept: 0,
        drift: None,
        started_at: now,
        updated_at: now,
        finished_at: None,
    };
    tx.duplicate_scan_insert(&job).await?;
    tx.commit().await?;
    Ok(job)
}

/// Judges all that was found and keeps it; forgets what no scan sees any more. From now on it is known how large blocks
/// are. Done twice, it is the same.
async fn finish(
    store: &Store,
    clock: &Clock,
    loaded: &Loaded,
    (model, blocks): (&Model, &Blocks),
    rules: &Rules,
    job: &mut DuplicateScan,
) -> Result<(), ScanError> {
    let found = store.begin_read().await?.duplicate_found(job.id).await?;
    let now = clock.now();
    let candidates = tokio::task::block_in_place(|| {
        let scorer = Scorer::new(model);
        let pairs: Vec<ScoredPair> = found.iter().map(|(a, b)| scorer.pair(&loaded.records, *a, *b)).collect();
        judge(&scorer, loaded, &pairs, &[], rules, now)
    });
    for batch in candidates.chunks(BATCH) {
        keep(store, batch).await?;
    }
    job.kept = i64::try_from(candidates.len()).unwrap_or(i64::MAX);
    (job.updated_at, job.finished_at) = (now, Some(now));
    let mut tx = store.begin().await?;
    tx.duplicate_scan_advance(job).await?;
    tx.duplicate_found_forget(job.id).await?;
    tx.candidates_expire(job.started_at).await?;
    tx.duplicate_caps_put(&json!(blocks.caps())).await?;
    tx.duplicate_follow_again(loaded.as_of).await?;
    tx.commit().await?;
    Ok(())
}

async fn keep(store: &Store, candidates: &[Candidate]) -> Result<(), ScanError> {
    let mut tx = store.begin().await?;
    tx.candidates_upsert(&candidates.iter().collect::<Vec<_>>()).await?;
    tx.commit().await?;
    Ok(())
}
