//! A small stable hash: models name frequent values by it, so it must never change within a model version.

use std::hash::{BuildHasherDefault, Hasher};

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Mixes one number into another.
pub(super) const fn mix(state: u64, value: u64) -> u64 {
    let product = ((state ^ value) as u128).wrapping_mul(0xa076_1d64_78bd_642f);
    ((product as u64) ^ ((product >> 64) as u64)).wrapping_add(ODD)
}

/// The hash of a text.
pub(super) fn text(bytes: &[u8]) -> u64 {
    let mut state = mix(ODD, bytes.len() as u64);
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        state = mix(state, chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)));
    }
    let rest = chunks.remainder().iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(mix(state, rest), ODD)
}

/// For maps whose keys are numbers that are spread already, or nearly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Numbers(u64);

impl Hasher for Numbers {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(self.0, text(bytes));
    }
    fn write_u16(&mut self, value: u16) {
        self.write_u64(u64::from(value));
    }
    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = mix(self.0 ^ ODD, value);
    }
    fn write_u128(&mut self, value: u128) {
        self.write_u64(value as u64);
        self.write_u64((value >> 64) as u64);
    }
    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }
}

pub(super) type Map<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<Numbers>>;
pub(super) type Set<K> = std::collections::HashSet<K, BuildHasherDefault<Numbers>>;

/// SplitMix64, for drawing pairs: the same seed draws the same pairs.
#[derive(Clone, Debug)]
pub(super) struct Draw(pub(super) u64);

impl Draw {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(ODD);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, 0 if there is none.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(end)) >> 64) as u64
    }
}
