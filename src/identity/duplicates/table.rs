//! People from a delimited file, such as an export of another system: which column is what is told by its name, or by
//! whoever has the file. So duplicates can be looked for before anything is installed, and by data that are labelled.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::BufRead;

use super::records::{Claim, Full, OTHERS, Person, Records};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// The record's own name in the file; without one it is called by its number, from 1.
    Id,
    /// Which person it is, where that is known: never compared, only used to count what is right.
    Truth,
    Given,
    Family,
    Name,
    Birth,
    Gender,
    Email,
    Phone,
    Street,
    HouseNumber,
    Locality,
    Postcode,
    Region,
    Country,
    /// Anything else that one person shares with themselves more often than with strangers.
    Other,
    /// Left out.
    Ignore,
}

/// Each attribute, what it is called on the command line, and what files call it, in letters and digits only.
const NAMES: [(Attribute, &str, &[&str]); 17] = [
    (Attribute::Id, "id", &["id", "uniqueid", "recid", "recordid", "customerid", "userid", "key"]),
    (Attribute::Truth, "truth", &["truth", "cluster", "clusterid", "entityid", "personid", "label"]),
    (Attribute::Given, "given", &["given", "givenname", "firstname", "forename", "fname", "vorname", "prenom"]),
    (Attribute::Family, "family", &["family", "familyname", "surname", "lastname", "lname", "nachname", "nom"]),
    (Attribute::Name, "name", &["name", "fullname", "displayname", "customername"]),
    (Attribute::Birth, "birth", &["birth", "birthdate", "dateofbirth", "dob", "birthday", "geburtsdatum"]),
    (Attribute::Gender, "gender", &["gender", "sex", "geschlecht"]),
    (Attribute::Email, "email", &["email", "emailaddress", "mail", "email1", "email2", "email3"]),
    (
        Attribute::Phone,
        "phone",
        &["phone", "phonenumber", "mobile", "mobilephone", "telephone", "tel", "homephone", "phone1", "phone2"],
    ),
    (
        Attribute::Street,
        "street",
        &["street", "streetname", "streetaddress", "address", "addr", "address1", "addressline1", "strasse"],
    ),
    (Attribute::HouseNumber, "house_number", &["housenumber", "streetnumber", "hausnummer"]),
    (Attribute::Locality, "locality", &["locality", "city", "town", "suburb", "ort"]),
    (Attribute::Postcode, "postcode", &["postcode", "postalcode", "zip", "zipcode", "plz"]),
    (Attribute::Region, "region", &["region", "state", "province", "county"]),
    (Attribute::Country, "country", &["country", "countrycode"]),
    (Attribute::Other, "other", &["address2", "addressline2"]),
    (Attribute::Ignore, "ignore", &[]),
];

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

impl Attribute {
    /// The attribute of a name on the command line.
    ///
    /// # Errors
    /// The names there are.
    pub fn named(name: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(_, known, _)| *known == name);
        found.map(|(attribute, ..)| *attribute).ok_or_else(|| {
            let names: Vec<&str> = NAMES.iter().map(|(_, name, _)| *name).collect();
            format!("{name:?} is no attribute; there are {}", names.join(", "))
        })
    }

    /// What it is called on the command line.
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(attribute, ..)| *attribute == self).map_or("ignore", |(_, name, _)| name)
    }

    fn of_column(column: &str) -> Self {
        let letters = column.chars().filter(|letter| letter.is_alphanumeric());
        let plain: String = letters.flat_map(char::to_lowercase).collect();
        let known = NAMES.iter().find(|(_, _, columns)| columns.contains(&plain.as_str()));
        known.map_or(Self::Ignore, |(attribute, ..)| *attribute)
    }
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
}

impl Table {
    /// Adds the records of a file. `chosen` says what columns are whose name does not tell, or tells wrongly. The
    /// delimiter is the comma, semicolon, tab or bar that the first line has most of; text that is not UTF-8 is read as
    /// Latin-1.
    ///
    /// # Errors
    /// `TableError` names the line and what is wrong with it.
    pub fn read(&mut self, mut from: impl BufRead, chosen: &[(String, Attribute)]) -> Result<(), TableError> {
        let delimiter = delimiter(from.fill_buf()?);
        let mut from = csv::ReaderBuilder::new().flexible(true).delimiter(delimiter).from_reader(from);
        let names: Vec<String> = from.byte_headers()?.iter().map(|name| text(name).trim().to_owned()).collect();
        let columns = columns(&names, chosen)?;
        self.columns = names.into_iter().zip(columns).collect();
        let mut row = csv::ByteRecord::new();
        while from.read_byte_record(&mut row)? {
            let line = row.position().map_or(0, csv::Position::line);
            self.push(&row, line)?;
        }
        if self.truth.iter().all(Option::is_none) {
            self.truth.clear();
        }
        Ok(())
    }

    fn push(&mut self, row: &csv::ByteRecord, line: u64) -> Result<(), TableError> {
        let fields: Vec<(Attribute, String)> = (self.columns.iter().zip(row))
            .map(|((_, attribute), field)| (*attribute, text(field).trim().to_owned()))
            .collect();
        let all = |wanted: Attribute| fields.iter().filter(move |(attribute, _)| *attribute == wanted);
        let first = |wanted| all(wanted).map(|(_, value)| value.as_str()).find(|value| !value.is_empty());
        let one = |wanted| first(wanted).unwrap_or_default();
        let claims = |wanted| -> Vec<Claim<'_>> {
            all(wanted)
                .map(|(_, value)| Claim { value, proved: false })
                .filter(|claim| !claim.value.is_empty())
                .collect()
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
            given: one(Attribute::Given),
            family: one(Attribute::Family),
            name: one(Attribute::Name),
            birth: one(Attribute::Birth),
            gender: one(Attribute::Gender),
            emails: &claims(Attribute::Email),
            phones: &claims(Attribute::Phone),
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
            Entry::Occupied(taken) => return Err(TableError::Twice { line, id: taken.key().clone() }),
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
    let columns: Vec<Attribute> =
        names.iter().map(|name| of(name).unwrap_or_else(|| Attribute::of_column(name))).collect();
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
