//! `samesake customer sessions` and `sign-out`: where a customer is signed in, and ending it.
//!
//! Sessions are in Redis. Where they are in the memory of a gateway they cannot be seen from here: all of them are ended
//! unseen, by a task that the running gateway does.

use anyhow::{Context as _, bail};
use serde_json::json;

use super::{open, operator, print_json, reason, sessions_store};
use crate::app::Secrets;
use crate::board::sessions::{self, Ended, Session, Which};
use crate::cli::{CustomerSessions, CustomerSignOut};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::events::Actor;
use crate::ids::CustomerId;
use crate::jobs::{self, First};
use crate::store::Store;

/// What is said where sessions are in the memory of a gateway.
const UNSEEN: &str = "sessions are in the memory of the running gateway (no redis.url), and cannot be seen from here";

/// Lists the live sessions.
pub(super) async fn list(command: &CustomerSessions) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let now = Clock::system().now();
    let found = live(&config, &store, command.id, now).await?.context(UNSEEN)?;
    if command.json {
        let all: Vec<_> = found.iter().map(line).collect();
        return print_json(&all);
    }
    for session in &found {
        let told = session.record.told.as_ref();
        let since = session.began().map_or_else(|| "unknown".to_owned(), |at| at.to_string());
        let browser = told.and_then(|told| told.browser.as_deref()).unwrap_or("unknown");
        let via = told.map_or("unknown", |told| told.via.as_str());
        println!("{}  {browser}  by {via}  since {since}  until {}", session.sid, session.record.expires_at);
    }
    Ok(())
}

fn line(session: &Session) -> serde_json::Value {
    let told = session.record.told.as_ref();
    json!({
        "sid": session.sid, "customer": session.record.customer, "in_app": session.record.is_without_browser(),
        "began_at": session.began().map(|at| at.to_string()),
        "last_seen": told.map(|told| told.last_seen.to_string()),
        "expires_at": session.record.expires_at.to_string(),
        "browser": told.and_then(|told| told.browser.as_ref()),
        "via": told.map(|told| &told.via), "amr": told.map(|told| &told.amr), "acr": told.and_then(|told| told.acr.as_ref()),
    })
}

/// The live sessions, where they can be seen.
async fn live(config: &Config, store: &Store, id: CustomerId, now: Timestamp) -> anyhow::Result<Option<Vec<Session>>> {
    let mut tx = store.begin_read().await?;
    let living = tx.customer_living(id).await?.context("nobody is known by this ID")?;
    let members = tx.members_of(living.id).await?;
    drop(tx);
    match sessions_store(config).await? {
        Some(kv) => Ok(Some(sessions::live(&kv, &members, now).await?)),
        None => Ok(None),
    }
}

/// Ends them. Doing it again changes nothing where they can be seen.
pub(super) async fn sign_out(command: &CustomerSignOut) -> anyhow::Result<()> {
    let (config, store) = open(&command.installation).await?;
    let (reason, by) = (reason(&command.reason)?, Actor::Admin(operator()));
    let master = config.secrets.master_key().context("no master key is configured")?;
    let secrets = Secrets::derive(master);
    let now = Clock::system().now();
    let seen = live(&config, &store, command.id, now).await?;
    let which = match &command.session {
        None => Which::All,
        // Whose it is cannot be told.
        Some(_) if seen.is_none() => bail!("{UNSEEN}; without --session all of them end"),
        Some(sid) => Which::one(sid).context("this is no sid")?,
    };
    let mut tx = store.begin().await?;
    match sessions::end(&mut tx, command.id, &which, seen.as_deref(), (by, reason), now).await? {
        Ended::Done { customer, sessions, refresh_tokens, task } => {
            jobs::queue_all(&mut tx, &secrets.task, vec![task], First::Job, now).await?;
            tx.commit().await?;
            let sessions = sessions.map_or_else(|| "all".to_owned(), |count| count.to_string());
            println!("customer {customer} is signed out: {sessions} session(s), {refresh_tokens} with refresh tokens");
            println!("  sessions end as soon as the gateway sees it");
            Ok(())
        }
        Ended::Already { customer } if which == Which::All => {
            println!("customer {customer} was signed in nowhere");
            Ok(())
        }
        Ended::Already { customer } => bail!("customer {customer} has no such session"),
        Ended::Erased { customer } => bail!("customer {customer} is erased"),
        Ended::Unknown => bail!("nobody is known by this ID"),
    }
}
