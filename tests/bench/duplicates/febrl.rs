//! The FEBRL files, without the national ID.

use std::path::PathBuf;

use samesake::identity::duplicates::{Person, Records};

use crate::measure::{Labelled, cpu_seconds};

/// FEBRL 1 to 4; the two files of the fourth together.
pub fn all() -> Vec<(String, Labelled)> {
    let sets: [(&str, &[&str]); 4] = [
        ("FEBRL 1", &["dataset1.csv"]),
        ("FEBRL 2", &["dataset2.csv"]),
        ("FEBRL 3", &["dataset3.csv"]),
        ("FEBRL 4", &["dataset4a.csv", "dataset4b.csv"]),
    ];
    sets.into_iter().map(|(name, files)| (name.to_owned(), read(files))).collect()
}

fn read(files: &[&str]) -> Labelled {
    let folder = PathBuf::from(std::env::var("SAMESAKE_FEBRL").unwrap_or_else(|_| "target/febrl".to_owned()));
    let before = cpu_seconds();
    let mut records = Records::new();
    let mut truth = Vec::new();
    for file in files {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split(',').map(str::trim).collect();
            let [id, given, family, number, street, line2, suburb, postcode, state, birth, ..] = fields[..] else {
                panic!("a line of {file} has too few fields: {line}")
            };
            let person = Person {
                key: records.len() as u128,
                given,
                family,
                house_number: number,
                street,
                locality: suburb,
                postcode,
                region: state,
                country: "AU",
                birth,
                others: [line2, "", "", ""],
                ..Person::default()
            };
            records.push(&person).unwrap();
            truth.push(Some(id.split('-').nth(1).unwrap().parse().unwrap()));
        }
    }
    Labelled { records, truth, prepared: cpu_seconds() - before }
}
