//! Connecting a device (RFC 8628 §3.3): a person types the code it shows, signs in, and says whether it may.
//!
//! The code alone leads to a question, never to an answer: whoever is sent here with a code that is not theirs is shown
//! what would be connected and from where it was asked (RFC 8628 §5.4). Tries are counted like those at a password.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::consent::{account, grant, scope_line};
use super::extract::{OfFlow, Posted, PostedFlow};
use super::step::{self, Walk};
use super::{client_of, see_other, told};
use crate::app::App;
use crate::credential::throttle::{Action, Attempt, Browser, Decision as Allowance};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{ConsentPage, DeviceLine, DevicePage, Message, View};
use crate::http::session::BrowserSession;
use crate::oidc::device::{self, Decision, DeviceRequest};
use crate::protocol::device::UserCode;
use crate::protocol::params::Params;
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

/// The open request that a flow is about.
async fn request_of(app: &App, flow: &Flow, context: &Context) -> Result<Option<DeviceRequest>, Failure> {
    let Target::Device { request, .. } = &flow.target else { return Ok(None) };
    Ok(device::open_request(app.kv(), request, context.now).await?)
}

/// The question.
pub async fn get_confirm(
    State(app): State<App>,
    browser: BrowserSession,
    OfFlow { context, flow, .. }: OfFlow,
) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else { return Ok(see_other("/login", &flow)) };
    let (Some(request), Some(client)) = (request_of(&app, &flow, &context).await?, client_of(&app, &flow)) else {
        return Ok(ask(&app, "", Some(Message::UserCodeUnknown)));
    };
    let metadata = &client.metadata;
    let page = ConsentPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client.name().to_owned(),
        logo_uri: metadata.logo_uri.clone(),
        policy_uri: metadata.policy_uri.clone(),
        tos_uri: metadata.tos_uri.clone(),
        client_host: String::new(),
        scopes: request.scope.iter().filter_map(scope_line).collect(),
        account: account(&app, session.customer).await?,
        device: Some(DeviceLine { user_code: request.user_code.to_string(), place: request.place }),
    };
    Ok(page.page().into_response())
}

/// The answer.
pub async fn post_confirm(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, flow }: PostedFlow,
) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else { return Ok(see_other("/login", &flow)) };
    let (Some(request), Some(client)) = (request_of(&app, &flow, &context).await?, client_of(&app, &flow)) else {
        return Ok(ask(&app, "", Some(Message::UserCodeUnknown)));
    };
    let text = app.brand.text;
    let allowed = match params.get("decision") {
        Some("allow") => true,
        Some("deny") => false,
        _ => return Ok(see_other("/device/confirm", &flow)),
    };
    // Another tab may have signed in somebody else since, and a merge may have ended what this session proved.
    if allowed && !(flow.has_asked(&session) && step::counts(&app, &session, context.now).await?) {
        return step::advance(Walk { app: &app, context: &context, flow, session: Some(session), ops: vec![] }).await;
    }
    if allowed && !client.metadata.first_party {
        grant(&app, session.customer, client.id(), &request.scope, &context).await?;
    }
    let decision = if allowed { Decision::allowed(&session) } else { Decision::Denied };
    if !device::decide(app.kv(), &request, &decision).await? {
        return Ok(ask(&app, "", Some(Message::UserCodeUnknown)));
    }
    let (title, text) = match allowed {
        true => (text.device_done_title, text.device_done_text),
        false => (text.device_denied_title, text.device_denied_text),
    };
    Ok(error::plain_page(&app, &context, StatusCode::OK, title, text, vec![]))
}
