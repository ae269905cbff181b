//! Sign in through an upstream provider: out with state, nonce and PKCE, back once, in the same browser.

use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::step::{self, Walk};
use super::{connections, form_post, link, login_page, posted_flow};
use crate::app::App;
use crate::connector::{ConnectorError, UpstreamCallback, UpstreamIdentity, Wishes};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::Message;
use crate::http::session::BrowserSession;
use crate::identity::import::Differs;
use crate::identity::linking::Claim;
use crate::identity::namespace::{self, Namespace};
use crate::identity::sign_in::{self, Question, SignedIn, Source};
use crate::ids::LinkId;
use crate::session::Authentication;
use crate::session::flow::{Flow, Returned, Target, UpstreamFlow};

/// The button of a provider.
pub async fn begin(State(app): State<App>, context: Context, body: Bytes) -> Result<Response, Failure> {
    let (params, flow) = posted_flow(&app, &context, &body).await?;
    let Some(connector) = params.get("connector").and_then(|id| app.connectors.get(id)) else {
        return Ok(error::expired_page(&app, &context));
    };
    let redirect_uri = redirect_uri(&app, connector.id())?;
    match connector.authorization_request(&redirect_uri, wishes(&flow), context.now).await {
        Ok(upstream) => {
            UpstreamFlow { pending: upstream.pending, flow }.save(app.kv()).await?;
            Ok(Redirect::to(upstream.url.as_str()).into_response())
        }
        Err(error) => Ok(failed(&app, &flow, connector.name(), &error)),
    }
}

/// The provider's redirect back to us.
pub async fn callback(
    State(app): State<App>,
    context: Context,
    browser: BrowserSession,
    Path(connector): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failure> {
    let known = app.cookies.browser(&context.cookies);
    let Some(connector) = app.connectors.get(&connector) else { return Ok(error::expired_page(&app, &context)) };
    let params = form_post::answer(&app, connector.as_ref(), query.unwrap_or_default().as_bytes()).await?;
    let state = params.get("state").unwrap_or_default();
    let upstream = match UpstreamFlow::take(app.kv(), state, connector.id(), known.known(), context.now).await? {
        Returned::First(upstream) => *upstream,
        Returned::Again(flow) => {
            let flow = Flow::load(app.kv(), &flow.id, known.known(), context.now).await?.map_or(flow, Box::new);
            // The same callback once more: whoever is logged in goes on, anybody else sees the login page.
            let session = browser.current(&app, context.now).await?;
            return step::advance(Walk { app: &app, context: &context, flow: *flow, session, ops: vec![] }).await;
        }
        Returned::Unknown => return Ok(error::expired_page(&app, &context)),
    };
    let callback = UpstreamCallback {
        code: params.owned("code"),
        error: params.owned("error"),
        error_description: params.owned("error_description"),
        iss: params.owned("iss"),
        user: params.owned("user"),
    };
    let redirect_uri = redirect_uri(&app, connector.id())?;
    let identity = match connector.finish(&callback, &upstream.pending, &redirect_uri, context.now).await {
        Ok(identity) => identity,
        Err(error) => return Ok(failed(&app, &upstream.flow, connector.name(), &error)),
    };
    let sealed =
        identity.tokens.as_ref().map(|tokens| app.provider.keeper.seal(connector.id(), &identity.subject, tokens));
    let source = Source { tokens: sealed.as_ref(), ..Source::of(connector.as_ref(), &identity) };
    if matches!(upstream.flow.target, Target::Link { .. }) && !namespace::is_blocked(&identity.subject) {
        let claim = Claim::new(source, &identity);
        return connections::returned(&app, &context, &browser, &upstream.flow, &claim).await;
    }
    let signed_in = sign_in::social(app.store(), source, &identity, context.now).await?;
    let (customer, link) = match signed_in {
        SignedIn::Known(customer, link) | SignedIn::Created(customer, link) => (customer, link),
        SignedIn::AccountExists(customer, claim, Question::Asked) => {
            return link::ask(&app, &context, upstream.flow, *claim, customer).await;
        }
        SignedIn::AccountExists(customer, claim, Question::Spared) => {
            link::unasked(&app, &context, &upstream.flow, *claim, customer).await?
        }
        SignedIn::Refused => return Ok(refused(&app, &upstream.flow, Message::AccountBlocked)),
        SignedIn::Blocked => {
            let name = connector.name().to_owned();
            return Ok(refused(&app, &upstream.flow, Message::ConnectorFailed { name }));
        }
        SignedIn::Missing(claims) => {
            tracing::info!(connector = connector.id(), ?claims, "a provider did not say what is required");
            let name = connector.name().to_owned();
            return Ok(refused(&app, &upstream.flow, Message::ClaimsMissing { name, claims }));
        }
        SignedIn::Differs(Differs(claim)) => {
            tracing::info!(connector = connector.id(), ?claim, "a provider says something else than the customer");
            let name = connector.name().to_owned();
            return Ok(refused(&app, &upstream.flow, Message::ClaimDiffers { name, claim }));
        }
    };
    let authentication = authentication(source, link, &identity, &context);
    let walk = Walk { app: &app, context: &context, flow: upstream.flow, session: None, ops: vec![] };
    step::signed_in(walk, &browser, customer, authentication, None).await
}

/// What the provider's word is worth here: its `amr` is passed on; a level is reached only where the configuration says
/// what of the provider's makes it.
fn authentication(source: Source<'_>, link: LinkId, identity: &UpstreamIdentity, context: &Context) -> Authentication {
    Authentication {
        auth_time: context.now,
        acr: source.level.map(str::to_owned),
        amr: identity.amr.clone(),
        via: Namespace::Social(source.connector.to_owned()).to_string(),
        link: Some(link),
    }
}

/// What the app would like, for the provider.
fn wishes(flow: &Flow) -> Wishes<'_> {
    match flow.request() {
        Some(request) => Wishes { login_hint: request.login_hint.as_deref(), levels: &request.acr_values },
        None => Wishes::default(),
    }
}

/// Where a provider sends the browser back to.
pub(super) fn redirect_uri(app: &App, connector: &str) -> Result<Url, url::ParseError> {
    app.config.server.callback(connector)
}

fn failed(app: &App, flow: &Flow, name: &str, error: &ConnectorError) -> Response {
    let name = name.to_owned();
    match error {
        ConnectorError::Denied => refused(app, flow, Message::ConnectorCancelled { name }),
        // Said once, when it was left alone.
        ConnectorError::Paused => refused(app, flow, Message::ConnectorUnavailable { name }),
        error => {
            tracing::warn!(connector = name, error = %error, "a login at an upstream provider failed");
            refused(app, flow, Message::ConnectorFailed { name })
        }
    }
}

fn refused(app: &App, flow: &Flow, message: Message) -> Response {
    login_page(app, flow, String::new(), Some(message), None)
}
