//! "See everything": somebody whose way in opens one side of a merge proves a channel of the side above it, by a code
//! mailed to one of its addresses or by an account at a provider; from then on their ways in are one (spec/identity.md
//! rule 25).
//!
//! Of the other side nothing is shown but its addresses, mostly hidden. A proof is for one flow, one session and one
//! address; the session goes on under a new ID, because it opens more than before.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;

use super::acting::to_account;
use super::extract::{OfFlow, PostedFlow};
use super::mailed_code::MailedCode;
use super::{masked, see_other, unchanged};
use crate::app::App;
use crate::credential::email_code::Purpose;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{ChannelLine, CodePurpose, Message};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::merge::own::Letters;
use crate::identity::merge::{self, Joined, side};
use crate::ids::{CustomerId, LinkId};
use crate::mail::templates;
use crate::session::SsoSession;
use crate::session::flow::Flow;
use crate::session::pending::PendingWhole;
use crate::store::{self, Link};

/// What the account page offers to whoever sees a part of it only: the addresses that a code can go to.
pub fn lines(app: &App, channels: &[Link]) -> Vec<ChannelLine> {
    let offered = channels.iter().filter(|_| app.mailer.is_offered());
    offered
        .map(|link| {
            let shown = link.display.as_deref().unwrap_or(&link.external_id);
            ChannelLine { link: link.id.0.to_string(), masked: masked(shown) }
        })
        .collect()
}

/// Mails a code to one of the addresses, and asks for it.
///
/// # Errors
/// If a store does not answer.
pub async fn begin(
    app: &App,
    context: &Context,
    mut flow: Flow,
    session: &SsoSession,
    link: LinkId,
) -> Result<Response, Failure> {
    let Some(address) = address(app, session, link).await? else { return Ok(to_account()) };
    let (customer, sid) = (session.customer, session.sid.clone());
    flow.await_whole(PendingWhole { customer, sid, link, address, expires_at: context.now }, context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    let Some(pending) = flow.pending_whole(context.now) else { return Ok(error::expired_page(app, context)) };
    let code = code_of(app, context, &flow, pending);
    match code.send().await? {
        None => Ok(see_other("/whole/code", &flow)),
        Some(message) => Ok(code.ask(Some(message))),
    }
}

/// The address, if it is still one that proves the side above.
async fn address(app: &App, session: &SsoSession, link: LinkId) -> Result<Option<EmailAddress>, Failure> {
    let channels = merge::channels(&mut app.store().begin_read().await?, session.customer).await?;
    let channel = channels.into_iter().find(|channel| channel.id == link);
    Ok(channel.and_then(|channel| EmailAddress::parse(&channel.external_id).ok()))
}

/// A proof is for one flow, one session and one link.
fn code_of<'a>(app: &'a App, context: &'a Context, flow: &'a Flow, pending: &'a PendingWhole) -> MailedCode<'a> {
    let PendingWhole { customer, sid, link, address, .. } = pending;
    let bound_to = format!("{}\n{customer}\n{}\n{link}", flow.id, sid.as_str());
    let (purpose, page) = (Purpose::Link, CodePurpose::ProveWhole);
    MailedCode { app, context, flow, address, purpose, page, bound_to }
}

/// The page that asks for the code.
pub async fn get(State(app): State<App>, OfFlow { context, flow, .. }: OfFlow) -> Result<Response, Failure> {
    let Some(pending) = flow.pending_whole(context.now) else { return Ok(to_account()) };
    Ok(code_of(&app, &context, &flow, pending).ask(None))
}

/// Another code.
pub async fn resend(State(app): State<App>, PostedFlow { context, flow, .. }: PostedFlow) -> Result<Response, Failure> {
    let Some(pending) = flow.pending_whole(context.now) else { return Ok(to_account()) };
    let code = code_of(&app, &context, &flow, pending);
    let message = code.send().await?;
    Ok(code.ask(Some(message.unwrap_or(Message::CodeSent))))
}

/// The code: if it is right, the ways in are one.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    // A second click on a form that has done its work leads on.
    let Some(pending) = flow.pending_whole(context.now).cloned() else { return Ok(to_account()) };
    let session = browser.current(&app, context.now).await?;
    let session = session.filter(|session| session.customer == pending.customer && session.sid == pending.sid);
    let Some(session) = session else { return Ok(error::expired_page(&app, &context)) };
    code_of(&app, &context, &flow, &pending).prove(&params).await?;
    flow.whole = None;
    app.kv().run(vec![flow.save(context.now)?]).await?;
    let mut tx = app.store().begin_read().await?;
    let channels = merge::channels(&mut tx, session.customer).await?;
    drop(tx);
    let Some(proved) = channels.iter().find(|channel| channel.id == pending.link) else {
        let text = "Meanwhile that address belongs to somebody else, or all of the account is open to you already. \
                    Nothing was changed.";
        return Ok(unchanged(&app, &context, StatusCode::CONFLICT, "That address proves nothing here", text));
    };
    unite(&app, &context, &browser, &session, proved.customer).await
}

/// The session's customer has just proved a channel of `proved`, another row of the same customer.
///
/// # Errors
/// If a store does not answer.
pub async fn unite(
    app: &App,
    context: &Context,
    browser: &BrowserSession,
    session: &SsoSession,
    proved: CustomerId,
) -> Result<Response, Failure> {
    let rows = app.store().begin_read().await?.members_of(session.customer).await?;
    if side::is_same(&rows, session.customer, proved) {
        return Ok(to_account());
    }
    if join_keys(app, context, session.customer, proved).await? == Joined::NotTheSurvivor {
        return Ok(to_account());
    }
    // It opens more than before: no ID that was there before stands for it.
    browser.start(app, session.customer, session.authentication.clone(), context.now).await?;
    Ok(to_account())
}

/// Makes the ways in of two sides of a customer one, as somebody has just proved both. Every address of both is told.
///
/// # Errors
/// If the database fails.
pub async fn join_keys(
    app: &App,
    context: &Context,
    one: CustomerId,
    other: CustomerId,
) -> Result<Joined, store::Error> {
    let url = app.config.server.endpoint("/account");
    let write = |to: &EmailAddress| templates::account_opened(&app.letterhead, to, &url);
    let letters = Letters { key: &app.secrets.mail, write: &write };
    let joined = merge::join_keys(app.store(), one, other, letters, context.now).await?;
    app.mail_queued.notify_one();
    Ok(joined)
}
