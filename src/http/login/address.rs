//! Adding an address: asked of a newcomer whose provider brings none, before a customer is made, or begun on the account
//! page (spec/identity.md rule 11).
//!
//! A mailed code proves it. Nobody's address becomes the customer's own; one that is another customer's leads the
//! newcomer's account to that customer, and somebody who is a customer already to the question whether both are theirs.
//! The pages say the same whether or not somebody has the address; only its mailbox tells.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use super::acting::to_account;
use super::extract::{OfFlow, PostedFlow};
use super::joining::{self, tell};
use super::mailed_code::MailedCode;
use super::step::{self, Walk};
use super::{both_mine, client_name, masked, see_other, social, standing, told, unchanged};
use crate::app::App;
use crate::config::AskEmail;
use crate::connector::UpstreamIdentity;
use crate::credential::email_code::Purpose;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{AddressPage, CodePurpose, Message, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::addresses::{self, Added};
use crate::identity::limit::Limit;
use crate::identity::linking::{MAILED_CODE, Mailbox};
use crate::identity::merge_request::Proved;
use crate::identity::namespace::{self, Namespace, Rules};
use crate::identity::sign_in::{Source, Typed};
use crate::ids::{CustomerId, Sid};
use crate::jobs::Task;
use crate::mail::templates;
use crate::session::SsoSession;
use crate::session::flow::Flow;
use crate::session::pending::{AddressOf, Newcomer, PendingAddress};
use crate::store;
use crate::store::retry::retry;

/// Asks somebody who is no customer yet, before they become one.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn ask_newcomer(
    walk: Walk<'_>,
    source: Source<'_>,
    identity: &UpstreamIdentity,
) -> Result<Response, Failure> {
    let Walk { app, context, mut flow, .. } = walk;
    let newcomer =
        Newcomer { connector: source.connector.to_owned(), identity: identity.clone(), tokens: source.tokens.cloned() };
    flow.await_address(AddressOf::Newcomer(Box::new(newcomer)), identity.email.clone(), context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/address", &flow))
}

/// The page.
pub async fn get(State(app): State<App>, OfFlow { context, flow, .. }: OfFlow) -> Result<Response, Failure> {
    let Some(pending) = flow.pending_address(context.now) else { return Ok(error::expired_page(&app, &context)) };
    let typed = pending.typed.as_ref().map(|address| address.display().to_owned());
    let email = typed.or_else(|| pending.hint.clone()).unwrap_or_default();
    Ok(page(&app, &flow, pending, email, None))
}

fn page(app: &App, flow: &Flow, pending: &PendingAddress, email: String, error: Option<Message>) -> Response {
    let newcomer = match &pending.of {
        AddressOf::Newcomer(newcomer) => Some(newcomer),
        AddressOf::Customer { .. } => None,
    };
    let page = AddressPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client_name(app, flow),
        email,
        error,
        newcomer: newcomer.is_some(),
        skip_offered: newcomer.is_some_and(|newcomer| is_optional(app, newcomer)),
    };
    told(page.page(), page.error.as_ref())
}

fn is_optional(app: &App, newcomer: &Newcomer) -> bool {
    let connector = app.connectors.get(&newcomer.connector);
    connector.is_some_and(|connector| connector.config().ask_email != AskEmail::Require)
}

/// A proof is for one flow, and for one upstream account or one customer's session.
fn code_of<'a>(
    app: &'a App,
    context: &'a Context,
    flow: &'a Flow,
    of: &AddressOf,
    address: &'a EmailAddress,
) -> MailedCode<'a> {
    let bound_to = match of {
        AddressOf::Newcomer(newcomer) => {
            format!("{}\n{}\n{}", flow.id, newcomer.connector, newcomer.identity.subject)
        }
        AddressOf::Customer { customer, sid } => format!("{}\n{customer}\n{}", flow.id, sid.as_str()),
    };
    let (purpose, page) = (Purpose::Change, CodePurpose::AddEmail);
    MailedCode { app, context, flow, address, purpose, page, bound_to }
}

/// The address: mails a code to it, and asks for that.
pub async fn post(
    State(app): State<App>,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Some(mut pending) = flow.pending_address(context.now).cloned() else {
        return Ok(error::expired_page(&app, &context));
    };
    let email = params.owned("email").unwrap_or_default();
    let address = match EmailAddress::parse(&email) {
        Ok(address) if namespace::blocks_address(&address, &app.config.namespaces) => Err(Message::EmailRefused),
        Ok(address) => Ok(address),
        Err(_) => Err(Message::EmailInvalid),
    };
    let address = match address {
        Ok(address) => address,
        Err(message) => return Ok(page(&app, &flow, &pending, email, Some(message))),
    };
    if let Some(message) = code_of(&app, &context, &flow, &pending.of, &address).send().await? {
        return Ok(page(&app, &flow, &pending, email, Some(message)));
    }
    pending.typed = Some(address);
    flow.address = Some(pending);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Ok(see_other("/address/code", &flow))
}

/// The newcomer goes without.
pub async fn skip(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, mut flow, .. }: PostedFlow,
) -> Result<Response, Failure> {
    let pending = flow.pending_address(context.now).map(|pending| pending.of.clone());
    match pending {
        Some(AddressOf::Newcomer(newcomer)) if is_optional(&app, &newcomer) => {
            flow.address = None;
            arrive(&app, &context, &browser, flow, &newcomer, Typed::Nothing).await
        }
        Some(AddressOf::Newcomer(_)) => Ok(see_other("/address", &flow)),
        Some(AddressOf::Customer { .. }) => Ok(to_account()),
        None => go_on(&app, &context, &browser, flow).await,
    }
}

/// A second click on a form that has done its work: whoever is signed in goes on.
async fn go_on(app: &App, context: &Context, browser: &BrowserSession, flow: Flow) -> Result<Response, Failure> {
    let session = browser.current(app, context.now).await?;
    step::advance(Walk { app, context, flow, session, ops: vec![] }).await
}

/// The newcomer's login goes on. `flow` no longer asks.
async fn arrive(
    app: &App,
    context: &Context,
    browser: &BrowserSession,
    flow: Flow,
    newcomer: &Newcomer,
    typed: Typed<'_>,
) -> Result<Response, Failure> {
    let Some(connector) = app.connectors.get(&newcomer.connector) else { return Ok(error::expired_page(app, context)) };
    let mut source = social::source(app, connector.as_ref(), &newcomer.identity);
    (source.typed, source.tokens) = (typed, newcomer.tokens.as_ref());
    let ops = vec![flow.save(context.now)?];
    let walk = Walk { app, context, flow, session: None, ops };
    social::arrived(walk, browser, source, &newcomer.identity).await
}

/// What is being added, once a code has left.
fn awaited(flow: &Flow, context: &Context) -> Option<(AddressOf, EmailAddress)> {
    let pending = flow.pending_address(context.now)?;
    Some((pending.of.clone(), pending.typed.clone()?))
}

/// The page that asks for the code.
pub async fn get_code(State(app): State<App>, OfFlow { context, flow, .. }: OfFlow) -> Result<Response, Failure> {
    let Some((of, address)) = awaited(&flow, &context) else { return Ok(see_other("/address", &flow)) };
    Ok(code_of(&app, &context, &flow, &of, &address).ask(None))
}

/// Another code.
pub async fn resend(State(app): State<App>, PostedFlow { context, flow, .. }: PostedFlow) -> Result<Response, Failure> {
    let Some((of, address)) = awaited(&flow, &context) else { return Ok(see_other("/address", &flow)) };
    let code = code_of(&app, &context, &flow, &of, &address);
    let message = code.send().await?;
    Ok(code.ask(Some(message.unwrap_or(Message::CodeSent))))
}

/// The code: if it is right, the address is the newcomer's or the customer's, or leads to whoever has it.
pub async fn post_code(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Some((of, address)) = awaited(&flow, &context) else { return go_on(&app, &context, &browser, flow).await };
    let session = match &of {
        AddressOf::Newcomer(_) => None,
        AddressOf::Customer { customer, sid } => {
            // The session that began it must still be there: one that was ended takes what it had begun along (rule 9).
            let session = standing(&app, &browser, context.now).await?;
            let session = session.filter(|session| session.customer == *customer && session.sid == *sid);
            let Some(session) = session else { return Ok(error::expired_page(&app, &context)) };
            Some(session)
        }
    };
    code_of(&app, &context, &flow, &of, &address).prove(&params).await?;
    flow.address = None;
    match (of, session) {
        (AddressOf::Newcomer(newcomer), _) => {
            arrive(&app, &context, &browser, flow, &newcomer, Typed::Proved(&address)).await
        }
        (AddressOf::Customer { .. }, Some(session)) => add(&app, &context, flow, &session, &address).await,
        (AddressOf::Customer { .. }, None) => Ok(error::expired_page(&app, &context)),
    }
}

/// Adds a proved address to the customer who is signed in.
async fn add(
    app: &App,
    context: &Context,
    flow: Flow,
    session: &SsoSession,
    address: &EmailAddress,
) -> Result<Response, Failure> {
    match keep(app, context, session.customer, address, Some(&session.sid)).await? {
        Added::Proved { .. } => {
            app.kv().run(vec![flow.save(context.now)?]).await?;
            Ok(to_account())
        }
        Added::Taken { owner, link } => {
            let (via, amr) = (Namespace::Email.to_string(), vec![MAILED_CODE.to_owned()]);
            let other = Proved { customer: owner, via, link: Some(link), amr, at: context.now };
            both_mine::ask(app, context, flow, session, other, address.display().to_owned()).await
        }
        Added::Full(limit) => {
            let text = match limit {
                Limit::Live => "Your account has as many addresses as it can have. Nothing was changed.",
                Limit::Week => {
                    "Your account was given many addresses in the last days. Try again in a week. Nothing was changed."
                }
            };
            Ok(unchanged(app, context, StatusCode::CONFLICT, "Too many addresses", text))
        }
        Added::Refused => Ok(error::expired_page(app, context)),
    }
}

/// Adds an address that was just proved, and tells the customer. Where nobody had proved it before, whoever is signed in
/// is so no more, but by the session that is `kept`.
///
/// # Errors
/// If the database fails.
pub(super) async fn keep(
    app: &App,
    context: &Context,
    customer: CustomerId,
    address: &EmailAddress,
    kept: Option<&Sid>,
) -> Result<Added, store::Error> {
    let (added, tasks) = retry(|| keep_once(app, context, customer, address, kept)).await?;
    app.mail_queued.notify_one();
    app.worker.finish_all(tasks).await?;
    Ok(added)
}

async fn keep_once(
    app: &App,
    context: &Context,
    customer: CustomerId,
    address: &EmailAddress,
    kept: Option<&Sid>,
) -> Result<(Added, Vec<(Uuid, Task)>), store::Error> {
    let mut tx = app.store().begin().await?;
    let mut tasks = Vec::new();
    let added = addresses::add(&mut tx, customer, address, Rules::of(&app.config, context.now)).await?;
    if let Added::Proved { customer, mailbox } = added {
        let url = app.config.server.endpoint("/account");
        let shown = masked(address.display());
        let letter = |to: &_| templates::address_added(&app.letterhead, to, &shown, &url);
        tell(app, &mut tx, customer, context, letter).await?;
        if mailbox == Mailbox::ProvedFirst {
            tasks = joining::end_others(app, &mut tx, customer, kept, context.now).await?;
        }
        tx.commit().await?;
    }
    Ok((added, tasks))
}
