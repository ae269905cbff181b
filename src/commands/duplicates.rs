//! `samesake duplicates`: finds customers that may be one person. What is found waits for a person; nothing is merged.

use std::fs::File;
use std::io::{BufReader, BufWriter, IsTerminal, Write};

use anyhow::{Context as _, bail};
use serde_json::json;
use uuid::Uuid;

use super::{duplicates_file, open};
use crate::cli::{
    Duplicates, DuplicatesExport, DuplicatesImport, DuplicatesScan, DuplicatesSettings, DuplicatesStatus,
};
use crate::clock::Clock;
use crate::identity::candidates::{self, Refit};
use crate::identity::duplicates::csv::{Pair, Reader, Writer};
use crate::identity::duplicates::field::Pattern;
use crate::identity::duplicates::{Blocks, Model, Policy, Score, splink};
use crate::identity::namespace::Rules;
use crate::ids::CustomerId;
use crate::store::DuplicateScan;

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
        Duplicates::Export(command) => export(command).await,
        Duplicates::Import(command) => import(command).await,
        Duplicates::Settings(command) => settings(command).await,
        Duplicates::File(command) => tokio::task::block_in_place(|| duplicates_file::run(command)),
    }
}

async fn scan(command: &DuplicatesScan) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let clock = Clock::system();
    let rules = Rules::of(&config, clock.now());
    let loaded = candidates::load(&store, rules, |customers| show(&format!("reading {customers} customers"))).await?;
    let blocks = tokio::task::block_in_place(|| Blocks::new(&loaded.records));
    let refit = if command.refit { Refit::Now } else { Refit::Never };
    let model = candidates::model(&store, &loaded, &blocks, refit, clock.now()).await?;
    let work = (&model, &blocks);
    let job = candidates::scan(&store, &clock, &loaded, work, Policy::default(), |job| show(&bar_of(job))).await?;
    finish();
    println!("{} customers compared with model {}: {} pairs kept", loaded.records.len(), model.version, job.kept);
    Ok(())
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
    if command.json {
        let scan = scan.map(|scan| {
            json!({ "model": scan.model, "units": scan.units, "of_units": scan.of_units, "kept": scan.kept,
                    "started_at": scan.started_at.to_string(),
                    "finished_at": scan.finished_at.map(|at| at.to_string()) })
        });
        let counts: Vec<_> = counts
            .iter()
            .map(|count| json!({ "band": count.band, "state": count.state.as_str(), "pairs": count.pairs }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&json!({ "scan": scan, "pairs": counts }))?);
        return Ok(());
    }
    match scan {
        None => println!("no scan yet: samesake duplicates scan"),
        Some(scan) => {
            let end = scan.finished_at.map_or_else(|| "not finished".to_owned(), |at| format!("finished {at}"));
            println!("last scan began {}, {end}: {}", scan.started_at, bar_of(&scan));
        }
    }
    for count in counts {
        println!("{:<10} {:<10} {}", count.band, count.state.as_str(), count.pairs);
    }
    Ok(())
}

async fn export(command: &DuplicatesExport) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let to: Box<dyn Write> = match &command.file {
        Some(path) => Box::new(File::create(path).with_context(|| format!("{}", path.display()))?),
        None => Box::new(std::io::stdout()),
    };
    let mut writer = Writer::new(BufWriter::new(to))?;
    let mut after = (CustomerId(Uuid::nil()), CustomerId(Uuid::nil()));
    loop {
        let page = store.begin_read().await?.candidates_after(after.0, after.1, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = (last.a, last.b);
        for pair in &page {
            // What Splink calls the match weight is all evidence in bits.
            let bits = (pair.same / (1.0 - pair.same)).log2();
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
    let (_, store) = open(&command.installation).await?;
    let file = File::open(&command.file).with_context(|| format!("{}", command.file.display()))?;
    let now = Clock::system().now();
    let mut counts = candidates::Imported::default();
    let mut batch: Vec<Pair> = Vec::new();
    for pair in Reader::new(BufReader::new(file))? {
        batch.push(pair?);
        if batch.len() as i64 == PAGE {
            counts += candidates::import(&store, &std::mem::take(&mut batch), Policy::default(), now).await?;
        }
    }
    counts += candidates::import(&store, &batch, Policy::default(), now).await?;
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
        let model = splink::import(&serde_json::from_str(&text)?)?;
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
