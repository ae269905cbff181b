//! The engine of `duplicates` over the customers of this installation (spec/identity.md rules 36 to 40).
//!
//! `read` makes records of rows, `judge` candidates of scored pairs. They are found in two ways that agree: [`scan()`]
//! compares all customers, [`Follower`] each one that signs up or changes with those that share a key with it in the
//! index (`index`, `weigh`). What is certain enough may be merged (`automatic`, off by default); all else waits for a person,
//! whose decisions may correct the model (`calibrate`). Nothing here is on the path of a request. Knows no HTTP.

mod automatic;
mod calibrate;
mod exchange;
mod follow;
mod index;
mod judge;
mod read;
mod scan;
mod weigh;

pub use calibrate::{Calibration, apply as apply_calibration, proposal as calibration};
pub use exchange::{Imported, import};
pub use follow::Follower;
pub use index::{IndexState, index, index_state};
pub use read::{Loaded, load};
pub use scan::{Refit, keep_model, model, scan};

use super::duplicates::Policy;
use crate::config::{DuplicatesConfig, MergeConfig};
use crate::store;

/// Why a scan could not be done.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("there are too many customers for one machine's memory: export them and score them with Splink")]
    Full(#[from] super::duplicates::Full),
    #[error("the stored model cannot be used: {0}; fit a new one")]
    Model(#[from] super::duplicates::model::ModelError),
}

/// What the configuration says of candidates.
#[derive(Clone, Debug)]
pub struct Rules {
    pub policy: Policy,
    /// Which values of a customer count, and which identifiers speak against joining two.
    pub merge: MergeConfig,
}

impl Rules {
    /// From the sections of the configuration.
    pub fn new(duplicates: &DuplicatesConfig, merge: &MergeConfig) -> Self {
        let DuplicatesConfig { automatic, queue, watch, .. } = *duplicates;
        Self { policy: Policy { automatic, queue, watch }, merge: merge.clone() }
    }
}
