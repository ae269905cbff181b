//! Clients: the registrations made at run time. Those of the configuration file are not here.
//!
//! Every change raises the generation `clients`, by which replicas learn of it.

use sqlx::types::Json;

use super::driver::{exec, fetch_all, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::protocol::client_metadata::ClientMetadata;

/// One registration.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRow {
    pub metadata: ClientMetadata,
    /// The hash of the client secret; `None` for a public client.
    pub secret_hash: Option<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

from_row!(ClientRow { metadata: json, secret_hash, created_at, updated_at });

impl Tx {
    /// Every registration, by client ID.
    pub async fn clients_all(&mut self) -> Result<Vec<ClientRow>> {
        fetch_all!(
            self,
            ClientRow,
            "SELECT metadata, secret_hash, created_at, updated_at FROM clients ORDER BY client_id",
        )
    }

    /// Adds a registration or replaces it, keeping when it was made.
    pub async fn client_put(&mut self, client: &ClientRow) -> Result<()> {
        exec!(
            self,
            "INSERT INTO clients (client_id, metadata, secret_hash, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT (client_id) DO UPDATE SET metadata = excluded.metadata, \
             secret_hash = excluded.secret_hash, updated_at = excluded.updated_at",
            &client.metadata.client_id,
            Json(&client.metadata),
            &client.secret_hash,
            client.created_at,
            client.updated_at,
        )?;
        self.generation_bump("clients").await
    }

    /// Removes a registration; `false` if there was none.
    pub async fn client_delete(&mut self, client_id: &str) -> Result<bool> {
        let deleted = exec!(self, "DELETE FROM clients WHERE client_id = $1", client_id)?;
        if deleted == 1 {
            self.generation_bump("clients").await?;
        }
        Ok(deleted == 1)
    }
}
