//! `samesake duplicates`: finds customers that may be one person. What is found waits for a person; nothing is merged.

use std::fs::File;
use std::io::{IsTerminal, Write};

use anyhow::{Context as _, bail};
use serde_json::json;
use uuid::Uuid;

use super::{duplicates_file, open};
use crate::cli::{
    Duplicates, DuplicatesCalibration, DuplicatesCalibrationApply, DuplicatesCalibrationShow, DuplicatesExport,
    DuplicatesImport, DuplicatesIndex, DuplicatesScan, DuplicatesSettings, DuplicatesStatus,
};
use crate::clock::Clock;
use crate::identity::candidates::{self, Calibration, Refit, Rules};
use crate::identity::duplicates::drift::ALARM;
use crate::identity::duplicates::field::Pattern;
use crate::identity::duplicates::pairs::{Reader, Writer};
use crate::identity::duplicates::{Blocks, Drift, Model, Pair, Score, splink};
use crate::ids::CustomerId;
use crate::store::{DuplicateScan, Store};

/// Pairs read from the database at once, and imported in one transaction.
const PAGE: i64 = 1_000;

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unreachable database, a file that cannot be read or written.
pub(super) async fn run(command: &Duplicates) -> anyhow::Result<()> {
    match command {
        Duplicates::Scan(command) => scan(command).await,
        Duplicates::Status(command) => status(command).await,
        Duplicates::Index(command) => index(command).await,
        Duplicates::Calibration(DuplicatesCalibration::Show(command)) => calibration(command).await,
        Duplicates::Calibration(DuplicatesCalibration::Apply(command)) => calibrate(command).await,
        Duplicates::Export(command) => export(command).await,
        Duplicates::Import(command) => import(command).await,
        Duplicates::Settings(command) => settings(command).await,
        Duplicates::File(command) => tokio::task::block_in_place(|| duplicates_file::run(command)),
    }
}

async fn scan(command: &DuplicatesScan) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let (clock, rules) = (Clock::system(), Rules::new(&config.duplicates, &config.merge));
    let reading = |customers| show(&format!("reading {customers} customers"));
    let loaded = candidates::load(&store, &rules, clock.now(), reading).await?;
    let blocks = tokio::task::block_in_place(|| Blocks::new(&loaded.records));
    let refit = if command.refit { Refit::Now } else { Refit::Never };
    let model = candidates::model(&store, &loaded, &blocks, refit, clock.now()).await?;
    let work = (&model, &blocks);
    let progress = |job: &DuplicateScan| {
        show(&bar_of(job));
        true
    };
    let job = candidates::scan(&store, &clock, &loaded, work, &rules, progress).await?;
    finish();
    println!("{} customers compared with model {}: {} pairs kept", loaded.records.len(), model.version, job.kept);
    warn_of_drift(&job);
    if config.duplicates.follow {
        indexed(&store, &rules, &clock).await?;
    }
    Ok(())
}

async fn index(command: &DuplicatesIndex) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    indexed(&store, &Rules::new(&config.duplicates, &config.merge), &Clock::system()).await
}

async fn indexed(store: &Store, rules: &Rules, clock: &Clock) -> anyhow::Result<()> {
    let done =
        candidates::index(store, rules, clock, |customers| show(&format!("indexing {customers} customers"))).await?;
    finish();
    if done == 0 {
        println!("the index is whole");
    } else {
        println!("{done} customers indexed");
    }
    Ok(())
}

/// Says so where a model no longer fits its customers.
fn warn_of_drift(job: &DuplicateScan) {
    let Some(drift) = drift(job).filter(Drift::is_alarm) else { return };
    let shifts = drift.shifts.iter().filter(|shift| shift.index >= ALARM).map(|shift| shift.field.name());
    let fields: Vec<&str> = shifts.collect();
    eprintln!(
        "the customers are no longer those the model was made of ({}): fit a new one with --refit",
        fields.join(", ")
    );
}

fn drift(job: &DuplicateScan) -> Option<Drift> {
    serde_json::from_value(job.drift.clone()?).ok()
}

/// Progress, where somebody is watching.
pub(super) fn show(text: &str) {
    let mut to = std::io::stderr();
    if to.is_terminal() {
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(to, "\r\x1b[2K{text}");
        let _ = to.flush();
    }
}

pub(super) fn finish() {
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
}

fn bar_of(job: &DuplicateScan) -> String {
    bar(job.units, job.of_units, job.kept)
}

/// A progress bar: how many units are done, of how many, and what was kept.
pub(super) fn bar(units: i64, of_units: i64, kept: i64) -> String {
    const WIDTH: i64 = 40;
    let done = units * WIDTH / of_units.max(1);
    let cells: String = (0..WIDTH).map(|cell| if cell < done { '#' } else { '.' }).collect();
    format!("[{cells}] {units}/{of_units}  {kept} pairs kept")
}

async fn status(command: &DuplicatesStatus) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let mut tx = store.begin_read().await?;
    let (scan, counts) = (tx.duplicate_scan_latest().await?, tx.candidates_count().await?);
    let (follower, index) = (tx.duplicate_follower().await?, candidates::index_state(&store).await?);
    let drift = scan.as_ref().and_then(drift);
    if command.json {
        let alarm = drift.as_ref().map(Drift::is_alarm);
        let scan = scan.map(|scan| {
            json!({ "model": scan.model, "units": scan.units, "of_units": scan.of_units, "kept": scan.kept,
                    "started_at": scan.started_at.to_string(),
                    "finished_at": scan.finished_at.map(|at| at.to_string()) })
        });
        let counts: Vec<_> = counts
            .iter()
            .map(|count| json!({ "band": count.band, "state": count.state.as_str(), "pairs": count.pairs }))
            .collect();
        let document = json!({ "scan": scan, "pairs": counts, "index": index.as_str(), "drift": drift,
                               "drift_alarm": alarm, "events_behind": follower.last - follower.cursor });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    match &scan {
        None => println!("no scan yet: samesake duplicates scan"),
        Some(scan) => {
            let end = scan.finished_at.map_or_else(|| "not finished".to_owned(), |at| format!("finished {at}"));
            println!("last scan began {}, {end}: {}", scan.started_at, bar_of(scan));
            println!("model {}", scan.model);
            warn_of_drift(scan);
        }
    }
    println!("index {}; {} events to go through", index.as_str(), follower.last - follower.cursor);
    for count in counts {
        println!("{:<10} {:<10} {}", count.band, count.state.as_str(), count.pairs);
    }
    Ok(())
}

async fn calibration(command: &DuplicatesCalibrationShow) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let proposal = match candidates::calibration(&store).await? {
        Calibration::NoModel => bail!("there is no model yet: samesake duplicates scan"),
        Calibration::None(reason) => bail!("no correction is proposed: {reason}"),
        Calibration::Proposed(proposal) => proposal,
    };
    if command.json {
        println!("{}", serde_json::to_string_pretty(&proposal)?);
        return Ok(());
    }
    println!("model {}: {} decisions, {} of one person", proposal.model, proposal.decisions, proposal.of_one_person);
    println!("loss {:.4}, corrected {:.4}", proposal.loss, proposal.loss_corrected);
    println!("probability  decisions  one person  said   corrected");
    for bin in &proposal.bins {
        let share = bin.of_one_person as f64 / bin.decisions as f64;
        println!(
            "from {:.1}     {:<9}  {:.3}       {:.3}  {:.3}",
            bin.from, bin.decisions, share, bin.said, bin.corrected
        );
    }
    println!("to put it into force: samesake duplicates calibration apply --model {}", proposal.model);
    Ok(())
}

async fn calibrate(command: &DuplicatesCalibrationApply) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    match candidates::apply_calibration(&store, &command.model, Clock::system().now()).await? {
        Some((_, version)) => {
            println!("model {version}; the pairs have its probabilities after: samesake duplicates scan");
            Ok(())
        }
        None => bail!("no correction of this model is proposed: samesake duplicates calibration show"),
    }
}

async fn export(command: &DuplicatesExport) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let name = command.file.as_ref().map_or_else(|| "standard output".to_owned(), |path| path.display().to_string());
    let mut writer = Writer::to(command.file.as_deref()).with_context(|| name)?;
    let mut after = (CustomerId(Uuid::nil()), CustomerId(Uuid::nil()));
    loop {
        let page = store.begin_read().await?.candidates_after(after.0, after.1, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.a, last.b);
        for pair in &page {
            // What Splink calls the match weight is all evidence in bits.
            let odds = pair.same.clamp(f64::EPSILON, 1.0 - f64::EPSILON);
            let bits = (odds / (1.0 - odds)).log2();
            let unrelated = (1.0 - pair.same - pair.household).max(0.0);
            let (same, household) = (pair.same, pair.household);
            let score = Score { same, household, unrelated, bits, pattern: Pattern::default() };
            writer.pair(&pair.a.to_string(), &pair.b.to_string(), &score)?;
        }
    }
    writer.finish()?;
    Ok(())
}

async fn import(command: &DuplicatesImport) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let rules = Rules::new(&config.duplicates, &config.merge);
    let name = || command.file.display().to_string();
    let file = File::open(&command.file).with_context(name)?;
    let now = Clock::system().now();
    let mut counts = candidates::Imported::default();
    let mut batch: Vec<Pair> = Vec::new();
    for pair in Reader::of(file).with_context(name)? {
        batch.push(pair.with_context(name)?);
        if batch.len() as i64 == PAGE {
            counts += candidates::import(&store, &std::mem::take(&mut batch), &rules, now).await?;
        }
    }
    counts += candidates::import(&store, &batch, &rules, now).await?;
    println!("{} pairs kept, {} decided before, {} below the bands", counts.kept, counts.decided, counts.dropped);
    if counts.unknown > 0 {
        bail!("{} pairs name no two living customers and were left out", counts.unknown);
    }
    Ok(())
}

async fn settings(command: &DuplicatesSettings) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    if let Some(path) = &command.import {
        let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
        let settings = serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
        let model = splink::import(&settings).with_context(|| format!("{}", path.display()))?;
        candidates::keep_model(&store, &model, Clock::system().now()).await?;
        println!("model {}", model.version);
        return Ok(());
    }
    let Some(parameters) = store.begin_read().await?.duplicate_model_latest().await? else {
        bail!("there is no model yet: samesake duplicates scan");
    };
    let model = Model::from_json(&parameters.to_string())?;
    println!("{}", serde_json::to_string_pretty(&splink::export(&model))?);
    Ok(())
}
