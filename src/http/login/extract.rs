//! What the pages of a login flow take from a request: the flow that its address or its form names, if it is this
//! browser's, else the page that says how to start again.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::app::App;
use crate::http::context::Context;
use crate::http::either::form;
use crate::http::error::{self, Failure};
use crate::protocol::params::Params;
use crate::session::flow::Flow;

/// A page of a flow: GET, with `flow` in the query.
#[derive(Debug)]
pub struct OfFlow {
    pub context: Context,
    pub params: Params,
    pub flow: Flow,
}

impl FromRequestParts<App> for OfFlow {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Ok(context) = Context::from_request_parts(parts, app).await;
        let params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let flow = load_flow(app, &context, &params).await?;
        Ok(Self { context, params, flow })
    }
}

/// A form of a flow: POST, with `flow` in the body, from a page of ours.
#[derive(Debug)]
pub struct PostedFlow {
    pub context: Context,
    pub params: Params,
    pub flow: Flow,
}

impl FromRequest<App> for PostedFlow {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let Posted { context, params } = Posted::from_request(request, app).await?;
        let flow = load_flow(app, &context, &params).await?;
        Ok(Self { context, params, flow })
    }
}

/// A form of ours that no other site has sent (spec/protocol.md rule 43). A flow's unguessable ID, tied to the browser's
/// cookie, or the session's token is the main defense; this is the second.
#[derive(Debug)]
pub struct Posted {
    pub context: Context,
    pub params: Params,
}

impl FromRequest<App> for Posted {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let Ok(context) = Context::from_request_parts(&mut parts, app).await;
        let body = form(Request::from_parts(parts, body), app).await?;
        match &context.origin {
            Some(origin) if *origin != app.provider.issuer => Err(Failure::answer(error::plain_page(
                app,
                &context,
                StatusCode::FORBIDDEN,
                "This form came from another site",
                "For your safety nothing was done. Go back to the app and sign in from there.",
                vec![],
            ))),
            _ => Ok(Self { context, params: Params::parse(&body) }),
        }
    }
}

/// The flow that a page's address or form names, if it is this browser's.
///
/// # Errors
/// With the page that says how to start again; if the key-value store does not answer.
pub async fn load_flow(app: &App, context: &Context, params: &Params) -> Result<Flow, Failure> {
    let id = params.get("flow").unwrap_or_default();
    let browser = app.cookies.browser(&context.cookies);
    let flow = Flow::load(app.kv(), id, browser.known(), context.now).await?;
    flow.ok_or_else(|| Failure::answer(error::expired_page(app, context)))
}
