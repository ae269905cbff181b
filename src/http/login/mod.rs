//! The pages on which a customer proves who they are, and the dispatcher that decides where each step leads.

pub mod account;
pub mod acting;
pub mod address;
pub mod becoming_one;
pub mod both_mine;
pub mod connections;
pub mod consent;
pub mod device;
pub mod extract;
pub mod form_post;
pub mod joining;
pub mod link;
pub mod mailed_code;
pub mod password;
pub mod sign_up;
pub mod social;
pub mod step;
pub mod whole;

use axum::Router;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};

use super::context::Context;
use super::error::{self, Failure};
use super::pages::{Action, ConnectorButton, LoginPage, Message, Page, View};
use super::session::BrowserSession;
use crate::app::App;
use crate::clock::Timestamp;
use crate::identity::merge::side;
use crate::oidc::client::Client;
use crate::session::SsoSession;
use crate::session::flow::Flow;
use crate::store::CustomerState;

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
        .route("/address", get(address::get).post(address::post))
        .route("/address/skip", post(address::skip))
        .route("/address/code", get(address::get_code).post(address::post_code))
        .route("/address/resend", post(address::resend))
        .route("/both-mine", get(both_mine::get).post(both_mine::post))
        .route("/both-mine/join", post(becoming_one::post))
        .route("/account", get(connections::get))
        .route("/account/address", post(connections::add_address))
        .route("/account/connect", post(connections::connect))
        .route("/account/disconnect", post(connections::disconnect))
        .route("/account/whole", post(connections::prove_whole))
        .route("/whole/code", get(whole::get).post(whole::post))
        .route("/whole/resend", post(whole::resend))
        .route("/consent", get(consent::get).post(consent::post))
        .route("/device", get(device::get).post(device::post))
        .route("/device/confirm", get(device::get_confirm).post(device::post_confirm))
        .route("/select-account", get(consent::get_account).post(consent::post_account))
        .route("/logout", get(account::get_logout))
        .route("/logout/confirm", post(account::confirm_logout))
}

/// The client a flow leads back to.
fn client_of(app: &App, flow: &Flow) -> Option<std::sync::Arc<Client>> {
    flow.client_id().and_then(|client_id| app.provider.clients.find(client_id))
}

fn client_name(app: &App, flow: &Flow) -> String {
    client_of(app, flow).map(|client| client.name().to_owned()).unwrap_or_default()
}

/// The login page of a flow.
fn login_page(app: &App, flow: &Flow, email: String, error: Option<Message>, again_as: Option<String>) -> Response {
    let page = LoginPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client_name(app, flow),
        email,
        connectors: connector_buttons(app),
        password_enabled: app.config.password.enabled,
        sign_up_enabled: app.provider.offers_sign_up,
        reauthenticate: again_as,
        error,
    };
    told(page.page(), page.error.as_ref())
}

/// A button for each provider, in the order of the configuration.
fn connector_buttons(app: &App) -> Vec<ConnectorButton> {
    let connectors = app.connectors.list().iter();
    let button = |connector: &crate::connector::SharedConnector| ConnectorButton {
        id: connector.id().to_owned(),
        name: connector.name().to_owned(),
        kind: connector.config().kind.as_str().to_owned(),
    };
    connectors.map(button).collect()
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

/// The live session of a browser, if its login still counts: not once its customer was blocked, or an undoing has parted
/// what it saw.
///
/// # Errors
/// If a store does not answer.
async fn standing(app: &App, browser: &BrowserSession, now: Timestamp) -> Result<Option<SsoSession>, Failure> {
    let Some(session) = browser.current(app, now).await? else { return Ok(None) };
    Ok(counts(app, &session, now).await?.then_some(session))
}

/// Whether the login of a session still counts.
async fn counts(app: &App, session: &SsoSession, now: Timestamp) -> Result<bool, Failure> {
    let rows = app.store().begin_read().await?.members_of(session.customer).await?;
    let seen = side::see_members(&rows, session.customer, &app.config.merge, now);
    let auth_time = session.authentication.auth_time;
    Ok(seen.is_some_and(|seen| seen.state == CustomerState::Active && seen.counts(auth_time)))
}

/// A page that says why nothing was changed, with the way back to the account page.
fn unchanged(app: &App, context: &Context, status: StatusCode, title: &str, text: &str) -> Response {
    let back = Action { label: "Back to your account".to_owned(), href: "/account".to_owned() };
    error::plain_page(app, context, status, title, text, vec![back])
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
