//! The engine of `duplicates` over the customers of this installation: reads them as a stream, scans, keeps what it finds
//! (spec/identity.md rules 36 to 40).
//!
//! A scan keeps its pairs and how far it is in one transaction, so that one that was stopped goes on where it was, as
//! long as the customers are the same. It proposes and never merges.

use serde_json::{Value, json};
use uuid::Uuid;

use super::duplicates::csv::Pair;
use super::duplicates::rules::{Limits, rules};
use super::duplicates::score::Scorer;
use super::duplicates::{Band, Blocks, Claim, Model, Person, Policy, Records, Scan, ScoredPair};
use super::namespace::{Namespace, Rules, is_stale};
use crate::clock::{Clock, Timestamp, uuid_v7};
use crate::ids::CustomerId;
use crate::secret;
use crate::store::{
    self, Candidate, CandidateState, CustomerState, DuplicateScan, LiveIdentifier, LivingProfile, Store,
};

/// Customers read at once.
const PAGE: i64 = 2_000;
/// Pairs in one transaction at most, beyond those of one step of the scan.
const BATCH: usize = 500;

/// Why a scan could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("there are too many customers for one machine's memory: export them and score them with Splink")]
    Full(#[from] super::duplicates::Full),
    #[error("the stored model cannot be used: {0}; fit a new one")]
    Model(#[from] super::duplicates::model::ModelError),
}

/// All living customers in memory.
#[derive(Debug, Default)]
pub struct Loaded {
    pub records: Records,
    pub limits: Limits,
    namespaces: Vec<String>,
    /// Names the customers and what is known of them.
    digest: Vec<u8>,
}

/// Reads all living customers, a page at a time; `progress` hears how many there are so far.
///
/// # Errors
/// The database, or more customers than memory has room for.
pub async fn load(store: &Store, rules: Rules<'_>, mut progress: impl FnMut(usize)) -> Result<Loaded, ScanError> {
    let mut loaded = Loaded::default();
    let mut after = CustomerId(Uuid::nil());
    loop {
        let mut tx = store.begin_read().await?;
        let page = tx.customers_living_after(after, PAGE).await?;
        let (Some(first), Some(last)) = (page.first(), page.last()) else { break };
        after = last.id;
        let identifiers = tx.identifiers_between(first.id, last.id).await?;
        drop(tx);
        for customer in &page {
            let begin = identifiers.partition_point(|identifier| identifier.root.0 < customer.id.0);
            let own = identifiers.get(begin..).unwrap_or_default();
            let end = own.partition_point(|identifier| identifier.root == customer.id);
            loaded.push(customer, own.get(..end).unwrap_or_default(), rules)?;
        }
        progress(loaded.records.len());
    }
    for (a, b) in store.begin_read().await?.not_same_roots().await? {
        loaded.limits.not_same(a.0.as_u128(), b.0.as_u128());
    }
    Ok(loaded)
}

impl Loaded {
    fn push(&mut self, customer: &LivingProfile, own: &[LiveIdentifier], rules: Rules<'_>) -> Result<(), ScanError> {
        let (mut emails, mut phones, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for identifier in own {
            let value = identifier.external_id.as_str();
            let policy = rules.namespaces.policy(&identifier.namespace);
            // Rule 1: a proof that has aged does not match, not even as a claim: the number may be another person's.
            if !policy.matches || is_stale(policy, identifier.verified_at, rules.now) {
                continue;
            }
            let proved = identifier.verified_at.is_some();
            match Namespace::parse(&identifier.namespace) {
                Some(Namespace::Email | Namespace::UnprovedEmail) => emails.push(Claim { value, proved }),
                Some(Namespace::Phone) => phones.push(Claim { value, proved }),
                _ if policy.immutable => ids.push((self.namespace(&identifier.namespace, policy.live), value)),
                _ => {}
            }
        }
        let text = |pointer: &str| customer.profile.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        for (list, claimed) in [(&mut emails, text("/email/value")), (&mut phones, text("/phone_number/value"))] {
            if !claimed.is_empty() {
                list.push(Claim { value: claimed, proved: false });
            }
        }
        let person = Person {
            key: customer.id.0.as_u128(),
            given: text("/given_name/value"),
            family: text("/family_name/value"),
            name: text("/name/value"),
            birth: text("/birthdate/value"),
            birth_verified: false,
            gender: text("/gender/value"),
            emails: &emails,
            phones: &phones,
            street: text("/address/value/street_address"),
            locality: text("/address/value/locality"),
            postcode: text("/address/value/postal_code"),
            region: text("/address/value/region"),
            country: text("/address/value/country"),
            ids: &ids,
            ..Person::default()
        };
        self.records.push(&person)?;
        let profile = customer.profile.to_string();
        let mut parts = vec![self.digest.as_slice(), customer.id.0.as_bytes(), profile.as_bytes()];
        parts.extend(own.iter().flat_map(|one| [one.namespace.as_bytes(), one.external_id.as_bytes()]));
        let digest = secret::sha256(&parts).to_vec();
        self.digest = digest;
        Ok(())
    }

    fn namespace(&mut self, name: &str, live: u32) -> u16 {
        let known = self.namespaces.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.namespaces.push(name.to_owned());
            self.namespaces.len() - 1
        });
        // There are as many namespaces as connectors, apps and systems are configured.
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        self.limits.limit(number, live);
        number
    }
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

/// Whether a scan makes a model of its own. Nothing is refitted silently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refit {
    /// Only if there is none.
    Never,
    Now,
}

/// Stores a model as the one that scans use from now on.
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

/// Scans, from where a scan of the same customers with the same model was stopped; `progress` hears of each step.
///
/// # Errors
/// The database. What was kept until then stays, and the next run goes on there.
pub async fn scan(
    store: &Store,
    clock: &Clock,
    loaded: &Loaded,
    (model, blocks): (&Model, &Blocks),
    policy: Policy,
    mut progress: impl FnMut(&DuplicateScan),
) -> Result<DuplicateScan, ScanError> {
    let bulk = Scan::new(model, &loaded.records, blocks, policy.watch);
    let mut job = begin(store, loaded, model, bulk.units(), clock.now()).await?;
    progress(&job);
    let scorer = Scorer::new(model);
    while job.units < job.of_units {
        let from = usize::try_from(job.units).unwrap_or_default();
        let (reached, pairs) = tokio::task::block_in_place(|| bulk.step(from));
        let now = clock.now();
        let found: Vec<Candidate> =
            pairs.iter().filter_map(|pair| candidate(&scorer, loaded, pair, policy, now)).collect();
        // Renewing a pair twice changes nothing, so all but the last batch may stand before the progress does.
        let mut batches = found.chunks(BATCH).peekable();
        while let Some(batch) = batches.next_if(|batch| batch.len() == BATCH) {
            keep(store, batch, None).await?;
        }
        job.units = i64::try_from(reached.units).unwrap_or(i64::MAX);
        job.kept += i64::try_from(found.len()).unwrap_or_default();
        job.updated_at = now;
        job.finished_at = (job.units >= job.of_units).then_some(now);
        keep(store, batches.next().unwrap_or_default(), Some(&job)).await?;
        progress(&job);
    }
    if job.finished_at.is_none() {
        // There was nothing to compare.
        job.finished_at = Some(clock.now());
        keep(store, &[], Some(&job)).await?;
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
        started_at: now,
        updated_at: now,
        finished_at: None,
    };
    tx.duplicate_scan_insert(&job).await?;
    tx.commit().await?;
    Ok(job)
}

/// Writes pairs; with the job, how far it is, and once it is done forgets what no scan sees any more.
async fn keep(store: &Store, candidates: &[Candidate], job: Option<&DuplicateScan>) -> Result<(), ScanError> {
    let mut tx = store.begin().await?;
    for candidate in candidates {
        tx.candidate_upsert(candidate).await?;
    }
    if let Some(job) = job {
        tx.duplicate_scan_advance(job).await?;
        if job.finished_at.is_some() {
            tx.candidates_expire(job.started_at).await?;
        }
    }
    tx.commit().await?;
    Ok(())
}

/// A scored pair as it is kept; `None` if its band is to drop it.
fn candidate(
    scorer: &Scorer<'_>,
    loaded: &Loaded,
    pair: &ScoredPair,
    policy: Policy,
    now: Timestamp,
) -> Option<Candidate> {
    let score = scorer.score(&loaded.records, pair.a, pair.b);
    let rules = rules(&loaded.records, pair.a, pair.b);
    let veto = loaded.limits.veto(&loaded.records, &[pair.a, pair.b]);
    let band = match policy.band(&score, &rules, veto) {
        Band::Drop => return None,
        Band::Watch => "watch",
        Band::Queue => "queue",
        Band::Automatic => "automatic",
    };
    let waterfall = scorer.explain(&loaded.records, pair.a, pair.b);
    let id = |index: u32| CustomerId(Uuid::from_u128(loaded.records.key(index)));
    let (x, y) = (id(pair.a), id(pair.b));
    let (a, b) = if x.0 <= y.0 { (x, y) } else { (y, x) };
    Some(Candidate {
        a,
        b,
        same: score.same,
        household: score.household,
        model: waterfall.model.clone(),
        reasons: json!({ "waterfall": waterfall, "rules": rules }),
        band: band.to_owned(),
        state: CandidateState::Open,
        created_at: now,
        updated_at: now,
    })
}

/// What became of imported pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub kept: u64,
    /// A person has decided on them.
    pub decided: u64,
    /// Below the bands.
    pub dropped: u64,
    /// Without two different living customers.
    pub unknown: u64,
}

impl std::ops::AddAssign for Imported {
    fn add_assign(&mut self, other: Self) {
        self.kept += other.kept;
        self.decided += other.decided;
        self.dropped += other.dropped;
        self.unknown += other.unknown;
    }
}

/// Keeps pairs that were scored elsewhere, all of them or none. What they name by retired IDs is who lives on.
///
/// # Errors
/// The database.
pub async fn import(store: &Store, pairs: &[Pair], policy: Policy, now: Timestamp) -> Result<Imported, ScanError> {
    let mut counts = Imported::default();
    let mut tx = store.begin().await?;
    let not_same = tx.not_same_roots().await?;
    for pair in pairs {
        let mut roots = Vec::new();
        for id in [&pair.left, &pair.right] {
            let Ok(id) = id.parse::<CustomerId>() else { continue };
            roots.extend(tx.customer_living(id).await?.filter(|living| living.state == CustomerState::Active));
        }
        let [x, y] = roots.as_slice() else {
            counts.unknown += 1;
            continue;
        };
        let (a, b) = if x.id <= y.id { (x.id, y.id) } else { (y.id, x.id) };
        let band = if pair.probability >= policy.queue { "queue" } else { "watch" };
        let apart = not_same.iter().any(|(p, q)| (*p, *q) == (a, b) || (*q, *p) == (a, b));
        if a == b || pair.probability < policy.watch || apart {
            counts.dropped += 1;
            continue;
        }
        let candidate = Candidate {
            a,
            b,
            same: pair.probability,
            household: pair.household.unwrap_or_default(),
            reasons: json!({}),
            model: "imported".to_owned(),
            band: band.to_owned(),
            state: CandidateState::Open,
            created_at: now,
            updated_at: now,
        };
        *(if tx.candidate_upsert(&candidate).await? { &mut counts.kept } else { &mut counts.decided }) += 1;
    }
    tx.commit().await?;
    Ok(counts)
}
