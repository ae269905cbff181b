//! What follows from a proof: the upstream account is linked, its customer told by mail, and whatever others may have
//! prepared ended (spec/identity.md rules 8 to 10).
//!
//! It asks nothing and knows no page but those that say why an account was not linked.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use super::login_page;
use crate::app::App;
use crate::clock::Timestamp;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{self, Message};
use crate::identity::address::EmailAddress;
use crate::identity::import::Differs;
use crate::identity::limit::Limit;
use crate::identity::linking::{self, Claim, Linked, Mailbox, Proof};
use crate::identity::merge::side;
use crate::identity::namespace::Rules;
use crate::ids::{CustomerId, LinkId, Sid};
use crate::jobs::{self, First, Task};
use crate::mail::{queue, templates};
use crate::session::flow::Flow;
use crate::session::pending::PendingLink;
use crate::store::retry::retry;
use crate::store::{self, Tx};

/// Who was let in by what is ended may have come after the request that ends it began, or by another replica's clock. The
/// session that a login begins itself comes after the ending; were that left to a job, it would be asked for once more.
const STILL_COMING: Duration = Duration::from_secs(60);

/// What customers call a provider.
pub fn provider_name(app: &App, connector: &str) -> String {
    app.connectors.get(connector).map_or_else(|| connector.to_owned(), |connector| connector.name().to_owned())
}

/// Somebody has logged in while an upstream account waited: it is linked if it waited for them, and forgotten if not.
///
/// # Errors
/// If a store does not answer, or with the page that says why it cannot be linked.
pub async fn logged_in(app: &App, context: &Context, flow: &mut Flow, customer: CustomerId) -> Result<(), Failure> {
    let pending = flow.pending_link(context.now).cloned();
    flow.link = None;
    let Some(pending) = pending else { return Ok(()) };
    let rows = app.store().begin_read().await?.members_of(pending.customer).await?;
    if side::is_same(&rows, pending.customer, customer) {
        link(app, context, flow, &pending, Proof::Login).await?;
    }
    Ok(())
}

/// Links what waited, and tells the customer by mail. `flow` no longer holds it.
///
/// # Errors
/// If a store does not answer, or with the page that says why it cannot be linked.
pub async fn link(
    app: &App,
    context: &Context,
    flow: &Flow,
    pending: &PendingLink,
    proof: Proof,
) -> Result<(CustomerId, LinkId), Failure> {
    let linked = connect(app, context, pending.customer, &pending.claim, proof).await?;
    let name = provider_name(app, &pending.claim.connector);
    let refusal = match linked {
        Linked::Added { customer, link, .. } | Linked::Already { customer, link } => return Ok((customer, link)),
        Linked::Missing(claims) => {
            login_page(app, flow, String::new(), Some(Message::ClaimsMissing { name, claims }), None)
        }
        Linked::Differs(Differs(claim)) => {
            login_page(app, flow, String::new(), Some(Message::ClaimDiffers { name, claim }), None)
        }
        Linked::Refused => login_page(app, flow, String::new(), Some(Message::AccountBlocked), None),
        Linked::Full(limit) => {
            let text = format!("{} Sign in the way you usually do.", too_many(limit, &name));
            refused(app, context, flow, "Too many connected accounts", &text)
        }
        Linked::Taken { .. } => {
            let text =
                format!("Meanwhile this account of {name} was connected to another account. Sign in with it again.");
            refused(app, context, flow, "That account is in use", &text)
        }
    };
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Err(Failure::answer(refusal))
}

/// Queues, in the transaction that proves an address for the first time, that every session ends of whoever sees what
/// this customer sees, but the one that proved it: until now others may have had the account (spec/identity.md rule 9).
///
/// # Errors
/// If the database fails.
pub async fn end_others(
    app: &App,
    tx: &mut Tx,
    customer: CustomerId,
    kept: Option<&Sid>,
    now: Timestamp,
) -> Result<Vec<(Uuid, Task)>, store::Error> {
    let customers = side::leading_rows(tx, customer).await?;
    let task = Task::EndOtherSessions { kept: kept.cloned(), customers, until: now + STILL_COMING };
    jobs::queue_all(tx, &app.secrets.task, vec![task], First::Caller, now).await
}

/// Links an account at a provider to a customer, who is told by mail. Where that proves an address of theirs for the
/// first time, whoever is signed in elsewhere is so no more.
///
/// # Errors
/// If the database fails.
pub async fn connect(
    app: &App,
    context: &Context,
    customer: CustomerId,
    claim: &Claim,
    proof: Proof,
) -> Result<Linked, store::Error> {
    let (linked, tasks) = retry(|| connect_once(app, context, customer, claim, proof)).await?;
    app.mail_queued.notify_one();
    app.worker.finish_all(tasks).await?;
    Ok(linked)
}

async fn connect_once(
    app: &App,
    context: &Context,
    customer: CustomerId,
    claim: &Claim,
    proof: Proof,
) -> Result<(Linked, Vec<(Uuid, Task)>), store::Error> {
    let mut tx = app.store().begin().await?;
    let mut tasks = Vec::new();
    let linked = linking::add(&mut tx, customer, claim, proof, Rules::of(&app.config, context.now)).await?;
    match &linked {
        Linked::Added { customer, address, .. } => {
            let letter = match address {
                Mailbox::ProvedFirst => templates::account_secured,
                Mailbox::AsBefore => templates::account_connected,
            };
            let (name, url) = (provider_name(app, &claim.connector), app.config.server.endpoint("/account"));
            tell(app, &mut tx, *customer, context, |to| letter(&app.letterhead, to, &name, &url)).await?;
            if *address == Mailbox::ProvedFirst {
                tasks = end_others(app, &mut tx, *customer, None, context.now).await?;
            }
        }
        // What the login brought anew: the consent that was taken back, the provider's tokens.
        Linked::Already { .. } => {}
        _ => return Ok((linked, tasks)),
    }
    tx.commit().await?;
    Ok((linked, tasks))
}

/// Why an account of a provider cannot be connected.
pub(super) fn too_many(limit: Limit, provider: &str) -> String {
    match limit {
        Limit::Live => format!("Your account is connected with as many accounts of {provider} as it can be."),
        Limit::Week => {
            format!(
                "Your account was connected with many accounts of {provider} in the last days. Try again in a week."
            )
        }
    }
}

fn refused(app: &App, context: &Context, flow: &Flow, title: &str, text: &str) -> Response {
    let back = pages::Action { label: "Sign in".to_owned(), href: format!("/login?flow={}", flow.id) };
    error::plain_page(app, context, StatusCode::CONFLICT, title, text, vec![back])
}

/// Queues a mail to every address that the customer has proved, in the transaction of what it tells.
///
/// # Errors
/// If the database fails.
pub async fn tell(
    app: &App,
    tx: &mut Tx,
    customer: CustomerId,
    context: &Context,
    message: impl Fn(&EmailAddress) -> crate::mail::Message,
) -> Result<(), store::Error> {
    for address in linking::proved_addresses(tx, customer).await? {
        queue::queue(tx, &app.secrets.mail, &message(&address), context.now).await?;
    }
    Ok(())
}
