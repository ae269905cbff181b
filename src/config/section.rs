//! Reads sections of the merged tree into their types, noting every mistake instead of stopping at the first.
//!
//! After a mistake the one place that was wrong gets its default (or is dropped) and the section is read again, so that
//! the rest of it is looked at too. The result is used only if no mistake was noted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::client::{ConfiguredClient, check_metadata};
use super::problem::{ConfigErrors, Problems};
use super::reader::{Mistake, Reader, Step, What, hint, one_of};
use super::source::{self, LISTS, Layers};
use crate::protocol::client_metadata::ClientMetadata;
use crate::secret::Secret;

/// The keys of a `[[clients]]` table that are not client metadata.
const CLIENT_SECRET_KEYS: &[&str] = &["client_secret", "client_secret_file"];

/// One table of a list, and the key messages name it by.
pub(super) type Named<T> = (String, T);

impl Layers {
    /// Takes one section out and reads it.
    pub(super) fn section<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let default = self.defaults.get(name);
        let value = self.merged.remove(name).or_else(|| default.cloned())?;
        read(value, default, &[], name, &mut self.problems)
    }

    /// Takes a list of tables out and reads each.
    pub(super) fn list<T: DeserializeOwned>(&mut self, name: &str) -> Vec<Named<T>> {
        let tables = self.tables(name);
        let mut list = Vec::new();
        for (key, table) in tables {
            if let Some(value) = read(Value::Table(table), None, &[], &key, &mut self.problems) {
                list.push((key, value));
            }
        }
        list
    }

    /// Takes a table of tables out and reads each.
    pub(super) fn named_tables<T: DeserializeOwned>(&mut self, name: &str) -> Vec<Named<T>> {
        let default = self.defaults.get(name);
        let tables = match self.merged.remove(name).or_else(|| default.cloned()) {
            Some(Value::Table(tables)) => tables,
            _ => {
                self.problems.add(name, "is not a table of tables", format!("tables such as [{name}.email]"));
                return Vec::new();
            }
        };
        let mut list = Vec::new();
        for (entry, value) in tables {
            let key = format!("{name}.{entry}");
            let default = default.and_then(|tables| tables.get(&entry));
            if let Some(value) = read(value, default, &[], &key, &mut self.problems) {
                list.push((key, value));
            }
        }
        list
    }

    /// The same for clients, whose secret stands among the metadata.
    pub(super) fn clients(&mut self) -> Vec<Named<ConfiguredClient>> {
        let mut clients = Vec::new();
        for (key, mut table) in self.tables("clients") {
            let secrets = CLIENT_SECRET_KEYS
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), table.remove(*name)?)))
                .collect::<Table>();
            let secrets = read::<ClientSecrets>(Value::Table(secrets), None, &[], &key, &mut self.problems);
            let metadata = client_metadata(table, CLIENT_SECRET_KEYS, &key, &mut self.problems);
            if let (Some(metadata), Some(ClientSecrets { client_secret, client_secret_file })) = (metadata, secrets) {
                clients.push((key, ConfiguredClient { metadata, client_secret, client_secret_file }));
            }
        }
        clients
    }

    /// What was not taken out is not known.
    pub(super) fn refuse_the_rest(&mut self) {
        let lists = LISTS.iter().map(|(list, _)| *list);
        let known: Vec<&str> = self.defaults.keys().map(String::as_str).chain(lists).collect();
        for name in self.merged.keys() {
            self.problems.add(name, format!("is not a known section{}", hint(name, &known)), one_of(&known));
        }
    }

    fn tables(&mut self, name: &str) -> Vec<Named<Table>> {
        let id_key = LISTS.iter().find(|(list, _)| *list == name).map_or("id", |(_, id_key)| *id_key);
        let expected = format!("tables, each below a line [[{name}]]");
        let list = match self.merged.remove(name) {
            None => return Vec::new(),
            Some(Value::Array(list)) => list,
            Some(_) => {
                self.problems.add(name, "is not a list of tables", expected);
                return Vec::new();
            }
        };
        let mut seen = BTreeSet::new();
        let mut tables = Vec::new();
        for (index, value) in list.into_iter().enumerate() {
            let by_index = format!("{name}[{index}]");
            let Value::Table(table) = value else {
                self.problems.add(by_index, "is not a table", expected.clone());
                continue;
            };
            let key = match table.get(id_key).and_then(Value::as_str) {
                None | Some("") => by_index,
                Some(id) if seen.insert(id.to_owned()) => format!("{name}[{id}]"),
                Some(id) => {
                    let problem = format!("`{id}` is used twice");
                    self.problems.add(format!("{by_index}.{id_key}"), problem, "another ID");
                    by_index
                }
            };
            tables.push((key, table));
        }
        tables
    }
}

/// Reads the metadata of one client from a TOML file, or from a JSON file if its name ends in `.json`.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn read_client_file(file: &Path) -> Result<ClientMetadata, ConfigErrors> {
    let name = file.display().to_string();
    let text = source::read_text(file)?;
    let table = if file.extension().is_some_and(|extension| extension == "json") {
        serde_json::from_str(&text).map_err(|error| {
            let key = format!("line {}, column {}", error.line(), error.column());
            let mut problems = Problems::in_file(&name);
            problems.add(key, "is not JSON that can be read", "an object of client metadata (RFC 7591) without null");
            ConfigErrors(problems.into_list())
        })?
    } else {
        source::parse(&name, &text)?
    };
    let mut problems = Problems::in_file(name);
    let metadata = client_metadata(table, &[], "client", &mut problems);
    if let Some(metadata) = &metadata {
        check_metadata(metadata, "client", &mut problems);
    }
    problems.into_result()?;
    // Without a problem noted, it was read.
    metadata.ok_or_else(|| ConfigErrors(Vec::new()))
}

/// A missing client ID is left to the checks, so that the rest is looked at too.
fn client_metadata(mut table: Table, more: &[&str], key: &str, problems: &mut Problems) -> Option<ClientMetadata> {
    let default = Value::Table(Table::from_iter([("client_id".to_owned(), Value::from(""))]));
    table.entry("client_id").or_insert_with(|| Value::from(""));
    read(Value::Table(table), Some(&default), more, key, problems)
}

#[derive(Deserialize)]
struct ClientSecrets {
    #[serde(default)]
    client_secret: Option<Secret<String>>,
    #[serde(default)]
    client_secret_file: Option<PathBuf>,
}

/// Reads a value, mending what is wrong until the rest can be read. `more` are keys known beside those of the type.
fn read<T: DeserializeOwned>(
    mut value: Value,
    default: Option<&Value>,
    more: &[&str],
    key: &str,
    problems: &mut Problems,
) -> Option<T> {
    let mut mending = Mending::default();
    loop {
        let origins = problems.origins().clone();
        let mistake = match T::deserialize(Reader { value: &value, key, origins: &origins }) {
            Ok(read) => return Some(read),
            Err(mistake) => mistake,
        };
        let example = mending.default_at(default, &mistake.path);
        let (problem, expected) = describe(&mistake, more, example);
        problems.add(mending.name(key, &mistake.path), problem, expected);
        if !mending.mend(&mut value, default, &mistake.path) {
            return None;
        }
    }
}

fn describe(mistake: &Mistake, more: &[&str], example: Option<&Value>) -> (String, String) {
    match &mistake.what {
        What::Unknown(known) => {
            let known: Vec<&str> = known.iter().chain(more).copied().collect();
            let word = match mistake.path.last() {
                Some(Step::Key(word)) => word.as_str(),
                _ => "",
            };
            (format!("is not a known key{}", hint(word, &known)), one_of(&known))
        }
        What::Wrong { problem, expected } => {
            let expected = match example {
                Some(example) if expected.is_empty() => format!("a value such as {example}"),
                Some(example) if !expected.contains("such as") && !expected.starts_with("one of") => {
                    format!("{expected}, such as {example}")
                }
                None if expected.is_empty() => "another value".to_owned(),
                _ => expected.clone(),
            };
            (problem.clone(), expected)
        }
    }
}

/// Which items were dropped from lists, so that messages go on naming items by where they stand in the file.
#[derive(Default)]
struct Mending {
    dropped: BTreeMap<Vec<String>, BTreeSet<usize>>,
}

impl Mending {
    /// The key a message shows for a path.
    fn name(&self, key: &str, path: &[Step]) -> String {
        let mut name = key.to_owned();
        let mut list = Vec::new();
        for step in path {
            match step {
                Step::Key(key) => {
                    name.push('.');
                    name.push_str(key);
                    list.push(key.clone());
                }
                Step::Index(index) => name.push_str(&format!("[{}]", self.in_file(&list, *index))),
            }
        }
        name
    }

    /// Where the item at `index` stood before others were dropped.
    fn in_file(&self, list: &[String], index: usize) -> usize {
        let mut index = index;
        for dropped in self.dropped.get(list).into_iter().flatten() {
            if *dropped <= index {
                index += 1;
            }
        }
        index
    }

    fn default_at<'a>(&self, default: Option<&'a Value>, path: &[Step]) -> Option<&'a Value> {
        match path {
            [Step::Key(key)] => default?.get(key),
            _ => None,
        }
        .filter(|value| !value.is_array() && !value.is_table())
    }

    /// Takes the refused value out of the way. `false` if that is not possible.
    fn mend(&mut self, value: &mut Value, default: Option<&Value>, path: &[Step]) -> bool {
        match (path, &mut *value) {
            ([Step::Index(index), ..], Value::Array(list)) if *index < list.len() => {
                self.drop_item(list, &[], *index);
                true
            }
            ([Step::Key(key), Step::Index(index), ..], Value::Table(table)) => match table.get_mut(key) {
                Some(Value::Array(list)) if *index < list.len() => {
                    self.drop_item(list, std::slice::from_ref(key), *index);
                    true
                }
                _ => replace(table, key, default),
            },
            ([Step::Key(key), ..], Value::Table(table)) => replace(table, key, default),
            _ => match default {
                Some(default) if value != default => {
                    *value = default.clone();
                    true
                }
                _ => false,
            },
        }
    }

    fn drop_item(&mut self, list: &mut Vec<Value>, at: &[String], index: usize) {
        let original = self.in_file(at, index);
        list.remove(index);
        self.dropped.entry(at.to_vec()).or_default().insert(original);
    }
}

/// Gives a key its default, or takes it away; `false` if that was done before.
fn replace(table: &mut Table, key: &str, default: Option<&Value>) -> bool {
    match default.and_then(|default| default.get(key)) {
        Some(value) if table.get(key) == Some(value) => false,
        Some(value) => {
            table.insert(key.to_owned(), value.clone());
            true
        }
        None => table.remove(key).is_some(),
    }
}
