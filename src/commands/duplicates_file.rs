//! `samesake duplicates file`: the same search on a file, without a database. Nothing is kept but what is asked for.

use std::fs::File;
use std::io::{BufReader, BufWriter};

use anyhow::Context as _;
use serde_json::{Value, json};

use super::duplicates::{bar, finish, show};
use crate::cli::DuplicatesFile;
use crate::identity::duplicates::cluster::Clusters;
use crate::identity::duplicates::csv::{Writer, write_clusters};
use crate::identity::duplicates::evaluate::{Counts, Truth};
use crate::identity::duplicates::rules::Limits;
use crate::identity::duplicates::score::Scorer;
use crate::identity::duplicates::table::{Attribute, Table};
use crate::identity::duplicates::{Blocks, Guard, Model, Scan, ScoredPair, splink};

/// Where clusters are joined: the threshold without labels.
const CERTAIN: f32 = 0.95;

/// Runs the command.
///
/// # Errors
/// A file that cannot be read or written, with the line that is wrong.
pub(super) fn run(command: &DuplicatesFile) -> anyhow::Result<()> {
    let table = read(command)?;
    let blocks = Blocks::new(&table.records);
    let model = match &command.settings {
        None => Model::fit(&table.records, &blocks),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
            splink::import(&serde_json::from_str(&text)?)?
        }
    };
    let mut pairs = Vec::new();
    let mut compared = 0;
    Scan::new(&model, &table.records, &blocks, f64::from(command.least)).run(0, |progress, found| {
        pairs.extend(found);
        compared = progress.pairs;
        show(&bar(progress.units as i64, progress.of_units as i64, pairs.len() as i64));
        true
    });
    finish();
    let scorer = Scorer::new(&model);
    let guard = Guard { threshold: CERTAIN, ..Guard::default() };
    let clusters = guard.join(&scorer, &table.records, &pairs, &Limits::default());
    if let Some(path) = &command.pairs {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        let mut writer = Writer::new(BufWriter::new(file))?;
        for pair in &pairs {
            let [a, b] = [pair.a, pair.b].map(|index| table.ids.get(index as usize).map_or("", String::as_str));
            writer.pair(a, b, &scorer.score(&table.records, pair.a, pair.b))?;
        }
        writer.finish()?;
    }
    if let Some(path) = &command.clusters {
        let file = File::create(path).with_context(|| format!("{}", path.display()))?;
        write_clusters(BufWriter::new(file), &table.ids, &clusters)?;
    }
    report(command, &table, compared, &pairs, &clusters)
}

fn read(command: &DuplicatesFile) -> anyhow::Result<Table> {
    let mut table = Table::default();
    for path in &command.files {
        let file = File::open(path).with_context(|| format!("{}", path.display()))?;
        table.read(BufReader::new(file), &command.columns).with_context(|| format!("{}", path.display()))?;
    }
    Ok(table)
}

fn report(
    command: &DuplicatesFile,
    table: &Table,
    compared: u64,
    pairs: &[ScoredPair],
    clusters: &Clusters,
) -> anyhow::Result<()> {
    let certain = pairs.iter().filter(|pair| pair.same >= CERTAIN).count();
    let truth = (!table.truth.is_empty()).then(|| Truth::new(&table.truth));
    let judged = truth.map(|truth| {
        [
            ("pairs at 0.95", truth.at(pairs, CERTAIN)),
            ("pairs at 0.5", truth.at(pairs, 0.5)),
            ("pairs at the best threshold", truth.best(pairs)),
            ("clusters", truth.of_clusters(clusters)),
        ]
    });
    if command.json {
        let columns: serde_json::Map<String, Value> =
            (table.columns.iter()).map(|(column, attribute)| (column.clone(), Value::from(attribute.name()))).collect();
        let judged = judged.map(|judged| {
            let of = |(name, counts): (&str, Counts)| {
                (
                    name.to_owned(),
                    json!({ "precision": counts.precision(), "recall": counts.recall(), "f1": counts.f1(),
                            "right": counts.right, "wrong": counts.wrong, "missed": counts.missed }),
                )
            };
            Value::Object(judged.into_iter().map(of).collect())
        });
        let all = json!({ "records": table.ids.len(), "columns": columns, "pairs_compared": compared,
                          "pairs_kept": pairs.len(), "pairs_at_0.95": certain, "clusters": clusters.clusters.len(),
                          "kept_apart": clusters.kept_apart.len(), "against_the_truth": judged });
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for (column, attribute) in &table.columns {
        let taken = if *attribute == Attribute::Ignore { "not used" } else { attribute.name() };
        println!("{column:<24} {taken}");
    }
    println!("\n{} records, {compared} pairs compared, {} kept", table.ids.len(), pairs.len());
    println!("{certain} pairs of at least 0.95; {} people with more than one record", clusters.clusters.len());
    println!("{} pairs kept apart because of others in their clusters", clusters.kept_apart.len());
    for (name, counts) in judged.iter().flatten() {
        let (precision, recall, f1) = (counts.precision(), counts.recall(), counts.f1());
        println!("{name:<28} precision {precision:.4}  recall {recall:.4}  F1 {f1:.4}");
    }
    Ok(())
}
