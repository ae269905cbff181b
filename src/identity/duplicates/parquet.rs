//! Scored pairs as Parquet, the form in which Spark, DuckDB and pandas keep tables: read row group by row group, and
//! written so, snappy-compressed as they do. The columns are those of CSV.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use ::parquet::basic::Compression;
use ::parquet::data_type::{ByteArray, ByteArrayType, DoubleType};
use ::parquet::errors::ParquetError as Cause;
use ::parquet::file::properties::WriterProperties;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::writer::SerializedFileWriter;
use ::parquet::record::reader::RowIter;
use ::parquet::record::{Field, Row};
use ::parquet::schema::parser::parse_message_type;
use ::parquet::schema::types::{Type, TypePtr};
use uuid::Uuid;

use super::pairs::{HOUSEHOLD, LEFT, PROBABILITY, Pair, RIGHT, WEIGHT};
use super::score::Score;

/// What every such file begins with.
pub const MAGIC: &[u8] = b"PAR1";
/// How many pairs are kept in memory to be written at once.
const GROUP: usize = 50_000;

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ParquetError {
    #[error(transparent)]
    Parquet(#[from] Cause),
    #[error("there is no column {0} of plain values")]
    Column(&'static str),
    #[error("row {row}: {reason}")]
    Row { row: u64, reason: &'static str },
}

/// Reads pairs one by one. Columns that are not known are not read.
pub struct Reader {
    rows: RowIter<'static>,
    row: u64,
}

impl Reader {
    /// Reads what columns there are.
    ///
    /// # Errors
    /// It is no Parquet, or a column that is needed is missing.
    pub fn new(file: File) -> Result<Self, ParquetError> {
        let reader = SerializedFileReader::new(file)?;
        let schema = reader.metadata().file_metadata().schema();
        let column = |name: &'static str| {
            let mut named = schema.get_fields().iter().filter(|field| field.name() == name && field.is_primitive());
            named.next().cloned().ok_or(ParquetError::Column(name))
        };
        let mut columns: Vec<TypePtr> = vec![column(LEFT)?, column(RIGHT)?, column(PROBABILITY)?];
        columns.extend(column(HOUSEHOLD));
        let wanted = Type::group_type_builder(schema.name()).with_fields(columns).build()?;
        Ok(Self { rows: RowIter::from_file_into(Box::new(reader)).project(Some(wanted))?, row: 0 })
    }

    fn read(&self, row: Row) -> Result<Pair, ParquetError> {
        let bad = |reason: &'static str| ParquetError::Row { row: self.row, reason };
        let (mut left, mut right, mut probability, mut household) = (None, None, None, None);
        for (name, field) in row.into_columns() {
            match name.as_str() {
                LEFT => left = id(field),
                RIGHT => right = id(field),
                PROBABILITY => probability = number(&field),
                HOUSEHOLD => household = Some(field).filter(|field| !matches!(field, Field::Null)),
                _ => {}
            }
        }
        let (Some(left), Some(right)) = (left, right) else { return Err(bad("an ID is no text")) };
        let no_number = || bad("a probability is no number between 0 and 1");
        let household = household.map(|field| number(&field).ok_or_else(no_number)).transpose()?;
        Pair::new(left, right, probability.ok_or_else(no_number)?, household).map_err(bad)
    }
}

impl Iterator for Reader {
    type Item = Result<Pair, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        self.row += 1;
        Some(row.map_err(ParquetError::from).and_then(|row| self.read(row)))
    }
}

/// Text, which older programs do not mark as such; DuckDB writes a UUID as its sixteen bytes.
fn id(field: Field) -> Option<String> {
    match field {
        Field::Str(text) => Some(text),
        Field::Bytes(bytes) => match std::str::from_utf8(bytes.data()) {
            Ok(text) if !text.contains(char::is_control) => Some(text.to_owned()),
            _ => Uuid::from_slice(bytes.data()).ok().map(|id| id.to_string()),
        },
        _ => None,
    }
}

fn number(field: &Field) -> Option<f64> {
    match field {
        Field::Double(number) => Some(*number),
        Field::Float(number) => Some(f64::from(*number)),
        _ => None,
    }
}

/// Writes pairs.
pub struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    group: Group,
}

/// Columns that are to be written together.
#[derive(Default)]
struct Group {
    left: Vec<ByteArray>,
    right: Vec<ByteArray>,
    /// Weight, probability, household.
    numbers: [Vec<f64>; 3],
}

impl<W: Write + Send> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What writing meets.
    pub fn new(to: W) -> Result<Self, ParquetError> {
        let schema = format!(
            "message pairs {{ REQUIRED BYTE_ARRAY {LEFT} (UTF8); REQUIRED BYTE_ARRAY {RIGHT} (UTF8); \
             REQUIRED DOUBLE {WEIGHT}; REQUIRED DOUBLE {PROBABILITY}; REQUIRED DOUBLE {HOUSEHOLD}; }}"
        );
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let file = SerializedFileWriter::new(to, Arc::new(parse_message_type(&schema)?), Arc::new(properties))?;
        Ok(Self { file, group: Group::default() })
    }

    /// One pair.
    ///
    /// # Errors
    /// What writing meets.
    pub fn pair(&mut self, left: &str, right: &str, score: &Score) -> Result<(), ParquetError> {
        self.group.left.push(left.into());
        self.group.right.push(right.into());
        for (column, number) in self.group.numbers.iter_mut().zip([score.bits, score.same, score.household]) {
            column.push(number);
        }
        if self.group.left.len() == GROUP { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), ParquetError> {
        let group = std::mem::take(&mut self.group);
        if group.left.is_empty() {
            return Ok(());
        }
        let mut writer = self.file.next_row_group()?;
        for ids in [&group.left, &group.right] {
            if let Some(mut column) = writer.next_column()? {
                column.typed::<ByteArrayType>().write_batch(ids, None, None)?;
                column.close()?;
            }
        }
        for numbers in &group.numbers {
            if let Some(mut column) = writer.next_column()? {
                column.typed::<DoubleType>().write_batch(numbers, None, None)?;
                column.close()?;
            }
        }
        writer.close()?;
        Ok(())
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    /// What writing meets.
    pub fn finish(mut self) -> Result<W, ParquetError> {
        self.write()?;
        Ok(self.file.into_inner()?)
    }
}
