//! `samesake webhooks …` and `samesake events`: what can be said about events and their receivers.

use clap::{Args, Subcommand};

use super::{EXIT_CODES, Installation};

/// `samesake webhooks …`
#[derive(Debug, Subcommand)]
pub enum Webhooks {
    /// Show each receiver: how far it has got, what is wrong, and what was put aside
    Status(WebhooksStatus),
    /// Deliver everything from an event on once more; receivers know by its ID what they have seen
    Replay(WebhooksReplay),
    /// Deliver again what was put aside: one event, or all until one is refused
    Retry(WebhooksRetry),
    /// Go on at once with a receiver that is waited for or was given up
    Resume(WebhooksResume),
}

/// `samesake events`
#[derive(Debug, Args)]
pub struct Events {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake webhooks status`
#[derive(Debug, Args)]
pub struct WebhooksStatus {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake webhooks replay`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct WebhooksReplay {
    #[command(flatten)]
    pub installation: Installation,
    /// The receiver's ID
    #[arg(value_name = "ID")]
    pub id: String,
    /// The `sequence` of the first event to deliver again; 1 for everything
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(i64).range(1..))]
    pub from: i64,
}

/// `samesake webhooks resume`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct WebhooksResume {
    #[command(flatten)]
    pub installation: Installation,
    /// The receiver's ID
    #[arg(value_name = "ID")]
    pub id: String,
}

/// `samesake webhooks retry`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct WebhooksRetry {
    #[command(flatten)]
    pub installation: Installation,
    /// The receiver's ID
    #[arg(value_name = "ID")]
    pub id: String,
    /// The `sequence` of one event that was put aside [default: all of them, oldest first]
    #[arg(long, value_name = "SEQUENCE", value_parser = clap::value_parser!(i64).range(1..))]
    pub event: Option<i64>,
}
