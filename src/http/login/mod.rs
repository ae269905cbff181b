//! The pages on which a customer proves who they are, and the dispatcher that decides where each step leads.

pub mod account;
pub mod connections;
pub mod consent;
pub mod form_post;
pub mod link;
pub mod password;
pub mod sign_up;
pub mod social;
pub mod step;

use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::context::Context;
use super::error::{self, Failure};
use super::pages::{ConnectorButton, LoginPage, Message, Page, View};
use crate::app::App;
use crate::oidc::client::Client;
use crate::protocol::params::Params;
use crate::session::flow::Flow;

/// After how many seconds a queue of passwords that was full is worth another try.
const BUSY_SECONDS: u64 = 5;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/", get(account::home))
        .route("/sign-in", get(account::sign_in))
        .route("/login", get(password::get))
        .route("/login/password", post(password::post))
        .route("/login/social", post(social::begin))
        .route("/login/cancel", post(account::cancel))
        .route("/callback/{connector}", get(social::callback).post(form_post::post))
        .route("/sign-up", get(sign_up::get).post(sign_up::post))
        .route("/sign-up/code", get(sign_up::get_code).post(sign_up::post_code))
        .route("/sign-up/resend", post(sign_up::resend))
        .route("/link", get(link::get))
        .route("/link/send", post(link::send))
        .route("/link/code", get(link::get_code).post(link::post_code))
        .route("/link/resend", post(link::resend))
        .route("/account", get(connections::get))
        .route("/account/connect", post(connections::connect))
        .route("/account/disconnect", post(connections::disconnect))
        .route("/consent", get(consent::get).post(consent::post))
        .route("/select-account", get(consent::get_account).post(consent::post_account))
        .route("/logout", get(account::get_logout))
        .route("/logout/confirm", post(account::confirm_logout))
}

/// A POST of one of our forms: its fields and the flow it belongs to.
///
/// # Errors
/// A page, if the form does not come from us, or the flow has expired or is another browser's.
async fn posted_flow(app: &App, context: &Context, body: &[u8]) -> Result<(Params, Flow), Failure> {
    let params = posted(app, context, body)?;
    let flow = load_flow(app, context, &params).await?;
    Ok((params, flow))
}

/// The fields of a POST of one of our forms, unless another site sent it (spec/protocol.md rule 43). The flow's
/// unguessable ID, tied to the browser's cookie, is the main defense; this is the second.
fn posted(app: &App, context: &Context, body: &[u8]) -> Result<Params, Failure> {
    match &context.origin {
        Some(origin) if *origin != app.provider.issuer => Err(Failure::answer(error::plain_page(
            app,
            context,
            StatusCode::FORBIDDEN,
            "This form came from another site",
            "For your safety nothing was done. Go back to the app and sign in from there.",
            vec![],
        ))),
        _ => Ok(Params::parse(body)),
    }
}

/// The flow that a page's address or form names, if it is this browser's.
async fn load_flow(app: &App, context: &Context, params: &Params) -> Result<Flow, Failure> {
    let id = params.get("flow").unwrap_or_default();
    let browser = app.cookies.browser(&context.cookies);
    let flow = Flow::load(app.kv(), id, browser.known(), context.now).await?;
    flow.ok_or_else(|| Failure::answer(error::expired_page(app, context)))
}

/// The client a flow leads back to.
fn client_of(app: &App, flow: &Flow) -> Option<std::sync::Arc<Client>> {
    flow.request().and_then(|request| app.provider.clients.find(&request.client_id))
}

fn client_name(app: &App, flow: &Flow) -> String {
    client_of(app, flow).map(|client| client.name().to_owned()).unwrap_or_default()
}

/// The login page of a flow.
fn login_page(app: &App, flow: &Flow, email: String, error: Option<Message>, again_as: Option<String>) -> Response {
    let connectors = app.connectors.list().iter();
    let page = LoginPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client_name(app, flow),
        email,
        connectors: connectors
            .map(|connector| ConnectorButton {
                id: connector.id().to_owned(),
                name: connector.name().to_owned(),
                kind: connector.config().kind.as_str().to_owned(),
            })
            .collect(),
        password_enabled: app.config.password.enabled,
        sign_up_enabled: sign_up::is_offered(app),
        reauthenticate: again_as,
        error,
    };
    told(page.page(), page.error.as_ref())
}

/// A page with a message on it: the status says the same to programs, and when to come back.
fn told(page: Page, message: Option<&Message>) -> Response {
    let status = message.map_or(StatusCode::OK, status_of);
    let mut response = page.with_status(status).into_response();
    let wait = match message {
        Some(Message::TooManyTries { seconds }) => Some(*seconds),
        Some(Message::Busy) => Some(BUSY_SECONDS),
        _ => None,
    };
    if let Some(seconds) = wait {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// The status a page with this message is sent with.
fn status_of(message: &Message) -> StatusCode {
    match message {
        Message::TooManyTries { .. } => StatusCode::TOO_MANY_REQUESTS,
        Message::Busy | Message::MailUnavailable | Message::ConnectorUnavailable { .. } => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Message::CodeSent | Message::SignInToConnect { .. } => StatusCode::OK,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    }
}

/// RFC 9700 §4.12: after a POST with credentials, 303 and never 307.
fn see_other(path: &str, flow: &Flow) -> Response {
    Redirect::to(&format!("{path}?flow={}", flow.id)).into_response()
}

/// An address as it may be shown to whoever sits before the screen.
fn masked(email: &str) -> String {
    let Some((local, domain)) = email.split_once('@') else { return "•••".to_owned() };
    let first: String = local.chars().take(1).collect();
    format!("{first}•••@{domain}")
}
