//! `samesake connector transfer`: what can be said.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{EXIT_CODES, Installation};

/// `samesake connector transfer`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, long_about = "\
Give customers' accounts at a provider the subjects that they have now, as after Apple moved an app to another team.

The file is CSV with a header line, or JSON Lines if its name ends in .jsonl: old_sub, and new_sub or transfer_sub or \
both. With new_sub an account is moved at once; with transfer_sub alone it moves at its first login that brings that \
name. Both subjects sign the customer in until the overlap is over; then the old one ends. Running it again changes \
nothing, so a run that was broken off is simply started again.")]
pub struct ConnectorTransfer {
    #[command(flatten)]
    pub installation: Installation,
    /// The connector's ID
    #[arg(value_name = "NAME")]
    pub id: String,
    /// CSV or JSON Lines
    #[arg(long, value_name = "FILE")]
    pub file: PathBuf,
    /// How long the old subjects go on signing customers in, in days
    #[arg(long, value_name = "DAYS", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub overlap: u16,
    /// Where to write the lines that were not carried out, with the reason [default: standard error]
    #[arg(long, value_name = "FILE")]
    pub rejects: Option<PathBuf>,
}

impl ConnectorTransfer {
    /// How long both subjects of an account resolve.
    pub fn overlap(&self) -> Duration {
        Duration::from_secs(u64::from(self.overlap) * 24 * 60 * 60)
    }
}
