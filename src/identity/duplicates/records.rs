//! Customer records in memory, as compact as comparing them allows: each distinct text once, each record a fixed row of
//! numbers. Rows are pushed one by one, so the source may be a stream of any length.

use super::hash::Map;
pub use super::intern::Full;
use super::intern::Interner;
use super::normalize::address::{self, Street};
use super::normalize::email::{self, Email};
use super::normalize::name::Name;
use super::normalize::phone::{Phone, PhoneKind};
use super::normalize::{date, fold};

/// How many addresses and how many numbers of one record are compared; further ones are left out.
pub const CLAIMS: usize = 3;
/// How many other attributes a set of records may have.
pub const OTHERS: usize = 4;

/// An address or number, and whether its owner has proved it (recently enough, for a phone).
#[derive(Clone, Copy, Debug, Default)]
pub struct Claim<'a> {
    pub value: &'a str,
    pub proved: bool,
}

/// One customer as it comes in; an empty text is a missing value.
#[derive(Clone, Debug, Default)]
pub struct Person<'a> {
    /// The caller's own number, such as the customer ID. It breaks ties, so that order never matters.
    pub key: u128,
    pub given: &'a str,
    pub family: &'a str,
    /// The whole name, where it is not divided.
    pub name: &'a str,
    pub birth: &'a str,
    pub birth_verified: bool,
    pub gender: &'a str,
    pub emails: &'a [Claim<'a>],
    pub phones: &'a [Claim<'a>],
    pub street: &'a str,
    pub house_number: &'a str,
    pub locality: &'a str,
    pub postcode: &'a str,
    pub region: &'a str,
    /// ISO 3166 alpha-2.
    pub country: &'a str,
    /// Up to four further attributes, each always in the same place.
    pub others: [&'a str; OTHERS],
    /// Identifiers that other systems issued: (namespace, ID), compared byte by byte.
    pub ids: &'a [(u16, &'a str)],
}

/// One record: numbers of texts, 0 for "no value".
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Row {
    pub(super) given: u32,
    pub(super) joined: u32,
    pub(super) middle: char,
    pub(super) family: u32,
    pub(super) parts: [u32; 2],
    pub(super) nicknames: [u16; 2],
    pub(super) birth: u32,
    /// The years of birth that the end of an address may mean.
    pub(super) years: [u32; 2],
    pub(super) emails: [u32; CLAIMS],
    pub(super) locals: [u32; CLAIMS],
    pub(super) phones: [u32; CLAIMS],
    pub(super) street: u32,
    pub(super) number: u32,
    pub(super) locality: u32,
    pub(super) postcode: u32,
    pub(super) region: u32,
    pub(super) others: [u32; OTHERS],
    pub(super) generation: u8,
    pub(super) gender: u8,
    /// One bit for each address, number, and one for the birth date.
    pub(super) proved_emails: u8,
    pub(super) proved_phones: u8,
    /// One bit for each address that is a family's.
    pub(super) family_emails: u8,
    pub(super) phone_kinds: [PhoneKind; CLAIMS],
    pub(super) birth_verified: bool,
}

impl Row {
    /// Whether an address of the record is one of those whose bits are set.
    pub(super) fn is_among(&self, email: u32, bits: u8) -> bool {
        self.emails.iter().position(|known| *known == email).is_some_and(|at| bits >> at & 1 == 1)
    }

    /// What is known of the kind of one of the record's numbers.
    pub(super) fn phone_kind(&self, number: u32) -> PhoneKind {
        let found = self.phones.iter().zip(self.phone_kinds).find(|(phone, _)| **phone == number);
        found.map(|(_, kind)| kind).unwrap_or_default()
    }
}

/// A set of records that can be compared with each other.
#[derive(Clone, Debug, Default)]
pub struct Records {
    pub(super) texts: Interner,
    rows: Vec<Row>,
    keys: Vec<u128>,
    ids: Map<u32, Vec<(u16, u32)>>,
}

impl Records {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Normalizes and adds a record; its index is the number of records before it.
    ///
    /// # Errors
    /// `Full` after 4 GiB of distinct text.
    pub fn push(&mut self, person: &Person<'_>) -> Result<u32, Full> {
        let index = u32::try_from(self.rows.len()).map_err(|_| Full)?;
        let mut name = Name::new(person.given, person.family, person.name);
        email::complete(&mut name, person.emails.iter().map(|claim| claim.value));
        let street = Street::new(person.street, person.house_number);
        let mut row = Row {
            given: self.texts.number(&name.given)?,
            joined: self.texts.number(&name.joined)?,
            middle: name.middle.unwrap_or_default(),
            family: self.texts.number(&name.family)?,
            parts: [self.texts.number(&name.parts[0])?, self.texts.number(&name.parts[1])?],
            nicknames: name.nicknames,
            birth: date::birth(person.birth),
            street: self.texts.number(&street.street)?,
            number: self.texts.number(&street.number)?,
            locality: self.texts.number(&address::locality(person.locality))?,
            postcode: self.texts.number(&address::postcode(person.postcode))?,
            region: self.texts.number(&address::locality(person.region))?,
            generation: name.generation,
            gender: gender(person.gender),
            birth_verified: person.birth_verified,
            ..Row::default()
        };
        self.push_emails(person, &name, &mut row)?;
        self.push_phones(person, &mut row)?;
        for (place, text) in row.others.iter_mut().zip(person.others) {
            *place = self.texts.number(&fold(text).replace(' ', ""))?;
        }
        let ids = person.ids.iter().map(|(namespace, id)| Ok((*namespace, self.texts.number(id)?)));
        let ids = ids.collect::<Result<Vec<_>, Full>>()?;
        if !ids.is_empty() {
            self.ids.insert(index, ids);
        }
        self.rows.push(row);
        self.keys.push(person.key);
        Ok(index)
    }

    fn push_emails(&mut self, person: &Person<'_>, name: &Name, row: &mut Row) -> Result<(), Full> {
        let mut free = row.emails.iter_mut().zip(&mut row.locals).enumerate();
        for claim in person.emails {
            let email = Email::new(claim.value);
            if email.folded.is_empty() {
                continue;
            }
            let Some((at, (folded, local))) = free.next() else { break };
            *folded = self.texts.number(&email.folded)?;
            // "john.smith" at two providers is two people named so as easily as one.
            *local =
                if email::is_of_name(&email.local, name, row.birth) { 0 } else { self.texts.number(&email.local)? };
            row.family_emails |= u8::from(email.is_family) << at;
            if row.years == [0; 2] {
                row.years = email::years(claim.value);
            }
            row.proved_emails |= u8::from(claim.proved) << at;
        }
        Ok(())
    }

    fn push_phones(&mut self, person: &Person<'_>, row: &mut Row) -> Result<(), Full> {
        let mut free = row.phones.iter_mut().zip(&mut row.phone_kinds).enumerate();
        for claim in person.phones {
            let Phone { number, kind } = Phone::new(claim.value, person.country);
            if number.is_empty() {
                continue;
            }
            let Some((at, (place, place_of_kind))) = free.next() else { break };
            (*place, *place_of_kind) = (self.texts.number(&number)?, kind);
            row.proved_phones |= u8::from(claim.proved) << at;
        }
        Ok(())
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The caller's number of a record.
    pub fn key(&self, index: u32) -> u128 {
        self.keys.get(index as usize).copied().unwrap_or_default()
    }

    pub(super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(super) fn row(&self, index: u32) -> Row {
        self.rows.get(index as usize).copied().unwrap_or_default()
    }

    /// The identifiers of a record: namespace and number of the text.
    pub(super) fn ids(&self, index: u32) -> &[(u16, u32)] {
        self.ids.get(&index).map(Vec::as_slice).unwrap_or_default()
    }
}

/// 1 female, 2 male, 3 neither; 0 unknown.
fn gender(text: &str) -> u8 {
    match fold(text).as_str() {
        "f" | "female" | "w" | "woman" | "frau" | "weiblich" | "femme" | "mujer" => 1,
        "m" | "male" | "man" | "mann" | "mannlich" | "homme" | "hombre" => 2,
        "x" | "d" | "other" | "diverse" | "divers" | "non binary" => 3,
        _ => 0,
    }
}
