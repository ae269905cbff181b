//! `samesake serve`: the gateway, until it is told to stop.

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::app::{App, connect};
use crate::cli::Serve;
use crate::clock::Clock;
use crate::{serve, telemetry};

/// Runs the gateway.
///
/// # Errors
/// A wrong configuration, a store that cannot be reached, or a port that is taken.
pub(super) async fn run(command: &Serve) -> anyhow::Result<()> {
    let config = command.load()?;
    telemetry::init(&config.log)?;
    let clock = Clock::system();
    let listener = TcpListener::bind(config.server.listen)
        .await
        .with_context(|| format!("cannot listen on {}", config.server.listen))?;
    let (store, kv) = connect(&config, &clock).await?;
    let app = App::build(config, clock, store.clone(), kv).await?;
    tracing::info!(issuer = app.provider.issuer, listen = %listener.local_addr()?, "ready");
    serve::run(app, listener, serve::signal()).await?;
    store.close().await;
    Ok(())
}
