//! Each distinct text once, numbered from 1; 0 is "no value". Equal numbers are equal texts.

use super::hash;

/// The texts of one set of records.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    bytes: Vec<u8>,
    /// Where each text ends; the first begins at 0.
    ends: Vec<u32>,
    /// Open addressing with a power of two of places; 0 is free.
    table: Vec<u32>,
}

/// More text than 32-bit offsets reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more distinct text than one set of records can hold (4 GiB)")]
pub struct Full;

impl Interner {
    /// The number of a text; 0 for the empty one.
    pub(super) fn number(&mut self, text: &str) -> Result<u32, Full> {
        if text.is_empty() {
            return Ok(0);
        }
        if (self.ends.len() + 1) * 2 > self.table.len() {
            self.grow();
        }
        let mask = self.table.len() - 1;
        let mut at = hash::text(text.as_bytes()) as usize & mask;
        loop {
            match self.table.get(at).copied().unwrap_or_default() {
                0 => break,
                number if self.bytes_of(number) == text.as_bytes() => return Ok(number),
                _ => at = (at + 1) & mask,
            }
        }
        let end = u32::try_from(self.bytes.len() + text.len()).map_err(|_| Full)?;
        let number = u32::try_from(self.ends.len() + 1).map_err(|_| Full)?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(end);
        if let Some(place) = self.table.get_mut(at) {
            *place = number;
        }
        Ok(number)
    }

    /// The text of a number, empty if there is none.
    pub(super) fn bytes_of(&self, number: u32) -> &[u8] {
        let Some(index) = (number as usize).checked_sub(1) else { return &[] };
        let begin = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.bytes.get(begin as usize..end as usize).unwrap_or_default()
    }

    pub(super) fn text_of(&self, number: u32) -> &str {
        std::str::from_utf8(self.bytes_of(number)).unwrap_or_default()
    }

    /// How many texts there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(1024);
        let mut table = vec![0_u32; size];
        for number in (1_u32..).take(self.ends.len()) {
            let mut at = hash::text(self.bytes_of(number)) as usize & (size - 1);
            while table.get(at).is_some_and(|taken| *taken != 0) {
                at = (at + 1) & (size - 1);
            }
            if let Some(place) = table.get_mut(at) {
                *place = number;
            }
        }
        self.table = table;
    }
}
