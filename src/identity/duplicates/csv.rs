//! Scored pairs as CSV (RFC 4180), and which record belongs to which person.

use std::io::{self, Read, Write};

use super::cluster::Clusters;
use super::pairs::{HOUSEHOLD, LEFT, PROBABILITY, Pair, RIGHT, WEIGHT};
use super::score::Score;

/// Why a line, or a file, cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error("the first line has no column {0}")]
    Column(&'static str),
    #[error("line {line}: {reason}")]
    Line { line: u64, reason: &'static str },
}

/// Writes pairs.
#[derive(Debug)]
pub struct Writer<W: Write>(csv::Writer<W>);

impl<W: Write> Writer<W> {
    /// Begins with the names of the columns.
    ///
    /// # Errors
    /// What writing meets.
    pub fn new(to: W) -> Result<Self, csv::Error> {
        let mut writer = csv::Writer::from_writer(to);
        writer.write_record([LEFT, RIGHT, WEIGHT, PROBABILITY, HOUSEHOLD])?;
        Ok(Self(writer))
    }

    /// One pair.
    ///
    /// # Errors
    /// What writing meets.
    pub fn pair(&mut self, left: &str, right: &str, score: &Score) -> Result<(), csv::Error> {
        let [bits, same, household] = [score.bits, score.same, score.household].map(|number| number.to_string());
        self.0.write_record([left, right, &bits, &same, &household])
    }

    /// Writes the rest of what is buffered.
    ///
    /// # Errors
    /// What writing meets.
    pub fn finish(self) -> io::Result<W> {
        self.0.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// Writes which records are one person, with a number for each; those that are of nobody else's have a number of their own.
///
/// # Errors
/// What writing meets.
pub fn write_clusters(to: impl Write, ids: &[String], clusters: &Clusters) -> Result<(), csv::Error> {
    let mut writer = csv::Writer::from_writer(to);
    writer.write_record(["cluster_id", "unique_id"])?;
    let mut number_of = vec![0; ids.len()];
    for (cluster, number) in clusters.clusters.iter().zip(1_usize..) {
        for member in &cluster.members {
            if let Some(place) = number_of.get_mut(*member as usize) {
                *place = number;
            }
        }
    }
    let mut last = clusters.clusters.len();
    for (id, number) in ids.iter().zip(number_of) {
        last += usize::from(number == 0);
        let number = if number == 0 { last } else { number };
        writer.write_record([&number.to_string(), id])?;
    }
    Ok(writer.flush()?)
}

/// Reads pairs one by one. Columns are found by name; those that are not known are passed over.
#[derive(Debug)]
pub struct Reader<R: Read> {
    from: csv::Reader<R>,
    columns: Columns,
}

#[derive(Clone, Copy, Debug)]
struct Columns {
    left: usize,
    right: usize,
    probability: usize,
    household: Option<usize>,
}

impl<R: Read> Reader<R> {
    /// Reads the names of the columns.
    ///
    /// # Errors
    /// A column that is needed is missing.
    pub fn new(from: R) -> Result<Self, CsvError> {
        let mut from = csv::ReaderBuilder::new().flexible(true).from_reader(from);
        let names = from.headers()?;
        let column = |name: &str| names.iter().position(|column| column.trim_start_matches('\u{feff}') == name);
        let needed = |name: &'static str| column(name).ok_or(CsvError::Column(name));
        let columns = Columns {
            left: needed(LEFT)?,
            right: needed(RIGHT)?,
            probability: needed(PROBABILITY)?,
            household: column(HOUSEHOLD),
        };
        Ok(Self { from, columns })
    }

    fn read(&mut self) -> Result<Option<Pair>, CsvError> {
        let mut record = csv::StringRecord::new();
        if !self.from.read_record(&mut record)? {
            return Ok(None);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let bad = |reason: &'static str| CsvError::Line { line, reason };
        let field = |at: usize| record.get(at).ok_or_else(|| bad("too few fields"));
        let number =
            |text: &str| text.trim().parse::<f64>().map_err(|_| bad("a probability is no number between 0 and 1"));
        let household = match self.columns.household.map(field).transpose()? {
            Some(text) if !text.trim().is_empty() => Some(number(text)?),
            _ => None,
        };
        let (left, right) = (field(self.columns.left)?.to_owned(), field(self.columns.right)?.to_owned());
        let probability = number(field(self.columns.probability)?)?;
        Pair::new(left, right, probability, household).map(Some).map_err(bad)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Pair, CsvError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
