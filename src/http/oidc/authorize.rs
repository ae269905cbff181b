//! The authorization endpoint (RFC 6749 §3.1, OpenID Connect Core §3.1.2): GET and POST alike.

use axum::extract::State;
use axum::response::Response;

use crate::app::App;
use crate::http::context::Context;
use crate::http::either::EitherParams;
use crate::http::error::{self, Failure};
use crate::http::login::step::{self, Walk};
use crate::http::session::BrowserSession;
use crate::oidc::authorize::{Refusal, check};
use crate::oidc::pushed;
use crate::session::flow::{Flow, Target};

/// The request.
pub async fn either(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    EitherParams(params): EitherParams,
) -> Result<Response, Failure> {
    let checked = match pushed::reference(&params) {
        // Whatever else the browser brings does not count (RFC 9126 §4).
        Some(request_uri) => {
            pushed::open(&app.provider, &params, request_uri, context.now).await?.map_err(Refusal::Page)
        }
        None => check(&params, &app.provider),
    };
    let request = match checked {
        Ok(request) => request,
        Err(Refusal::Page(error)) => return Ok(error::refused_page(&app, &context, &error)),
        Err(Refusal::Redirect { return_to, error }) => return Ok(step::refuse(&app, &return_to, &error)),
    };
    let mut this_browser = app.cookies.browser(&context.cookies);
    let target = Target::Authorization(Box::new(request));
    let flow = Flow::new(this_browser.hash.clone(), target, context.now);
    let session = browser.current(&app, context.now).await?;
    let mut response = step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await?;
    app.cookies.introduce(&mut response, &mut this_browser);
    Ok(response)
}
