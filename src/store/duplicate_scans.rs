//! Models of what makes two customers one person, and the scans that used them (identity specification, rules 38 to 40).
//!
//! A model is frozen: its version names its parameters. A scan leaves what it has found in pieces beside how far it is,
//! until all of it can be judged together.

use serde_json::Value;
use uuid::Uuid;

use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;

/// How far a scan is, or was.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateScan {
    pub id: Uuid,
    pub model: String,
    /// Names the customers that it reads.
    pub records: Vec<u8>,
    pub units: i64,
    pub of_units: i64,
    pub kept: i64,
    /// How far the customers have moved away from the model; `None` before it was measured.
    pub drift: Option<Value>,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

from_row!(DuplicateScan { id, model, records, units, of_units, kept, drift, started_at, updated_at, finished_at });

impl Tx {
    /// Keeps a model; the same again is nothing new.
    pub async fn duplicate_model_insert(&mut self, version: &str, parameters: &Value, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "INSERT INTO duplicate_models (version, parameters, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (version) DO UPDATE SET created_at = excluded.created_at",
            version,
            parameters,
            now,
        )?;
        Ok(())
    }

    /// The model that was made or imported last.
    pub async fn duplicate_model_latest(&mut self) -> Result<Option<Value>> {
        let found: Option<(Value,)> = fetch_optional!(
            self,
            (Value,),
            "SELECT parameters FROM duplicate_models ORDER BY created_at DESC, version LIMIT 1",
        )?;
        Ok(found.map(|(parameters,)| parameters))
    }

    /// Begins a scan; what earlier ones had found and not judged is forgotten.
    pub async fn duplicate_scan_insert(&mut self, scan: &DuplicateScan) -> Result<()> {
        exec!(self, "DELETE FROM duplicate_found")?;
        exec!(
            self,
            "INSERT INTO duplicate_scans \
             (id, model, records, units, of_units, kept, drift, started_at, updated_at, finished_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            scan.id,
            &scan.model,
            &scan.records,
            scan.units,
            scan.of_units,
            scan.kept,
            scan.drift.as_ref(),
            scan.started_at,
            scan.updated_at,
            scan.finished_at,
        )?;
        Ok(())
    }

    /// The scan that was begun last.
    pub async fn duplicate_scan_latest(&mut self) -> Result<Option<DuplicateScan>> {
        fetch_optional!(
            self,
            DuplicateScan,
            "SELECT id, model, records, units, of_units, kept, drift, started_at, updated_at, finished_at \
             FROM duplicate_scans ORDER BY started_at DESC, id DESC LIMIT 1",
        )
    }

    /// Writes down how far a scan is, in the transaction that keeps what it found until there.
    pub async fn duplicate_scan_advance(&mut self, scan: &DuplicateScan) -> Result<()> {
        exec!(
            self,
            "UPDATE duplicate_scans SET units = $2, kept = $3, drift = $4, updated_at = $5, finished_at = $6 \
             WHERE id = $1",
            scan.id,
            scan.units,
            scan.kept,
            scan.drift.as_ref(),
            scan.updated_at,
            scan.finished_at,
        )?;
        Ok(())
    }

    /// Keeps what a scan found on its way to `units`. Found again, it is the same.
    pub async fn duplicate_found_put(&mut self, scan: Uuid, units: i64, pairs: &[(u32, u32)]) -> Result<()> {
        let packed: Vec<u8> = pairs.iter().flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat()).collect();
        exec!(
            self,
            "INSERT INTO duplicate_found (scan, units, pairs) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            scan,
            units,
            packed,
        )?;
        Ok(())
    }

    /// All that a scan has found, in the order in which it did: places of two customers among those that it reads.
    pub async fn duplicate_found(&mut self, scan: Uuid) -> Result<Vec<(u32, u32)>> {
        let pieces: Vec<(Vec<u8>,)> =
            fetch_all!(self, (Vec<u8>,), "SELECT pairs FROM duplicate_found WHERE scan = $1 ORDER BY units", scan,)?;
        let place = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_le_bytes);
        let pair = |bytes: &[u8]| Some((place(bytes.get(..4)?)?, place(bytes.get(4..)?)?));
        Ok(pieces.iter().flat_map(|(packed,)| packed.chunks_exact(8).filter_map(pair)).collect())
    }

    /// Forgets what was found: it is judged.
    pub async fn duplicate_found_forget(&mut self, scan: Uuid) -> Result<()> {
        exec!(self, "DELETE FROM duplicate_found WHERE scan = $1", scan)?;
        Ok(())
    }
}
