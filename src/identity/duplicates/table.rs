//! People from a delimited file, such as an export of another system: which column is what is told by its name, or by
//! whoever has the file. So duplicates can be looked for before anything is installed, and by data that are labelled.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{BufRead, BufReader};

pub use super::columns::Attribute;
use super::columns::of_names;
use super::normalize::date;
use super::records::{Claim, Full, OTHERS, Person, Records};
use super::utf16::Utf16;

/// Rows that are read before the first is taken, to see how the file writes dates.
const LOOKED_AT: usize = 1000;

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    #[error(transparent)]
    Csv(#[from] csv::Error),
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("the first line has no column {0}; it has: {1}")]
    NoColumn(String, String),
    #[error("none of the columns is known: {0}; say which is what, such as --column NAME=family")]
    NothingKnown(String),
    #[error("at most {OTHERS} columns can be other attributes")]
    Others,
    #[error("line {line}: the ID {id:?} is that of another record too")]
    Twice { line: u64, id: String },
    #[error("line {line}: it has no ID")]
    NoId { line: u64 },
    #[error("there is more text than fits in memory")]
    Full(#[from] Full),
}

/// The records of one or several files.
#[derive(Debug, Default)]
pub struct Table {
    pub records: Records,
    /// What each record is called.
    pub ids: Vec<String>,
    /// Whose each record is, as a number for each label; `None` where it is not labelled. Empty if nothing is.
    pub truth: Vec<Option<u32>>,
    /// The columns of the last file, and what each was taken for.
    pub columns: Vec<(String, Attribute)>,
    places: HashMap<String, usize>,
    labels: HashMap<String, u32>,
    /// In the file at hand dates are written month first.
    month_first: bool,
}

impl Table {
    /// Adds the records of a file. `chosen` says what columns are whose name does not tell, or tells wrongly. The
    /// delimiter is the comma, semicolon, tab or bar that the first line has most of; text is UTF-16 where a mark says so,
    /// and Latin-1 where it is not UTF-8.
    ///
    /// # Errors
    /// `TableError` names the line and what is wrong with it.
    pub fn read(&mut self, mut from: impl BufRead, chosen: &[(String, Attribute)]) -> Result<(), TableError> {
        match from.fill_buf()? {
            [0xff, 0xfe, ..] => self.read_utf8(BufReader::new(Utf16::new(from, u16::from_le_bytes)), chosen),
            [0xfe, 0xff, ..] => self.read_utf8(BufReader::new(Utf16::new(from, u16::from_be_bytes)), chosen),
            _ => self.read_utf8(from, chosen),
        }
    }

    fn read_utf8(&mut self, mut from: impl BufRead, chosen: &[(String, Attribute)]) -> Result<(), TableError> {
        let beginning = from.fill_buf()?;
        let delimiter = match beginning.strip_prefix(b"\xef\xbb\xbf").unwrap_or(beginning) {
            // What Excel writes above the names, for itself.
            [b's', b'e', b'p', b'=', said, b'\r' | b'\n', ..] => {
                let said = *said;
                from.skip_until(b'\n')?;
                said
            }
            _ => delimiter(beginning),
        };
        let mut from = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(from);
        let names: Vec<String> = from.byte_headers()?.iter().map(|name| text(name).trim().to_owned()).collect();
        let columns = columns(&names, chosen)?;
        self.columns = names.into_iter().zip(columns).collect();
        let beginning = from.byte_records().take(LOOKED_AT).collect::<Result<Vec<_>, _>>()?;
        self.month_first = date::is_month_first(beginning.iter().flat_map(|row| self.births(row)));
        for row in &beginning {
            self.push(row)?;
        }
        let mut row = csv::ByteRecord::new();
        while from.read_byte_record(&mut row)? {
            self.push(&row)?;
        }
        if self.truth.iter().all(Option::is_none) {
            self.truth.clear();
        }
        Ok(())
    }

    /// The dates of birth of a row, as they are written.
    fn births<'a>(&self, row: &'a csv::ByteRecord) -> impl Iterator<Item = String> + use<'a, '_> {
        let columns = self.columns.iter().zip(row);
        columns.filter(|((_, attribute), _)| *attribute == Attribute::Birth).map(|(_, field)| text(field))
    }

    fn push(&mut self, row: &csv::ByteRecord) -> Result<(), TableError> {
        let line = row.position().map_or(0, csv::Position::line);
        let fields: Vec<(Attribute, String)> = (self.columns.iter().zip(row))
            .map(|((_, attribute), field)| (*attribute, text(field).trim().to_owned()))
            .collect();
        let all = |wanted: Attribute| fields.iter().filter(move |(attribute, _)| *attribute == wanted);
        let first = |wanted| all(wanted).map(|(_, value)| value.as_str()).find(|value| !value.is_empty());
        let one = |wanted| first(wanted).unwrap_or_default();
        // Names in several columns are one name: a second given name, a second surname.
        let joined = |wanted| {
            let mut parts: Vec<&str> = all(wanted).map(|(_, value)| value.as_str()).collect();
            parts.dedup();
            // A middle initial is no given name.
            if parts.first().is_none_or(|first| first.is_empty()) {
                String::new()
            } else {
                parts.join(" ").trim().to_owned()
            }
        };
        let (given, family) = (joined(Attribute::Given), joined(Attribute::Family));
        let birth = match one(Attribute::Birth) {
            "" => date::from_parts(one(Attribute::BirthYear), one(Attribute::BirthMonth), one(Attribute::BirthDay)),
            birth if self.month_first => date::day_first(birth),
            birth => birth.to_owned(),
        };
        // A cell may hold several: a number has blanks in it, an address has none.
        let claims = |wanted, apart: &'static [char]| -> Vec<Claim<'_>> {
            let values = all(wanted).flat_map(|(_, value)| value.split(apart)).map(str::trim);
            values.filter(|value| !value.is_empty()).map(|value| Claim { value, proved: false }).collect()
        };
        let mut others = [""; OTHERS];
        for (place, (_, value)) in others.iter_mut().zip(all(Attribute::Other)) {
            *place = value;
        }
        let index = self.ids.len();
        let id = match (self.columns.iter().any(|(_, attribute)| *attribute == Attribute::Id), first(Attribute::Id)) {
            (true, None) => return Err(TableError::NoId { line }),
            (_, Some(id)) => id.to_owned(),
            (false, None) => (index + 1).to_string(),
        };
        let person = Person {
            key: index as u128,
            given: &given,
            family: &family,
            name: one(Attribute::Name),
            birth: &birth,
            gender: one(Attribute::Gender),
            emails: &claims(Attribute::Email, &[';', ',', '|', '\n', ' ']),
            phones: &claims(Attribute::Phone, &[';', ',', '|', '\n']),
            street: one(Attribute::Street),
            house_number: one(Attribute::HouseNumber),
            locality: one(Attribute::Locality),
            postcode: one(Attribute::Postcode),
            region: one(Attribute::Region),
            country: one(Attribute::Country),
            others,
            ..Person::default()
        };
        match self.places.entry(id) {
            Entry::Occupied(taken) => {
                return Err(TableError::Twice { line, id: taken.key().clone() });
            }
            Entry::Vacant(free) => {
                self.ids.push(free.key().clone());
                free.insert(index);
            }
        }
        self.records.push(&person)?;
        let label = first(Attribute::Truth).map(|label| {
            let next = self.labels.len() as u32;
            *self.labels.entry(label.to_owned()).or_insert(next)
        });
        self.truth.push(label);
        Ok(())
    }
}

/// What each column is: as chosen, else by its name.
fn columns(names: &[String], chosen: &[(String, Attribute)]) -> Result<Vec<Attribute>, TableError> {
    if let Some((missing, _)) = chosen.iter().find(|(name, _)| !names.contains(name)) {
        return Err(TableError::NoColumn(missing.clone(), names.join(", ")));
    }
    let of = |name: &String| chosen.iter().find(|(column, _)| column == name).map(|(_, attribute)| *attribute);
    let (said, told): (Vec<_>, Vec<_>) =
        names.iter().map(|name| (of(name), name)).partition(|(said, _)| said.is_some());
    let told: Vec<String> = told.into_iter().map(|(_, name)| name.clone()).collect();
    let said_others = said.iter().filter(|(said, _)| *said == Some(Attribute::Other)).count();
    let mut told = of_names(&told, OTHERS.saturating_sub(said_others)).into_iter();
    let columns: Vec<Attribute> =
        names.iter().map(|name| of(name).or_else(|| told.next()).unwrap_or(Attribute::Ignore)).collect();
    if columns.iter().all(|column| matches!(column, Attribute::Id | Attribute::Truth | Attribute::Ignore)) {
        return Err(TableError::NothingKnown(names.join(", ")));
    }
    if columns.iter().filter(|column| **column == Attribute::Other).count() > OTHERS {
        return Err(TableError::Others);
    }
    Ok(columns)
}

/// The delimiter that the first line has most of.
fn delimiter(beginning: &[u8]) -> u8 {
    let line = beginning.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    // Of several with the same count `max_by_key` takes the last, which is the comma.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

/// UTF-8, or Latin-1 where it is not; without a byte order mark.
fn text(bytes: &[u8]) -> String {
    let text =
        std::str::from_utf8(bytes).map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned);
    text.trim_start_matches('\u{feff}').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::{Blocks, Model};
    use super::*;

    fn read(text: &str) -> Table {
        let mut table = Table::default();
        table.read(text.as_bytes(), &[]).unwrap();
        table
    }

    #[test]
    fn a_date_is_read_as_the_file_writes_dates() {
        let table = read("name,dob\nA,03/04/1984\nB,12/31/1999\n");
        assert_eq!(table.records.row(0).birth, 19840304);
        let table = read("name,dob\nA,03/04/1984\nB,31/12/1999\n");
        assert_eq!(table.records.row(0).birth, 19840403);
    }

    #[test]
    fn a_file_is_read_as_spreadsheets_write_it() {
        let plain = "name;dob;email\nJosé 𝒜 Gil;03.04.1984;a.gil@x.example, josegil@y.example\n";
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        let little: Vec<u8> = units(&format!("\u{feff}{plain}")).iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units(&format!("\u{feff}{plain}")).iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let marked = format!("\u{feff}sep=;\r\n{plain}").into_bytes();
        for bytes in [plain.as_bytes().to_vec(), little, big, marked] {
            let mut table = Table::default();
            table.read(bytes.as_slice(), &[]).unwrap();
            let row = table.records.row(0);
            assert_eq!((table.ids.len(), row.birth), (1, 19840403));
            assert_eq!(row.emails.map(|email| email != 0), [true, true, false]);
            assert_eq!(table.records.texts.bytes_of(row.family), b"gil");
        }
    }

    #[test]
    fn what_stands_in_several_columns_is_one_value() {
        let table =
            read("fname_c1,fname_c2,surname,by,bm,bd\nMary,Ann,Smith,1984,2,9\nMary,,Smith,1984,,\n,B,Smith,,,\n");
        let texts = &table.records.texts;
        assert_eq!(texts.bytes_of(table.records.row(0).joined), b"maryann");
        assert_eq!(table.records.row(2).given, 0, "a middle initial alone is no given name");
        assert_eq!([0, 1].map(|index| table.records.row(index).birth), [19840209, 19840000]);
    }

    #[test]
    fn a_file_without_records_has_no_duplicates() {
        let table = read("name,dob\n");
        let blocks = Blocks::new(&table.records);
        assert!(blocks.units(1).is_empty());
        assert_eq!(Model::fit(&table.records, &blocks).records, 0);
    }
}
