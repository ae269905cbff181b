//! Duplicate customers (spec/duplicates.md): the engine over a made-up population, counts instead of timings.

mod candidates;
mod cluster;
mod exchange;
mod file;
mod freshness;
mod model;
#[path = "../../people/mod.rs"]
mod people;

use std::collections::HashMap;
use std::sync::LazyLock;

use samesake::identity::duplicates::{Blocks, Claim, Model, Person, Records, Scan, ScoredPair};

/// Which fields of the population a test uses; other data sets have other fields.
#[derive(Clone, Copy)]
pub(crate) struct Fields {
    pub email_and_phone: bool,
    pub birth: bool,
    pub address: bool,
}

pub(crate) const ALL: Fields = Fields { email_and_phone: true, birth: true, address: true };

/// Records, whose they are, and all that was computed of them.
pub(crate) struct Found {
    pub records: Records,
    pub truth: Vec<u32>,
    pub blocks: Blocks,
    pub model: Model,
    pub pairs: Vec<ScoredPair>,
}

/// One population for all tests that need no other: its rows, and what was found.
pub(crate) static TOWN: LazyLock<(Vec<people::Record>, Found)> = LazyLock::new(|| {
    let rows = people::records(1_500, 20_261_122);
    let found = find(&rows, ALL);
    (rows, found)
});

/// Pushes rows of the population; the key of a record is its place in the population.
pub(crate) fn records(rows: &[(usize, &people::Record)], fields: Fields) -> Records {
    let mut records = Records::new();
    for (key, row) in rows {
        push(&mut records, *key as u128, row, fields);
    }
    records
}

pub(crate) fn push(records: &mut Records, key: u128, row: &people::Record, fields: Fields) -> u32 {
    let keep = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
    let (email, phone) = (keep(fields.email_and_phone, &row.email), keep(fields.email_and_phone, &row.phone));
    let (birth, street) = (keep(fields.birth, &row.birth), keep(fields.address, &row.street));
    let (locality, postcode) = (keep(fields.address, &row.locality), keep(fields.address, &row.postcode));
    let person = Person {
        key,
        given: &row.given,
        family: &row.family,
        birth: &birth,
        gender: &row.gender,
        emails: &[Claim { value: &email, proved: false }],
        phones: &[Claim { value: &phone, proved: false }],
        street: &street,
        locality: &locality,
        postcode: &postcode,
        country: &row.country,
        ..Person::default()
    };
    records.push(&person).unwrap()
}

/// Fits and scans.
pub(crate) fn find(rows: &[people::Record], fields: Fields) -> Found {
    let numbered: Vec<(usize, &people::Record)> = rows.iter().enumerate().collect();
    let records = records(&numbered, fields);
    let blocks = Blocks::new(&records);
    let model = Model::fit(&records, &blocks);
    let pairs = scan(&model, &records, &blocks);
    Found { truth: rows.iter().map(|row| row.person).collect(), records, blocks, model, pairs }
}

pub(crate) fn scan(model: &Model, records: &Records, blocks: &Blocks) -> Vec<ScoredPair> {
    let mut pairs = Vec::new();
    Scan::new(model, records, blocks, 0.01).run(0, |_, found| {
        pairs.extend(found);
        true
    });
    pairs
}

/// Pairs by the keys of their records, with all that was said of them.
pub(crate) fn by_key(records: &Records, pairs: &[ScoredPair]) -> HashMap<(u128, u128), (f32, f32, f32)> {
    let key = |pair: &ScoredPair| {
        let (a, b) = (records.key(pair.a), records.key(pair.b));
        (a.min(b), a.max(b))
    };
    let found: HashMap<_, _> = pairs.iter().map(|pair| (key(pair), (pair.same, pair.household, pair.bits))).collect();
    assert_eq!(found.len(), pairs.len(), "no pair is scored twice");
    found
}

/// Precision and recall of pairs of records.
pub(crate) fn quality(truth: &[u32], pairs: impl Iterator<Item = (u32, u32)>) -> (f64, f64) {
    let (mut right, mut wrong) = (0_u64, 0_u64);
    for (a, b) in pairs {
        *(if truth[a as usize] == truth[b as usize] { &mut right } else { &mut wrong }) += 1;
    }
    let mut sizes: HashMap<u32, u64> = HashMap::new();
    for person in truth {
        *sizes.entry(*person).or_default() += 1;
    }
    let all: u64 = sizes.values().map(|size| size * (size - 1) / 2).sum();
    (right as f64 / (right + wrong).max(1) as f64, right as f64 / all.max(1) as f64)
}

pub(crate) fn f1((precision, recall): (f64, f64)) -> f64 {
    2.0 * precision * recall / (precision + recall).max(f64::MIN_POSITIVE)
}
