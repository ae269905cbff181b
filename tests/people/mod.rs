//! A made-up population and the customer records it leaves behind: one seed, one result, on every machine.
//!
//! It was written before the model was tuned, with rates of errors and of life events as customer data has them, and
//! is not adjusted to what the model can do. People live in households with one address, often one landline and
//! sometimes one mailbox; they move, marry, change numbers that go to somebody else, have twins and namesake sons;
//! each record comes from a channel (web, shop, import, social login) with its own gaps and its own errors.

mod names;
mod noise;
mod world;

pub(crate) use world::{Household, Inhabitant, World};

/// What one channel wrote down of one person; an empty text is a missing value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// Whose record it truly is.
    pub(crate) person: u32,
    pub(crate) given: String,
    pub(crate) family: String,
    pub(crate) birth: String,
    pub(crate) gender: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) street: String,
    pub(crate) locality: String,
    pub(crate) postcode: String,
    pub(crate) country: String,
}

/// The records of a population, in no telling order.
pub(crate) fn records(people: usize, seed: u64) -> Vec<Record> {
    let mut random = Random::new(seed);
    let world = World::new(people, &mut random);
    let mut records = Vec::with_capacity(people + people / 3);
    for person in world.inhabitants() {
        noise::observe(&world, person, &mut random, &mut records);
    }
    for place in (1..records.len()).rev() {
        records.swap(place, random.below(place + 1));
    }
    records
}

/// SplitMix64: small, fast, and the same everywhere.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1) as usize) as i32
    }

    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// An index below `end`, small ones far more often: frequencies fall off as Zipf's law says.
    pub(crate) fn zipf(&mut self, end: usize) -> usize {
        let top = (end as f64 + 8.0).ln() - 8f64.ln();
        ((8f64.ln() + self.unit() * top).exp() - 8.0) as usize % end
    }
}
