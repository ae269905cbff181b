//! `samesake admin …` and what admins do to single links of customers: their words on the command line.

use clap::{Args, Subcommand};

use super::Installation;
use crate::protocol::admin_role::AdminRole;

/// `samesake admin …`
#[derive(Debug, Subcommand)]
pub enum Admin {
    /// Give a customer a role, in the place of any they have
    Grant(AdminGrant),
    /// Take a customer's role away: their tokens count no more at once
    Revoke(AdminRevoke),
    /// List everybody with a role, customers and clients
    List(AdminList),
}

/// `samesake admin grant`
#[derive(Debug, Args)]
#[command(after_help = "\
Each role may do what those before it may:
  viewer    see customers, links and queues
  support   read the audit log, preview merges, disconnect links, end sessions
  merger    merge and separate customers, say that two are not the same
  approver  approve what others propose
  owner     erase customers, give and take roles")]
pub struct AdminGrant {
    #[command(flatten)]
    pub installation: Installation,
    /// A customer ID or a proved e-mail address
    #[arg(value_name = "ID or e-mail")]
    pub id: String,
    /// viewer, support, merger, approver or owner
    #[arg(long)]
    pub role: AdminRole,
}

/// `samesake admin revoke`
#[derive(Debug, Args)]
pub struct AdminRevoke {
    #[command(flatten)]
    pub installation: Installation,
    /// A customer ID or a proved e-mail address
    #[arg(value_name = "ID or e-mail")]
    pub id: String,
}

/// `samesake admin list`
#[derive(Debug, Args)]
pub struct AdminList {
    #[command(flatten)]
    pub installation: Installation,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// What an admin does to one link of a customer.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  samesake customer unlink ann@example.com --link social:google:1157… --reason \"hijacked, case 4711\"
  samesake customer enable 019a… --link social:google:1157… --reason \"Google confirmed\"")]
pub struct LinkChange {
    #[command(flatten)]
    pub installation: Installation,
    /// A customer ID, a client's subject, or NAMESPACE:ID
    #[arg(value_name = "ID", allow_hyphen_values = true)]
    pub id: String,
    /// The link: NAMESPACE:ID
    #[arg(long, value_name = "LINK", allow_hyphen_values = true)]
    pub link: String,
    /// Why; it is kept in the audit log
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who does it, for the audit log
    #[arg(long = "as", value_name = "NAME", env = "USER", default_value = "command line")]
    pub admin: String,
}
