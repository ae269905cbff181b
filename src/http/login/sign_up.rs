//! Sign-up with address and password: the account is made when a mailed code has proved the address.
//!
//! What the pages say does not depend on whether the address has an account; only its owner's mailbox tells
//! (spec/protocol.md rule 50).

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use super::step::{self, Walk};
use super::{client_name, load_flow, login_page, masked, posted_flow, see_other, told};
use crate::app::App;
use crate::credential::device::DeviceCookie;
use crate::credential::email_code::{self, Binding, CODE_LIFETIME, Code, Issued, Outcome, Purpose};
use crate::credential::password::WeakPassword;
use crate::credential::throttle::{Action, Attempt, Decision};
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::pages::{CodePage, CodePurpose, Message, SignUpPage, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::namespace::Namespace;
use crate::identity::sign_in::{self, SignedUp};
use crate::mail::{queue, templates};
use crate::protocol::params::Params;
use crate::secret::Secret;
use crate::session::Authentication;
use crate::session::flow::{Flow, PendingSignUp};

/// The longest name anybody types, in bytes.
const MAX_NAME: usize = 200;

/// Whether visitors may make an account here: it needs passwords, and mail that reaches them.
pub fn is_offered(app: &App) -> bool {
    app.provider.offers_sign_up
}

/// The sign-up page.
pub async fn get(State(app): State<App>, context: Context, RawQuery(query): RawQuery) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let flow = load_flow(&app, &context, &params).await?;
    if !is_offered(&app) {
        return Ok(see_other("/login", &flow));
    }
    Ok(sign_up_page(&app, &flow, String::new(), String::new(), None))
}

fn sign_up_page(app: &App, flow: &Flow, email: String, name: String, error: Option<Message>) -> Response {
    let page = SignUpPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client_name(app, flow),
        email,
        name,
        error,
        password_min_length: app.config.password.min_length,
    };
    told(page.page(), page.error.as_ref())
}

/// The form: hashes the password, mails a code, and asks for it.
pub async fn post(State(app): State<App>, context: Context, body: Bytes) -> Result<Response, Failure> {
    let (params, mut flow) = posted_flow(&app, &context, &body).await?;
    if !is_offered(&app) {
        return Ok(see_other("/login", &flow));
    }
    let email = params.owned("email").unwrap_or_default();
    let name = params.owned("name").unwrap_or_default();
    let password = params.owned("password").unwrap_or_default();
    let address = match checked(&app, &email, &name, &password) {
        Ok(address) => address,
        Err(message) => return Ok(sign_up_page(&app, &flow, email, name, Some(message))),
    };
    if let Decision::Refused { retry_after } = throttled(&app, &context, &address).await? {
        let message = Message::TooManyTries { seconds: retry_after.as_secs() };
        return Ok(sign_up_page(&app, &flow, email, name, Some(message)));
    }
    let Ok(password_phc) = app.hasher.hash(Secret::new(password)).await else {
        return Ok(sign_up_page(&app, &flow, email, name, Some(Message::Busy)));
    };
    let name = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    flow.sign_up = Some(PendingSignUp { email: address.display().to_owned(), password_phc, name });
    app.kv().run(vec![flow.save(context.now)?]).await?;
    send_code(&app, &flow, &address, &context).await?;
    Ok(see_other("/sign-up/code", &flow))
}

fn checked(app: &App, email: &str, name: &str, password: &str) -> Result<EmailAddress, Message> {
    let address = EmailAddress::parse(email).map_err(|_| Message::EmailInvalid)?;
    if address.is_blocked() {
        return Err(Message::EmailRefused);
    }
    if name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Message::NameTooLong);
    }
    app.hasher.check_new(password).map_err(|weak| match weak {
        _ if password.is_empty() => Message::PasswordMissing,
        WeakPassword::TooShort { min } => Message::PasswordTooShort { minimum: min },
        WeakPassword::TooLong { .. } => Message::PasswordTooLong,
        WeakPassword::Common => Message::PasswordTooCommon,
    })?;
    Ok(address)
}

/// Counts a mail to this address; whether one may be sent.
pub(super) async fn throttled(app: &App, context: &Context, address: &EmailAddress) -> Result<Decision, Failure> {
    let device = DeviceCookie::parse(app.cookies.get(&context.cookies, "device").unwrap_or_default());
    let attempt = Attempt {
        action: Action::Mail,
        account: address.normalized(),
        client: context.client,
        browser: device.browser(&app.secrets.device, address.normalized(), context.now),
    };
    let check = app.throttle.before(&attempt, context.now);
    let replies = app.kv().run(check.ops()).await?;
    Ok(check.decide(&replies))
}

fn binding<'a>(flow: &'a Flow, address: &'a EmailAddress) -> Binding<'a> {
    Binding { purpose: Purpose::SignUp, address, flow: &flow.id }
}

/// Mails a code, or to an address that has an account a notice. Answers `false` if this flow has had too many.
async fn send_code(app: &App, flow: &Flow, address: &EmailAddress, context: &Context) -> Result<bool, Failure> {
    let issued = email_code::issue(app.kv(), &app.secrets.code, &binding(flow, address)).await?;
    let Issued::Code(code) = issued else { return Ok(false) };
    let mut tx = app.store().begin().await?;
    let taken = tx.link_resolve(&Namespace::Email.to_string(), address.normalized()).await?.is_some();
    let message = if taken {
        let sign_in = app.config.server.endpoint("/sign-in");
        templates::account_exists(&app.letterhead, address, &sign_in)
    } else {
        templates::code(&app.letterhead, address, Purpose::SignUp, &code)
    };
    queue::queue_until(&mut tx, &app.secrets.mail, &message, context.now + CODE_LIFETIME, context.now).await?;
    tx.commit().await?;
    app.mail_queued.notify_one();
    Ok(true)
}

/// The page that asks for the code.
pub async fn get_code(
    State(app): State<App>,
    context: Context,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let flow = load_flow(&app, &context, &params).await?;
    Ok(code_page(&app, &flow, None))
}

fn code_page(app: &App, flow: &Flow, error: Option<Message>) -> Response {
    let Some(pending) = &flow.sign_up else { return see_other("/sign-up", flow) };
    let page = CodePage {
        brand: &app.brand,
        flow: flow.id.clone(),
        masked_email: masked(&pending.email),
        purpose: CodePurpose::SignUp,
        error,
        resend_allowed: true,
    };
    told(page.page(), page.error.as_ref())
}

/// The code: if it is right, the customer is made and signed in.
pub async fn post_code(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    body: Bytes,
) -> Result<Response, Failure> {
    let (params, mut flow) = posted_flow(&app, &context, &body).await?;
    let pending = flow.sign_up.clone();
    let Some((pending, address)) = pending.and_then(|p| EmailAddress::parse(&p.email).ok().map(|a| (p, a))) else {
        // A second click on a form that has done its work: whoever is signed in goes on.
        let session = browser.current(&app, context.now).await?;
        return step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await;
    };
    let Some(code) = params.get("code").and_then(Code::parse) else {
        return Ok(code_page(&app, &flow, Some(Message::CodeMalformed)));
    };
    match email_code::check(app.kv(), &app.secrets.code, &binding(&flow, &address), &code).await? {
        Outcome::Right => {}
        Outcome::Wrong { tries_left } => {
            let tries_left = u32::try_from(tries_left).unwrap_or(u32::MAX);
            return Ok(code_page(&app, &flow, Some(Message::CodeWrong { tries_left })));
        }
        Outcome::Void => return Ok(code_page(&app, &flow, Some(Message::CodeUsedUp))),
    }
    let name = pending.name.as_deref();
    match sign_in::sign_up(app.store(), &address, &pending.password_phc, name, context.now).await? {
        SignedUp::Created(customer) => {
            flow.sign_up = None;
            let ops = vec![flow.save(context.now)?];
            let authentication = Authentication {
                auth_time: context.now,
                acr: None,
                amr: vec!["pwd".to_owned()],
                via: Namespace::Email.to_string(),
                link: None,
                upstream: None,
            };
            let walk = Walk { app: &app, context: &context, flow, session: None, ops };
            step::signed_in(walk, &browser, customer, authentication, Some(&address)).await
        }
        SignedUp::AddressTaken => Ok(login_page(&app, &flow, pending.email, Some(Message::EmailTaken), None)),
    }
}

/// Another code.
pub async fn resend(State(app): State<App>, context: Context, body: Bytes) -> Result<Response, Failure> {
    let (_, flow) = posted_flow(&app, &context, &body).await?;
    let Some(address) = flow.sign_up.as_ref().and_then(|pending| EmailAddress::parse(&pending.email).ok()) else {
        return Ok(see_other("/sign-up", &flow));
    };
    if let Decision::Refused { retry_after } = throttled(&app, &context, &address).await? {
        let message = Message::TooManyTries { seconds: retry_after.as_secs() };
        return Ok(code_page(&app, &flow, Some(message)));
    }
    let sent = send_code(&app, &flow, &address, &context).await?;
    Ok(code_page(&app, &flow, Some(if sent { Message::CodeSent } else { Message::CodeUsedUp })))
}
