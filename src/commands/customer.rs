//! `samesake customer show`: the customer behind any external ID.

use anyhow::bail;

use super::merging;
use crate::cli::{Customer, CustomerShow};
use crate::identity::customer::{self, View};
use crate::store::Store;

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unreachable database, or an ID that nobody has.
pub(super) async fn run(command: &Customer) -> anyhow::Result<()> {
    match command {
        Customer::Show(command) => show(command).await,
        Customer::Merge(command) => merging::merge(command).await,
        Customer::Unmerge(command) => merging::unmerge(command).await,
        Customer::NotSame(command) => merging::not_same(command).await,
        Customer::Erase(command) => merging::erase(command).await,
    }
}

async fn show(command: &CustomerShow) -> anyhow::Result<()> {
    let config = command.installation.load()?;
    let store = Store::connect(config.database.url.expose()).await?;
    store.migrate().await?;
    let views = customer::show(&mut store.begin_read().await?, &command.id).await?;
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
    println!("  links");
    for link in &view.links {
        let proof = link.proof.as_deref().unwrap_or("unproved");
        println!("    {}:{}  {}  {proof}  last seen {}", link.namespace, link.external_id, link.state, link.last_seen);
    }
    println!("  subjects");
    for subject in &view.subjects {
        println!("    {}  {}", subject.sector, subject.sub);
    }
}
