//! A file of people is searched without a database: columns by their names, bad files named, counts against a truth.

use std::process::Command;

use samesake::identity::duplicates::blocking::keys_of;
use samesake::identity::duplicates::bulk::ScoredPair;
use samesake::identity::duplicates::evaluate::Truth;
use samesake::identity::duplicates::field::Pattern;
use samesake::identity::duplicates::table::{Attribute, Table};
use serde_json::Value;

use super::people;
use crate::harness::env::TempDir;

fn read(text: &str, chosen: &[(&str, Attribute)]) -> Result<Table, String> {
    let chosen: Vec<_> = chosen.iter().map(|(column, attribute)| ((*column).to_owned(), *attribute)).collect();
    let mut table = Table::default();
    table.read(text.as_bytes(), &chosen).map_err(|e| e.to_string())?;
    Ok(table)
}

#[test]
fn columns_are_known_by_their_names_or_as_told() {
    let table = read("Unique_ID;First Name;surname;Shoe size;DOB\na;Ann;Lee;38;1980-02-03\n", &[]).unwrap();
    let taken: Vec<_> = table.columns.iter().map(|(_, attribute)| *attribute).collect();
    use Attribute::{Birth, Family, Given, Id, Ignore, Other};
    assert_eq!(taken, [Id, Given, Family, Ignore, Birth]);
    assert_eq!(table.ids, ["a"]);
    let table = read("surname,Shoe size\nLee,38\n", &[("Shoe size", Other), ("surname", Ignore)]).unwrap();
    let taken: Vec<_> = table.columns.iter().map(|(_, attribute)| *attribute).collect();
    assert_eq!(taken, [Ignore, Other]);
    assert_eq!(table.ids, ["1"], "without an ID a record is called by its number");
}

#[test]
fn a_file_that_cannot_be_read_says_where_and_why() {
    let head = "id,name\n";
    for (text, chosen, wanted) in [
        (format!("{head}a,Ann\na,Bob\n"), None, "line 3: the ID \"a\" is that of another record too"),
        (format!("{head},Ann\n"), None, "line 2: it has no ID"),
        ("x,y\n1,2\n".to_owned(), None, "none of the columns is known: x, y"),
        (head.to_owned(), Some(("nome", Attribute::Name)), "the first line has no column nome; it has: id, name"),
    ] {
        let error = read(&text, chosen.as_slice()).unwrap_err();
        assert!(error.starts_with(wanted), "{error}");
    }
}

#[test]
fn a_file_in_latin_1_is_read() {
    let mut table = Table::default();
    table.read(&b"name\nJos\xe9 Garc\xeda\n"[..], &[]).unwrap();
    table.read("name\nJosé García\n".as_bytes(), &[]).unwrap();
    assert_eq!(table.ids, ["1", "2"]);
    let [latin, utf8] = [0, 1].map(|index| keys_of(&table.records, index));
    assert!(!utf8.is_empty() && latin == utf8, "the same letters either way");
}

#[test]
fn pairs_are_counted_against_the_truth() {
    let labels = [Some(0), Some(0), Some(0), Some(1), Some(1), None];
    let truth = Truth::new(&labels);
    let pair = |a, b, same| ScoredPair { a, b, same, household: 0.0, bits: same, pattern: Pattern::default() };
    let scored = [pair(0, 1, 0.99), pair(3, 4, 0.97), pair(1, 3, 0.6), pair(0, 2, 0.5), pair(4, 5, 0.9)];
    let counts = truth.at(&scored, 0.95);
    assert_eq!((counts.right, counts.wrong, counts.missed), (2, 0, 2));
    let counts = truth.at(&scored, 0.5);
    assert_eq!((counts.right, counts.wrong, counts.missed), (3, 1, 1));
    assert_eq!((counts.precision(), counts.recall(), counts.f1()), (0.75, 0.75, 0.75));
    assert_eq!(truth.best(&scored), counts);
}

/// What a company does that looks at its own data before it installs anything.
#[test]
fn a_file_is_searched_without_a_database() {
    let folder = TempDir::new();
    let path = |name: &str| folder.0.join(name).display().to_string();
    let mut text = String::from("record,given_name,surname,dob,email,phone,street,city,zip,country,who\n");
    for (number, row) in people::records(1_500, 5).into_iter().enumerate() {
        let fields = [
            &number.to_string(),
            &row.given,
            &row.family,
            &row.birth,
            &row.email,
            &row.phone,
            &row.street,
            &row.locality,
            &row.postcode,
            &row.country,
            &row.person.to_string(),
        ];
        text += &(fields.map(|field| format!("\"{field}\"")).join(",") + "\n");
    }
    std::fs::write(path("people.csv"), &text).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_samesake"))
        .args(["duplicates", "file", &path("people.csv"), "--column", "who=truth", "--column", "record=id", "--json"])
        .args(["--pairs", &path("pairs.csv"), "--clusters", &path("clusters.csv")])
        .current_dir(&folder.0)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let report: Value = serde_json::from_slice(&done.stdout).unwrap();
    let certain = &report["against_the_truth"]["pairs at 0.95"];
    assert!(certain["precision"].as_f64().unwrap() > 0.95 && certain["recall"].as_f64().unwrap() > 0.5, "{report}");
    let pairs = std::fs::read_to_string(path("pairs.csv")).unwrap();
    assert_eq!(pairs.lines().count() as u64, report["pairs_kept"].as_u64().unwrap() + 1);
    let clusters = std::fs::read_to_string(path("clusters.csv")).unwrap();
    assert_eq!(clusters.lines().count(), text.lines().count(), "every record is somebody's");
    let left: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "nothing else is written: {left:?}");
    let refused =
        Command::new(env!("CARGO_BIN_EXE_samesake")).args(["duplicates", "file", &path("none.csv")]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("none.csv"));
}
