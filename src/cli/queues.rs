//! What can be said at the command line about what waits for a person: pairs, requests, conflict cases, proposals.

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::merging::{choice, id};
use super::{EXIT_CODES, Installation};
use crate::ids::{CustomerId, ProposalId};

/// `samesake candidates …`
#[derive(Debug, Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum Candidates {
    /// List pairs of customers that may be one person, the likeliest first
    List(CandidateList),
    /// Show a pair, with what each field contributed to its score
    Show(CandidateShow),
    /// Say that the two are not the same person: the pair is not proposed again
    Dismiss(CandidateJudgment),
    /// Take the pair off the queue until more speaks for it than now
    Watch(CandidateJudgment),
}

/// Where a pair belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Band {
    /// Waits for a decision
    Queue,
    /// Waits for more to become known
    Watch,
    /// A rule is to merge it
    Automatic,
}

impl Band {
    /// The word in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Watch => "watch",
            Self::Automatic => "automatic",
        }
    }
}

/// How a list is printed.
#[derive(Debug, Args)]
pub struct Listing {
    #[command(flatten)]
    pub installation: Installation,
    /// How many at most
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,
    /// Print JSON, as the admin API answers it
    #[arg(long)]
    pub json: bool,
}

/// `samesake candidates list`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CandidateList {
    #[command(flatten)]
    pub listing: Listing,
    /// Which pairs
    #[arg(long, value_enum, default_value = "queue")]
    pub band: Band,
}

/// `samesake candidates show`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CandidateShow {
    #[command(flatten)]
    pub installation: Installation,
    /// One customer
    #[arg(value_name = "ONE", value_parser = id)]
    pub one: CustomerId,
    /// The other
    #[arg(value_name = "OTHER", value_parser = id)]
    pub other: CustomerId,
    /// Print JSON, as the admin API answers it
    #[arg(long)]
    pub json: bool,
}

/// `samesake candidates dismiss` and `samesake candidates watch`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CandidateJudgment {
    #[command(flatten)]
    pub installation: Installation,
    /// One customer
    #[arg(value_name = "ONE", value_parser = id)]
    pub one: CustomerId,
    /// The other
    #[arg(value_name = "OTHER", value_parser = id)]
    pub other: CustomerId,
    #[command(flatten)]
    pub deed: Deed,
}

/// Why something is done, and by whom.
#[derive(Debug, Args)]
pub struct Deed {
    /// Why; it is kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who does it, for the audit log
    #[arg(long = "as", value_name = "NAME", env = "USER", default_value = "command line")]
    pub admin: String,
}

/// `samesake merge-requests …`
#[derive(Debug, Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum MergeRequests {
    /// List customers who ask that two accounts of theirs become one, oldest first
    List(Listing),
    /// Show a request, with how each side was proved
    Show(Shown),
    /// Leave the two accounts two, and tell both so by mail
    Decline(Settle),
}

/// `samesake conflicts …`
#[derive(Debug, Subcommand)]
#[command(after_help = EXIT_CODES)]
pub enum Conflicts {
    /// List conflict cases that wait for somebody to look into them, oldest first
    List(Listing),
    /// Show a case
    Show(Shown),
    /// Close a case that somebody has looked into
    Close(Settle),
}

/// One thing, by its ID.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Shown {
    #[command(flatten)]
    pub installation: Installation,
    /// As the list names it
    #[arg(value_name = "ID")]
    pub id: Uuid,
    /// Print JSON, as the admin API answers it
    #[arg(long)]
    pub json: bool,
}

/// One thing to settle, by its ID.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct Settle {
    #[command(flatten)]
    pub installation: Installation,
    /// As the list names it
    #[arg(value_name = "ID")]
    pub id: Uuid,
    #[command(flatten)]
    pub deed: Deed,
}

/// `samesake customer propose`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerPropose {
    #[command(flatten)]
    pub installation: Installation,
    /// The customer whose ID lives on
    #[arg(value_name = "SURVIVOR", value_parser = id)]
    pub survivor: CustomerId,
    /// The customer who becomes part of the survivor
    #[arg(value_name = "ABSORBED", value_parser = id)]
    pub absorbed: CustomerId,
    #[command(flatten)]
    pub deed: Deed,
    /// Only if the plan still has this hash, as `samesake customer merge --dry-run` printed it
    #[arg(long, value_name = "HASH", allow_hyphen_values = true)]
    pub hash: Option<String>,
    /// Whose value of a field counts, such as `locale=<customer ID>`; repeat for more
    #[arg(long = "choose", value_name = "FIELD=ID", value_parser = choice)]
    pub choices: Vec<(String, CustomerId)>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `samesake customer approve` and `samesake customer withdraw`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct ProposalChange {
    #[command(flatten)]
    pub installation: Installation,
    /// The proposal, as `samesake customer proposals` names it
    #[arg(value_name = "PROPOSAL_ID", value_parser = proposal)]
    pub id: ProposalId,
    /// Who does it: nobody approves what they proposed
    #[arg(long = "as", value_name = "NAME", env = "USER", default_value = "command line")]
    pub admin: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

fn proposal(text: &str) -> Result<ProposalId, String> {
    text.parse().map_err(|_| "expected the ID of a proposal".to_owned())
}
