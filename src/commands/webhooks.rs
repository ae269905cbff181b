//! `samesake webhooks`: how far each receiver of events has got, and telling it things again.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::open;
use crate::app;
use crate::board::deliveries;
use crate::cli::{Webhooks, WebhooksReplay, WebhooksResume, WebhooksRetry, WebhooksStatus};
use crate::clock::{Clock, Timestamp};
use crate::events::relay::{self, Replay};
use crate::store::{DeadLetter, Numbering, Store, WebhookState};

/// How many events put aside are shown for each receiver.
const SHOWN: i64 = 20;

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unreachable database, an unknown receiver, or an event that is not there.
pub(super) async fn run(command: &Webhooks) -> anyhow::Result<()> {
    match command {
        Webhooks::Status(command) => status(command).await,
        Webhooks::Replay(command) => replay(command).await,
        Webhooks::Resume(command) => resume(command).await,
        Webhooks::Retry(command) => retry(command).await,
    }
}

/// A receiver as it stands, with what was put aside for it.
struct View {
    state: WebhookState,
    dead_letters: Vec<DeadLetter>,
    configured: bool,
}

impl View {
    /// One word for people and for machines.
    fn word(&self, numbering: Numbering) -> &'static str {
        deliveries::word(&self.state, self.configured, numbering)
    }
}

async fn status(command: &WebhooksStatus) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let mut tx = store.begin_read().await?;
    let numbering = tx.outbox_numbering().await?;
    let mut views = Vec::new();
    for state in tx.webhooks_all().await? {
        let dead_letters = tx.webhook_dead_letters(&state.id, SHOWN).await?;
        let configured = config.webhooks.iter().any(|webhook| webhook.id == state.id);
        views.push(View { state, dead_letters, configured });
    }
    drop(tx);
    if command.json {
        let all: Vec<_> = views.iter().map(|view| as_json(view, numbering)).collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    println!("{:<16} {:<14} {:>10} {:>8} {:>10}  last delivery", "id", "state", "up to", "behind", "put aside");
    for view in &views {
        print(view, numbering);
    }
    for webhook in config.webhooks.iter().filter(|webhook| !views.iter().any(|view| view.state.id == webhook.id)) {
        println!("{:<16} {:<14} no gateway has started with it yet", webhook.id, "new");
    }
    Ok(())
}

fn print(view: &View, numbering: Numbering) {
    let state = &view.state;
    println!(
        "{:<16} {:<14} {:>10} {:>8} {:>10}  {}",
        state.id,
        view.word(numbering),
        state.cursor,
        numbering.last.saturating_sub(state.cursor),
        state.dead_letters,
        state.delivered_at.map_or_else(|| "never".to_owned(), |at| at.to_string()),
    );
    if let (Some(since), Some(error)) = (state.failing_since, &state.last_error) {
        let then = match state.stopped_at {
            Some(at) => format!("stopped {at}; go on with: samesake webhooks resume {}", state.id),
            None => format!("next attempt {}", state.next_attempt_at),
        };
        println!("  {error}: since {since}, {} attempts, {then}", state.attempts);
    }
    for letter in &view.dead_letters {
        println!("  put aside {} {}: {}, {}", letter.sequence, letter.event, letter.reason, letter.put_aside_at);
    }
}

fn as_json(view: &View, numbering: Numbering) -> serde_json::Value {
    let state = &view.state;
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let dead_letters: Vec<_> = view
        .dead_letters
        .iter()
        .map(|letter| {
            json!({ "sequence": letter.sequence, "event": letter.event, "reason": letter.reason,
                    "put_aside_at": letter.put_aside_at.to_string() })
        })
        .collect();
    json!({
        "id": state.id,
        "state": view.word(numbering),
        "cursor": state.cursor,
        "behind": numbering.last.saturating_sub(state.cursor),
        "delivered": state.delivered,
        "delivered_at": text(state.delivered_at),
        "attempts": state.attempts,
        "failing_since": text(state.failing_since),
        "next_attempt_at": text(state.failing_since.map(|_| state.next_attempt_at)),
        "last_error": state.last_error,
        "stopped_at": text(state.stopped_at),
        "put_aside": state.dead_letters,
        "dead_letters": dead_letters,
    })
}

async fn replay(command: &WebhooksReplay) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    begin(&store, &command.id, Some(command.from)).await?;
    println!("webhook {} is told everything from event {} on once more", command.id, command.from);
    Ok(())
}

async fn resume(command: &WebhooksResume) -> anyhow::Result<()> {
    let (_, store) = open(&command.installation).await?;
    begin(&store, &command.id, None).await?;
    let mut tx = store.begin_read().await?;
    let removed = tx.outbox_numbering().await?.removed;
    let cursor = tx.webhooks_all().await?.into_iter().find(|state| state.id == command.id).map(|state| state.cursor);
    if let Some(cursor) = cursor.filter(|cursor| *cursor < removed) {
        println!("the events {} to {removed} are not kept any more: it is not told of them", cursor + 1);
    }
    println!("webhook {} is tried again now", command.id);
    Ok(())
}

async fn begin(store: &Store, id: &str, from: Option<i64>) -> anyhow::Result<()> {
    let replay = relay::replay(store, id, from, Clock::system().now());
    match replay.await.context("nothing was changed")? {
        Replay::Begun => Ok(()),
        Replay::Unknown => bail!("there is no webhook {id}, or no gateway has started with it yet"),
        Replay::Beyond { first, last } => {
            bail!("there is no such event; the last one is {last}, and the first one {first}")
        }
    }
}

/// Delivers what was put aside, from here and now.
async fn retry(command: &WebhooksRetry) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let relay = app::relay(&config, &store).await?;
    let redelivered = match command.event {
        Some(sequence) => relay.redeliver(&command.id, sequence).await?.with_context(|| {
            format!("no webhook {} is configured, or event {sequence} was not put aside", command.id)
        })?,
        None => {
            let all = relay.redeliver_all(&command.id).await?;
            all.with_context(|| format!("no webhook {} is configured", command.id))?
        }
    };
    println!("{} event(s) were delivered", redelivered.taken);
    match (redelivered.reason, command.event) {
        (None, _) => Ok(()),
        (Some(reason), Some(sequence)) => bail!("event {sequence} stays aside: {reason}"),
        (Some(reason), None) => bail!("not all were taken: {reason}"),
    }
}
