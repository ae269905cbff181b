//! Sign in through an upstream provider: out with state, nonce and PKCE, back once, in the same browser.

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::extract::PostedFlow;
use super::step::{self, Walk};
use super::{acting, address, connections, form_post, joining, link, login_page};
use crate::app::App;
use crate::config::AskEmail;
use crate::connector::{Connector, ConnectorError, UpstreamCallback, UpstreamIdentity, Wishes};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::Message;
use crate::http::session::BrowserSession;
use crate::identity::import::Differs;
use crate::identity::linking::{Claim, Proof};
use crate::identity::namespace::Namespace;
use crate::identity::sign_in::{self, Question, SignedIn, Source, Typed};
use crate::ids::LinkId;
use crate::session::flow::{Flow, Returned, Target, UpstreamFlow};
use crate::session::pending::PendingLink;
use crate::session::{self, Authentication};

/// The button of a provider.
pub async fn begin(
    State(app): State<App>,
    PostedFlow { context, params, flow }: PostedFlow,
) -> Result<Response, Failure> {
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
        access_token: None,
    };
    let redirect_uri = redirect_uri(&app, connector.id())?;
    let identity = match connector.finish(&callback, &upstream.pending, &redirect_uri, context.now).await {
        Ok(identity) => identity,
        Err(error) if matches!(upstream.flow.target, Target::Link { .. }) => {
            return Ok(acting::failed(&app, &context, connector.as_ref(), &error));
        }
        Err(error) => return Ok(failed(&app, &upstream.flow, connector.name(), &error)),
    };
    let sealed =
        identity.tokens.as_ref().map(|tokens| app.provider.keeper.seal(connector.id(), &identity.subject, tokens));
    let source = Source { tokens: sealed.as_ref(), ..source(&app, connector.as_ref(), &identity) };
    let namespace = Namespace::Social(connector.id().to_owned());
    let is_fit = !namespace.blocks(&identity.subject, &app.config.namespaces);
    if matches!(upstream.flow.target, Target::Link { .. }) && is_fit {
        let claim = Claim::new(source, &identity);
        return connections::returned(&app, &context, &browser, upstream.flow, &claim).await;
    }
    let walk = Walk { app: &app, context: &context, flow: upstream.flow, session: None, ops: vec![] };
    arrived(walk, &browser, source, &identity).await
}

/// Somebody has proved to have this account at a provider: whose it is decides what comes next.
///
/// # Errors
/// If a store does not answer, or with the page that says why they cannot sign in.
pub(super) async fn arrived(
    walk: Walk<'_>,
    browser: &BrowserSession,
    source: Source<'_>,
    identity: &UpstreamIdentity,
) -> Result<Response, Failure> {
    let (app, context) = (walk.app, walk.context);
    let (customer, link) = match sign_in::social(app.store(), source, identity, context.now).await? {
        SignedIn::Known(customer, link) => {
            if let Typed::Proved(address) = source.typed {
                // Became a customer in another tab while the code was on its way.
                address::keep(app, context, customer, address, None).await?;
            }
            (customer, link)
        }
        SignedIn::Created(customer, link) => (customer, link),
        SignedIn::AddressAsked => return address::ask_newcomer(walk, source, identity).await,
        SignedIn::AccountExists(customer, claim, Question::Asked) => {
            return link::ask(app, context, walk.flow, *claim, customer).await;
        }
        SignedIn::AccountExists(customer, claim, Question::Spared) => {
            // Whoever has typed the address has proved it by mail just now.
            let proof = if claim.typed { Proof::MailedCode } else { Proof::Login };
            let pending = PendingLink { claim: *claim, customer, expires_at: context.now };
            joining::link(app, context, &walk.flow, &pending, proof).await?
        }
        SignedIn::Refused => return Ok(refused(app, &walk.flow, Message::AccountBlocked)),
        SignedIn::Disabled => {
            let name = joining::provider_name(app, source.connector);
            return Ok(refused(app, &walk.flow, Message::ConnectorAccountDisabled { name }));
        }
        SignedIn::Blocked => {
            let name = joining::provider_name(app, source.connector);
            return Ok(refused(app, &walk.flow, Message::ConnectorFailed { name }));
        }
        SignedIn::Missing(claims) => {
            tracing::info!(connector = source.connector, ?claims, "a provider did not say what is required");
            let name = joining::provider_name(app, source.connector);
            return Ok(refused(app, &walk.flow, Message::ClaimsMissing { name, claims }));
        }
        SignedIn::Differs(Differs(claim)) => {
            tracing::info!(connector = source.connector, ?claim, "a provider says something else than the customer");
            let name = joining::provider_name(app, source.connector);
            return Ok(refused(app, &walk.flow, Message::ClaimDiffers { name, claim }));
        }
    };
    let authentication = authentication(source, link, identity, context);
    step::signed_in(walk, browser, customer, authentication, None).await
}

/// What a connector has to say in the decision who somebody is. An address is asked for only where mail can prove it.
pub(super) fn source<'a>(app: &'a App, connector: &'a dyn Connector, identity: &UpstreamIdentity) -> Source<'a> {
    let asks = connector.config().ask_email != AskEmail::Never && app.mailer.is_offered();
    let typed = if asks { Typed::AskedFor } else { Typed::Nothing };
    Source { typed, ..Source::of(connector, identity, &app.config.namespaces) }
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
        upstream: identity.sid.as_deref().map(|sid| session::upstream_session(source.connector, sid)),
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
