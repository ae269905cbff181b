//! The account page: what a customer logs in with, connecting another account at a provider, disconnecting one, adding an
//! address (spec/identity.md rules 11, 15 to 19).
//!
//! Changes need a login of the last ten minutes; an older session is sent through the login page first, and the button
//! that was pressed waits for it. The forms carry a token of the session, so that no other site, and no other session,
//! can post them. What the buttons do is in `acting`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::extract::Posted;
use super::joining::{self, provider_name, too_many};
use super::step::{self, Walk};
use super::{acting, both_mine, connector_buttons, see_other, standing, unchanged, whole};
use crate::app::App;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages::{AccountPage, Came, ConnectionLine, Message, Stopped, View, WayLine};
use crate::http::session::BrowserSession;
use crate::identity::addresses::TYPED;
use crate::identity::import::Differs;
use crate::identity::limit::Limit;
use crate::identity::linking::{Claim, Linked, MAILED_CODE, Proof};
use crate::identity::merge::{self, side};
use crate::identity::merge_request::Proved;
use crate::identity::namespace::Namespace;
use crate::identity::other_names::is_other_name;
use crate::identity::profile::Profile;
use crate::identity::unlinking;
use crate::ids::{CustomerId, LinkId};
use crate::protocol::params::Params;
use crate::secret;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};
use crate::session::pending::Action;
use crate::store::{DisabledReason, Link, Member};

/// The longest address that is taken along as a hint.
const MAX_HINT: usize = 254;

/// The page.
pub async fn get(State(app): State<App>, context: Context, browser: BrowserSession) -> Result<Response, Failure> {
    let Some(session) = browser.current(&app, context.now).await? else { return log_in(&app, &context).await };
    let mut tx = app.store().begin_read().await?;
    let rows = tx.members_of(session.customer).await?;
    let links = in_order(side::links(&mut tx, session.customer).await?);
    let Some(seen) = side::see_members(&rows, session.customer, &app.config.merge, context.now) else {
        return Ok(error::expired_page(&app, &context));
    };
    if !seen.counts(session.authentication.auth_time) {
        // From before a merge that was undone: it may have been opened by somebody else.
        return log_in(&app, &context).await;
    }
    let channels = merge::channels(&mut tx, session.customer).await?;
    let page = AccountPage {
        brand: &app.brand,
        account: super::consent::called(&Profile::from_json(&seen.profile)),
        part: (!seen.is_whole()).then(|| whole::lines(&app, &channels)),
        token: form_token(&app, &session),
        connections: links
            .iter()
            .filter(|link| !is_other_name(link))
            .filter_map(|link| line(&app, &rows, session.customer, link))
            .collect(),
        connectors: connector_buttons(&app),
        addresses_offered: app.mailer.is_offered(),
    };
    Ok(page.page().into_response())
}

/// As they came; what came at one moment: the account first, then the address it brought.
fn in_order(mut links: Vec<Link>) -> Vec<Link> {
    links.sort_by_key(|link| (link.first_seen, unlinking::connector_of(link).is_none()));
    links
}

/// What a customer signs in with, for a page that shows it before it comes over.
///
/// # Errors
/// If the database fails.
pub async fn ways(app: &App, customer: CustomerId) -> Result<Vec<WayLine>, Failure> {
    let mut tx = app.store().begin_read().await?;
    let rows = tx.members_of(customer).await?;
    let links = in_order(side::links(&mut tx, customer).await?);
    let lines = links.iter().filter(|link| !is_other_name(link)).filter_map(|link| line(app, &rows, customer, link));
    let lines = lines.filter(|line| line.came != Came::Unproved);
    Ok(lines.map(|line| WayLine { id: line.id, provider: line.provider, label: line.label }).collect())
}

/// One identifier of the customer's, as the page lists it to `customer`.
fn line(app: &App, rows: &[Member], customer: CustomerId, link: &Link) -> Option<ConnectionLine> {
    let is_apart = !side::is_same(rows, customer, link.customer);
    let shown = link.display.clone();
    let day = |at: crate::clock::Timestamp| at.to_string().chars().take(10).collect::<String>();
    let line = ConnectionLine {
        id: link.external_id.clone(),
        provider: String::new(),
        label: String::new(),
        came: came(app, rows, link),
        since: day(link.first_seen),
        last_used: None,
        stopped: None,
        is_apart: false,
        unlink: None,
        confirm: None,
    };
    Some(match Namespace::parse(&link.namespace)? {
        Namespace::Social(id) => ConnectionLine {
            provider: provider_name(app, &id),
            id,
            label: shown.or_else(|| name_at_provider(link)).unwrap_or_default(),
            last_used: Some(day(link.last_seen)),
            stopped: link.disabled_reason.map(stopped),
            is_apart,
            unlink: (!is_apart).then(|| link.id.0.to_string()),
            ..line
        },
        Namespace::Email => ConnectionLine { provider: shown.unwrap_or_else(|| link.external_id.clone()), ..line },
        Namespace::UnprovedEmail => {
            let address = shown.unwrap_or_else(|| link.external_id.clone());
            let confirm = Some(address.clone()).filter(|_| app.mailer.is_offered());
            ConnectionLine { provider: address, confirm, ..line }
        }
        _ => return None,
    })
}

/// What its provider said, as far as the customer can do something about it.
fn stopped(reason: DisabledReason) -> Stopped {
    match reason {
        DisabledReason::ConsentRevoked => Stopped::ConsentRevoked,
        DisabledReason::AccountDeleted => Stopped::Gone,
        DisabledReason::AccountDisabled | DisabledReason::Hijacking | DisabledReason::BulkAccount => Stopped::InDoubt,
    }
}

/// What an account is called at its provider, if it has no address there.
fn name_at_provider(link: &Link) -> Option<String> {
    let text = |name: &str| link.profile.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    text("preferred_username").or_else(|| text("name"))
}

/// How it came to the customer (rule 5).
fn came(app: &App, rows: &[Member], link: &Link) -> Came {
    let began_with_it = || rows.iter().any(|row| row.id == link.customer && row.created_at == link.first_seen);
    let vouching = link.proof.as_deref().and_then(|proof| proof.strip_prefix("connector:"));
    let by_provider = link.source.starts_with("connector:");
    match (Namespace::parse(&link.namespace), link.source.as_str()) {
        (Some(Namespace::UnprovedEmail), _) => Came::Unproved,
        (Some(Namespace::Social(_)), _) if by_provider && began_with_it() => Came::FirstSignIn,
        (Some(Namespace::Social(_)), _) if by_provider => Came::Connected,
        (_, "sign_up") => Came::SignUp,
        (_, TYPED) => Came::Added,
        _ => match vouching {
            Some(id) => Came::From(provider_name(app, id)),
            None if link.proof.as_deref() == Some(MAILED_CODE) => Came::Confirmed,
            None => Came::Brought,
        },
    }
}

/// Sends the browser through the login page and back here.
async fn log_in(app: &App, context: &Context) -> Result<Response, Failure> {
    let mut browser = app.cookies.browser(&context.cookies);
    let flow = Flow::new(browser.hash.clone(), Target::Account, context.now);
    let mut response = step::advance(Walk { app, context, flow, session: None, ops: vec![] }).await?;
    app.cookies.introduce(&mut response, &mut browser);
    Ok(response)
}

fn form_token(app: &App, session: &SsoSession) -> String {
    secret::base64url(&app.secrets.form.mac(&[b"account", session.sid.as_str().as_bytes()]))
}

/// Does what was pressed on the page, if this session's own form was posted; after a login, if the last one is old.
async fn press(
    app: &App,
    browser: &BrowserSession,
    posted: Posted,
    action: Option<Action>,
) -> Result<Response, Failure> {
    let Posted { context, params } = posted;
    let Some(session) = browser.current(app, context.now).await? else { return log_in(app, &context).await };
    let rows = app.store().begin_read().await?.members_of(session.customer).await?;
    let seen = side::see_members(&rows, session.customer, &app.config.merge, context.now);
    if !seen.is_some_and(|seen| seen.counts(session.authentication.auth_time)) {
        return log_in(app, &context).await;
    }
    let token = params.get("token").unwrap_or_default();
    let is_theirs = secret::constant_time_eq(token.as_bytes(), form_token(app, &session).as_bytes());
    let Some(action) = action.filter(|_| is_theirs) else { return Ok(error::expired_page(app, &context)) };
    let mut this_browser = app.cookies.browser(&context.cookies);
    let mut flow = Flow::new(this_browser.hash.clone(), Target::Account, context.now);
    if session.is_recent(context.now) {
        return acting::go_on(app, &context, flow, &session, action).await;
    }
    flow.wait_for_login(&session, action, context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    let mut response = see_other("/login", &flow);
    app.cookies.introduce(&mut response, &mut this_browser);
    Ok(response)
}

/// Connects another account.
pub async fn connect(State(app): State<App>, browser: BrowserSession, posted: Posted) -> Result<Response, Failure> {
    let action = posted.params.owned("connector").map(Action::Connect);
    press(&app, &browser, posted, action).await
}

/// Disconnects an account and ends what came in through it.
pub async fn disconnect(State(app): State<App>, browser: BrowserSession, posted: Posted) -> Result<Response, Failure> {
    let action = link_of(&posted.params).map(Action::Disconnect);
    press(&app, &browser, posted, action).await
}

/// Proves the rest of the account by a code to one of its addresses.
pub async fn prove_whole(State(app): State<App>, browser: BrowserSession, posted: Posted) -> Result<Response, Failure> {
    let action = link_of(&posted.params).filter(|_| app.mailer.is_offered()).map(Action::ProveWhole);
    press(&app, &browser, posted, action).await
}

fn link_of(params: &Params) -> Option<LinkId> {
    params.get("link")?.parse().ok().map(LinkId)
}

/// Adds an address, or proves one that a provider has brought unproved.
pub async fn add_address(State(app): State<App>, browser: BrowserSession, posted: Posted) -> Result<Response, Failure> {
    let hint = posted.params.owned("email").unwrap_or_default();
    let action = (hint.len() <= MAX_HINT && app.mailer.is_offered()).then_some(Action::AddAddress(hint));
    press(&app, &browser, posted, action).await
}

/// The customer is back from the provider: links the account, if the session that asked for it is still the browser's.
/// Nothing of another customer who has it is told (rule 16).
///
/// # Errors
/// If a store does not answer.
pub async fn returned(
    app: &App,
    context: &Context,
    browser: &BrowserSession,
    flow: Flow,
    claim: &Claim,
) -> Result<Response, Failure> {
    let Target::Link { customer, sid } = &flow.target else { return Ok(error::expired_page(app, context)) };
    let session = standing(app, browser, context.now).await?;
    let Some(session) = session.filter(|session| session.customer == *customer && session.sid == *sid) else {
        return Ok(error::expired_page(app, context));
    };
    let name = provider_name(app, &claim.connector);
    match joining::connect(app, context, session.customer, claim, Proof::Login).await? {
        Linked::Added { .. } => Ok(acting::to_account()),
        // Of the other side of a merge, it proves that side, too.
        Linked::Already { customer, .. } => whole::unite(app, context, browser, &session, customer).await,
        Linked::Taken { owner, link } => {
            let amr = claim.amr.clone();
            let via = claim.namespace().to_string();
            // The login at the provider, just made, proves to be the other customer (rule 16).
            let other = Proved { customer: owner, via, link: Some(link), amr, at: context.now };
            both_mine::ask(app, context, flow, &session, other, name).await
        }
        Linked::Full(limit) => {
            let mut text = too_many(limit, &name);
            if limit == Limit::Live {
                text.push_str(" Disconnect one first.");
            }
            Ok(unchanged(app, context, StatusCode::CONFLICT, "Too many connected accounts", &text))
        }
        Linked::Missing(claims) => {
            let text = Message::ClaimsMissing { name, claims }.text(app.brand.text);
            Ok(unchanged(app, context, StatusCode::CONFLICT, "Something is missing", &text))
        }
        Linked::Differs(Differs(claim)) => {
            let text = Message::ClaimDiffers { name, claim }.text(app.brand.text);
            Ok(unchanged(app, context, StatusCode::CONFLICT, "That account says something else about you", &text))
        }
        Linked::Refused => Ok(error::expired_page(app, context)),
    }
}
