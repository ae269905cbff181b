//! `samesake connector test`: what a connector finds out about itself, without a customer and without the database.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{connector_receiver, connector_transfer};
use crate::cli::{Connector, ConnectorTest};
use crate::clock::Clock;
use crate::connector::{Registry, Verdict};
use crate::outbound::{Outbound, OutboundPolicy};

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unknown connector, or something that is wrong with it.
pub(super) async fn run(command: &Connector) -> anyhow::Result<()> {
    match command {
        Connector::Test(command) => test(command).await,
        Connector::Receiver(command) => connector_receiver::run(command),
        Connector::Transfer(command) => connector_transfer::run(command).await,
    }
}

async fn test(command: &ConnectorTest) -> anyhow::Result<()> {
    let config = command.installation.load()?;
    let Some(wanted) = config.connectors.iter().find(|connector| connector.id == command.id) else {
        let known: Vec<&str> = config.connectors.iter().map(|connector| connector.id.as_str()).collect();
        bail!("there is no connector `{}`; configured: {}", command.id, known.join(", "));
    };
    let outbound = Outbound::new(OutboundPolicy::from(&config.outbound))?;
    let registry = Registry::from_config(std::slice::from_ref(wanted), outbound)?;
    let connector = registry.get(&wanted.id).context("the connector was not built")?;
    let redirect_uri = config.server.callback(&wanted.id)?;
    let findings = connector.self_check(&redirect_uri, Clock::system().now()).await;
    let wrong = findings.iter().filter(|finding| finding.verdict == Verdict::Wrong).count();
    if command.json {
        let all: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({ "what": finding.what, "verdict": finding.verdict.to_string(), "words": finding.words })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        println!("{} ({}, kind {})", wanted.id, wanted.name, wanted.kind.as_str());
        for finding in &findings {
            println!("  {:<6} {:<16} {}", finding.verdict, finding.what, finding.words);
        }
    }
    match wrong {
        0 => Ok(()),
        1 => bail!("1 thing is wrong with connector {}", wanted.id),
        wrong => bail!("{wrong} things are wrong with connector {}", wanted.id),
    }
}
