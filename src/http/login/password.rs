//! Sign in with address and password: enumeration-safe and throttled (spec/protocol.md rule 50).

use axum::extract::State;
use axum::response::Response;

use super::extract::{OfFlow, Posted, load_flow};
use super::step::{self, Walk};
use super::{link, login_page, masked};
use crate::app::App;
use crate::credential::device::DeviceCookie;
use crate::credential::password::Verdict;
use crate::credential::throttle::{Action, Attempt, Check, Decision};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::Message;
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::merge::side;
use crate::identity::namespace::Namespace;
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::kv::Reply;
use crate::protocol::params::Params;
use crate::secret::Secret;
use crate::session::Authentication;
use crate::session::flow::Flow;
use crate::store::retry::retry;
use crate::store::{CustomerState, PasswordLogin};

/// The login page.
pub async fn get(
    State(app): State<App>,
    browser: BrowserSession,
    OfFlow { context, params, flow }: OfFlow,
) -> Result<Response, Failure> {
    let again_as = match browser.current(&app, context.now).await? {
        // Somebody else than who is signed in is about to be.
        Some(_) if params.get("account") == Some("other") => None,
        Some(session) => address_of(&app, session.customer).await?.map(|email| masked(&email)),
        None => None,
    };
    let hint = flow.request().and_then(|request| request.login_hint.clone()).unwrap_or_default();
    let email = EmailAddress::parse(&hint).map(|address| address.display().to_owned()).unwrap_or_default();
    let message = link::login_message(&app, &flow, &context);
    Ok(login_page(&app, &flow, email, message, again_as))
}

async fn address_of(app: &App, customer: CustomerId) -> Result<Option<String>, Failure> {
    let rows = app.store().begin_read().await?.members_of(customer).await?;
    let profile = side::profile(&rows, customer, &app.config.merge);
    Ok(profile.and_then(|profile| Profile::from_json(&profile).text("email")))
}

/// The form of the login page.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    Posted { context, params }: Posted,
) -> Result<Response, Failure> {
    if !app.config.password.enabled {
        return Ok(error::expired_page(&app, &context));
    }
    let typed = params.owned("email").unwrap_or_default();
    let Ok(address) = EmailAddress::parse(&typed) else {
        let flow = load_flow(&app, &context, &params).await?;
        return Ok(login_page(&app, &flow, typed, Some(Message::EmailInvalid), None));
    };
    let (flow, check) = begin(&app, &context, &address, &params).await?;
    let password = params.owned("password").unwrap_or_default();
    let known = side::password(&mut app.store().begin_read().await?, address.normalized()).await?;
    let phc = known.as_ref().map(|known| known.phc.clone());
    let refuse = |message| Ok(login_page(&app, &flow, typed.clone(), Some(message), None));
    let verdict = match app.hasher.verify(Secret::new(password.clone()), phc).await {
        Ok(verdict) => verdict,
        Err(_) => return refuse(Message::Busy),
    };
    let (Verdict::Right { rehash }, Some(known)) = (verdict, known) else { return refuse(Message::WrongCredentials) };
    if known.root_state != CustomerState::Active {
        return refuse(Message::AccountBlocked);
    }
    let new_phc = if rehash { app.hasher.hash(Secret::new(password)).await.ok() } else { None };
    remember_use(&app, &known, new_phc, &context).await?;
    let authentication = Authentication {
        auth_time: context.now,
        acr: None,
        amr: vec!["pwd".to_owned()],
        via: Namespace::Email.to_string(),
        link: Some(known.link),
        upstream: None,
    };
    let walk = Walk { app: &app, context: &context, flow: flow.clone(), session: None, ops: check.forgive() };
    step::signed_in(walk, &browser, known.customer, authentication, Some(&address)).await
}

/// One round trip: counts the attempt and loads the flow.
async fn begin(
    app: &App,
    context: &Context,
    address: &EmailAddress,
    params: &Params,
) -> Result<(Flow, Check), Failure> {
    let device = DeviceCookie::parse(app.cookies.get(&context.cookies, "device").unwrap_or_default());
    let attempt = Attempt {
        action: Action::Password,
        account: address.normalized(),
        client: context.client,
        browser: device.browser(&app.secrets.device, address.normalized(), context.now),
    };
    let check = app.throttle.before(&attempt, context.now);
    let mut ops = check.ops();
    ops.push(Flow::load_op(params.get("flow").unwrap_or_default()));
    let mut replies: Vec<Reply> = app.kv().run(ops).await?;
    let known = app.cookies.browser(&context.cookies);
    let Some(flow) = Flow::decode(replies.pop(), known.known(), context.now)? else {
        return Err(Failure::answer(error::expired_page(app, context)));
    };
    match check.decide(&replies) {
        Decision::Allowed => Ok((flow, check)),
        Decision::Refused { retry_after } => {
            let seconds = retry_after.as_secs();
            let email = address.display().to_owned();
            let page = login_page(app, &flow, email, Some(Message::TooManyTries { seconds }), None);
            Err(Failure::answer(page))
        }
    }
}

async fn remember_use(
    app: &App,
    known: &PasswordLogin,
    new_phc: Option<String>,
    context: &Context,
) -> Result<(), Failure> {
    let attempt = async || {
        let mut tx = app.store().begin().await?;
        if let Some(phc) = &new_phc {
            tx.credential_rehash(known.credential, &known.phc, phc, context.now).await?;
        }
        tx.credential_used(known.credential, context.now).await?;
        tx.commit().await
    };
    Ok(retry(attempt).await?)
}
