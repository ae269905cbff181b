//! Sign-up with address and password: the account is made when a mailed code has proved the address.
//!
//! What the pages say does not depend on whether the address has an account; only its owner's mailbox tells
//! (spec/protocol.md rule 50).

use axum::extract::State;
use axum::response::Response;

use super::extract::{OfFlow, PostedFlow};
use super::mailed_code::MailedCode;
use super::step::{self, Walk};
use super::{client_name, login_page, see_other, told};
use crate::app::App;
use crate::credential::email_code::Purpose;
use crate::credential::password::WeakPassword;
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::pages::{CodePurpose, Message, SignUpPage, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::namespace::{self, Namespace};
use crate::identity::sign_in::{self, SignedUp};
use crate::mail::templates;
use crate::secret::Secret;
use crate::session::Authentication;
use crate::session::flow::Flow;
use crate::session::pending::PendingSignUp;

/// The longest name anybody types, in bytes.
const MAX_NAME: usize = 200;

/// The sign-up page.
pub async fn get(State(app): State<App>, OfFlow { flow, .. }: OfFlow) -> Result<Response, Failure> {
    if !app.provider.offers_sign_up {
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
pub async fn post(
    State(app): State<App>,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    if !app.provider.offers_sign_up {
        return Ok(see_other("/login", &flow));
    }
    let email = params.owned("email").unwrap_or_default();
    let name = params.owned("name").unwrap_or_default();
    let password = params.owned("password").unwrap_or_default();
    let address = match checked(&app, &email, &name, &password) {
        Ok(address) => address,
        Err(message) => return Ok(sign_up_page(&app, &flow, email, name, Some(message))),
    };
    // Counted before the password is hashed: what is refused costs nothing.
    if let Some(message) = code_of(&app, &context, &flow, &address).allowed().await? {
        return Ok(sign_up_page(&app, &flow, email, name, Some(message)));
    }
    let Ok(password_phc) = app.hasher.hash(Secret::new(password)).await else {
        return Ok(sign_up_page(&app, &flow, email, name, Some(Message::Busy)));
    };
    let kept = Some(name.trim().to_owned()).filter(|name| !name.is_empty());
    flow.sign_up = Some(PendingSignUp { email: address.display().to_owned(), password_phc, name: kept });
    app.kv().run(vec![flow.save(context.now)?]).await?;
    match mail(&code_of(&app, &context, &flow, &address)).await? {
        None => Ok(see_other("/sign-up/code", &flow)),
        Some(message) => Ok(sign_up_page(&app, &flow, email, name, Some(message))),
    }
}

fn checked(app: &App, email: &str, name: &str, password: &str) -> Result<EmailAddress, Message> {
    let address = EmailAddress::parse(email).map_err(|_| Message::EmailInvalid)?;
    if namespace::blocks_address(&address, &app.config.namespaces) {
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

fn code_of<'a>(app: &'a App, context: &'a Context, flow: &'a Flow, address: &'a EmailAddress) -> MailedCode<'a> {
    let (purpose, page, bound_to) = (Purpose::SignUp, CodePurpose::SignUp, flow.id.clone());
    MailedCode { app, context, flow, address, purpose, page, bound_to }
}

/// Mails a code, or to an address that has an account a notice; why not, if it cannot.
async fn mail(code: &MailedCode<'_>) -> Result<Option<Message>, Failure> {
    let (app, address) = (code.app, code.address);
    let mut tx = app.store().begin_read().await?;
    let taken = tx.link_resolve(&Namespace::Email.to_string(), address.normalized()).await?.is_some();
    drop(tx);
    let sign_in = app.config.server.endpoint("/sign-in");
    code.mail(|digits| match taken {
        true => templates::account_exists(&app.letterhead, address, &sign_in),
        false => code.letter(digits),
    })
    .await
}

/// What waits for a code, and the address it went to.
fn awaited(flow: &Flow) -> Option<(PendingSignUp, EmailAddress)> {
    let pending = flow.sign_up.clone()?;
    let address = EmailAddress::parse(&pending.email).ok()?;
    Some((pending, address))
}

/// The page that asks for the code.
pub async fn get_code(State(app): State<App>, OfFlow { context, flow, .. }: OfFlow) -> Result<Response, Failure> {
    let Some((_, address)) = awaited(&flow) else { return Ok(see_other("/sign-up", &flow)) };
    Ok(code_of(&app, &context, &flow, &address).ask(None))
}

/// The code: if it is right, the customer is made and signed in.
pub async fn post_code(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Some((pending, address)) = awaited(&flow) else {
        // A second click on a form that has done its work: whoever is signed in goes on.
        let session = browser.current(&app, context.now).await?;
        return step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await;
    };
    code_of(&app, &context, &flow, &address).prove(&params).await?;
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
pub async fn resend(State(app): State<App>, PostedFlow { context, flow, .. }: PostedFlow) -> Result<Response, Failure> {
    let Some((_, address)) = awaited(&flow) else { return Ok(see_other("/sign-up", &flow)) };
    let code = code_of(&app, &context, &flow, &address);
    let message = match code.allowed().await? {
        None => mail(&code).await?,
        refusal => refusal,
    };
    Ok(code.ask(Some(message.unwrap_or(Message::CodeSent))))
}
