//! Splink's settings and CSV of pairs: what goes out comes back, and what others wrote is read or refused.

use std::fs::File;

use samesake::identity::duplicates::csv::{Reader, Writer};
use samesake::identity::duplicates::score::Scorer;
use samesake::identity::duplicates::splink;
use samesake::identity::duplicates::{pairs, parquet};
use serde_json::json;

use super::{TOWN, by_key, scan};

#[test]
fn settings_survive_splink_json() {
    let found = &TOWN.1;
    let text = splink::export(&found.model).to_string();
    let imported = splink::import(&serde_json::from_str(&text).unwrap()).unwrap();
    assert_eq!((imported.prior_same, imported.prior_household), (found.model.prior_same, found.model.prior_household));
    assert_eq!(imported.fields, found.model.fields);
    // Frequencies do not travel; all else scores alike.
    let mut plain = found.model.clone();
    plain.frequencies = imported.frequencies.clone();
    let pairs = |model| by_key(&found.records, &scan(model, &found.records, &found.blocks));
    assert_eq!(pairs(&imported), pairs(&plain));
}

#[test]
fn settings_trained_by_splink_are_taken_over_and_strange_ones_refused() {
    let level = |label: &str, m: f64, u: f64| json!({"sql_condition": "…", "label_for_charts": label, "m_probability": m, "u_probability": u});
    let settings = |name: &str, label: &str, m: f64| {
        json!({
            "link_type": "dedupe_only",
            "probability_two_random_records_match": 0.0001,
            "comparisons": [{"output_column_name": name, "comparison_levels": [
                {"sql_condition": "…", "label_for_charts": "missing", "is_null_level": true},
                level(label, m, 0.001),
            ]}],
        })
    };
    let model = splink::import(&settings("family", "exact", 0.9)).unwrap();
    assert_eq!(model.prior_same, 0.0001);
    assert_eq!((model.fields[1].levels[0].same, model.fields[1].levels[0].unrelated), (0.9, 0.001));
    assert!(splink::import(&settings("shoe_size", "exact", 0.9)).is_err());
    assert!(splink::import(&settings("family", "perfect", 0.9)).is_err());
    assert!(splink::import(&settings("family", "exact", 1.5)).is_err());
    assert!(splink::import(&json!({})).is_err());
}

#[test]
fn pairs_survive_csv() {
    let found = &TOWN.1;
    let scorer = Scorer::new(&found.model);
    let mut writer = Writer::new(Vec::new()).unwrap();
    for pair in &found.pairs {
        let score = scorer.score(&found.records, pair.a, pair.b);
        writer.pair(&format!("{}", pair.a), &format!("\"x\",{}", pair.b), &score).unwrap();
    }
    let written = writer.finish().unwrap();
    let read: Vec<_> = Reader::new(written.as_slice()).unwrap().map(Result::unwrap).collect();
    assert_eq!(read.len(), found.pairs.len());
    for (pair, read) in found.pairs.iter().zip(read) {
        let score = scorer.score(&found.records, pair.a, pair.b);
        assert_eq!((read.left, read.right), (pair.a.to_string(), format!("\"x\",{}", pair.b)));
        assert_eq!((read.probability, read.household), (score.same, Some(score.household)));
    }
}

#[test]
fn pairs_that_splink_predicted_are_read_and_broken_lines_are_named() {
    let text = "match_weight,match_probability,unique_id_l,unique_id_r,gamma_given\r\n9.1,0.99,a,b,3\r\n\r\n1.0,0.5,\"c\nd\",e,0\r\n";
    let pairs: Vec<_> = Reader::new(text.as_bytes()).unwrap().map(Result::unwrap).collect();
    let short: Vec<_> = pairs.iter().map(|pair| (pair.left.as_str(), pair.right.as_str(), pair.probability)).collect();
    assert_eq!(short, [("a", "b", 0.99), ("c\nd", "e", 0.5)]);
    assert!(pairs.iter().all(|pair| pair.household.is_none()));
    let head = "unique_id_l,unique_id_r,match_probability\n";
    for (body, line) in [
        ("a,b,1.5\n", "line 2"),
        ("a,b,NaN\n", "line 2"),
        ("a,b\n", "line 2"),
        ("a,a,0.5\n", "line 2"),
        ("a,b,0.5\n\"c", "line 3"),
    ] {
        let text = format!("{head}{body}");
        let error = Reader::new(text.as_bytes()).unwrap().find_map(Result::err).unwrap().to_string();
        assert!(error.starts_with(line) || error.starts_with("line"), "{error}");
    }
    assert!(Reader::new("id_a,id_b\n".as_bytes()).is_err());
    let long = format!("{head}{}", "x".repeat(1 << 20));
    assert!(Reader::new(long.as_bytes()).unwrap().next().unwrap().is_err());
}

/// A directory of a test, gone at its end.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Scratch {
        let name = format!("samesake-pairs-{}-{}", std::process::id(), samesake::secret::random_token());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Scratch(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// In more than one row group, and read by whichever name the file has.
#[test]
fn pairs_survive_parquet() {
    let found = &TOWN.1;
    let (scratch, scorer) = (Scratch::new(), Scorer::new(&found.model));
    let score = scorer.score(&found.records, found.pairs[0].a, found.pairs[0].b);
    let path = scratch.0.join("pairs.parquet");
    let mut writer = pairs::Writer::to(Some(&path)).unwrap();
    for number in 0..100_001 {
        writer.pair(&number.to_string(), "\"x\",\u{e9}", &score).unwrap();
    }
    writer.finish().unwrap();
    let other_name = scratch.0.join("pairs");
    std::fs::rename(path, &other_name).unwrap();
    let mut read = 0;
    for (number, pair) in pairs::Reader::of(File::open(other_name).unwrap()).unwrap().enumerate() {
        let pair = pair.unwrap();
        assert_eq!((pair.left, pair.right.as_str()), (number.to_string(), "\"x\",\u{e9}"));
        assert_eq!((pair.probability, pair.household), (score.same, Some(score.household)));
        read += 1;
    }
    assert_eq!(read, 100_001);
}

/// `tests/interop/pairs.parquet` is what pandas made of Splink's columns, with an ID that is missing in the last row.
#[test]
fn parquet_that_others_wrote_is_read_and_a_broken_row_is_named() {
    let read = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name);
        pairs::Reader::of(File::open(path).unwrap()).unwrap().collect::<Vec<_>>()
    };
    let all = read("pairs.parquet");
    let [Ok(first), Ok(second), Err(broken)] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!((first.left.as_str(), first.right.as_str(), first.probability, first.household), ("a", "b", 0.99, None));
    assert_eq!(second.right, "\u{e9}");
    assert!(broken.to_string().starts_with("row 3"), "{broken}");
    let scratch = Scratch::new();
    let refused = |name: &str, bytes: &[u8]| {
        std::fs::write(scratch.0.join(name), bytes).unwrap();
        pairs::Reader::of(File::open(scratch.0.join(name)).unwrap()).err().map(|error| error.to_string())
    };
    assert!(refused("short", parquet::MAGIC).is_some());
    assert!(refused("torn", b"PAR1 and nothing of the kind PAR1").is_some());
    assert!(refused("none", b"").is_some_and(|said| said.contains("unique_id_l")), "CSV without a head");
}
