//! A made-up population and the customer records it leaves behind: one seed, one result, on every machine.
//!
//! It was written before the model was tuned, with rates of errors and of life events as customer data has them, and
//! is not adjusted to what the model can do. People live in households with one address, often one landline and
//! sometimes one mailbox; they move, marry, change numbers that go to somebody else, have twins and namesake sons;
//! each record comes from a channel (web, shop, import, social login) with its own gaps and its own errors.

mod names;
mod noise;
mod world;

pub use world::{Household, Inhabitant, World};

/// What one channel wrote down of one person; an empty text is a missing value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Whose record it truly is.
    pub person: u32,
    pub given: String,
    pub family: String,
    pub birth: String,
    pub gender: String,
    pub email: String,
    pub phone: String,
    pub street: String,
    pub locality: String,
    pub postcode: String,
    pub country: String,
}

/// The records of a population, in no telling order.
pub fn records(people: usize, seed: u64) -> Vec<Record> {
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
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        low + self.below((high - low + 1) as usize) as i32
    }

    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    pub fn pick<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }

    /// An index below `end`, small ones far more often: frequencies fall off as Zipf's law says.
    pub fn zipf(&mut self, end: usize) -> usize {
        let top = (end as f64 + 8.0).ln() - 8f64.ln();
        ((8f64.ln() + self.unit() * top).exp() - 8.0) as usize % end
    }
}
