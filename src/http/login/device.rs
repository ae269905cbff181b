//! Connecting a device (RFC 8628 §3.3): a person types the code it shows, signs in, and says whether it may.
//!
//! The code alone leads to a question, never to an answer: whoever is sent here with a code that is not theirs is shown
//! what would be connected and from where it was asked (RFC 8628 §5.4). Tries are counted like those at a password.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::consent::{account, grant, page_of};
use super::extract::{OfFlow, Posted, PostedFlow};
use super::step::{self, Walk};
use super::{client_of, see_other, standing, told};
use crate::app::App;
use crate::credential::throttle::{Action, Attempt, Browser, Decision as Allowance};
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::pages::{ConsentPage, DeviceAnsweredPage, DeviceLine, DevicePage, Message, View};
use crate::http::session::BrowserSession;
use crate::oidc::client::Client;
use crate::oidc::device::{self, Decision, DeviceRequest};
use crate::protocol::device::UserCode;
use crate::protocol::params::Params;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};

/// The most of what was typed that is shown again.
const SHOWN: usize = 32;

/// The page that asks for the code. A device that shows its address whole brings it along (RFC 8628 §3.3.1).
pub async fn get(State(app): State<App>, uri: axum::http::Uri) -> Response {
    let params = Params::parse(uri.query().unwrap_or_default().as_bytes());
    ask(&app, params.get("user_code").unwrap_or_default(), None)
}

fn ask(app: &App, typed: &str, error: Option<Message>) -> Response {
    let user_code = match UserCode::parse(typed) {
        Some(code) => code.to_string(),
        None => typed.chars().take(SHOWN).collect(),
    };
    let page = DevicePage { brand: &app.brand, user_code, error };
    told(page.page(), page.error.as_ref())
}

/// The code: begins a flow that leads to the question.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    Posted { context, params }: Posted,
) -> Result<Response, Failure> {
    let typed = params.get("user_code").unwrap_or_default();
    let Some(user_code) = UserCode::parse(typed) else {
        return Ok(ask(&app, typed, Some(Message::UserCodeUnknown)));
    };
    let attempt = Attempt {
        action: Action::UserCode,
        account: user_code.as_str(),
        client: context.client,
        browser: Browser::Unknown,
    };
    let check = app.throttle.before(&attempt, context.now);
    let replies = app.kv().run(check.ops()).await?;
    if let Allowance::Refused { retry_after } = check.decide(&replies) {
        return Ok(ask(&app, typed, Some(Message::TooManyTries { seconds: retry_after.as_secs() })));
    }
    let Some(request) = device::find(app.kv(), &user_code, context.now).await? else {
        return Ok(ask(&app, typed, Some(Message::UserCodeUnknown)));
    };
    let mut this_browser = app.cookies.browser(&context.cookies);
    let target = Target::Device { client_id: request.client_id, request: request.id };
    let flow = Flow::new(this_browser.hash.clone(), target, context.now);
    let session = browser.current(&app, context.now).await?;
    let mut response = step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await?;
    app.cookies.introduce(&mut response, &mut this_browser);
    Ok(response)
}

/// What a page of a flow to a device needs: who is asked, about which open request, of which client.
struct Asked {
    session: SsoSession,
    request: DeviceRequest,
    client: Arc<Client>,
}

/// The same of this flow and browser; the page to show instead if something of it is not there any more.
async fn asked(
    app: &App,
    browser: &BrowserSession,
    flow: &Flow,
    context: &Context,
) -> Result<Result<Asked, Response>, Failure> {
    let Some(session) = standing(app, browser, context.now).await? else { return Ok(Err(see_other("/login", flow))) };
    let request = match &flow.target {
        Target::Device { request, .. } => device::open_request(app.kv(), request, context.now).await?,
        _ => None,
    };
    Ok(match (request, client_of(app, flow)) {
        (Some(request), Some(client)) => Ok(Asked { session, request, client }),
        _ => Err(ask(app, "", Some(Message::UserCodeUnknown))),
    })
}

/// The question.
pub async fn get_confirm(
    State(app): State<App>,
    browser: BrowserSession,
    OfFlow { context, flow, .. }: OfFlow,
) -> Result<Response, Failure> {
    let Asked { session, request, client } = match asked(&app, &browser, &flow, &context).await? {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let account = account(&app, session.customer).await?;
    let device = DeviceLine { user_code: request.user_code.to_string(), place: request.place };
    let page = ConsentPage { device: Some(device), ..page_of(&app, &flow, &client, &request.scope, account) };
    Ok(page.page().into_response())
}

/// The answer.
pub async fn post_confirm(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Asked { session, request, client } = match asked(&app, &browser, &flow, &context).await? {
        Ok(asked) => asked,
        Err(instead) => return Ok(instead),
    };
    let decision = match params.get("decision") {
        // Another tab may have signed in somebody else since.
        Some("allow") if !flow.has_asked(&session) => {
            let walk = Walk { app: &app, context: &context, flow, session: Some(session), ops: vec![] };
            return step::advance(walk).await;
        }
        Some("allow") => Decision::allowed(&session),
        Some("deny") => Decision::Denied,
        _ => return Ok(see_other("/device/confirm", &flow)),
    };
    let connected = matches!(decision, Decision::Allowed { .. });
    if connected && !client.metadata.first_party {
        grant(&app, session.customer, client.id(), &request.scope, &context).await?;
    }
    if !device::decide(app.kv(), &request, &decision).await? {
        return Ok(ask(&app, "", Some(Message::UserCodeUnknown)));
    }
    Ok(DeviceAnsweredPage { brand: &app.brand, connected }.page().into_response())
}
