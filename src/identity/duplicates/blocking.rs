//! Which pairs are looked at: those that share a key. A union of equality joins, with a cap on what one key may join.
//!
//! A pair is found once, in the first block that its records share, so that nothing about pairs needs remembering and
//! work can be cut at any block and taken up again there. Keys are stable hashes: a database can index them and find
//! the candidates of one new record by the same rules ([`keys_of`]).

use serde::{Deserialize, Serialize};

use super::hash::{Set, mix, text};
use super::normalize::name::skeleton;
use super::records::{CLAIMS, Records, Row};

/// A key that more records share joins strangers, not duplicates.
pub const LARGEST_BLOCK: usize = 200;
/// The same of a loose kind, as long as it is not known how many pairs that makes.
const LOOSE_BLOCK: usize = 16;
/// Pairs that a loose kind of key may add for each record; larger blocks are left out first.
const LOOSE_PAIRS: f64 = 0.2;
/// So many it may add in any case: few records can afford every key.
const LOOSE_PAIRS_AT_LEAST: f64 = 100_000.0;

/// The kinds of key, the most telling first. Several slots of one kind are alternatives.
const KINDS: [Kind; SEVERAL + SINGLES] = kinds();
/// The kinds with several values: addresses, numbers, local parts.
const SEVERAL: usize = 3;
/// The kinds with one value each, in the order of [`singles`]: first those that tell people apart in any crowd.
const STRICT: usize = 11;
const LOOSE: usize = 19;
const SINGLES: usize = STRICT + LOOSE;
const SLOTS: usize = 3 * CLAIMS + SINGLES;

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and would refuse an index out of bounds")]
const fn kinds() -> [Kind; SEVERAL + SINGLES] {
    let mut kinds = [Kind { first: 0, slots: CLAIMS, loose: false }; SEVERAL + SINGLES];
    kinds[1].first = CLAIMS;
    kinds[2] = Kind { first: 2 * CLAIMS, slots: CLAIMS, loose: true };
    let mut number = 0;
    while number < SINGLES {
        kinds[SEVERAL + number] = Kind { first: 3 * CLAIMS + number, slots: 1, loose: number >= STRICT };
        number += 1;
    }
    kinds
}

#[derive(Clone, Copy, Debug)]
struct Kind {
    first: usize,
    slots: usize,
    /// Joins many strangers where there are many records.
    loose: bool,
}

/// The largest block of each kind of key that is looked at: what one record may find, however many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Caps(Vec<usize>);

impl Caps {
    /// Of one kind of key, as [`keys_of`] numbers them; 0 for a kind that there is not.
    pub fn of(&self, kind: u8) -> usize {
        self.0.get(usize::from(kind)).copied().unwrap_or_default()
    }

    /// Whether they are those of the kinds that there are: another version of this program may have others.
    pub fn fit(&self) -> bool {
        self.0.len() == KINDS.len()
    }
}

/// As long as nobody has sorted all records.
impl Default for Caps {
    fn default() -> Self {
        Self(KINDS.iter().map(|kind| if kind.loose { LOOSE_BLOCK } else { LARGEST_BLOCK }).collect())
    }
}

/// The blocks of a set of records.
#[derive(Debug)]
pub struct Blocks {
    joins: Vec<Join>,
    /// For each record and slot the block it is in, 0 for none.
    slots: Vec<[u32; SLOTS]>,
}

/// One kind's blocks, one after the other.
#[derive(Debug, Default)]
struct Join {
    /// The largest block that it may have.
    largest: usize,
    /// Where each block begins in `rows`; the last is the end.
    starts: Vec<u32>,
    rows: Vec<u32>,
}

/// A piece of the work: some blocks of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    kind: usize,
    blocks: std::ops::Range<u32>,
    /// Pairs in it, counted before those are left out that another block has.
    pub pairs: u64,
}

/// How texts become keys: by what they are, so that any set of records gives the same keys, or by their number in one
/// set, which is sooner known.
trait Texts {
    /// Names a text; 0 if there is none.
    fn name(&self, number: u32) -> u64;
    /// Names its sound.
    fn sound(&mut self, number: u32) -> u64;
}

/// The same in any set of records.
struct Stable<'a>(&'a Records);

/// The same within one set. Sounds are kept once they are known.
struct Numbered<'a> {
    records: &'a Records,
    sounds: Vec<u64>,
}

/// No sound has all bits.
const NOT_YET: u64 = u64::MAX;

impl Texts for Stable<'_> {
    fn name(&self, number: u32) -> u64 {
        if number == 0 { 0 } else { text(self.0.texts.bytes_of(number)) }
    }

    fn sound(&mut self, number: u32) -> u64 {
        skeleton(std::str::from_utf8(self.0.texts.bytes_of(number)).unwrap_or_default())
    }
}

impl Texts for Numbered<'_> {
    fn name(&self, number: u32) -> u64 {
        if number == 0 { 0 } else { mix(u64::from(number), 1) | 1 }
    }

    fn sound(&mut self, number: u32) -> u64 {
        let Some(known) = self.sounds.get_mut(number as usize) else { return Stable(self.records).sound(number) };
        if *known == NOT_YET {
            *known = Stable(self.records).sound(number);
        }
        *known
    }
}

/// The blocking keys of a record, those of several values of a kind one after the other; 0 for none.
fn keys(records: &Records, row: &Row, texts: &mut impl Texts) -> [u64; SLOTS] {
    let mut keys = [0; SLOTS];
    let (several, single) = keys.split_at_mut(3 * CLAIMS);
    for (place, number) in several.iter_mut().zip(row.emails.into_iter().chain(row.phones).chain(row.locals)) {
        *place = texts.name(number);
    }
    single.copy_from_slice(&singles(records, row, texts));
    keys
}

fn singles(records: &Records, row: &Row, texts: &mut impl Texts) -> [u64; SINGLES] {
    let (given, family, street_sound) = (texts.sound(row.given), texts.sound(row.family), texts.sound(row.street));
    let town = texts.sound(row.locality);
    let hash = |number: u32| texts.name(number);
    // Exchanged names have the same sum.
    let sum = |x: u64, y: u64| if x == 0 || y == 0 { 0 } else { mix(x, 1).wrapping_add(mix(y, 1)) | 1 };
    let (names, sounds) = (sum(hash(row.joined), hash(row.family)), sum(given, family));
    let initial = u64::from(records.texts.bytes_of(row.given).first().copied().unwrap_or_default());
    let (birth, year) =
        (if row.birth.is_multiple_of(10_000) { 0 } else { u64::from(row.birth) }, u64::from(row.birth / 10_000));
    let (month, day) = (birth / 100 % 100, birth % 100);
    // Day and month exchanged give the same number.
    let birth_parts = join(&[birth.min(1), year, month.min(day), month.max(day)]);
    let (street, number, postcode, locality) =
        (hash(row.street), hash(row.number), hash(row.postcode), hash(row.locality));
    let other = hash(row.others[0]);
    [
        join(&[birth, sounds]),
        join(&[names, postcode]),
        join(&[birth, family]),
        join(&[birth, postcode]),
        join(&[birth, street]),
        join(&[names, locality]),
        join(&[street, number, family]),
        join(&[street, number, initial]),
        join(&[family, initial, postcode]),
        join(&[names, year]),
        join(&[birth_parts, given]),
        names,
        join(&[street, number, postcode]),
        join(&[family, postcode]),
        join(&[given, postcode]),
        join(&[number, postcode]),
        join(&[street_sound, number, town]),
        join(&[street_sound, postcode]),
        join(&[family, town, initial]),
        join(&[birth_parts, town]),
        sounds,
        birth_parts,
        join(&[given, town, year]),
        join(&[other, postcode]),
        join(&[other, family]),
        join(&[other, given]),
        join(&[other, locality, number]),
        join(&[street_sound, number]),
        join(&[given, street_sound, town]),
        join(&[number, town]),
    ]
}

/// Several parts into one key; 0 if one is missing.
fn join(parts: &[u64]) -> u64 {
    if parts.contains(&0) { 0 } else { parts.iter().fold(parts.len() as u64, |key, part| mix(key, *part)) | 1 }
}

/// The keys of one record as (kind, hash), for an index that finds its candidates.
pub fn keys_of(records: &Records, index: u32) -> Vec<(u8, u64)> {
    let keys = keys(records, &records.row(index), &mut Stable(records));
    let of_kind = |(number, kind): (usize, &Kind)| {
        let slots = keys.iter().skip(kind.first).take(kind.slots);
        slots.filter(|key| **key != 0).map(|key| (number as u8, *key)).collect::<Vec<_>>()
    };
    KINDS.iter().enumerate().flat_map(of_kind).collect()
}

impl Blocks {
    /// Sorts the records into blocks.
    pub fn new(records: &Records) -> Self {
        let mut slots = vec![[0; SLOTS]; records.len()];
        let mut joins = Vec::with_capacity(KINDS.len());
        // Room that is not used costs nothing; growing would copy.
        let mut columns: Vec<Vec<u64>> = KINDS.iter().map(|_| Vec::with_capacity(records.len())).collect();
        let mut texts = Numbered { records, sounds: vec![NOT_YET; records.texts.len() + 1] };
        let width = usize::BITS - records.len().leading_zeros();
        for (index, row) in records.rows().iter().enumerate() {
            let keys = keys(records, row, &mut texts);
            for (kind, column) in KINDS.iter().zip(&mut columns) {
                for key in keys.iter().skip(kind.first).take(kind.slots).filter(|key| **key != 0) {
                    // The hash above, the record below: one sort of plain numbers brings equal keys together.
                    column.push(key >> width << width | index as u64);
                }
            }
        }
        for (kind, column) in KINDS.iter().zip(&mut columns) {
            let mut column = std::mem::take(column);
            column.sort_unstable();
            column.dedup();
            joins.push(Join::new(*kind, &column, width, &mut slots));
        }
        Self { joins, slots }
    }

    /// How large blocks are, so that one record finds by its keys whom it meets here.
    pub fn caps(&self) -> Caps {
        Caps(self.joins.iter().map(|join| join.largest).collect())
    }

    /// The work, cut into units of about `pairs` pairs. The same records give the same units.
    pub fn units(&self, pairs: u64) -> Vec<Unit> {
        let mut units = Vec::new();
        for (kind, join) in self.joins.iter().enumerate() {
            let mut unit = Unit { kind, blocks: 0..0, pairs: 0 };
            for (block, bounds) in (0_u32..).zip(join.starts.windows(2)) {
                let [begin, end] = bounds else { continue };
                let members = u64::from(end - begin);
                unit.pairs += members * (members - 1) / 2;
                unit.blocks.end = block + 1;
                if unit.pairs >= pairs {
                    units.push(unit.clone());
                    unit = Unit { kind, blocks: block + 1..block + 1, pairs: 0 };
                }
            }
            if !unit.blocks.is_empty() {
                units.push(unit);
            }
        }
        units
    }

    /// One unit for each kind with the first of `parts` equal parts of its blocks. Blocks are in the order of hashes, so
    /// that any part of them is as good as a random one.
    pub(super) fn shares(&self, parts: u64) -> impl Iterator<Item = Unit> {
        self.joins.iter().enumerate().map(move |(kind, join)| {
            let blocks = (join.starts.len() as u64 - 1).div_ceil(parts);
            Unit { kind, blocks: 0..blocks as u32, pairs: 0 }
        })
    }

    /// Calls with each pair of a unit that no block before has.
    pub fn pairs(&self, unit: &Unit, mut with: impl FnMut(u32, u32)) {
        let Some(join) = self.joins.get(unit.kind) else { return };
        for block in unit.blocks.clone() {
            let members = join.members(block);
            for (place, a) in members.iter().enumerate() {
                for b in members.iter().skip(place + 1) {
                    if self.first_shared(*a, *b) == Some((unit.kind, block + 1)) {
                        with(*a, *b);
                    }
                }
            }
        }
    }

    /// Whether two records share any block.
    pub(super) fn is_candidate(&self, a: u32, b: u32) -> bool {
        self.first_shared(a, b).is_some()
    }

    fn first_shared(&self, a: u32, b: u32) -> Option<(usize, u32)> {
        let (a, b) = (self.slots.get(a as usize)?, self.slots.get(b as usize)?);
        let (several, single) = KINDS.split_at(SEVERAL);
        for (number, kind) in several.iter().enumerate() {
            let a = a.get(kind.first..kind.first + kind.slots)?;
            let b = b.get(kind.first..kind.first + kind.slots)?;
            if let Some(block) = a.iter().filter(|block| **block != 0 && b.contains(block)).min() {
                return Some((number, *block));
            }
        }
        let first = single.first()?.first;
        let mut pairs = a.get(first..)?.iter().zip(b.get(first..)?);
        let number = pairs.position(|(a, b)| a == b && *a != 0)?;
        Some((SEVERAL + number, *a.get(first + number)?))
    }

    /// Records that share a block with one of them.
    pub fn neighbors(&self, index: u32) -> Vec<u32> {
        let Some(slots) = self.slots.get(index as usize) else { return Vec::new() };
        let mut found = Set::default();
        for (kind, join) in KINDS.iter().zip(&self.joins) {
            for block in slots.iter().skip(kind.first).take(kind.slots).filter(|block| **block != 0) {
                found.extend(join.members(block - 1).iter().copied());
            }
        }
        found.remove(&index);
        let mut found: Vec<u32> = found.into_iter().collect();
        found.sort_unstable();
        found
    }
}

impl Join {
    fn new(kind: Kind, column: &[u64], width: u32, slots: &mut [[u32; SLOTS]]) -> Self {
        let record = |entry: &u64| (entry & ((1 << width) - 1)) as u32;
        let same_key = |x: &u64, y: &u64| x >> width == y >> width;
        let largest = if kind.loose { largest_block(column.chunk_by(same_key), slots.len()) } else { LARGEST_BLOCK };
        let mut join = Self { largest, starts: vec![0], rows: Vec::new() };
        for block in column.chunk_by(same_key) {
            if block.len() < 2 || block.len() > largest {
                continue;
            }
            let number = join.starts.len() as u32;
            join.rows.extend(block.iter().map(record));
            join.starts.push(join.rows.len() as u32);
            for entry in block {
                let own = slots.get_mut(record(entry) as usize);
                let mut own = own.into_iter().flat_map(|own| own.iter_mut().skip(kind.first).take(kind.slots));
                if let Some(free) = own.find(|slot| **slot == 0) {
                    *free = number;
                }
            }
        }
        join
    }

    fn members(&self, block: u32) -> &[u32] {
        let bound = |at: usize| self.starts.get(at).copied().unwrap_or_default() as usize;
        self.rows.get(bound(block as usize)..bound(block as usize + 1)).unwrap_or_default()
    }
}

/// The largest size of block at which all blocks up to it together keep to the pairs that a loose kind may add.
fn largest_block<'a>(blocks: impl Iterator<Item = &'a [u64]>, records: usize) -> usize {
    let mut pairs_by_size = [0_u64; LARGEST_BLOCK + 1];
    for block in blocks {
        if let Some(pairs) = pairs_by_size.get_mut(block.len()) {
            *pairs += (block.len() * (block.len() - 1) / 2) as u64;
        }
    }
    let budget = (records as f64 * LOOSE_PAIRS).max(LOOSE_PAIRS_AT_LEAST) as u64;
    let mut sum = 0;
    let within = pairs_by_size.iter().take_while(|pairs| {
        sum += **pairs;
        sum <= budget
    });
    within.count().saturating_sub(1)
}
