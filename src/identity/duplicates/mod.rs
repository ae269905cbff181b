//! Finding customers that are one person (spec/duplicates.md; spec/identity.md rules 35 to 40).
//!
//! Four layers, each usable alone: [`normalize`] reads values, [`rules`] decides by proved identifiers, [`fit`] and
//! [`score`] weigh agreements by a mixture of three classes (one person, one household, unrelated), [`cluster`] joins
//! pairs only where no member objects. [`blocking`] says which pairs are worth looking at.
//!
//! The folder knows no HTTP, no SQL and nothing else of the gateway: whoever has rows pushes them into [`Records`].
//! A score depends on the frozen [`Model`] and the two records alone, so neither order nor batches change it.

pub mod band;
pub mod blocking;
pub mod bulk;
pub mod calibration;
pub mod cluster;
pub mod columns;
mod compare;
pub mod csv;
pub mod drift;
pub mod evaluate;
pub mod field;
pub mod fit;
mod hash;
mod intern;
pub mod model;
pub mod normalize;
pub mod pairs;
pub mod parquet;
pub mod records;
pub mod rules;
pub mod score;
mod similarity;
pub mod splink;
pub mod table;
mod utf16;

pub use band::{Band, Policy};
pub use blocking::{Blocks, Caps};
pub use bulk::{Scan, ScoredPair};
pub use calibration::{Calibration, Decision, Proposal};
pub use cluster::{Cluster, Clusters, Guard, Objection, Verdict, Verdicts};
pub use drift::Drift;
pub use field::{Field, Level};
pub use model::Model;
pub use pairs::Pair;
pub use records::{Claim, Full, Person, Records};
pub use rules::{Rule, Veto};
pub use score::{Score, Step, Waterfall};
