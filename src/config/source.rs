//! Where values come from: embedded defaults, then the file, then the environment, merged into one tree.
//!
//! Later layers win key by key. `SAMESAKE__SERVER__ISSUER` sets `server.issuer`; a table of a list is named by its ID,
//! as in `SAMESAKE__CONNECTORS__GOOGLE__CLIENT_SECRET`. Nothing here knows what a key means.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use toml::de::DeTable;
use toml::{Table, Value};

use super::problem::{ConfigErrors, Problem, Problems};

/// The commented defaults: documentation and values in one.
pub const DEFAULT_TOML: &str = include_str!("../../config/default.toml");

/// What every variable of ours starts with.
pub const ENVIRONMENT_PREFIX: &str = "SAMESAKE__";

/// The sections that are lists of tables, and the key that names a table.
pub(super) const LISTS: [(&str, &str); 4] =
    [("clients", "client_id"), ("connectors", "id"), ("destinations", "id"), ("webhooks", "id")];

/// One value from outside the file: a variable, or an option of the command line.
#[derive(Clone, Debug)]
pub struct Override {
    /// Where it was given, as a message names it.
    pub origin: String,
    /// The key's segments in lower case, such as `["server", "issuer"]`.
    pub segments: Vec<String>,
    pub value: String,
}

impl Override {
    /// From a variable, if it is one of ours.
    pub fn from_variable(name: &str, value: &str) -> Option<Self> {
        let segments = name.strip_prefix(ENVIRONMENT_PREFIX)?.split("__").map(str::to_ascii_lowercase).collect();
        Some(Self { origin: format!("environment {name}"), segments, value: value.to_owned() })
    }

    /// From an option of the command line, for one key.
    pub fn from_option(option: &str, section: &str, key: &str, value: impl Into<String>) -> Self {
        let segments = vec![section.to_owned(), key.to_owned()];
        Self { origin: format!("option {option}"), segments, value: value.into() }
    }
}

/// Which file, and which keys came from elsewhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Origins {
    file: String,
    overridden: BTreeMap<String, String>,
}

impl Origins {
    pub(super) fn file(file: impl Into<String>) -> Self {
        Self { file: file.into(), overridden: BTreeMap::new() }
    }

    /// The file or variable a key came from; the file for a key that came from nowhere.
    pub(super) fn of(&self, key: &str) -> String {
        let mut prefix = key;
        loop {
            if let Some(origin) = self.overridden.get(prefix) {
                return origin.clone();
            }
            match prefix.rfind(['.', '[']).and_then(|end| prefix.get(..end)) {
                Some(shorter) => prefix = shorter,
                None => return self.file.clone(),
            }
        }
    }

    /// Whether this very key was given as text from outside the file.
    pub(super) fn is_overridden(&self, key: &str) -> bool {
        self.overridden.contains_key(key)
    }
}

/// The merged tree.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) defaults: Table,
    pub(super) merged: Table,
    pub(super) problems: Problems,
}

impl Layers {
    /// # Errors
    /// If the file cannot be read or is not TOML: then nothing can be said about its keys.
    pub(super) fn read(file: Option<&Path>, overrides: &[Override]) -> Result<Self, ConfigErrors> {
        let defaults = parse("config/default.toml", DEFAULT_TOML)?;
        let mut merged = defaults.clone();
        let name = file.map_or_else(|| "built-in defaults".to_owned(), |file| file.display().to_string());
        if let Some(file) = file {
            merge(&mut merged, parse(&name, &read_text(file)?)?);
        }
        let mut origins = Origins::file(name);
        let mut stray = Vec::new();
        for one in overrides {
            match apply(&mut merged, one) {
                Ok(key) => {
                    origins.overridden.insert(key, one.origin.clone());
                }
                Err(problem) => stray.push(problem),
            }
        }
        let mut problems = Problems::new(origins);
        for Problem { file, key, problem, expected } in stray {
            problems.add_from(file, key, problem, expected);
        }
        Ok(Self { defaults, merged, problems })
    }
}

/// The text of a file the operator named.
pub(super) fn read_text(file: &Path) -> Result<String, ConfigErrors> {
    fs::read_to_string(file).map_err(|error| {
        ConfigErrors(vec![Problem {
            file: file.display().to_string(),
            key: "the file itself".to_owned(),
            problem: format!("cannot be read ({error})"),
            expected: "a readable text file".to_owned(),
        }])
    })
}

/// Parses TOML; every syntax error has its line.
pub(super) fn parse(file: &str, text: &str) -> Result<Table, ConfigErrors> {
    let (_, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty()
        && let Ok(table) = toml::from_str(text)
    {
        return Ok(table);
    }
    let problems = errors.iter().map(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        Problem {
            file: file.to_owned(),
            key: format!("line {line}, column {column}"),
            problem: error.message().trim().replace('\n', ", "),
            expected: "TOML, such as key = \"value\" below a [section]".to_owned(),
        }
    });
    Err(ConfigErrors(problems.collect()))
}

/// Lays `over` on `base`, table by table.
fn merge(base: &mut Table, over: Table) {
    // All twins first: what stands beside each other in one layer is a mistake to be reported, not to be hidden.
    for key in over.keys() {
        drop_twin(base, key);
    }
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(base)), Value::Table(over)) => merge(base, over),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// A secret given in a later layer replaces the file named in an earlier one, and the other way round.
fn drop_twin(table: &mut Table, key: &str) {
    match key.strip_suffix("_file") {
        Some(plain) => table.remove(plain),
        None => table.remove(&format!("{key}_file")),
    };
}

/// Puts one override in place and answers its key.
fn apply(merged: &mut Table, one: &Override) -> Result<String, Problem> {
    let refuse = |problem: String, expected: &str| Problem {
        file: one.origin.clone(),
        key: one.segments.join("."),
        problem,
        expected: expected.to_owned(),
    };
    let value = Value::from(one.value.as_str());
    let segments: Vec<&str> = one.segments.iter().map(String::as_str).collect();
    let list = segments.first().and_then(|first| LISTS.iter().find(|(section, _)| section == first));
    match (list, segments.as_slice()) {
        (None, [key]) => {
            merged.insert((*key).to_owned(), value);
            Ok((*key).to_owned())
        }
        (None, [section, key]) => {
            let table = merged.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            let Value::Table(table) = table else { return Ok(format!("{section}.{key}")) };
            drop_twin(table, key);
            table.insert((*key).to_owned(), value);
            Ok(format!("{section}.{key}"))
        }
        (Some((section, id_key)), [_, id, key]) => {
            let found = merged.get_mut(*section).and_then(Value::as_array_mut).and_then(|list| {
                list.iter_mut().filter_map(Value::as_table_mut).find_map(|table| {
                    let name = table.get(*id_key)?.as_str()?.to_owned();
                    (variable_form(&name) == *id).then_some((name, table))
                })
            });
            let Some((name, table)) = found else {
                let expected = "the ID of a table in the file, with _ for every character that is no letter or digit";
                return Err(refuse(format!("there is no `{id}` in {section}"), expected));
            };
            drop_twin(table, key);
            table.insert((*key).to_owned(), value);
            Ok(format!("{section}[{name}].{key}"))
        }
        _ => Err(refuse(
            "names no key".to_owned(),
            "SAMESAKE__SECTION__KEY, or SAMESAKE__CLIENTS__ID__KEY for a table of a list",
        )),
    }
}

/// An ID as it is written in the name of a variable, in lower case.
fn variable_form(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}
