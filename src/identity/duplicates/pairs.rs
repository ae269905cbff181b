//! Scored pairs in files, as Splink names their columns: what Spark computed is read, and what this found can be compared
//! (spec/identity.md rule 40).
//!
//! Which format a file has, its beginning says; which one is written, its name. Knows nothing of customers.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use super::score::Score;
use super::{csv, parquet};

pub(super) const LEFT: &str = "unique_id_l";
pub(super) const RIGHT: &str = "unique_id_r";
pub(super) const WEIGHT: &str = "match_weight";
pub(super) const PROBABILITY: &str = "match_probability";
/// Ours: Splink knows no households.
pub(super) const HOUSEHOLD: &str = "household_probability";

/// A scored pair by the IDs of its records.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    pub left: String,
    pub right: String,
    pub probability: f64,
    /// Absent where the model that scored knew no households.
    pub household: Option<f64>,
}

impl Pair {
    /// The pair, if it is one.
    pub(super) fn new(
        left: String,
        right: String,
        probability: f64,
        household: Option<f64>,
    ) -> Result<Self, &'static str> {
        if left == right || left.is_empty() || right.is_empty() {
            return Err("a pair needs two different IDs");
        }
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        if !is_share(probability) || !household.is_none_or(is_share) {
            return Err("a probability is no number between 0 and 1");
        }
        // A little more is how numbers are rounded.
        if probability + household.unwrap_or_default() > 1.000_001 {
            return Err("the probabilities add up to more than 1");
        }
        Ok(Self { left, right, probability, household })
    }
}

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum PairsError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Csv(#[from] csv::CsvError),
    #[error(transparent)]
    Parquet(#[from] parquet::ParquetError),
}

/// Reads pairs one by one.
pub enum Reader {
    Csv(Box<csv::Reader<BufReader<File>>>),
    Parquet(Box<parquet::Reader>),
}

impl Reader {
    /// Of a file in either format.
    ///
    /// # Errors
    /// It cannot be read, or a column that is needed is missing.
    pub fn of(mut file: File) -> Result<Self, PairsError> {
        let mut begins = Vec::new();
        Read::by_ref(&mut file).take(parquet::MAGIC.len() as u64).read_to_end(&mut begins)?;
        file.rewind()?;
        if begins == parquet::MAGIC {
            return Ok(Self::Parquet(Box::new(parquet::Reader::new(file)?)));
        }
        Ok(Self::Csv(Box::new(csv::Reader::new(BufReader::new(file))?)))
    }
}

impl Iterator for Reader {
    type Item = Result<Pair, PairsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Csv(reader) => reader.next().map(|pair| pair.map_err(PairsError::from)),
            Self::Parquet(reader) => reader.next().map(|pair| pair.map_err(PairsError::from)),
        }
    }
}

/// Writes pairs one by one.
pub enum Writer {
    Csv(Box<csv::Writer<Box<dyn Write>>>),
    Parquet(Box<parquet::Writer<BufWriter<File>>>),
}

impl Writer {
    /// To a file: Parquet if its name ends in `.parquet`, else CSV; to standard output without one.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn to(path: Option<&Path>) -> Result<Self, PairsError> {
        let Some(path) = path else { return Self::csv(Box::new(io::stdout())) };
        let file = BufWriter::new(File::create(path)?);
        if path.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("parquet")) {
            return Ok(Self::Parquet(Box::new(parquet::Writer::new(file)?)));
        }
        Self::csv(Box::new(file))
    }

    fn csv(to: Box<dyn Write>) -> Result<Self, PairsError> {
        Ok(Self::Csv(Box::new(csv::Writer::new(to).map_err(csv::CsvError::from)?)))
    }

    /// One pair.
    ///
    /// # Errors
    /// What writing meets.
    pub fn pair(&mut self, left: &str, right: &str, score: &Score) -> Result<(), PairsError> {
        match self {
            Self::Csv(writer) => Ok(writer.pair(left, right, score).map_err(csv::CsvError::from)?),
            Self::Parquet(writer) => Ok(writer.pair(left, right, score)?),
        }
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    /// What writing meets.
    pub fn finish(self) -> Result<(), PairsError> {
        match self {
            Self::Csv(writer) => writer.finish()?.flush()?,
            Self::Parquet(writer) => writer.finish()?.flush()?,
        }
        Ok(())
    }
}
