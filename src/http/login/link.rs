//! "You already have an account": an upstream account that brings the address of a customer is linked once its bearer
//! has proved to be that customer, by logging in as them or by a code mailed to the address (spec/identity.md rules 8
//! to 10).
//!
//! The page is shown only to somebody for whom a provider vouches that the address is theirs, so it tells no stranger
//! who has an account here. What waits is kept in the flow: one browser's, for one customer, for a short time.

use axum::extract::State;
use axum::response::Response;

use super::extract::{OfFlow, PostedFlow};
use super::joining::{self, provider_name};
use super::mailed_code::MailedCode;
use super::step::{self, Walk};
use super::{client_name, masked, see_other, told};
use crate::app::App;
use crate::credential::email_code::Purpose;
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::pages::{AccountExistsPage, CodePurpose, Message, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::linking::{Claim, Proof};
use crate::ids::CustomerId;
use crate::session::flow::Flow;
use crate::session::pending::PendingLink;
use crate::session::{self, Authentication};

/// Keeps what the provider proved and asks for the rest.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn ask(
    app: &App,
    context: &Context,
    mut flow: Flow,
    claim: Claim,
    customer: CustomerId,
) -> Result<Response, Failure> {
    flow.await_proof(claim, customer, context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/link", &flow))
}

/// What the login page says while an upstream account waits.
pub fn login_message(app: &App, flow: &Flow, context: &Context) -> Option<Message> {
    let pending = flow.pending_link(context.now)?;
    Some(Message::SignInToConnect { name: provider_name(app, &pending.claim.connector) })
}

/// What waits for a proof, and the address that a code goes to.
fn awaited(flow: &Flow, context: &Context) -> Option<(PendingLink, EmailAddress)> {
    let pending = flow.pending_link(context.now)?;
    Some((pending.clone(), pending.claim.vouched_address()?.clone()))
}

/// The page.
pub async fn get(State(app): State<App>, OfFlow { context, flow, .. }: OfFlow) -> Result<Response, Failure> {
    let Some((pending, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    Ok(exists_page(&app, &flow, &pending, &address, None))
}

fn exists_page(
    app: &App,
    flow: &Flow,
    pending: &PendingLink,
    address: &EmailAddress,
    error: Option<Message>,
) -> Response {
    let page = AccountExistsPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client_name(app, flow),
        provider: provider_name(app, &pending.claim.connector),
        masked_email: masked(address.display()),
        code_offered: app.mailer.is_offered(),
        error,
    };
    told(page.page(), page.error.as_ref())
}

/// A proof by mail is for one customer, one upstream account and one flow (rule 10).
fn code_of<'a>(
    app: &'a App,
    context: &'a Context,
    flow: &'a Flow,
    pending: &PendingLink,
    address: &'a EmailAddress,
) -> MailedCode<'a> {
    let claim = &pending.claim;
    let bound_to = format!("{}\n{}\n{}\n{}", flow.id, pending.customer, claim.connector, claim.subject);
    let (purpose, page) = (Purpose::Link, CodePurpose::ProveEmail);
    MailedCode { app, context, flow, address, purpose, page, bound_to }
}

/// Mails the code, and asks for it.
pub async fn send(State(app): State<App>, PostedFlow { context, flow, .. }: PostedFlow) -> Result<Response, Failure> {
    let Some((pending, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    match code_of(&app, &context, &flow, &pending, &address).send().await? {
        None => Ok(see_other("/link/code", &flow)),
        Some(message) => Ok(exists_page(&app, &flow, &pending, &address, Some(message))),
    }
}

/// Another code.
pub async fn resend(State(app): State<App>, PostedFlow { context, flow, .. }: PostedFlow) -> Result<Response, Failure> {
    let Some((pending, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    let code = code_of(&app, &context, &flow, &pending, &address);
    let message = code.send().await?;
    Ok(code.ask(Some(message.unwrap_or(Message::CodeSent))))
}

/// The page that asks for the code.
pub async fn get_code(State(app): State<App>, OfFlow { context, flow, .. }: OfFlow) -> Result<Response, Failure> {
    let Some((pending, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    Ok(code_of(&app, &context, &flow, &pending, &address).ask(None))
}

/// The code: if it is right, the account is linked and its customer signed in.
pub async fn post_code(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Some((pending, address)) = awaited(&flow, &context) else {
        // A second click on a form that has done its work: whoever is signed in goes on.
        let session = browser.current(&app, context.now).await?;
        return step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await;
    };
    code_of(&app, &context, &flow, &pending, &address).prove(&params).await?;
    flow.link = None;
    let (customer, link) = joining::link(&app, &context, &flow, &pending, Proof::MailedCode).await?;
    let authentication = Authentication {
        auth_time: context.now,
        acr: pending.claim.level.clone(),
        amr: pending.claim.amr.clone(),
        via: pending.claim.namespace().to_string(),
        link: Some(link),
        upstream: pending.claim.sid.as_deref().map(|sid| session::upstream_session(&pending.claim.connector, sid)),
    };
    let ops = vec![flow.save(context.now)?];
    let walk = Walk { app: &app, context: &context, flow, session: None, ops };
    step::signed_in(walk, &browser, customer, authentication, Some(&address)).await
}
