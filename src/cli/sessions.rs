//! Where a customer is signed in, and how that is ended: words of the command line.

use clap::Args;

use super::merging::id;
use super::{EXIT_CODES, Installation};
use crate::ids::CustomerId;

/// `samesake customer sessions`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerSessions {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer; any ID ever issued
    #[arg(value_name = "ID", value_parser = id)]
    pub id: CustomerId,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake customer sign-out`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerSignOut {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer; any ID ever issued
    #[arg(value_name = "ID", value_parser = id)]
    pub id: CustomerId,
    /// This session only, by its `sid`
    #[arg(long, value_name = "SID", allow_hyphen_values = true)]
    pub session: Option<String>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}
