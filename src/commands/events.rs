//! `samesake events`: how many there are, from which on they are kept, and who needs them.

use serde_json::json;

use super::open;
use crate::cli::Events;
use crate::events::retention::Needs;

/// Runs the command.
///
/// # Errors
/// A wrong configuration, or an unreachable database.
pub(super) async fn run(command: &Events) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let mut tx = store.begin().await?;
    let (numbering, removed) = (tx.outbox_numbering().await?, tx.outbox_removed().await?);
    let slowest = Needs::of(&config).slowest(&mut tx).await?;
    // Nothing was changed.
    drop(tx);
    let (first, last) = (numbering.removed + 1, numbering.last);
    if command.json {
        let slowest = slowest.map(|slowest| json!({ "who": slowest.who, "cursor": slowest.cursor }));
        let document = json!({
            "first": first,
            "last": last,
            "keep_seconds": config.events.keep.map(|keep| keep.as_secs()),
            "removed_at": removed.removed_at.map(|at| at.to_string()),
            "slowest": slowest,
        });
        println!("{}", serde_json::to_string_pretty(&document)?);
        return Ok(());
    }
    println!("events {first} to {last}");
    match config.events.keep {
        Some(keep) => println!("kept for {} days", keep.as_secs() / 86_400),
        None => println!("kept for ever: events.keep is not set"),
    }
    if let Some(at) = removed.removed_at {
        println!("last removed {at}");
    }
    if let Some(slowest) = slowest {
        println!("needed behind {} by {}", slowest.cursor, slowest.who);
    }
    Ok(())
}
