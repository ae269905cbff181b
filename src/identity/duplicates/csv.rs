//! Scored pairs as CSV (RFC 4180), with the column names Splink gives its predictions: what Spark computed can be read,
//! and what this found can be compared.

use std::io::{self, BufRead, Write};

use super::score::Score;

/// The longest line that is read.
const LONGEST_LINE: u64 = 64 * 1024;
const HEAD: &str = "unique_id_l,unique_id_r,match_weight,match_probability,household_probability";

/// A scored pair by the IDs of its records.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub left: String,
    pub right: String,
    pub probability: f64,
    /// Absent where the model that scored knew no households.
    pub household: Option<f64>,
}

/// Why a line, or a file, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the first line has no column {0}")]
    Column(&'static str),
    #[error("line {line}: {reason}")]
    Line { line: u64, reason: &'static str },
}

/// Writes pairs.
#[derive(Debug)]
pub struct Writer<W: Write>(W);

impl<W: Write> Writer<W> {
    /// Begins with the names of the columns.
    ///
    /// # Errors
    /// What writing meets.
    pub fn new(mut to: W) -> io::Result<Self> {
        writeln!(to, "{HEAD}")?;
        Ok(Self(to))
    }

    /// One pair.
    ///
    /// # Errors
    /// What writing meets.
    pub fn pair(&mut self, left: &str, right: &str, score: &Score) -> io::Result<()> {
        let Score { bits, same, household, .. } = score;
        writeln!(self.0, "{},{},{bits},{same},{household}", quoted(left), quoted(right))
    }

    /// The rest of what is buffered.
    ///
    /// # Errors
    /// What writing meets.
    pub fn finish(mut self) -> io::Result<W> {
        self.0.flush()?;
        Ok(self.0)
    }
}

fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Reads pairs one by one. Columns are found by name; those that are not known are passed over.
#[derive(Debug)]
pub struct Reader<R: BufRead> {
    from: R,
    line: u64,
    columns: Columns,
}

#[derive(Clone, Copy, Debug)]
struct Columns {
    left: usize,
    right: usize,
    probability: usize,
    household: Option<usize>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the names of the columns.
    ///
    /// # Errors
    /// A column that is needed is missing.
    pub fn new(mut from: R) -> Result<Self, CsvError> {
        let mut line = 0;
        let names = record(&mut from, &mut line)?.unwrap_or_default();
        let column = |name: &str| names.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
        let needed = |name: &'static str| column(name).ok_or(CsvError::Column(name));
        let columns = Columns {
            left: needed("unique_id_l")?,
            right: needed("unique_id_r")?,
            probability: needed("match_probability")?,
            household: column("household_probability"),
        };
        Ok(Self { from, line, columns })
    }

    fn read(&mut self) -> Result<Option<Pair>, CsvError> {
        let Some(fields) = record(&mut self.from, &mut self.line)? else { return Ok(None) };
        let bad = |reason: &'static str| CsvError::Line { line: self.line, reason };
        let field = |at: usize| fields.get(at).cloned().ok_or_else(|| bad("too few fields"));
        let probability = |text: String| {
            let value = text.trim().parse::<f64>().ok().filter(|value| (0.0..=1.0).contains(value));
            value.ok_or_else(|| bad("a probability is no number between 0 and 1"))
        };
        let household = match self.columns.household.map(field).transpose()? {
            Some(text) if !text.trim().is_empty() => Some(probability(text)?),
            _ => None,
        };
        let (left, right) = (field(self.columns.left)?, field(self.columns.right)?);
        if left == right || left.is_empty() || right.is_empty() {
            return Err(bad("a pair needs two different IDs"));
        }
        Ok(Some(Pair { left, right, probability: probability(field(self.columns.probability)?)?, household }))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<Pair, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}

/// One record, which may have line breaks within quotes; `None` at the end.
fn record(from: &mut impl BufRead, line: &mut u64) -> Result<Option<Vec<String>>, CsvError> {
    let mut text = String::new();
    loop {
        let before = text.len();
        let left = LONGEST_LINE.saturating_sub(before as u64);
        let read = io::Read::take(&mut *from, left).read_line(&mut text)?;
        *line += 1;
        if read as u64 == left {
            return Err(CsvError::Line { line: *line, reason: "the line is too long" });
        }
        let open = text.bytes().filter(|byte| *byte == b'"').count() % 2 == 1;
        match (read, open) {
            (0, true) => return Err(CsvError::Line { line: *line, reason: "a quote is not closed" }),
            (0, false) if text.is_empty() => return Ok(None),
            (_, false) if text.trim().is_empty() => text.clear(),
            (_, false) => break,
            (_, true) => {}
        }
    }
    Ok(Some(fields(text.trim_end_matches(['\n', '\r']))))
}

fn fields(text: &str) -> Vec<String> {
    let (mut fields, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut letters = text.chars().peekable();
    while let Some(c) = letters.next() {
        match c {
            '"' if quoted && letters.peek() == Some(&'"') => {
                letters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            c => field.push(c),
        }
    }
    fields.push(field);
    fields
}
