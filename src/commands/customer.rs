//! `samesake customer …`: the customer behind any external ID, and what an admin does to a link of theirs.
//!
//! It needs the database only: what a change ends elsewhere, such as sessions, is a task that the running gateway does.

use anyhow::{Context as _, bail};

use super::{keeping, linking, merging, open, proposals, reason, sessions};
use crate::app::Secrets;
use crate::board::links::{self, Deed, Enabled, Removed};
use crate::board::notices::Notices;
use crate::cli::{Customer, CustomerShow, LinkChange};
use crate::clock::Clock;
use crate::identity::customer::{self, View};
use crate::identity::namespace::Rules;
use crate::jobs::{self, First};

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unreachable database, or an ID that nobody has.
pub(super) async fn run(command: &Customer) -> anyhow::Result<()> {
    match command {
        Customer::Show(command) => show(command).await,
        Customer::Resolve(command) => linking::resolve(command).await,
        Customer::Link(command) => linking::link(command).await,
        Customer::Unlink(command) => unlink(command).await,
        Customer::Enable(command) => enable(command).await,
        Customer::Merge(command) => merging::merge(command).await,
        Customer::Proposals(command) => proposals::list(command).await,
        Customer::Propose(command) => proposals::propose(command).await,
        Customer::Approve(command) => proposals::approve(command).await,
        Customer::Withdraw(command) => proposals::withdraw(command).await,
        Customer::Unmerge(command) => merging::unmerge(command).await,
        Customer::NotSame(command) => merging::not_same(command).await,
        Customer::Erase(command) => merging::erase(command).await,
        Customer::Sessions(command) => sessions::list(command).await,
        Customer::SignOut(command) => sessions::sign_out(command).await,
        Customer::Hold(command) => keeping::hold(command).await,
        Customer::Release(command) => keeping::release(command).await,
        Customer::Brand(command) => keeping::brand(command).await,
    }
}

/// Disconnects an account, even the last way in (spec/identity.md rule 18). Doing it again changes nothing.
async fn unlink(command: &LinkChange) -> anyhow::Result<()> {
    let reason = reason(&command.reason)?;
    let (config, store) = open(&command.installation).await?;
    let master = config.secrets.master_key().context("no master key is configured")?;
    let secrets = Secrets::derive(master);
    let now = Clock::system().now();
    let mut tx = store.begin().await?;
    let found = customer::named_link(&mut tx, &command.id, &command.link).await?;
    let Some((customer, link)) = found else { bail!("no such customer, or no such link of theirs") };
    let notices = Notices::new(&config, &secrets.mail);
    let (deed, which) = (Deed { admin: &command.admin, reason }, (customer.id, link.id));
    let (tasks, told) = match links::remove(&mut tx, (&config, &notices), which, deed, now).await? {
        Removed::Done { tasks, told } => (tasks, told),
        Removed::Already => {
            println!("{}:{} was disconnected before", link.namespace, link.external_id);
            return Ok(());
        }
        Removed::NotThatKind => bail!("an address is the customer's to remove"),
        Removed::Unknown => bail!("no such customer, or no such link of theirs"),
    };
    jobs::queue_all(&mut tx, &secrets.task, tasks, First::Job, now).await?;
    tx.commit().await?;
    println!("{}:{} is disconnected from customer {}", link.namespace, link.external_id, customer.id);
    println!("  its sessions end as soon as the gateway sees it; {told} address(es) are told");
    Ok(())
}

/// Lets a link log in again that its provider spoke against. Doing it again changes nothing.
async fn enable(command: &LinkChange) -> anyhow::Result<()> {
    let reason = reason(&command.reason)?;
    let (_, store) = open(&command.installation).await?;
    let now = Clock::system().now();
    let mut tx = store.begin().await?;
    let found = customer::named_link(&mut tx, &command.id, &command.link).await?;
    let Some((customer, link)) = found else { bail!("no such customer, or no such link of theirs") };
    let deed = Deed { admin: &command.admin, reason };
    let changed = links::enable(&mut tx, (customer.id, link.id), deed, now).await? == Enabled::Done;
    tx.commit().await?;
    let what = if changed { "logs in again" } else { "was not disabled" };
    println!("{}:{} {what}", link.namespace, link.external_id);
    Ok(())
}

async fn show(command: &CustomerShow) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let rules = Rules::of(&config, Clock::system().now());
    let views = customer::show(&mut store.begin_read().await?, &command.id, rules).await?;
    if views.is_empty() {
        bail!("nobody is known by this ID");
    }
    if command.json {
        println!("{}", serde_json::to_string_pretty(&views)?);
        return Ok(());
    }
    views.iter().for_each(print);
    Ok(())
}

fn print(view: &View) {
    println!("customer {}  {}  version {}  since {}", view.customer_id, view.state, view.version, view.created_at);
    println!("  found by {}", view.found_by);
    if let Some(merged_from) = &view.merged_from {
        println!("  merged from {merged_from}");
    }
    if let Some(reason) = &view.legal_hold {
        println!("  legal hold: {reason}");
    }
    for brand in &view.brands {
        println!("  brand {brand}");
    }
    for flag in &view.flags {
        println!("  flagged: {}  {}  since {}", flag.kind, flag.link, flag.raised_at);
    }
    println!("  links");
    for link in &view.links {
        let proof = link.proof.as_deref().unwrap_or("unproved");
        let stale = if link.stale { " (stale)" } else { "" };
        let disabled = link.disabled.as_ref().map(|reason| format!(" (disabled: {reason})")).unwrap_or_default();
        let stopped = if link.mail_stopped_at.is_some() { " (mail stopped)" } else { "" };
        println!(
            "    {}:{}  {}{disabled}{stopped}  {proof}{stale}  last seen {}",
            link.namespace, link.external_id, link.state, link.last_seen
        );
    }
    println!("  subjects");
    for subject in &view.subjects {
        println!("    {}  {}", subject.sector, subject.sub);
    }
}
