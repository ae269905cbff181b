//! Generations: one counter for each thing that replicas hold in memory, raised by the transaction that changes it.
//!
//! A replica polls them all in one statement and reloads what moved.

use super::driver::{exec, fetch_all};
use super::{Result, Tx};

impl Tx {
    /// Every counter, by name.
    pub async fn generations(&mut self) -> Result<Vec<(String, i64)>> {
        fetch_all!(self, (String, i64), "SELECT name, value FROM generations ORDER BY name")
    }

    /// Raises a counter. It stays locked until the transaction ends: do it last.
    pub async fn generation_bump(&mut self, name: &str) -> Result<()> {
        exec!(
            self,
            "INSERT INTO generations (name, value) VALUES ($1, 1) \
             ON CONFLICT (name) DO UPDATE SET value = generations.value + 1",
            name,
        )?;
        Ok(())
    }
}
