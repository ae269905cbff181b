//! The end-session endpoint (RP-Initiated Logout 1.0): GET and POST alike.

use axum::extract::State;
use axum::response::Response;

use crate::app::App;
use crate::http::context::Context;
use crate::http::either::EitherParams;
use crate::http::error::Failure;
use crate::http::login::account;
use crate::http::session::BrowserSession;
use crate::oidc::logout;

/// The request.
pub async fn either(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    EitherParams(params): EitherParams,
) -> Result<Response, Failure> {
    let session = browser.current(&app, context.now).await?;
    let decision = logout::decide(&app.provider, &params, session.as_ref(), context.now).await?;
    let name = decision.client.as_deref().map(|client| client.name().to_owned());
    let return_to = decision.return_to.map(|url| (name.clone().unwrap_or_default(), url));
    match session {
        Some(session) if decision.confirm => account::ask(&app, &session, name, return_to).await,
        Some(session) => account::end(&app, &browser, &session, &context, return_to).await,
        None => Ok(account::done(&app, return_to)),
    }
}
