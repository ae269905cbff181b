//! What can be said at the command line about what a provider sends us.

use clap::Args;

use super::{EXIT_CODES, Installation};

/// `samesake connector receiver`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ConnectorReceiver {
    #[command(flatten)]
    pub installation: Installation,
    /// The connector's ID
    #[arg(value_name = "NAME")]
    pub id: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
