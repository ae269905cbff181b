//! Each distinct text once, numbered from 1; 0 is "no value". Equal numbers are equal texts.

use super::hash;
use super::similarity::Letters;

/// The texts of one set of records.
#[derive(Clone, Debug, Default)]
pub(super) struct Interner {
    bytes: Vec<u8>,
    /// Where each text ends; the first begins at 0.
    ends: Vec<u32>,
    /// Which letters each text has.
    letters: Vec<Letters>,
    /// Open addressing: half of the hash above, the number below; 0 is free. Most look-ups are decided by the hash
    /// without touching the text. The half gives the place as well, so that growing needs no text either.
    table: Vec<u64>,
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
        let last = self.table.len() - 1;
        let tag = hash::text(text.as_bytes()) >> 32 << 32;
        let mut at = place(tag, self.table.len());
        loop {
            match self.table.get(at).copied().unwrap_or_default() {
                0 => break,
                entry if entry >> 32 << 32 == tag && self.bytes_of(entry as u32) == text.as_bytes() => {
                    return Ok(entry as u32);
                }
                _ => at = if at == last { 0 } else { at + 1 },
            }
        }
        let end = u32::try_from(self.bytes.len() + text.len()).map_err(|_| Full)?;
        let number = u32::try_from(self.ends.len() + 1).map_err(|_| Full)?;
        self.bytes.extend_from_slice(text.as_bytes());
        self.ends.push(end);
        self.letters.push(Letters::of(text.as_bytes()));
        if let Some(place) = self.table.get_mut(at) {
            *place = tag | u64::from(number);
        }
        Ok(number)
    }

    /// How many texts there are; the highest number.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The text of a number, empty if there is none.
    pub(super) fn bytes_of(&self, number: u32) -> &[u8] {
        let Some(index) = (number as usize).checked_sub(1) else { return &[] };
        let begin = index.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        let end = self.ends.get(index).copied().unwrap_or_default();
        self.bytes.get(begin as usize..end as usize).unwrap_or_default()
    }

    /// The letters of the text of a number.
    pub(super) fn letters_of(&self, number: u32) -> Letters {
        let index = (number as usize).checked_sub(1);
        index.and_then(|index| self.letters.get(index)).copied().unwrap_or_default()
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(1024);
        let mut table = vec![0_u64; size];
        for entry in std::mem::take(&mut self.table).into_iter().filter(|entry| *entry != 0) {
            let mut at = place(entry, size);
            while table.get(at).is_some_and(|taken| *taken != 0) {
                at = if at == size - 1 { 0 } else { at + 1 };
            }
            if let Some(free) = table.get_mut(at) {
                *free = entry;
            }
        }
        self.table = table;
    }
}

/// Where the search for an entry begins in a table of a size.
const fn place(entry: u64, size: usize) -> usize {
    (((entry >> 32) * size as u64) >> 32) as usize
}
