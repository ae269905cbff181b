//! What the commands do, one file each: they read the configuration, call the parts, and print.

mod admin;
mod check_config;
mod client;
mod connector;
mod connector_receiver;
mod connector_transfer;
mod customer;
mod demo;
mod duplicates;
mod duplicates_file;
mod events;
mod keeping;
mod keys;
mod linking;
mod merging;
mod migrate;
mod proposals;
mod queues;
mod serve;
mod sessions;
mod webhooks;

pub use check_config::check_config;

use crate::board;
use crate::cli::{Command, Installation};
use crate::config::Config;
use crate::kv::Kv;
use crate::store::Store;

/// Runs one command to its end.
///
/// # Errors
/// Why it could not be done.
pub fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::CheckConfig(command) => check_config(command),
        Command::Demo(command) => block_on(demo::run(command)),
        Command::Serve(command) => block_on(serve::run(command)),
        Command::Migrate(command) => block_on(migrate::run(command)),
        Command::Keys(command) => block_on(keys::run(command)),
        Command::Client(command) => block_on(client::run(command)),
        Command::Customer(command) => block_on(customer::run(command)),
        Command::Audit(command) => block_on(merging::audit(command)),
        Command::Connector(command) => block_on(connector::run(command)),
        Command::Duplicates(command) => block_on(duplicates::run(command)),
        Command::Candidates(command) => block_on(queues::candidates(command)),
        Command::MergeRequests(command) => block_on(queues::merge_requests(command)),
        Command::Conflicts(command) => block_on(queues::conflicts(command)),
        Command::Webhooks(command) => block_on(webhooks::run(command)),
        Command::Events(command) => block_on(events::run(command)),
        Command::Admin(command) => block_on(admin::run(command)),
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(command)
}

/// The configuration that a command runs with, and its database, brought up to this version.
async fn open(installation: &Installation) -> anyhow::Result<(Config, Store)> {
    let config = installation.load()?;
    let store = Store::connect(config.database.url.expose()).await?;
    store.migrate().await?;
    Ok((config, store))
}

/// Where the gateway keeps its sessions, if it can be seen from here: Redis, not the memory of another process.
async fn sessions_store(config: &Config) -> anyhow::Result<Option<Kv>> {
    let Some(url) = &config.redis.url else { return Ok(None) };
    Ok(Some(Kv::connect(url.expose(), &config.redis.prefix).await?))
}

/// The name of whoever sits at the terminal, as the audit log will have it.
fn operator() -> String {
    let name = std::env::var("USER").unwrap_or_default();
    if name.is_empty() { "command line".to_owned() } else { name }
}

/// Why something is done, for the audit log.
fn reason(text: &str) -> anyhow::Result<&str> {
    board::reason::read(text).map_err(|wrong| anyhow::anyhow!("--reason {wrong}"))
}

/// Prints what programs read.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
