//! Precision, recall and cost of the model on labelled records.

use std::collections::HashMap;

use samesake::identity::duplicates::cluster::Clusters;
use samesake::identity::duplicates::evaluate::{Counts, Truth};
use samesake::identity::duplicates::rules::Limits;
use samesake::identity::duplicates::score::Scorer;
use samesake::identity::duplicates::{Blocks, Guard, Model, Records, Scan, ScoredPair};

/// Records, and whose each is.
#[derive(Debug)]
pub struct Labelled {
    pub records: Records,
    pub truth: Vec<Option<u32>>,
    /// CPU-seconds spent on reading and normalizing.
    pub prepared: f64,
}

/// What is reported.
#[derive(Debug)]
pub struct Measure {
    rows: usize,
    pairs: u64,
    /// The share of true pairs that blocking finds.
    blocked: f64,
    /// The best pair F1 over all thresholds.
    best: f64,
    recall_at_999: f64,
    at_95: Counts,
    clusters: Counts,
    seconds: [f64; 4],
    megabytes: f64,
}

impl Measure {
    pub const HEAD: &str = "\
| set | rows | pairs looked at | of true pairs | best pair F1 | recall at precision 0.999 | P ≥ 0.95: precision | recall | F1 \
| clusters: precision | recall | F1 | CPU s: read | fit | score | join | rows/s | MiB |\n\
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

    /// Blocks, fits, scores, joins.
    pub fn of(set: &Labelled) -> Self {
        let started = cpu_seconds();
        let blocks = Blocks::new(&set.records);
        let model = Model::fit(&set.records, &blocks);
        let fitted = cpu_seconds();
        if std::env::var("SAMESAKE_SHOW").is_ok() {
            show(&model);
        }
        let (mut scored, mut pairs) = (Vec::new(), 0);
        Scan::new(&model, &set.records, &blocks, 0.01).run(0, |progress, found| {
            scored.extend(found);
            pairs = progress.pairs;
            true
        });
        let scanned = cpu_seconds();
        let scorer = Scorer::new(&model);
        let guard = Guard::default();
        let clusters = guard.join(&scorer, &set.records, &scored, &Limits::default());
        let joined = cpu_seconds();
        let truth = Truth::new(&set.truth);
        let mut found = 0;
        for unit in blocks.units(1_000_000) {
            blocks.pairs(&unit, |a, b| found += u64::from(truth.same(a, b) == Some(true)));
        }
        if std::env::var("SAMESAKE_SHOW").is_ok() {
            eprintln!("best F1 of any choice of patterns: {:.4}", best_of_patterns(&truth, &scored));
        }
        if let Ok(what) = std::env::var("SAMESAKE_WRONG") {
            explain_wrong(set, &truth, &scorer, &blocks, &scored, &clusters, &what);
        }
        Self {
            rows: set.records.len(),
            pairs,
            blocked: found as f64 / truth.pairs().max(1) as f64,
            best: truth.best(&scored).f1(),
            recall_at_999: recall_at_999(&truth, &scored),
            at_95: truth.at(&scored, 0.95),
            clusters: truth.of_clusters(&clusters),
            seconds: [set.prepared, fitted - started, scanned - fitted, joined - scanned],
            megabytes: peak_megabytes(),
        }
    }

    pub fn row(&self, name: &str) -> String {
        let [read, fit, score, join] = self.seconds;
        let all: f64 = self.seconds.iter().sum();
        format!(
            "| {name} | {} | {} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {:.4} | {read:.2} | {fit:.2} | {score:.2} | {join:.2} | {:.0} | {:.0} |",
            self.rows,
            self.pairs,
            self.blocked,
            self.best,
            self.recall_at_999,
            self.at_95.precision(),
            self.at_95.recall(),
            self.at_95.f1(),
            self.clusters.precision(),
            self.clusters.recall(),
            self.clusters.f1(),
            self.rows as f64 / all,
            self.megabytes,
        )
    }
}

/// The recall where precision is still 0.999.
fn recall_at_999(truth: &Truth<'_>, scored: &[ScoredPair]) -> f64 {
    truth.curve(scored).filter(|counts| counts.precision() >= 0.999).last().map_or(0.0, |counts| counts.recall())
}

/// What somebody who knew the truth could reach by accepting or refusing whole patterns: the limit of the comparisons.
fn best_of_patterns(truth: &Truth<'_>, scored: &[ScoredPair]) -> f64 {
    let mut patterns: HashMap<u64, (u64, u64)> = HashMap::new();
    for pair in scored {
        let (right, all) = patterns.entry(pair.pattern.bits()).or_default();
        *right += u64::from(truth.same(pair.a, pair.b) == Some(true));
        *all += 1;
    }
    let mut patterns: Vec<(u64, u64)> = patterns.into_values().collect();
    patterns.sort_by(|x, y| (y.0 * x.1).cmp(&(x.0 * y.1)));
    let (mut right, mut all, mut best) = (0, 0, 0.0_f64);
    for pattern in patterns {
        right += pattern.0;
        all += pattern.1;
        best = best.max(2.0 * right as f64 / (all + truth.pairs()) as f64);
    }
    best
}

/// The fitted parameters in bits.
fn show(model: &Model) {
    eprintln!("prior same {:.3e} household {:.3e} frequencies", model.prior_same, model.prior_household);
    for shares in &model.fields {
        for (level, share) in (1_u8..).zip(&shares.levels) {
            eprintln!(
                "{:>10} {:<18} same {:.5} household {:.5} unrelated {:.7}  {:+.1} {:+.1}",
                shares.field.name(),
                shares.field.level_name(level),
                share.same,
                share.household,
                share.unrelated,
                (share.same / share.unrelated).log2(),
                (share.household / share.unrelated).log2(),
            );
        }
    }
}

/// Reasons for wrong pairs at 0.95 (`wrong`), in clusters (`clusters`), true ones below (`missed`) or in no block (`unblocked`).
fn explain_wrong(
    set: &Labelled,
    truth: &Truth<'_>,
    scorer: &Scorer<'_>,
    blocks: &Blocks,
    scored: &[ScoredPair],
    clusters: &Clusters,
    what: &str,
) {
    let mut patterns: HashMap<String, (u64, f64)> = HashMap::new();
    let mut note = |a: u32, b: u32| {
        let waterfall = scorer.explain(&set.records, a, b);
        let steps: Vec<String> = waterfall.steps.iter().map(|step| format!("{}={}", step.field, step.level)).collect();
        let entry = patterns.entry(steps.join(" ")).or_default();
        entry.0 += 1;
        entry.1 += waterfall.same;
    };
    match what {
        "wrong" => scored
            .iter()
            .filter(|pair| pair.same >= 0.95 && truth.same(pair.a, pair.b) == Some(false))
            .for_each(|pair| note(pair.a, pair.b)),
        "clusters" => {
            for cluster in &clusters.clusters {
                for (place, a) in cluster.members.iter().enumerate() {
                    for b in &cluster.members[place + 1..] {
                        if truth.same(*a, *b) == Some(false) {
                            note(*a, *b);
                        }
                    }
                }
            }
        }
        _ => {
            let above: std::collections::HashSet<(u32, u32)> = scored
                .iter()
                .filter(|pair| pair.same >= 0.95)
                .map(|pair| (pair.a.min(pair.b), pair.a.max(pair.b)))
                .collect();
            let mut of_person: HashMap<u32, Vec<u32>> = HashMap::new();
            for (index, person) in (0_u32..).zip(set.truth.iter().flatten()) {
                of_person.entry(*person).or_default().push(index);
            }
            for members in of_person.values() {
                for (place, a) in members.iter().enumerate() {
                    for b in &members[place + 1..] {
                        let blocked = blocks.neighbors(*a).contains(b);
                        if what == "missed" && blocked && !above.contains(&(*a, *b)) || what == "unblocked" && !blocked
                        {
                            note(*a, *b);
                        }
                    }
                }
            }
        }
    }
    let mut list: Vec<_> = patterns.into_iter().collect();
    list.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let all: u64 = list.iter().map(|(_, (count, _))| count).sum();
    eprintln!("{what}: {all}");
    for (pattern, (count, same)) in list.iter().take(40) {
        eprintln!("{count:>6} {:.3} {pattern}", same / *count as f64);
    }
}

/// CPU-seconds of this process so far, all threads, user and system.
pub fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // Linux counts in hundredths on every architecture it is used on.
    ticks as f64 / 100.0
}

/// The most memory this process ever had, in MiB.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().unwrap() / 1024.0
}
