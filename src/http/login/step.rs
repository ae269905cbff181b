//! One dispatcher: whatever has just happened, it decides what comes next and answers it.

use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, REFERRER_POLICY};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use super::{acting, counts, joining, see_other, whole};
use crate::app::App;
use crate::clock::Timestamp;
use crate::handoff::known::Known;
use crate::handoff::{Policy, forward_auth};
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{FormPostPage, View};
use crate::http::session::BrowserSession;
use crate::identity::address::EmailAddress;
use crate::identity::merge::side;
use crate::ids::CustomerId;
use crate::keys::{Expect, Expiry};
use crate::kv::Op;
use crate::oidc::client::Client;
use crate::oidc::code;
use crate::oidc::interaction::{Consent, Facts, Hinted, SessionFacts, Step, next_step};
use crate::oidc::pushed;
use crate::protocol::authorization::{AuthorizationRequest, AuthorizationResponse, ResponseMode, ReturnTo};
use crate::protocol::scope::Scope;
use crate::protocol::token::{Audience, IdTokenClaims};
use crate::protocol::{ErrorCode, OAuthError};
use crate::session::flow::{Flow, Target};
use crate::session::{Authentication, SsoSession};
use crate::store::{CustomerState, Member};

/// How long a browser that has logged in is known to the throttle.
const DEVICE_LIFETIME: Duration = Duration::from_secs(365 * 24 * 3600);
/// Two proofs in one browser are of one person if no more than this is between them.
const UNITED_WITHIN: Duration = Duration::from_secs(10 * 60);

/// The flow and the session of the browser in it.
pub struct Walk<'a> {
    pub app: &'a App,
    pub context: &'a Context,
    pub flow: Flow,
    pub session: Option<SsoSession>,
    /// Writes that ride along with whatever the step writes.
    pub ops: Vec<Op>,
}

/// Somebody has just proved who they are: begins the session and goes on.
///
/// # Errors
/// If a store does not answer.
pub async fn signed_in(
    mut walk: Walk<'_>,
    browser: &BrowserSession,
    customer: CustomerId,
    authentication: Authentication,
    address: Option<&EmailAddress>,
) -> Result<Response, Failure> {
    let (app, context) = (walk.app, walk.context);
    unite(&walk, browser, customer).await?;
    if walk.flow.link.is_some() {
        joining::logged_in(app, context, &mut walk.flow, customer).await?;
        walk.ops.push(walk.flow.save(context.now)?);
    }
    if walk.flow.asks_newcomer(context.now) {
        // They came another way: what they were asked for is of no more use.
        walk.flow.address = None;
        walk.ops.push(walk.flow.save(context.now)?);
    }
    walk.session = Some(browser.start(app, customer, authentication, context.now).await?);
    if walk.flow.action.is_some() {
        // What was pressed may end sessions, and must find this one as it is now.
        browser.save().await?;
    }
    let mut response = advance(walk).await?;
    if let Some(address) = address {
        let known = app.cookies.get(&context.cookies, "device").unwrap_or_default();
        let device = crate::credential::device::DeviceCookie::parse(known);
        let value = device.remember(&app.secrets.device, address.normalized(), context.now);
        app.cookies.set(&mut response, "device", value, DEVICE_LIFETIME);
    }
    Ok(response)
}

/// One side of a merge has just proved a channel of the other in the same browser, both within ten minutes: from here on
/// their ways in are one (spec/identity.md rule 25).
async fn unite(walk: &Walk<'_>, browser: &BrowserSession, customer: CustomerId) -> Result<(), Failure> {
    let (app, now) = (walk.app, walk.context.now);
    let before = browser.current(app, now).await?.filter(|before| before.customer != customer);
    let Some(before) = before.filter(|before| now.since(before.authentication.auth_time) <= UNITED_WITHIN) else {
        return Ok(());
    };
    let living = app.store().begin_read().await?.members_of(before.customer).await?;
    // A session that an undoing has ended proves nothing any more.
    let ended = |from: Timestamp| before.authentication.auth_time < from;
    let counts = living.iter().any(|row| row.id == before.customer && !row.sessions_from.is_some_and(ended));
    let is_other_side =
        living.iter().any(|row| row.id == customer) && !side::is_same(&living, before.customer, customer);
    if counts && is_other_side {
        whole::join_keys(app, walk.context, before.customer, customer).await?;
    }
    Ok(())
}

/// Decides the next step and answers it.
///
/// # Errors
/// If a store does not answer.
pub async fn advance(walk: Walk<'_>) -> Result<Response, Failure> {
    match walk.flow.target.clone() {
        Target::Authorization(request) => authorization(walk, &request).await,
        Target::Device { .. } => to_device(walk).await,
        Target::Destination { destination, return_to, state_hash } => {
            to_destination(walk, &destination, return_to, state_hash).await
        }
        Target::Home => to_page_of_ours(walk, "/").await,
        Target::Desk(path) => to_page_of_ours(walk, &path).await,
        Target::Account | Target::Link { .. } => to_page_of_ours(walk, "/account").await,
    }
}

async fn to_page_of_ours(mut walk: Walk<'_>, path: &str) -> Result<Response, Failure> {
    let (app, context) = (walk.app, walk.context);
    let Some(session) = walk.session.clone() else {
        if matches!(walk.flow.target, Target::Link { .. }) {
            // Whoever logs in from here on does no more than that.
            walk.flow.target = Target::Account;
        }
        return page(walk, "/login").await;
    };
    if let Some(action) = walk.flow.take_action(&session, context.now) {
        // What was pressed is done once.
        walk.ops.push(walk.flow.save(context.now)?);
        run(app, walk.ops).await?;
        return acting::go_on(app, context, walk.flow, &session, action).await;
    }
    if walk.flow.pending_merge(&session).is_some() {
        return page(walk, "/both-mine").await;
    }
    run(app, walk.ops).await?;
    Ok(Redirect::to(path).into_response())
}

async fn authorization(walk: Walk<'_>, request: &AuthorizationRequest) -> Result<Response, Failure> {
    let app = walk.app;
    let Some(client) = app.provider.clients.find(&request.client_id) else {
        return Ok(error::expired_page(app, walk.context));
    };
    let hinted = hinted(app, request, &client, walk.context.now).await?;
    let mut walk = walk;
    // A hint names a row, and a session who that was at the login: they fit if the session sees that row.
    let mut seen = None;
    // One side of a merge has proved no level of the whole customer.
    let mut whole = true;
    let given = match &walk.session {
        // Authenticated by this very request, which has just looked at the customer.
        Some(session)
            if client.metadata.first_party
                && session.authentication.auth_time == walk.context.now
                && hinted == Hinted::Nobody =>
        {
            None
        }
        Some(session) => {
            let rows = app.store().begin_read().await?.members_consenting(session.customer, client.id()).await?;
            let view = side::see_consent(&rows, session.customer, &app.config.merge, walk.context.now);
            let (customer, auth_time) = (session.customer, session.authentication.auth_time);
            let view = view.filter(|view| view.seen.state == CustomerState::Active && view.seen.counts(auth_time));
            if view.is_none() {
                // A session may be older than the blocking of its customer, or a merge: it counts for nothing.
                walk.session = None;
            }
            let members: Vec<Member> = rows.into_iter().map(|row| row.member).collect();
            seen = view.as_ref().map(|view| match hinted {
                Hinted::Customer(row) if side::holds(&members, customer, row) => row,
                Hinted::Customer(_) | Hinted::Nobody | Hinted::Unusable => view.seen.side,
            });
            whole = view.as_ref().is_none_or(|view| view.seen.is_whole());
            view.and_then(|view| view.scope).as_deref().map(Scope::parse)
        }
        None => None,
    };
    let facts = Facts {
        request,
        began_at: walk.flow.began_at,
        now: walk.context.now,
        session: walk.session.as_ref().map(|sso| SessionFacts {
            customer: seen.unwrap_or(sso.customer),
            auth_time: sso.authentication.auth_time,
            acr: sso.authentication.acr.as_deref().filter(|_| whole),
        }),
        hinted,
        consent: if client.metadata.first_party { Consent::NotNeeded } else { Consent::Given(given.as_ref()) },
        progress: walk.flow.progress,
    };
    match next_step(&facts) {
        Step::Authenticate(_) => page(walk, "/login").await,
        Step::SignUp if app.provider.offers_sign_up => page(walk, "/sign-up").await,
        Step::SignUp => page(walk, "/login").await,
        Step::SelectAccount => ask(walk, "/select-account").await,
        Step::AskConsent => ask(walk, "/consent").await,
        Step::Refuse(code) => {
            let ops = walk.ops.into_iter().chain(pushed::used_up(request)).collect();
            run(app, ops).await?;
            Ok(refuse(app, &request.return_to, &OAuthError::new(code, refusal_text(code))))
        }
        Step::Issue => issue(walk, request).await,
    }
}

/// Whoever is signed in is asked whether a device may be connected; who is not, signs in first.
async fn to_device(walk: Walk<'_>) -> Result<Response, Failure> {
    match &walk.session {
        Some(session) if counts(walk.app, session, walk.context.now).await? => ask(walk, "/device/confirm").await,
        _ => page(Walk { session: None, ..walk }, "/login").await,
    }
}

async fn issue(walk: Walk<'_>, request: &AuthorizationRequest) -> Result<Response, Failure> {
    let app = walk.app;
    let Some(session) = &walk.session else { return Ok(error::expired_page(app, walk.context)) };
    let (code, op) = code::issue(request, session, app.provider.lifetimes.code, walk.context.now)?;
    let mut ops = walk.ops;
    ops.push(op);
    ops.extend(pushed::used_up(request));
    run(app, ops).await?;
    Ok(respond(app, &request.return_to, &AuthorizationResponse::Code(code)))
}

const fn refusal_text(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::LoginRequired => "the end-user must log in",
        ErrorCode::ConsentRequired => "the end-user must consent",
        ErrorCode::UnmetAuthenticationRequirements => {
            "the login did not reach the authentication level that is asked for"
        }
        _ => "the request cannot be answered without the end-user",
    }
}

/// An error to the client, by the way it asked for.
pub fn refuse(app: &App, return_to: &ReturnTo, error: &OAuthError) -> Response {
    let code = error.code.as_str();
    tracing::info!(error = code, description = error.description, "authorization request refused");
    respond(app, return_to, &AuthorizationResponse::from(error))
}

/// The authorization response: a redirect, or a form that posts itself.
pub fn respond(app: &App, return_to: &ReturnTo, answer: &AuthorizationResponse) -> Response {
    match return_to.response_mode {
        ResponseMode::Query => private_redirect(&answer.redirect(return_to, &app.provider.issuer)),
        ResponseMode::FormPost => {
            let fields = answer.fields(return_to, &app.provider.issuer);
            let page = FormPostPage {
                brand: &app.brand,
                action: return_to.redirect_uri.to_string(),
                fields: fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            };
            page.page().into_response()
        }
    }
}

/// A redirect to an address with something in it that is not for everybody, such as a code: no cache keeps it, no later
/// page tells it on.
pub fn private_redirect(url: &Url) -> Response {
    let mut response = Redirect::to(url.as_str()).into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Whom the request's `id_token_hint` names.
async fn hinted(app: &App, request: &AuthorizationRequest, client: &Client, now: Timestamp) -> Result<Hinted, Failure> {
    let Some(hint) = &request.id_token_hint else { return Ok(Hinted::Nobody) };
    let issuer = &app.provider.issuer;
    let expect = Expect { typ: &["JWT"], issuer, audience: None, now, expiry: Expiry::Ignored };
    let Ok(claims) = app.provider.keys.verify::<IdTokenClaims>(hint, &expect) else { return Ok(Hinted::Unusable) };
    // A hint issued to another client of the company names the subject of that client's sector.
    let audience = match &claims.aud {
        Audience::One(audience) => app.provider.clients.find(audience),
        Audience::Many(_) => None,
    };
    let sector = audience.as_ref().map_or(&client.sector, |client| &client.sector);
    let mut tx = app.store().begin_read().await?;
    // The row that it was issued for: one side of a merge is not who the other is (spec/identity.md rule 25).
    let customer = tx.subject_holder(sector, &claims.sub).await?;
    Ok(customer.map_or(Hinted::Unusable, Hinted::Customer))
}

async fn to_destination(
    walk: Walk<'_>,
    destination: &str,
    return_to: Url,
    state_hash: String,
) -> Result<Response, Failure> {
    let (app, now) = (walk.app, walk.context.now);
    let Some(destination) = app.destinations.find(destination) else {
        return Ok(error::expired_page(app, walk.context));
    };
    let Some(sso) = &walk.session else { return page(walk, "/login").await };
    let known = app.known_customers.find(app.store(), &destination, sso.customer, now).await?;
    let auth_time = sso.authentication.auth_time;
    // One side of a merge is shown what it may see, unless this destination asks for the whole customer: they are asked
    // once to sign in as such.
    let enough = |known: &Known| known.whole || destination.policy == Policy::Observe || auth_time == now;
    if !known.is_some_and(|known| known.counts(auth_time) && enough(&known)) {
        // A session may be older than the blocking of its customer: the login page is the way on, and says why not.
        return page(walk, "/login").await;
    }
    let session = forward_auth::forward_session(&destination, sso);
    let mut callback = destination.page_on(&return_to, "callback");
    let ticket = forward_auth::issue_ticket(app.kv(), session, return_to, state_hash, now).await?;
    callback.query_pairs_mut().append_pair("ticket", &ticket);
    run(app, walk.ops).await?;
    Ok(private_redirect(&callback))
}

/// Shows a page that asks the customer who is signed in, and whose answer is theirs alone.
async fn ask(mut walk: Walk<'_>, path: &str) -> Result<Response, Failure> {
    walk.flow.asked = walk.session.as_ref().map(|session| session.customer);
    page(walk, path).await
}

/// Keeps the flow and shows a page of it.
async fn page(walk: Walk<'_>, path: &str) -> Result<Response, Failure> {
    // While an account at a provider waits for a proof, the page that asks for it is the way on.
    let path = match path {
        "/login" if walk.flow.pending_link(walk.context.now).is_some() => "/link",
        "/login" if walk.flow.asks_newcomer(walk.context.now) => "/address",
        path => path,
    };
    let mut ops = walk.ops;
    ops.push(walk.flow.save(walk.context.now)?);
    run(walk.app, ops).await?;
    Ok(see_other(path, &walk.flow))
}

async fn run(app: &App, ops: Vec<Op>) -> Result<(), Failure> {
    if !ops.is_empty() {
        app.kv().run(ops).await?;
    }
    Ok(())
}
