//! `samesake keys`: the signing keys, listed and rotated.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::open;
use crate::app::key_policy;
use crate::cli::{Keys, KeysList, KeysRotate};
use crate::clock::Clock;
use crate::keys::{self, Changes, Rotation};

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unreachable database, or a rotation that comes too early.
pub(super) async fn run(command: &Keys) -> anyhow::Result<()> {
    match command {
        Keys::List(command) => list(command).await,
        Keys::Rotate(command) => rotate(command).await,
    }
}

async fn list(command: &KeysList) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    let rows = store.begin_read().await?.keys_all().await?;
    if command.json {
        let rows: Vec<_> = rows
            .iter()
            .map(|row| {
                json!({ "kid": row.kid, "alg": row.alg.as_str(), "state": row.state.as_str(),
                        "activates_at": row.activates_at.to_string(),
                        "expires_at": row.expires_at.map(|at| at.to_string()) })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&rows)?);
        return Ok(());
    }
    println!("{:<8} {:<8} {:<28} kid", "state", "alg", "signs since");
    for row in rows {
        println!("{:<8} {:<8} {:<28} {}", row.state.as_str(), row.alg.as_str(), row.activates_at.to_string(), row.kid);
    }
    Ok(())
}

async fn rotate(command: &KeysRotate) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let master = config.secrets.master_key().context("no master key is configured")?;
    let (policy, now) = (key_policy(&config), Clock::system().now());
    if command.emergency {
        print(&keys::emergency_rotate(&store, &master, policy, now).await?);
        return Ok(());
    }
    match keys::rotate(&store, &master, policy, now).await? {
        Rotation::Done(changes) => print(&changes),
        Rotation::TooEarly { ready_at } => bail!(
            "the next keys are not published long enough; verifiers may not know them yet. Try again after {ready_at}, \
             or use --emergency after a theft"
        ),
    }
    Ok(())
}

fn print(changes: &Changes) {
    for (what, kids) in [
        ("signs now", &changes.activated),
        ("signs no more", &changes.retired),
        ("published as next", &changes.published),
        ("removed", &changes.removed),
    ] {
        for kid in kids {
            println!("{what:<18} {kid}");
        }
    }
}
