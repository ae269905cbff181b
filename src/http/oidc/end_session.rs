//! The end-session endpoint (RP-Initiated Logout 1.0): GET and POST alike.

use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::Response;

use crate::app::App;
use crate::http::context::{self, Context};
use crate::http::error::Failure;
use crate::http::login::account;
use crate::http::session::BrowserSession;
use crate::oidc::logout;
use crate::protocol::params::Params;

/// The request in the query.
pub async fn get(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    answer(&app, &context, &browser, &Params::parse(query.unwrap_or_default().as_bytes())).await
}

/// The request in the body.
pub async fn post(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    body: Bytes,
) -> Result<Response, Failure> {
    match context::again_with_cookies(&app, &context, "/end-session", &body) {
        Some(detour) => Ok(detour),
        None => answer(&app, &context, &browser, &Params::parse(&body)).await,
    }
}

async fn answer(app: &App, context: &Context, browser: &BrowserSession, params: &Params) -> Result<Response, Failure> {
    let session = browser.current(app, context.now).await?;
    let decision = logout::decide(&app.provider, params, session.as_ref(), context.now).await?;
    let name = decision.client.as_deref().map(|client| client.name().to_owned());
    let return_to = decision.return_to.map(|url| (name.clone().unwrap_or_default(), url));
    match session {
        Some(session) if decision.confirm => account::ask(app, &session, name, return_to).await,
        Some(session) => account::end(app, browser, &session, context, return_to).await,
        None => Ok(account::done(app, return_to)),
    }
}
