//! "You already have an account": an upstream account that brings the address of a customer is linked once its bearer
//! has proved to be that customer, by logging in as them or by a code mailed to the address (spec/identity.md rules 8
//! to 10).
//!
//! The page is shown only to somebody for whom a provider vouches that the address is theirs, so it tells no stranger
//! who has an account here. What waits is kept in the flow: one browser's, for one customer, for a short time.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::step::{self, Walk};
use super::{client_name, load_flow, login_page, masked, posted_flow, see_other, sign_up, told};
use crate::app::App;
use crate::credential::email_code::{self, Binding, CODE_LIFETIME, Code, Issued, Outcome, Purpose};
use crate::credential::throttle::Decision;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{AccountExistsPage, Action, CodePage, CodePurpose, Message, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::import::Differs;
use crate::identity::linking::{self, Claim, Linked, Proof};
use crate::identity::merge::side;
use crate::ids::{CustomerId, LinkId};
use crate::mail::{queue, templates};
use crate::protocol::params::Params;
use crate::session::Authentication;
use crate::session::flow::{Flow, PendingLink};
use crate::store::Tx;

/// Keeps what the provider proved and asks for the rest.
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

/// What customers call the provider of a claim.
fn provider_name(app: &App, claim: &Claim) -> String {
    let connector = app.connectors.get(&claim.connector);
    connector.map_or_else(|| claim.connector.clone(), |connector| connector.name().to_owned())
}

/// What the login page says while an upstream account waits.
pub fn login_message(app: &App, flow: &Flow, context: &Context) -> Option<Message> {
    let pending = flow.pending_link(context.now)?;
    Some(Message::SignInToConnect { name: provider_name(app, &pending.claim) })
}

/// What waits for a proof, and the address that a code goes to.
fn awaited(flow: &Flow, context: &Context) -> Option<(PendingLink, EmailAddress)> {
    let pending = flow.pending_link(context.now)?;
    Some((pending.clone(), pending.claim.vouched_address()?.clone()))
}

/// The page.
pub async fn get(State(app): State<App>, context: Context, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let flow = load_flow(&app, &context, &params).await?;
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
        provider: provider_name(app, &pending.claim),
        masked_email: masked(address.display()),
        code_offered: app.mailer.is_offered(),
        error,
    };
    told(page.page(), page.error.as_ref())
}

/// A proof by mail is for one customer, one upstream account and one flow (rule 10).
fn bound_to(flow: &Flow, pending: &PendingLink) -> String {
    let claim = &pending.claim;
    format!("{}\n{}\n{}\n{}", flow.id, pending.customer, claim.connector, claim.subject)
}

fn binding<'a>(bound_to: &'a str, address: &'a EmailAddress) -> Binding<'a> {
    Binding { purpose: Purpose::Link, address, flow: bound_to }
}

/// Mails the code, and asks for it.
pub async fn send(State(app): State<App>, context: Context, body: Bytes) -> Result<Response, Failure> {
    let (_, flow) = posted_flow(&app, &context, &body).await?;
    let Some((pending, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    match mail_code(&app, &context, &flow, &pending, &address).await? {
        None => Ok(see_other("/link/code", &flow)),
        Some(message) => Ok(exists_page(&app, &flow, &pending, &address, Some(message))),
    }
}

/// Another code.
pub async fn resend(State(app): State<App>, context: Context, body: Bytes) -> Result<Response, Failure> {
    let (_, flow) = posted_flow(&app, &context, &body).await?;
    let Some((pending, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    let message = mail_code(&app, &context, &flow, &pending, &address).await?;
    Ok(code_page(&app, &flow, &address, Some(message.unwrap_or(Message::CodeSent))))
}

/// Mails a code; answers why not, if it cannot.
async fn mail_code(
    app: &App,
    context: &Context,
    flow: &Flow,
    pending: &PendingLink,
    address: &EmailAddress,
) -> Result<Option<Message>, Failure> {
    if !app.mailer.is_offered() {
        return Ok(Some(Message::MailUnavailable));
    }
    if let Decision::Refused { retry_after } = sign_up::throttled(app, context, address).await? {
        return Ok(Some(Message::TooManyTries { seconds: retry_after.as_secs() }));
    }
    let bound_to = bound_to(flow, pending);
    let issued = email_code::issue(app.kv(), &app.secrets.code, &binding(&bound_to, address)).await?;
    let Issued::Code(code) = issued else { return Ok(Some(Message::CodeUsedUp)) };
    let message = templates::code(&app.letterhead, address, Purpose::Link, &code);
    let mut tx = app.store().begin().await?;
    queue::queue_until(&mut tx, &app.secrets.mail, &message, context.now + CODE_LIFETIME, context.now).await?;
    tx.commit().await?;
    app.mail_queued.notify_one();
    Ok(None)
}

/// The page that asks for the code.
pub async fn get_code(
    State(app): State<App>,
    context: Context,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let flow = load_flow(&app, &context, &params).await?;
    let Some((_, address)) = awaited(&flow, &context) else { return Ok(see_other("/login", &flow)) };
    Ok(code_page(&app, &flow, &address, None))
}

fn code_page(app: &App, flow: &Flow, address: &EmailAddress, error: Option<Message>) -> Response {
    let page = CodePage {
        brand: &app.brand,
        flow: flow.id.clone(),
        masked_email: masked(address.display()),
        purpose: CodePurpose::ProveEmail,
        error,
        resend_allowed: true,
    };
    told(page.page(), page.error.as_ref())
}

/// The code: if it is right, the account is linked and its customer signed in.
pub async fn post_code(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    body: Bytes,
) -> Result<Response, Failure> {
    let (params, mut flow) = posted_flow(&app, &context, &body).await?;
    let Some((pending, address)) = awaited(&flow, &context) else {
        // A second click on a form that has done its work: whoever is signed in goes on.
        let session = browser.current(&app, context.now).await?;
        return step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await;
    };
    let Some(code) = params.get("code").and_then(Code::parse) else {
        return Ok(code_page(&app, &flow, &address, Some(Message::CodeMalformed)));
    };
    let bound_to = bound_to(&flow, &pending);
    match email_code::check(app.kv(), &app.secrets.code, &binding(&bound_to, &address), &code).await? {
        Outcome::Right => {}
        Outcome::Wrong { tries_left } => {
            let tries_left = u32::try_from(tries_left).unwrap_or(u32::MAX);
            return Ok(code_page(&app, &flow, &address, Some(Message::CodeWrong { tries_left })));
        }
        Outcome::Void => return Ok(code_page(&app, &flow, &address, Some(Message::CodeUsedUp))),
    }
    flow.link = None;
    let (customer, link) = link(&app, &context, &flow, &pending, Proof::MailedCode).await?;
    let authentication = Authentication {
        auth_time: context.now,
        acr: pending.claim.level.clone(),
        amr: pending.claim.amr.clone(),
        via: pending.claim.namespace().to_string(),
        link: Some(link),
    };
    let ops = vec![flow.save(context.now)?];
    let walk = Walk { app: &app, context: &context, flow, session: None, ops };
    step::signed_in(walk, &browser, customer, authentication, Some(&address)).await
}

/// Somebody has logged in while an upstream account waited: it is linked if it waited for them, and forgotten if not.
///
/// # Errors
/// If a store does not answer, or with the page that says why it cannot be linked.
pub async fn logged_in(app: &App, context: &Context, flow: &mut Flow, customer: CustomerId) -> Result<(), Failure> {
    let Some(pending) = flow.pending_link(context.now).cloned() else {
        flow.link = None;
        return Ok(());
    };
    flow.link = None;
    let rows = app.store().begin_read().await?.members_of(pending.customer).await?;
    if side::is_same(&rows, pending.customer, customer) {
        link(app, context, flow, &pending, Proof::Login).await?;
    }
    Ok(())
}

/// Links an account without a question, where the configuration and the rules allow it.
///
/// # Errors
/// If a store does not answer, or with the page that says why it cannot be linked.
pub async fn unasked(
    app: &App,
    context: &Context,
    flow: &Flow,
    claim: Claim,
    customer: CustomerId,
) -> Result<(CustomerId, LinkId), Failure> {
    let pending = PendingLink { claim, customer, expires_at: context.now };
    link(app, context, flow, &pending, Proof::Login).await
}

/// Links what waited, and tells the customer by mail. `flow` no longer holds it.
async fn link(
    app: &App,
    context: &Context,
    flow: &Flow,
    pending: &PendingLink,
    proof: Proof,
) -> Result<(CustomerId, LinkId), Failure> {
    let mut tx = app.store().begin().await?;
    let linked = linking::add(&mut tx, pending.customer, &pending.claim, proof, context.now).await?;
    let name = provider_name(app, &pending.claim);
    let refusal = match linked {
        Linked::Added { customer, link } => {
            tell(app, &mut tx, customer, context, |to| {
                templates::account_connected(&app.letterhead, to, &name, &app.config.server.endpoint("/account"))
            })
            .await?;
            tx.commit().await?;
            app.mail_queued.notify_one();
            return Ok((customer, link));
        }
        Linked::Already { customer, link } => return Ok((customer, link)),
        Linked::Refused => login_page(app, flow, String::new(), Some(Message::AccountBlocked), None),
        Linked::Missing(claims) => {
            login_page(app, flow, String::new(), Some(Message::ClaimsMissing { name, claims }), None)
        }
        Linked::Differs(Differs(claim)) => {
            login_page(app, flow, String::new(), Some(Message::ClaimDiffers { name, claim }), None)
        }
        Linked::Full => refused(
            app,
            context,
            flow,
            "Too many connected accounts",
            &format!(
                "Your account is connected with as many accounts of {name} as it can be. Sign in the way you usually do."
            ),
        ),
        Linked::Taken => refused(
            app,
            context,
            flow,
            "That account is in use",
            &format!("Meanwhile this account of {name} was connected to another account. Sign in with it again."),
        ),
    };
    drop(tx);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    Err(Failure::answer(refusal))
}

fn refused(app: &App, context: &Context, flow: &Flow, title: &str, text: &str) -> Response {
    let back = Action { label: "Sign in".to_owned(), href: format!("/login?flow={}", flow.id) };
    error::plain_page(app, context, StatusCode::CONFLICT, title, text, vec![back]).into_response()
}

/// Queues a mail to every address that the customer has proved, in the transaction of what it tells.
pub(super) async fn tell(
    app: &App,
    tx: &mut Tx,
    customer: CustomerId,
    context: &Context,
    message: impl Fn(&EmailAddress) -> crate::mail::Message,
) -> Result<(), Failure> {
    for address in linking::proved_addresses(tx, customer).await? {
        queue::queue(tx, &app.secrets.mail, &message(&address), context.now).await?;
    }
    Ok(())
}
