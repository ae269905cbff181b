//! What can be said about two customers at the command line: merge, unmerge, not the same; and about one: erase, hold,
//! release, brand.

use clap::{Args, Subcommand};

use super::{EXIT_CODES, Installation};
use crate::config::MergedSessions;
use crate::identity::brand::BrandName;
use crate::ids::{CustomerId, LinkId, MergeId};

/// `samesake customer merge`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerMerge {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer whose ID lives on
    #[arg(value_name = "SURVIVOR", value_parser = id)]
    pub survivor: CustomerId,
    /// The customer who becomes part of the survivor
    #[arg(value_name = "ABSORBED", value_parser = id)]
    pub absorbed: CustomerId,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Print what would happen and its hash, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Only if the plan still has this hash, as the dry run printed it
    #[arg(long, value_name = "HASH", conflicts_with = "dry_run", allow_hyphen_values = true)]
    pub hash: Option<String>,
    /// Whose value of a field counts, such as `locale=<customer ID>`; repeat for more
    #[arg(long = "choose", value_name = "FIELD=ID", value_parser = choice)]
    pub choices: Vec<(String, CustomerId)>,
    /// What becomes of the absorbed side's sessions: keep, downgrade or end [default: as configured in `[merge]`]
    #[arg(long, value_name = "POLICY", value_parser = super::word::<MergedSessions>)]
    pub sessions: Option<MergedSessions>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake customer unmerge`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerUnmerge {
    #[command(flatten)]
    pub installation: Installation,
    /// The merge, as `samesake customer merge` printed it
    #[arg(value_name = "MERGE_ID", value_parser = merge)]
    pub merge: MergeId,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Print what would happen and its hash, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Only if the plan still has this hash
    #[arg(long, value_name = "HASH", conflicts_with = "dry_run", allow_hyphen_values = true)]
    pub hash: Option<String>,
    /// A link that came after the merge and goes with the restored customer; repeat for more
    #[arg(long = "take", value_name = "LINK_ID", value_parser = link)]
    pub take: Vec<LinkId>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake customer not-same`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerNotSame {
    #[command(flatten)]
    pub installation: Installation,
    /// One customer
    #[arg(value_name = "ONE", value_parser = id)]
    pub one: CustomerId,
    /// The other
    #[arg(value_name = "OTHER", value_parser = id)]
    pub other: CustomerId,
    /// Why, for the record
    #[arg(long, value_name = "TEXT", required_unless_present = "lift")]
    pub reason: Option<String>,
    /// Forget it again
    #[arg(long)]
    pub lift: bool,
}

/// `samesake customer erase`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerErase {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer; everyone who was merged into them is erased with them
    #[arg(value_name = "ID", value_parser = id)]
    pub id: CustomerId,
    /// Why, for the record: nothing personal, as it stays
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `samesake customer hold` and `samesake customer release`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerHold {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer
    #[arg(value_name = "ID", value_parser = id)]
    pub id: CustomerId,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `samesake customer brand`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerBrand {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer; of one who was merged, this very ID's part
    #[arg(value_name = "ID", value_parser = id)]
    pub id: CustomerId,
    /// The brand, as `walled_brands` in `[merge]` may name it
    #[arg(value_name = "BRAND", required_unless_present = "none")]
    pub brand: Option<BrandName>,
    /// No brand's customer in particular
    #[arg(long, conflicts_with = "brand")]
    pub none: bool,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `samesake audit …`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Recompute the hash chains of the audit log
    Verify(AuditVerify),
}

/// `samesake audit verify`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct AuditVerify {
    #[command(flatten)]
    pub installation: Installation,
}

pub(super) fn id(text: &str) -> Result<CustomerId, String> {
    text.parse().map_err(|_| "expected a customer ID, such as 0190a5c4-0000-7000-8000-000000000000".to_owned())
}

fn merge(text: &str) -> Result<MergeId, String> {
    text.parse().map_err(|_| "expected the ID of a merge".to_owned())
}

fn link(text: &str) -> Result<LinkId, String> {
    text.parse().map_err(|_| "expected the ID of a link".to_owned())
}

pub(super) fn choice(text: &str) -> Result<(String, CustomerId), String> {
    let (field, customer) = text.split_once('=').ok_or_else(|| "expected FIELD=ID, such as locale=0190…".to_owned())?;
    Ok((field.to_owned(), id(customer)?))
}
