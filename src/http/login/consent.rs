//! Consent for apps of others, and the choice of account (OpenID Connect Core §3.1.2.4, `prompt=select_account`).

use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::extract::{OfFlow, PostedFlow};
use super::step::{self, Walk};
use super::{client_name, client_of, see_other};
use crate::app::App;
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::pages::{ConsentPage, ScopeLine, SelectAccountPage, View};
use crate::http::session::BrowserSession;
use crate::identity::consent;
use crate::identity::merge::side;
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::oidc::client::Client;
use crate::oidc::pushed;
use crate::protocol::scope::Scope;
use crate::protocol::{ErrorCode, OAuthError};
use crate::session::flow::Flow;
use crate::store::retry::retry;

/// The consent page.
pub async fn get(
    State(app): State<App>,
    browser: BrowserSession,
    OfFlow { context, flow, .. }: OfFlow,
) -> Result<Response, Failure> {
    let (Some(session), Some(client), Some(request)) =
        (browser.current(&app, context.now).await?, client_of(&app, &flow), flow.request())
    else {
        return Ok(see_other("/login", &flow));
    };
    let account = account(&app, session.customer).await?;
    let client_host = host(&request.return_to.redirect_uri);
    let page = ConsentPage { client_host, ..page_of(&app, &flow, &client, &request.scope, account) };
    Ok(page.page().into_response())
}

/// The page that asks whether a client may have these scopes.
pub(super) fn page_of<'a>(
    app: &'a App,
    flow: &Flow,
    client: &Client,
    scope: &Scope,
    account: String,
) -> ConsentPage<'a> {
    let metadata = &client.metadata;
    ConsentPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client.name().to_owned(),
        logo_uri: metadata.logo_uri.clone(),
        policy_uri: metadata.policy_uri.clone(),
        tos_uri: metadata.tos_uri.clone(),
        client_host: String::new(),
        scopes: scope.iter().filter_map(scope_line).collect(),
        account,
        device: None,
    }
}

fn host(redirect_uri: &Url) -> String {
    redirect_uri.host_str().unwrap_or_else(|| redirect_uri.scheme()).to_owned()
}

fn scope_line(scope: &str) -> Option<ScopeLine> {
    let (title, text) = match scope {
        "openid" => return None,
        "profile" => ("Your name and picture", "How you are called, your language and your picture."),
        "email" => ("Your e-mail address", "The address you use here, and whether it is confirmed."),
        "phone" => ("Your phone number", "The number you use here."),
        "address" => ("Your postal address", "Where you live."),
        "offline_access" => ("Access while you are away", "The app may ask for this again without you."),
        other => (other, "A permission of the app's own."),
    };
    Some(ScopeLine { title: title.to_owned(), text: text.to_owned() })
}

/// What the customer is called on pages: the address, the name, or nothing better.
pub(super) async fn account(app: &App, customer: CustomerId) -> Result<String, Failure> {
    let rows = app.store().begin_read().await?.members_of(customer).await?;
    // One side of a merge is called what it called itself, and learns nothing of the other.
    let profile = side::profile(&rows, customer, &app.config.merge).map(|profile| Profile::from_json(&profile));
    Ok(called(&profile.unwrap_or_default()))
}

/// The same, of a profile.
pub(super) fn called(profile: &Profile) -> String {
    let names = ["email", "name", "preferred_username"];
    names.iter().find_map(|name| profile.text(name)).unwrap_or_else(|| "your account".to_owned())
}

/// The decision.
pub async fn post(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    let (Some(session), Some(request)) = (browser.current(&app, context.now).await?, flow.request().cloned()) else {
        return Ok(see_other("/login", &flow));
    };
    match params.get("decision") {
        Some("allow") if !flow.has_asked(&session) => {
            step::advance(Walk { app: &app, context: &context, flow, session: Some(session), ops: vec![] }).await
        }
        Some("allow") => {
            grant(&app, session.customer, &request.client_id, &request.scope, &context).await?;
            flow.progress.consented = true;
            let walk = Walk { app: &app, context: &context, flow, session: Some(session), ops: vec![] };
            step::advance(walk).await
        }
        Some("deny") => {
            if let Some(used_up) = pushed::used_up(&request) {
                app.kv().run(vec![used_up]).await?;
            }
            let error = OAuthError::new(ErrorCode::AccessDenied, "the end-user did not consent");
            Ok(step::refuse(&app, &request.return_to, &error))
        }
        _ => Ok(see_other("/consent", &flow)),
    }
}

/// Remembers a consent; one given before is widened, never narrowed.
pub(super) async fn grant(
    app: &App,
    customer: CustomerId,
    client_id: &str,
    scope: &Scope,
    context: &Context,
) -> Result<(), Failure> {
    let attempt = async || {
        let mut tx = app.store().begin().await?;
        consent::grant(&mut tx, &app.config.merge, customer, (client_id, scope), context.now).await?;
        tx.commit().await
    };
    Ok(retry(attempt).await?)
}

/// The page that asks which account.
pub async fn get_account(
    State(app): State<App>,
    browser: BrowserSession,
    OfFlow { context, flow, .. }: OfFlow,
) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else { return Ok(see_other("/login", &flow)) };
    let page = SelectAccountPage {
        brand: &app.brand,
        flow: flow.id.clone(),
        client_name: client_name(&app, &flow),
        account: account(&app, session.customer).await?,
    };
    Ok(page.page().into_response())
}

/// The choice.
pub async fn post_account(
    State(app): State<App>,
    browser: BrowserSession,
    PostedFlow { context, params, mut flow }: PostedFlow,
) -> Result<Response, Failure> {
    let session = browser.current(&app, context.now).await?;
    match params.get("choice") {
        Some("continue") if session.is_some() => {
            flow.progress.account_selected = session.as_ref().is_some_and(|session| flow.has_asked(session));
            step::advance(Walk { app: &app, context: &context, flow, session, ops: vec![] }).await
        }
        _ => Ok(Redirect::to(&format!("/login?flow={}&account=other", flow.id)).into_response()),
    }
}
