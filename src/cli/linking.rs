//! What can be said at the command line about identifiers: whose they are, and that one is a customer's.

use clap::Args;

use super::{EXIT_CODES, Installation};
use crate::clock::Timestamp;
use crate::identity::namespace::Namespace;

/// `samesake customer link`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samesake customer link ann@example.com ext:crm:4711 --reason \"import of the CRM\"
  samesake customer link 019a… phone:+4930901820 --proved-by sms --reason \"called back, case 12\"

Accounts at providers and e-mail addresses are linked by their owner only.")]
pub struct CustomerLink {
    #[command(flatten)]
    pub installation: Installation,
    /// A customer ID, a client's subject, or NAMESPACE:ID
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// What is the customer's: app:APP:ID, ext:SYSTEM:ID, phone:NUMBER or visitor:SECTOR:ID
    #[arg(value_name = "NAMESPACE:ID", value_parser = identifier)]
    pub identifier: (Namespace, String),
    /// What proved it, such as sms; phone numbers need a proof
    #[arg(long, value_name = "PROOF", value_parser = word)]
    pub proved_by: Option<String>,
    /// When it was proved, such as 2026-11-22T08:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time, requires = "proved_by")]
    pub proved_at: Option<Timestamp>,
    /// Why; it is kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who does it, for the audit log
    #[arg(long = "as", value_name = "NAME", env = "USER", default_value = "command line")]
    pub admin: String,
}

/// `samesake customer resolve`
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub struct CustomerResolve {
    #[command(flatten)]
    pub installation: Installation,
    /// Identifiers of one person, such as app:shop:17 ext:crm:4711 email:ann@example.com
    #[arg(value_name = "NAMESPACE:ID", required = true, num_args = 1..=50, value_parser = identifier)]
    pub identifiers: Vec<(Namespace, String)>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// The namespace ends at the first colon that makes one: `ext:crm:4711`, `phone:+49…`.
fn identifier(text: &str) -> Result<(Namespace, String), String> {
    let at_colons = text.match_indices(':').filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)));
    at_colons
        .filter(|(_, external_id)| !external_id.is_empty())
        .find_map(|(namespace, external_id)| Some((Namespace::parse(namespace)?, external_id.to_owned())))
        .ok_or_else(|| "an identifier is a namespace and an ID, such as ext:crm:4711".to_owned())
}

fn word(text: &str) -> Result<String, String> {
    let sound =
        (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b));
    if sound { Ok(text.to_owned()) } else { Err("a proof is a word, such as sms".to_owned()) }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "a time is written as 2026-11-22T08:00:00Z".to_owned())
}
