//! What is wrong with a configuration: one line per mistake, all of them at once.
//!
//! A line reads `file: key: problem; expected form`. No line ever shows the value of a secret.

use std::collections::BTreeSet;
use std::fmt;

use super::source::Origins;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file or environment variable it came from.
    pub file: String,
    /// The key, such as `server.issuer` or `clients[shop].redirect_uris[0]`.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub expected: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}; expected {}", self.file, self.key, self.problem, self.expected)
    }
}

/// The mistakes found so far, and where each key came from.
#[derive(Debug, Default)]
pub struct Problems {
    origins: Origins,
    found: Vec<Problem>,
    keys: BTreeSet<String>,
}

impl Problems {
    /// For values that all came from `file`.
    pub fn in_file(file: impl Into<String>) -> Self {
        Self::new(Origins::file(file))
    }

    pub(super) fn new(origins: Origins) -> Self {
        Self { origins, found: Vec::new(), keys: BTreeSet::new() }
    }

    /// Notes a mistake. Only the first for a key, for what is in it and for its `_file` counts: the rest is noise.
    pub fn add(&mut self, key: impl Into<String>, problem: impl Into<String>, expected: impl Into<String>) {
        let key = key.into();
        let file = self.origins.of(&key);
        self.add_from(file, key, problem, expected);
    }

    pub(super) fn add_from(
        &mut self,
        file: String,
        key: String,
        problem: impl Into<String>,
        expected: impl Into<String>,
    ) {
        if !self.follows(&key) {
            self.keys.insert(key.clone());
            self.found.push(Problem { file, key, problem: problem.into(), expected: expected.into() });
        }
    }

    /// Whether a problem with this key follows from one already noted.
    fn follows(&self, key: &str) -> bool {
        let holds = |outer: &str, inner: &str| {
            inner.strip_prefix(outer).is_some_and(|rest| matches!(rest, "" | "_file") || rest.starts_with(['.', '[']))
        };
        self.keys.iter().any(|noted| holds(key, noted) || holds(noted, key))
    }

    pub(super) fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Everything found, or nothing.
    ///
    /// # Errors
    /// If there is at least one problem.
    pub fn into_result(self) -> Result<(), ConfigErrors> {
        if self.found.is_empty() { Ok(()) } else { Err(ConfigErrors(self.found)) }
    }

    pub(super) fn into_list(self) -> Vec<Problem> {
        self.found
    }
}

/// Why a configuration was refused.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigErrors(pub Vec<Problem>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

/// The candidate a typing slip away from `word`, if there is one.
pub(super) fn nearest<'a>(word: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let limit = (word.len() / 3).max(1);
    candidates
        .iter()
        .map(|candidate| (distance(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: letters inserted, removed or replaced, and neighbors swapped (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let cell = |line: &[usize], at: usize| line.get(at).copied().unwrap_or(usize::MAX / 2);
            let replaced = cell(&above, column) + usize::from(letter != other);
            let mut best = replaced.min(cell(&above, column + 1) + 1).min(cell(&current, column) + 1);
            let swapped =
                row > 0 && column > 0 && left.get(row - 1) == Some(other) && right.get(column - 1) == Some(letter);
            if swapped {
                best = best.min(cell(&before, column - 1) + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above.last().copied().unwrap_or(0)
}
