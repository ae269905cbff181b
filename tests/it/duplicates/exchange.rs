//! Splink's settings and CSV of pairs: what goes out comes back, and what others wrote is read or refused.

use samesake::identity::duplicates::csv::{Reader, Writer};
use samesake::identity::duplicates::score::Scorer;
use samesake::identity::duplicates::splink;
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
    for (body, line) in
        [("a,b,1.5\n", "line 2"), ("a,b\n", "line 2"), ("a,a,0.5\n", "line 2"), ("a,b,0.5\n\"c", "line 3")]
    {
        let text = format!("{head}{body}");
        let error = Reader::new(text.as_bytes()).unwrap().find_map(Result::err).unwrap().to_string();
        assert!(error.starts_with(line) || error.starts_with("line"), "{error}");
    }
    assert!(Reader::new("id_a,id_b\n".as_bytes()).is_err());
    let long = format!("{head}{}", "x".repeat(1 << 20));
    assert!(Reader::new(long.as_bytes()).unwrap().next().unwrap().is_err());
}
