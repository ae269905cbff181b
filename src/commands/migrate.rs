//! `samesake migrate`: brings the database to this version's tables.

use crate::cli::Migrate;
use crate::store::Store;

/// Runs the migrations that are missing.
///
/// # Errors
/// A wrong configuration, or a database that cannot be reached or migrated.
pub(super) async fn run(command: &Migrate) -> anyhow::Result<()> {
    let config = command.installation.load()?;
    let store = Store::connect(config.database.url.expose()).await?;
    let pending = store.migrations_pending().await?;
    store.migrate().await?;
    store.close().await;
    println!("{}", if pending { "the database is up to date now" } else { "the database was up to date" });
    Ok(())
}
