//! `samesake client`: OAuth clients in the database. Running replicas take a change over within a second.

use anyhow::bail;
use serde_json::json;

use super::open;
use crate::cli::{Client, ClientList, ClientPut, ClientRemove};
use crate::clock::Clock;
use crate::oidc::client::hash_client_secret;
use crate::protocol::client_metadata::{ClientMetadata, TokenEndpointAuthMethod};
use crate::secret;
use crate::store::ClientRow;

/// Runs the command.
///
/// # Errors
/// A wrong configuration or client, or an unreachable database.
pub(super) async fn run(command: &Client) -> anyhow::Result<()> {
    match command {
        Client::List(command) => list(command).await,
        Client::Put(command) => put(command).await,
        Client::Remove(command) => remove(command).await,
    }
}

async fn list(command: &ClientList) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let stored = store.begin_read().await?.clients_all().await?;
    let configured = config.clients.iter().map(|client| ("configuration", &client.metadata));
    let all: Vec<(&str, &ClientMetadata)> =
        configured.chain(stored.iter().map(|row| ("database", &row.metadata))).collect();
    if command.json {
        let all: Vec<_> = all.iter().map(|(from, metadata)| json!({ "from": from, "metadata": metadata })).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{:<14} {:<24} redirect URIs", "from", "client_id");
    for (from, metadata) in all {
        println!("{from:<14} {:<24} {}", metadata.client_id, metadata.redirect_uris.join(" "));
    }
    Ok(())
}

async fn put(command: &ClientPut) -> anyhow::Result<()> {
    let metadata = command.metadata()?;
    let (config, store) = open(&command.installation).await?;
    if config.clients.iter().any(|client| client.metadata.client_id == metadata.client_id) {
        bail!("client {} is defined in the configuration, which wins over the database", metadata.client_id);
    }
    let now = Clock::system().now();
    let mut tx = store.begin().await?;
    let known = tx.clients_all().await?.into_iter().find(|row| row.metadata.client_id == metadata.client_id);
    let public = metadata.token_endpoint_auth_method == TokenEndpointAuthMethod::None;
    let kept = known.as_ref().and_then(|row| row.secret_hash.clone()).filter(|_| !command.new_secret);
    let (secret_hash, new_secret) = match kept {
        _ if public => (None, None),
        Some(hash) => (Some(hash), None),
        None => {
            let new_secret = secret::random_token();
            (Some(hash_client_secret(&new_secret)), Some(new_secret))
        }
    };
    let created_at = known.map_or(now, |row| row.created_at);
    let client_id = metadata.client_id.clone();
    tx.client_put(&ClientRow { metadata, secret_hash, created_at, updated_at: now }).await?;
    tx.commit().await?;
    println!("client {client_id} is registered");
    if let Some(new_secret) = new_secret {
        println!("client_secret: {new_secret}");
        println!("It is shown this once; only its hash is kept.");
    }
    Ok(())
}

async fn remove(command: &ClientRemove) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let mut tx = store.begin().await?;
    if !tx.client_delete(&command.client_id).await? {
        bail!("there is no client {} in the database", command.client_id);
    }
    tx.commit().await?;
    println!("client {} is removed", command.client_id);
    Ok(())
}
