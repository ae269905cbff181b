//! `samesake connector receiver`: what to register at a provider, so that it tells us what happens to its accounts.
//!
//! It asks nobody and changes nothing: providers take such an address in their console or by a call of their own.

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::cli::ConnectorReceiver;
use crate::config::ConnectorKind;
use crate::connector::{Feed, Registry};
use crate::outbound::{Outbound, OutboundPolicy};

/// One address and what to do with it.
struct Receiver {
    what: &'static str,
    url: String,
    how: &'static str,
    /// The body of the call that registers it, where a call does.
    call: Option<Value>,
}

/// Runs the command.
///
/// # Errors
/// A wrong configuration, an unknown connector, or one whose provider tells nothing.
pub(super) fn run(command: &ConnectorReceiver) -> anyhow::Result<()> {
    let config = command.installation.load()?;
    let Some(wanted) = config.connectors.iter().find(|connector| connector.id == command.id) else {
        let known: Vec<&str> = config.connectors.iter().map(|connector| connector.id.as_str()).collect();
        bail!("there is no connector `{}`; configured: {}", command.id, known.join(", "));
    };
    let outbound = Outbound::new(OutboundPolicy::from(&config.outbound))?;
    let registry = Registry::from_config(std::slice::from_ref(wanted), outbound)?;
    let connector = registry.get(&wanted.id).context("the connector was not built")?;
    let url = |route: &str| config.server.endpoint(&format!("/connectors/{}/{route}", wanted.id));
    let mut receivers = Vec::new();
    match connector.feed() {
        Feed::None => {}
        Feed::SecurityEvents { .. } => receivers.push(google(url("events"))),
        Feed::Notifications => receivers.push(Receiver {
            what: "account notifications",
            url: url("events"),
            how: "Certificates, Identifiers & Profiles, the primary App ID, Sign in with Apple: the server-to-server \
                  notification endpoint.",
            call: None,
        }),
    }
    if wanted.kind == ConnectorKind::Oidc {
        receivers.push(Receiver {
            what: "back-channel logout",
            url: url("backchannel-logout"),
            how: "The client's backchannel_logout_uri at the provider; with backchannel_logout_session_required a logout \
                  there ends only the sessions that came from it.",
            call: None,
        });
    }
    if receivers.is_empty() {
        bail!("providers of kind {} tell nothing after a login", wanted.kind.as_str());
    }
    print(&receivers, command.json)
}

/// Cross-Account Protection is registered by a call with a service account of the project.
fn google(url: String) -> Receiver {
    let event = |name: &str| format!("https://schemas.openid.net/secevent/{name}");
    let events = [
        "risc/event-type/sessions-revoked",
        "risc/event-type/account-disabled",
        "risc/event-type/account-enabled",
        "risc/event-type/account-purged",
        "risc/event-type/account-credential-change-required",
        "risc/event-type/verification",
        "oauth/event-type/tokens-revoked",
        "oauth/event-type/token-revoked",
    ];
    let call = json!({
        "delivery": { "delivery_method": event("risc/delivery-method/push"), "url": url },
        "events_requested": events.map(event),
    });
    Receiver {
        what: "security events",
        url,
        how: "Enable the RISC API in the project, make a service account with the role roles/riscconfigs.admin, and POST \
              the body below to https://risc.googleapis.com/v1beta/stream:update. Then POST {\"state\": \"x\"} to \
              https://risc.googleapis.com/v1beta/stream:verify and look for the event in the log of the gateway.",
        call: Some(call),
    }
}

fn print(receivers: &[Receiver], as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let all: Vec<_> = receivers
            .iter()
            .map(|it| json!({ "what": it.what, "url": it.url, "how": it.how, "call": it.call }))
            .collect();
        println!("{}", serde_json::to_string_pretty(&all)?);
        return Ok(());
    }
    for receiver in receivers {
        println!("{}\n  {}\n  {}", receiver.what, receiver.url, receiver.how);
        if let Some(call) = &receiver.call {
            println!("{}", serde_json::to_string_pretty(call)?);
        }
    }
    Ok(())
}
