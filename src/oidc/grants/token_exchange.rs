//! `urn:ietf:params:oauth:grant-type:token-exchange` (RFC 8693), in two forms.
//!
//! An **ID token** of a provider, which its SDK gave to a native app, signs the customer in as the browser would. What
//! is given is bound to a session (spec/protocol.md rule 19): a real one with a `sid`, listed among the customer's and
//! ended with them, but without a browser, so no cookie exists and no other app is signed in by it. Each token counts
//! once; an app whose answer was lost asks the SDK for another, which costs the customer nothing.
//!
//! An **access token** of ours gets a confidential client the provider's access token, if the client may have it and
//! the connector keeps them. Asking again gives the same token until it has to be renewed.

use std::time::Duration;

use super::{Granted, authorization_code, available_scope, without_browser};
use crate::clock::{self, Timestamp};
use crate::config::AskEmail;
use crate::connector::native::MAX_AGE;
use crate::connector::{ConnectorError, NativeNonce, SharedConnector, UpstreamCallback, UpstreamIdentity};
use crate::identity::import::Differs;
use crate::identity::merge::side::Seen;
use crate::identity::namespace::Namespace;
use crate::identity::sign_in::{self, SignedIn, Source, Typed};
use crate::identity::upstream_tokens::{Asked, UpstreamAccess};
use crate::ids::{CustomerId, GrantId, LinkId};
use crate::keys::{Expect, Expiry};
use crate::kv::Op;
use crate::oidc::client::Client;
use crate::oidc::code::CodeRecord;
use crate::oidc::{Provider, access_token, authorize, native_nonce, userinfo};
use crate::protocol::client_metadata::TokenEndpointAuthMethod;
use crate::protocol::params::Params;
use crate::protocol::scope::Scope;
use crate::protocol::token::{AccessTokenClaims, TokenResponse, TokenType};
use crate::protocol::token_exchange::{ExchangeRequest, ExchangeTokenType};
use crate::protocol::{ErrorCode, OAuthError};
use crate::secret::{self, Secret};
use crate::session::{self, Authentication};

/// How long a nonce that was used is remembered: longer than any token with it is accepted.
const REMEMBERED: Duration = Duration::from_secs(2 * MAX_AGE.as_secs());

/// What an exchange gives.
#[derive(Debug)]
pub enum Exchanged {
    /// Tokens of ours.
    SignedIn(Box<Granted>),
    /// A provider's token.
    Upstream(TokenResponse),
}

/// Exchanges a token.
///
/// # Errors
/// RFC 8693 §2.2.2: `invalid_request` for an unacceptable token. `interaction_required` where only a browser helps.
pub async fn exchange(
    provider: &Provider,
    client: &Client,
    params: &Params,
    now: Timestamp,
) -> Result<Exchanged, OAuthError> {
    let request = ExchangeRequest::read(params)?;
    match request.subject_token_type {
        ExchangeTokenType::IdToken => {
            let granted = sign_in(provider, client, params, &request, now).await?;
            Ok(Exchanged::SignedIn(Box::new(granted)))
        }
        ExchangeTokenType::AccessToken => {
            Ok(Exchanged::Upstream(upstream_token(provider, client, &request, now).await?))
        }
    }
}

async fn sign_in(
    provider: &Provider,
    client: &Client,
    params: &Params,
    request: &ExchangeRequest<'_>,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    // There is no page here on which a customer could consent.
    if !client.metadata.first_party {
        return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "only the company's own apps sign in this way"));
    }
    let connector = provider.connectors.get(request.connector);
    let connector = connector.filter(|connector| !connector.config().native_client_ids.is_empty());
    let connector = connector
        .ok_or_else(|| OAuthError::invalid_request("connector is none from which tokens of native apps are taken"))?;
    let scope = available_scope(params, client)?;
    let resources = authorize::resources(params, client)?;
    let nonce = native_nonce::read(&provider.nonce_key, client, params.required("nonce")?, now)?;
    let access_token = params.owned("upstream_access_token").map(Secret::new);
    let beside = UpstreamCallback { user: params.owned("user"), access_token, ..UpstreamCallback::default() };
    let identity = connector.verify_native(request.subject_token, &nonce, &beside, now).await.map_err(unverified)?;
    use_up(provider, &nonce).await?;
    let authorized = Authorized { nonce: &nonce, scope, resources: &resources };
    let granted = arrive(provider, client, &connector, identity, authorized, now).await;
    if granted.as_ref().is_err_and(|error| error.code == ErrorCode::TemporarilyUnavailable) {
        // Nobody got anything for it, and who comes back later brings it again.
        provider.kv.run(vec![Op::Delete { key: used_key(&nonce) }]).await?;
    }
    granted
}

/// What a request may have, once it is known whose it is.
struct Authorized<'a> {
    nonce: &'a NativeNonce,
    scope: Scope,
    resources: &'a [String],
}

/// Begins a session for whoever the provider says it is, and gives what comes of it.
async fn arrive(
    provider: &Provider,
    client: &Client,
    connector: &SharedConnector,
    identity: UpstreamIdentity,
    Authorized { nonce, scope, resources }: Authorized<'_>,
    now: Timestamp,
) -> Result<Granted, OAuthError> {
    let (customer, link) = customer(provider, connector, &identity, now).await?;
    let authentication = Authentication {
        auth_time: now,
        acr: connector.level(&identity).map(str::to_owned),
        amr: identity.amr,
        via: Namespace::Social(connector.id().to_owned()).to_string(),
        link: Some(link),
        upstream: None,
    };
    let session = without_browser(provider, customer, authentication, now).await?;
    let (sid, nonce) = (session.sid.clone(), Some(nonce.as_str().to_owned()));
    let record = CodeRecord { nonce, ..CodeRecord::of_session(client, session, scope, resources.to_vec(), now) };
    let id = GrantId(uuid::Uuid::from_bytes(clock::random()));
    let granted = authorization_code::grant(provider, client, &record, resources, id, now).await;
    if granted.is_err() {
        session::end(&provider.kv, &sid).await?;
    }
    granted
}

fn unverified(error: ConnectorError) -> OAuthError {
    match error {
        ConnectorError::Unavailable { .. } | ConnectorError::Paused => {
            OAuthError::new(ErrorCode::TemporarilyUnavailable, "the provider's keys cannot be had at the moment")
                .detail(error.to_string())
        }
        error => OAuthError::invalid_request("subject_token is not acceptable").detail(error.to_string()),
    }
}

fn used_key(nonce: &NativeNonce) -> String {
    format!("native-nonce:{}", secret::token_hash(nonce.as_str()))
}

/// A nonce counts once, on all replicas together.
async fn use_up(provider: &Provider, nonce: &NativeNonce) -> Result<(), OAuthError> {
    if provider.kv.set_new(&used_key(nonce), b"1".to_vec(), REMEMBERED).await? {
        return Ok(());
    }
    Err(OAuthError::invalid_request("subject_token is not acceptable").detail("its nonce was used before"))
}

/// Finds or makes the customer, as the browser's way does.
async fn customer(
    provider: &Provider,
    connector: &SharedConnector,
    identity: &UpstreamIdentity,
    now: Timestamp,
) -> Result<(CustomerId, LinkId), OAuthError> {
    // Nobody can be asked here; where an address is a must, that is the browser's to do.
    let typed = if connector.config().ask_email == AskEmail::Require { Typed::AskedFor } else { Typed::Nothing };
    let source =
        Source { links_automatically: false, typed, ..Source::of(connector.as_ref(), identity, &provider.namespaces) };
    match sign_in::social(&provider.store, source, identity, now).await? {
        SignedIn::Known(customer, link) | SignedIn::Created(customer, link) => Ok((customer, link)),
        SignedIn::AccountExists(..) => Err(OAuthError::new(
            ErrorCode::InteractionRequired,
            "a customer with this address exists: sign in with the browser to connect the account",
        )),
        SignedIn::AddressAsked => Err(OAuthError::new(
            ErrorCode::InteractionRequired,
            "the customer must give an address: sign in with the browser",
        )),
        SignedIn::Refused => Err(OAuthError::invalid_grant("the customer may not sign in")),
        SignedIn::Disabled => {
            Err(OAuthError::invalid_grant("the provider told us that this account is closed or at risk"))
        }
        SignedIn::Missing(claims) => {
            let claims: Vec<&str> = claims.iter().map(|claim| claim.as_str()).collect();
            Err(OAuthError::invalid_request(format!("subject_token lacks what is required: {}", claims.join(" "))))
        }
        SignedIn::Differs(Differs(claim)) => {
            let claim = claim.as_str();
            Err(OAuthError::invalid_request(format!("subject_token says something else than the customer: {claim}")))
        }
        SignedIn::Blocked => {
            Err(OAuthError::invalid_request("subject_token is not acceptable").detail("the subject stands for nobody"))
        }
    }
}

async fn upstream_token(
    provider: &Provider,
    client: &Client,
    request: &ExchangeRequest<'_>,
    now: Timestamp,
) -> Result<TokenResponse, OAuthError> {
    let allowed = client.metadata.upstream_tokens.iter().any(|allowed| allowed == request.connector)
        && client.metadata.token_endpoint_auth_method != TokenEndpointAuthMethod::None;
    let connector = provider.connectors.get(request.connector).filter(|connector| connector.config().store_tokens);
    let Some(connector) = connector.filter(|_| allowed) else {
        return Err(OAuthError::new(ErrorCode::InvalidTarget, "this client may not have tokens of this connector"));
    };
    let seen = subject(provider, client, request.subject_token, now).await?;
    let asked = provider.keeper.access_token((seen.root, &seen.leading), connector.as_ref(), now).await;
    match asked? {
        Asked::Token(access) => Ok(upstream_response(access, now)),
        Asked::NotKept => Err(OAuthError::new(ErrorCode::InvalidTarget, "the customer has no token of this connector")),
        Asked::LoginNeeded => Err(OAuthError::new(
            ErrorCode::InteractionRequired,
            "the customer has to sign in with this connector again",
        )),
        Asked::Unavailable => {
            Err(OAuthError::new(ErrorCode::TemporarilyUnavailable, "the connector does not answer at the moment"))
        }
    }
}

/// What the holder of an access token sees that was issued to this very client and is still good.
async fn subject(provider: &Provider, client: &Client, token: &str, now: Timestamp) -> Result<Seen, OAuthError> {
    let refused = |detail: &str| {
        OAuthError::invalid_request("subject_token is invalid, expired or revoked").detail(detail.to_owned())
    };
    let expect = Expect { typ: &["at+jwt"], issuer: &provider.issuer, audience: None, now, expiry: Expiry::Checked };
    let claims: AccessTokenClaims =
        provider.keys.verify(token, &expect).map_err(|error| refused(&error.to_string()))?;
    if claims.client_id != client.id() {
        return Err(refused("it is another client's"));
    }
    let live = access_token::check_live(provider, &claims, now).await.map_err(|error| match error.code {
        ErrorCode::InvalidToken => refused(error.detail.as_deref().unwrap_or_default()),
        _ => error,
    })?;
    let mut tx = provider.store.begin_read().await?;
    let seen = userinfo::seen(provider, &mut tx, &client.sector, &claims.sub, &live, now).await;
    seen?.ok_or_else(|| refused("no such customer"))
}

fn upstream_response(access: UpstreamAccess, now: Timestamp) -> TokenResponse {
    TokenResponse {
        access_token: access.token.expose().clone(),
        token_type: TokenType::Bearer,
        issued_token_type: Some(ExchangeTokenType::AccessToken),
        expires_in: access.expires_at.map(|at| at.since(now).as_secs()),
        refresh_token: None,
        id_token: None,
        scope: Scope::parse(&access.scope),
    }
}
