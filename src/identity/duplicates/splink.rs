//! Settings in Splink's JSON (splink 4 and 5): for running the same comparisons on Spark or DuckDB, and for taking over
//! parameters that were trained there.
//!
//! The conditions are SQL over normalized columns, named as in [`COLUMNS`]. Splink knows two classes, so the household's
//! parameters travel in the comparisons' descriptions, where Splink ignores them; settings trained elsewhere have none,
//! and the household class then keeps its defaults. Frequencies of values do not travel: Splink counts its own.

use serde_json::{Value, json};

use super::field::{EXACT, Field};
use super::model::{LEAST, Model, ModelError};
use super::normalize;

/// The columns that the conditions read; all text, null where there is no value.
pub const COLUMNS: [&str; 21] = [
    "given",
    "middle",
    "nickname",
    "family",
    "generation",
    "birth",
    "gender",
    "email",
    "email_local",
    // "family" where it is called so.
    "email_kind",
    // The year of birth that it ends in.
    "email_year",
    "phone",
    // "mobile" or "fixed" where the country's plan of numbers tells.
    "phone_kind",
    "street",
    "house_number",
    "postcode",
    "locality",
    "region",
    "other1",
    "other2",
    "other3",
];

/// The settings of a model, ready for `Linker(df, settings, …)` after `json.loads`.
pub fn export(model: &Model) -> Value {
    let comparisons = Field::ALL.into_iter().filter(|field| *field != Field::Other4);
    json!({
        "link_type": "dedupe_only",
        "unique_id_column_name": "unique_id",
        "probability_two_random_records_match": model.prior_same,
        "comparisons": comparisons.map(|field| comparison(model, field)).collect::<Vec<_>>(),
        "blocking_rules_to_generate_predictions": blocking_rules(),
        "retain_intermediate_calculation_columns": false,
        "retain_matching_columns": false,
        "linker_uid": format!("samesake {} household {:e}", model.normalization, model.prior_household),
    })
}

fn comparison(model: &Model, field: Field) -> Value {
    let mut levels = vec![json!({
        "sql_condition": null_condition(field),
        "label_for_charts": "missing",
        "is_null_level": true,
    })];
    for index in order(field) {
        let Some(share) = model.share(field, index) else { continue };
        let mut level = json!({
            "sql_condition": condition(field, field.level_name(index)),
            "label_for_charts": field.level_name(index),
            "m_probability": share.same,
            "u_probability": share.unrelated,
        });
        if let (true, EXACT, Some(column), Some(fields)) =
            (field.has_frequencies(), index, frequency_column(field), level.as_object_mut())
        {
            fields.insert("tf_adjustment_column".to_owned(), json!(column));
            fields.insert("tf_adjustment_weight".to_owned(), json!(1.0));
        }
        levels.push(level);
    }
    let shares = (1..=field.levels().len() as u8).filter_map(|index| model.share(field, index));
    let mut households: Vec<String> = shares.map(|share| format!("{:e}", share.household)).collect();
    if field.is_personal() {
        households.push(format!("{:e}", model.related(field)));
    }
    json!({
        "output_column_name": field.name(),
        "comparison_description": format!("household {}", households.join(" ")),
        "comparison_levels": levels,
    })
}

const MOVED: &str = "\"postcode_l\" <> \"postcode_r\" AND \"locality_l\" <> \"locality_r\" \
    AND \"house_number_l\" <> \"house_number_r\" AND levenshtein(\"street_l\", \"street_r\") > 2";

const YEAR_IN_ADDRESS: &str = "((\"birth_l\" IS NULL AND substr(\"birth_r\", 1, 4) = \"email_year_l\") \
    OR (\"birth_r\" IS NULL AND substr(\"birth_l\", 1, 4) = \"email_year_r\")) \
    AND (\"email_l\" IS NULL OR \"email_r\" IS NULL OR levenshtein(\"email_l\", \"email_r\") > 1)";

/// The order in which conditions are tried; the last is "else". The more special one goes first.
fn order(field: Field) -> Vec<u8> {
    match field {
        Field::Given => {
            use super::field::given::{
                DIFFERENT, INITIAL, MIDDLE_DIFFERS, NEAR, NICKNAME, ONE_SWAPPED, SIMILAR, SWAPPED, WITH_MIDDLE,
            };
            vec![MIDDLE_DIFFERS, WITH_MIDDLE, EXACT, SWAPPED, NICKNAME, NEAR, SIMILAR, INITIAL, ONE_SWAPPED, DIFFERENT]
        }
        Field::Birth => {
            use super::field::birth::{DIFFERENT, IN_ADDRESS, NEAR, PARTIAL, SWAPPED, TWO_PARTS, YEAR};
            vec![EXACT, SWAPPED, NEAR, TWO_PARTS, PARTIAL, YEAR, IN_ADDRESS, DIFFERENT]
        }
        Field::Email => {
            use super::field::email::{DIFFERENT, FAMILY, LOCAL, LOCAL_NEAR, NEAR};
            vec![FAMILY, EXACT, NEAR, LOCAL, LOCAL_NEAR, DIFFERENT]
        }
        Field::Phone => {
            use super::field::phone::{DIFFERENT, FIXED_LINE, MOBILE, NEAR};
            vec![FIXED_LINE, MOBILE, EXACT, NEAR, DIFFERENT]
        }
        Field::Street => {
            use super::field::street::{DIFFERENT, MOVED, NEAR, NUMBER_DIFFERS, NUMBER_ONLY};
            vec![EXACT, NEAR, NUMBER_DIFFERS, NUMBER_ONLY, MOVED, DIFFERENT]
        }
        other => (1..=other.levels().len() as u8).collect(),
    }
}

fn null_condition(field: Field) -> String {
    let one = |column: &str| format!("\"{column}_l\" IS NULL OR \"{column}_r\" IS NULL");
    match field {
        Field::Place => {
            let any = ["postcode", "locality", "region"].map(|column| format!("({})", one(column)));
            // Another street in another place is the street's level alone.
            format!("({}) OR ({MOVED})", any.join(" AND "))
        }
        Field::Birth => format!("({}) AND NOT coalesce({YEAR_IN_ADDRESS}, FALSE)", one("birth")),
        other => one(other.name()),
    }
}

/// The condition of a level, in the SQL that DuckDB and Spark share.
fn condition(field: Field, level: &str) -> String {
    let same = |column: &str| format!("\"{column}_l\" = \"{column}_r\"");
    let edits = |column: &str, most: u8| format!("levenshtein(\"{column}_l\", \"{column}_r\") <= {most}");
    let either = |column: &str, value: &str| format!("(\"{column}_l\" = '{value}' OR \"{column}_r\" = '{value}')");
    let alike =
        |column: &str, bound: &str| format!("jaro_winkler_similarity(\"{column}_l\", \"{column}_r\") > {bound}");
    let part =
        |from: u8, length: u8| format!("substr(\"birth_l\", {from}, {length}) = substr(\"birth_r\", {from}, {length})");
    match (field, level) {
        (Field::Given, "middle_differs") => {
            format!("{} AND \"middle_l\" <> \"middle_r\"", same("given"))
        }
        (Field::Given, "exact_with_middle") => format!("{} AND {}", same("given"), same("middle")),
        (Field::Given, "nickname") => same("nickname"),
        (Field::Given, "swapped") => "\"given_l\" = \"family_r\" AND \"family_l\" = \"given_r\"".to_owned(),
        (Field::Given, "one_swapped") => "\"given_l\" = \"family_r\" OR \"family_l\" = \"given_r\"".to_owned(),
        (Field::Given, "similar") => alike("given", "0.88"),
        (Field::Given, "initial") => {
            "substr(\"given_l\", 1, 1) = substr(\"given_r\", 1, 1) AND (length(\"given_l\") = 1 OR length(\"given_r\") = 1)".to_owned()
        }
        (Field::Family, "part") => {
            "strpos(\"family_l\", \"family_r\") > 0 OR strpos(\"family_r\", \"family_l\") > 0".to_owned()
        }
        (Field::Family, "similar") => alike("family", "0.9"),
        (Field::Birth, "day_month_swapped") => {
            let swapped = "substr(\"birth_l\", 5, 2) = substr(\"birth_r\", 7, 2) AND substr(\"birth_l\", 7, 2) = substr(\"birth_r\", 5, 2)";
            format!("{} AND {swapped}", part(1, 4))
        }
        (Field::Birth, "two_parts") => {
            let (year, month, day) = (part(1, 4), part(5, 2), part(7, 2));
            format!("({year} AND {month}) OR ({year} AND {day}) OR ({month} AND {day})")
        }
        (Field::Birth, "partial") => format!("{} AND (length(\"birth_l\") = 4 OR length(\"birth_r\") = 4)", part(1, 4)),
        (Field::Birth, "year") => part(1, 4),
        (Field::Birth, "year_in_address") => YEAR_IN_ADDRESS.to_owned(),
        (Field::Email, "family_address") => format!("{} AND {}", same("email"), either("email_kind", "family")),
        (Field::Email, "same_local_part") => same("email_local"),
        (Field::Email, "near_local_part") => edits("email_local", 1),
        (Field::Street, "exact") => format!("{} AND {}", same("street"), same("house_number")),
        (Field::Street, "near") => format!("{} AND {}", edits("street", 2), same("house_number")),
        (Field::Street, "number_differs") => edits("street", 2),
        (Field::Phone, "fixed_line") => format!("{} AND {}", same("phone"), either("phone_kind", "fixed")),
        (Field::Phone, "mobile") => format!("{} AND {}", same("phone"), either("phone_kind", "mobile")),
        (Field::Street, "moved") => MOVED.to_owned(),
        (Field::Street, "number_only") => same("house_number"),
        (Field::Place, "exact") => {
            format!("{} AND ({} OR \"locality_l\" IS NULL OR \"locality_r\" IS NULL)", same("postcode"), same("locality"))
        }
        (Field::Place, "postcode") => same("postcode"),
        (Field::Place, "near") => format!("{} AND {}", edits("postcode", 1), same("locality")),
        (Field::Place, "locality") => same("locality"),
        (Field::Place, "similar") => format!("{} OR {}", edits("postcode", 1), alike("locality", "0.92")),
        (Field::Place, "region") => same("region"),
        (_, "exact") => same(field.name()),
        (_, "near") => edits(field.name(), 1),
        _ => "ELSE".to_owned(),
    }
}

const fn frequency_column(field: Field) -> Option<&'static str> {
    match field {
        // Street and number are two columns; Splink adjusts by one.
        Field::Street | Field::Place | Field::Generation | Field::Gender => None,
        other => Some(other.name()),
    }
}

fn blocking_rules() -> Vec<Value> {
    let keys: [&[&str]; 11] = [
        &["email"],
        &["phone"],
        &["email_local"],
        &["birth", "family"],
        &["birth", "given"],
        &["birth", "postcode"],
        &["given", "family", "postcode"],
        &["given", "family", "locality"],
        &["street", "house_number", "family"],
        &["street", "house_number", "given"],
        &["family", "postcode"],
    ];
    let mut rules: Vec<String> = keys
        .iter()
        .map(|columns| columns.iter().map(|c| format!("l.\"{c}\" = r.\"{c}\"")).collect::<Vec<_>>().join(" AND "))
        .collect();
    rules.push("l.\"given\" = r.\"family\" AND l.\"family\" = r.\"given\"".to_owned());
    rules.into_iter().map(|rule| json!({ "blocking_rule": rule })).collect()
}

/// Takes over parameters from settings that Splink saved. Comparisons and levels are found by name; those without
/// trained parameters keep the defaults.
///
/// # Errors
/// A comparison or level that this program does not have, or a probability that is none.
pub fn import(settings: &Value) -> Result<Model, ModelError> {
    let mut model = Model::unfitted();
    model.prior_same = settings
        .get("probability_two_random_records_match")
        .and_then(Value::as_f64)
        .filter(|prior| *prior > 0.0 && *prior < 0.5)
        .ok_or(ModelError::Probability)?;
    model.prior_household = model.prior_same;
    if let Some(uid) = settings.get("linker_uid").and_then(Value::as_str) {
        read_uid(uid, &mut model)?;
    }
    for comparison in settings.get("comparisons").and_then(Value::as_array).into_iter().flatten() {
        import_comparison(comparison, &mut model)?;
    }
    let model = model.freeze();
    model.check()?;
    Ok(model)
}

fn read_uid(uid: &str, model: &mut Model) -> Result<(), ModelError> {
    let words: Vec<&str> = uid.split(' ').collect();
    let ["samesake", normalization, "household", prior] = words[..] else { return Ok(()) };
    let normalization = normalization.parse().unwrap_or_default();
    if normalization != normalize::VERSION {
        return Err(ModelError::Normalization(normalization));
    }
    model.prior_household = prior.parse().map_err(|_| ModelError::Probability)?;
    Ok(())
}

fn import_comparison(comparison: &Value, model: &mut Model) -> Result<(), ModelError> {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = text(comparison, "output_column_name");
    let unknown = |what: &str| ModelError::Format(format!("no comparison here has {what}"));
    let field = Field::named(&name).ok_or_else(|| unknown(&name))?;
    let Some(shares) = model.fields.get_mut(field as usize) else { return Ok(()) };
    for level in comparison.get("comparison_levels").and_then(Value::as_array).into_iter().flatten() {
        if level.get("is_null_level").and_then(Value::as_bool) == Some(true) {
            continue;
        }
        let label = text(level, "label_for_charts");
        let index = field.levels().iter().position(|known| known.name == label);
        let share = index.and_then(|index| shares.levels.get_mut(index)).ok_or_else(|| unknown(&label))?;
        let probability = |key: &str, default: f64| match level.get(key).and_then(Value::as_f64) {
            Some(value) if (0.0..=1.0).contains(&value) => Ok(value.max(LEAST)),
            Some(_) => Err(ModelError::Probability),
            None => Ok(default),
        };
        share.same = probability("m_probability", share.same)?;
        share.unrelated = probability("u_probability", share.unrelated)?;
    }
    let description = text(comparison, "comparison_description");
    let households = description.strip_prefix("household ").map(|list| list.split(' ').map(str::parse::<f64>));
    // One for each level, then the part of relatives, where there is one.
    let values = shares.levels.iter_mut().map(|share| &mut share.household).chain([&mut shares.related]);
    for (value, household) in values.zip(households.into_iter().flatten()) {
        *value = household.map_err(|_| ModelError::Probability)?;
    }
    if !description.starts_with("household ") && field.is_personal() {
        model.fix_personal();
    }
    Ok(())
}
