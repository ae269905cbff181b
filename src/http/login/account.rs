//! The start page, signing in without an app, turning back, and signing out.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderValue;
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};
use url::Url;

use super::extract::{Posted, PostedFlow};
use super::step::{self, Walk};
use crate::app::App;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{LoggedOutPage, LogoutPage, SignedInPage, View};
use crate::http::session::BrowserSession;
use crate::ids::Sid;
use crate::protocol::{ErrorCode, OAuthError};
use crate::secret;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};

/// How long a customer may think about signing out.
const CONFIRMATION_LIFETIME: Duration = Duration::from_secs(30 * 60);

/// A sign-out that waits for the customer's word. Its key is the unguessable token in the form.
#[derive(Debug, Serialize, Deserialize)]
struct Confirmation {
    sid: Sid,
    return_to: Option<(String, Url)>,
}

/// Who is signed in here, and the apps to go to.
pub async fn home(State(app): State<App>, context: Context, browser: BrowserSession) -> Result<Response, Failure> {
    let account = match super::standing(&app, &browser, context.now).await? {
        Some(session) => Some(super::consent::account(&app, session.customer).await?),
        None => None,
    };
    let apps = app.provider.clients.with_home();
    let apps = apps.iter().filter_map(|client| Some((client.name().to_owned(), client.home()?.to_owned()))).collect();
    Ok(SignedInPage { brand: &app.brand, account, apps }.page().into_response())
}

/// Signs in without an app: to see who one is, or after a flow was lost.
pub async fn sign_in(State(app): State<App>, context: Context, browser: BrowserSession) -> Result<Response, Failure> {
    let mut this_browser = app.cookies.browser(&context.cookies);
    let flow = Flow::new(this_browser.hash.clone(), Target::Home, context.now);
    let session = browser.current(&app, context.now).await?;
    let mut response = step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await?;
    app.cookies.introduce(&mut response, &mut this_browser);
    Ok(response)
}

/// The customer turns back: the app is told (RFC 6749 §4.1.2.1).
pub async fn cancel(State(app): State<App>, PostedFlow { flow, .. }: PostedFlow) -> Result<Response, Failure> {
    let error = OAuthError::new(ErrorCode::AccessDenied, "the end-user canceled");
    Ok(match &flow.target {
        Target::Authorization(request) => step::refuse(&app, &request.return_to, &error),
        Target::Destination { return_to, .. } => {
            Redirect::to(&return_to.origin().ascii_serialization()).into_response()
        }
        Target::Device { .. } => Redirect::to("/device").into_response(),
        Target::Home | Target::Desk(_) => Redirect::to("/").into_response(),
        Target::Account | Target::Link { .. } => Redirect::to("/account").into_response(),
    })
}

/// Our own sign-out link: always asks.
pub async fn get_logout(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
) -> Result<Response, Failure> {
    match browser.current(&app, context.now).await? {
        Some(session) => ask(&app, &session, None, None).await,
        None => Ok(logged_out(&app, None)),
    }
}

/// Asks the customer whether to sign out.
pub async fn ask(
    app: &App,
    session: &SsoSession,
    client_name: Option<String>,
    return_to: Option<(String, Url)>,
) -> Result<Response, Failure> {
    let token = secret::random_token();
    let confirmation = Confirmation { sid: session.sid.clone(), return_to };
    app.kv().set_json(&confirmation_key(&token), &confirmation, CONFIRMATION_LIFETIME).await?;
    Ok(LogoutPage { brand: &app.brand, token, client_name }.page().into_response())
}

/// The customer's word.
pub async fn confirm_logout(
    State(app): State<App>,
    browser: BrowserSession,
    Posted { context, params }: Posted,
) -> Result<Response, Failure> {
    let session = browser.current(&app, context.now).await?;
    let token = params.get("token").unwrap_or_default();
    let confirmation: Option<Confirmation> = app.kv().take_json(&confirmation_key(token)).await?;
    match (confirmation, session) {
        (Some(confirmation), Some(session)) if confirmation.sid == session.sid => {
            end(&app, &browser, &session, &context, confirmation.return_to).await
        }
        (_, None) => Ok(logged_out(&app, None)),
        (_, Some(_)) => Ok(error::expired_page(&app, &context)),
    }
}

/// Ends the session and goes where the app wants, or shows that it is done.
pub async fn end(
    app: &App,
    browser: &BrowserSession,
    session: &SsoSession,
    context: &Context,
    return_to: Option<(String, Url)>,
) -> Result<Response, Failure> {
    browser.end(app, session, context.now).await?;
    tracing::info!("a customer signed out");
    let mut response = done(app, return_to);
    // What was cached for this customer is not for whoever sits here next (spec/handoff.md rule 12).
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

/// What follows a sign-out.
pub fn done(app: &App, return_to: Option<(String, Url)>) -> Response {
    match return_to {
        Some((_, url)) => Redirect::to(url.as_str()).into_response(),
        None => logged_out(app, None),
    }
}

fn logged_out(app: &App, return_to: Option<(String, String)>) -> Response {
    LoggedOutPage { brand: &app.brand, return_to }.page().into_response()
}

fn confirmation_key(token: &str) -> String {
    format!("logout:{}", secret::token_hash(token))
}
