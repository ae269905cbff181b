//! The ordered list of checks on an authorization request that do not depend on who is logged in.
//!
//! Until the redirect URI is proved, a refusal is a page; afterwards it is a redirect (RFC 6749 §4.1.2.1).

use std::sync::Arc;

use url::Url;

use super::Provider;
use super::client::Client;
use crate::protocol::authorization::{AuthorizationRequest, Prompt, ResponseMode, ReturnTo};
use crate::protocol::claims_request::{self, RequestedLevels};
use crate::protocol::client_metadata::{GrantType, TokenEndpointAuthMethod};
use crate::protocol::params::Params;
use crate::protocol::pkce::CodeChallenge;
use crate::protocol::scope::Scope;
use crate::protocol::{ErrorCode, OAuthError};

/// The largest `state` we return intact; a larger one is refused, never cut.
const MAX_STATE: usize = 4096;
const MAX_NONCE: usize = 1024;
const MAX_HINT: usize = 8192;

/// A refused authorization request.
#[derive(Debug)]
pub enum Refusal {
    /// Client or redirect URI are not proved: tell the person, never redirect.
    Page(OAuthError),
    /// Tell the client.
    Redirect { return_to: ReturnTo, error: OAuthError },
}

/// Checks a request.
///
/// # Errors
/// See [`Refusal`].
pub fn check(params: &Params, provider: &Provider) -> Result<AuthorizationRequest, Refusal> {
    let client = client(params, provider).map_err(Refusal::Page)?;
    let request = check_of(&client, params, provider)?;
    // RFC 9126 §6.
    if client.metadata.require_pushed_authorization_requests {
        let error = OAuthError::invalid_request("this client must push its authorization requests");
        return Err(Refusal::Redirect { return_to: request.return_to, error });
    }
    Ok(request)
}

/// Checks a request of a client that is known already, because it has authenticated.
///
/// # Errors
/// See [`Refusal`].
pub fn check_of(client: &Client, params: &Params, provider: &Provider) -> Result<AuthorizationRequest, Refusal> {
    let redirect_uri = redirect_uri(params, client).map_err(Refusal::Page)?;
    let return_to = return_to(params, redirect_uri)?;
    request(params, provider, client, return_to.clone()).map_err(|error| Refusal::Redirect { return_to, error })
}

/// The client that a request names.
pub(super) fn client(params: &Params, provider: &Provider) -> Result<Arc<Client>, OAuthError> {
    let client_id = unambiguous(params, "client_id")?.ok_or_else(|| missing("client_id"))?;
    provider
        .clients
        .find(client_id)
        .ok_or_else(|| OAuthError::new(ErrorCode::InvalidClient, "the app that sent you here is not registered"))
}

fn redirect_uri(params: &Params, client: &Client) -> Result<Url, OAuthError> {
    let text = match unambiguous(params, "redirect_uri")? {
        Some(given) if client.owns_redirect_uri(given) => given,
        Some(_) => {
            return Err(OAuthError::invalid_request("redirect_uri is not one of those registered for this client"));
        }
        // OpenID Connect Core §3.1.2.1 requires it; RFC 6749 §3.1.2.3 lets a sole registered one stand in.
        None => client
            .only_redirect_uri()
            .ok_or_else(|| OAuthError::invalid_request("redirect_uri is missing and several are registered"))?,
    };
    Url::parse(text).map_err(|error| OAuthError::invalid_request("redirect_uri is malformed").detail(error.to_string()))
}

/// What decides where an answer goes must not be said twice: the checks would see one and somebody else the other.
pub(super) fn unambiguous<'a>(params: &'a Params, name: &str) -> Result<Option<&'a str>, OAuthError> {
    if params.is_repeated(name) {
        return Err(OAuthError::invalid_request(format!("parameter {name} is repeated")));
    }
    Ok(params.get(name))
}

fn missing(name: &str) -> OAuthError {
    OAuthError::invalid_request(format!("parameter {name} is missing"))
}

/// Where errors go from here on. The `state` and `response_mode` must be usable first.
fn return_to(params: &Params, redirect_uri: Url) -> Result<ReturnTo, Refusal> {
    let state = params.owned("state");
    let plain = |state| ReturnTo { redirect_uri: redirect_uri.clone(), response_mode: ResponseMode::Query, state };
    if let Some(problem) = state_problem(params) {
        let error = OAuthError::invalid_request(problem);
        return Err(Refusal::Redirect { return_to: plain(None), error });
    }
    let response_mode = match params.get("response_mode").map(ResponseMode::parse) {
        None => ResponseMode::Query,
        Some(Some(mode)) => mode,
        Some(None) => {
            let error = OAuthError::invalid_request("response_mode is not supported");
            return Err(Refusal::Redirect { return_to: plain(state), error });
        }
    };
    Ok(ReturnTo { response_mode, ..plain(state) })
}

/// What keeps a `state` from being returned exactly as it came. RFC 6749 Appendix A.5 allows printable ASCII; text in
/// other languages survives the way back too, but what was not UTF-8 is lost by now, and browsers rewrite line breaks.
pub fn state_problem(params: &Params) -> Option<String> {
    let state = params.get("state")?;
    match () {
        () if params.is_repeated("state") => Some("parameter state is repeated".to_owned()),
        () if state.len() > MAX_STATE => Some(format!("state is longer than {MAX_STATE} bytes")),
        () if state.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) => {
            Some("state holds a character that cannot be returned".to_owned())
        }
        () => None,
    }
}

fn request(
    params: &Params,
    provider: &Provider,
    client: &Client,
    return_to: ReturnTo,
) -> Result<AuthorizationRequest, OAuthError> {
    params.refuse_repeated()?;
    refuse_request_objects(params)?;
    check_response_type(params, client)?;
    let nonce = bounded(params, "nonce", MAX_NONCE)?;
    let prompt = prompt(params, provider)?;
    let levels = levels(params, provider)?;
    Ok(AuthorizationRequest {
        client_id: client.id().to_owned(),
        redirect_uri_sent: params.owned("redirect_uri"),
        return_to,
        scope: scope(params, client, prompt)?,
        nonce,
        code_challenge: code_challenge(params, client)?,
        prompt,
        max_age: max_age(params)?,
        login_hint: bounded(params, "login_hint", MAX_HINT).unwrap_or_default(),
        id_token_hint: bounded(params, "id_token_hint", MAX_HINT)?,
        resources: resources(params, client)?,
        acr_values: levels.wished,
        essential_levels: levels.essential,
        pushed_as: None,
    })
}

/// The authentication levels of a request.
struct Levels {
    /// What the app would like, the best first; what it must have is among it.
    wished: Vec<String>,
    essential: Vec<String>,
}

/// OpenID Connect Core §3.1.2.1: levels that nobody here can reach are as good as not asked for. §5.5.1.1: unless one of
/// them is a must.
fn levels(params: &Params, provider: &Provider) -> Result<Levels, OAuthError> {
    let requested = match params.get("claims") {
        Some(claims) => claims_request::requested_levels(claims).map_err(OAuthError::invalid_request)?,
        None => RequestedLevels::default(),
    };
    let reachable = |level: &&str| provider.levels.iter().any(|known| known == level);
    let named: Vec<&str> = requested.values.iter().map(String::as_str).filter(reachable).collect();
    if requested.essential && !requested.values.is_empty() && named.is_empty() {
        let description = "no login here reaches the authentication level that claims asks for";
        return Err(OAuthError::new(ErrorCode::UnmetAuthenticationRequirements, description));
    }
    let asked = params.get("acr_values").unwrap_or_default().split(' ').filter(reachable);
    let mut wished: Vec<String> = Vec::new();
    for level in named.iter().copied().chain(asked) {
        if !wished.iter().any(|known| known == level) {
            wished.push(level.to_owned());
        }
    }
    let essential = if requested.essential { named.into_iter().map(str::to_owned).collect() } else { Vec::new() };
    Ok(Levels { wished, essential })
}

/// OpenID Connect Core §6: not offered, and said so in the specification's words.
fn refuse_request_objects(params: &Params) -> Result<(), OAuthError> {
    if params.get("request").is_some() {
        return Err(OAuthError::new(ErrorCode::RequestNotSupported, "request objects are not supported"));
    }
    if params.get("request_uri").is_some() {
        return Err(OAuthError::new(ErrorCode::RequestUriNotSupported, "request_uri is not supported"));
    }
    if params.get("registration").is_some() {
        return Err(OAuthError::new(ErrorCode::RegistrationNotSupported, "registration is not supported"));
    }
    Ok(())
}

fn check_response_type(params: &Params, client: &Client) -> Result<(), OAuthError> {
    match params.required("response_type")? {
        "code" if client.may_use(GrantType::AuthorizationCode) => Ok(()),
        "code" => Err(OAuthError::new(ErrorCode::UnauthorizedClient, "this client may not use the code flow")),
        _ => Err(OAuthError::new(ErrorCode::UnsupportedResponseType, "only response_type code is supported")),
    }
}

/// Initiating User Registration 1.0 §4: a prompt value that is not advertised is refused.
fn prompt(params: &Params, provider: &Provider) -> Result<Prompt, OAuthError> {
    let prompt = Prompt::parse(params.get("prompt").unwrap_or_default())?;
    if prompt.create && !provider.offers_sign_up {
        return Err(OAuthError::invalid_request("prompt create is not supported: accounts are not made here"));
    }
    Ok(prompt)
}

/// RFC 6749 §3.3: unknown scopes are dropped, the token response says what was granted.
fn scope(params: &Params, client: &Client, prompt: Prompt) -> Result<Scope, OAuthError> {
    let asked = Scope::parse(params.get("scope").unwrap_or_default());
    let mut granted = asked.intersection(&client.scope);
    if !may_go_on_offline(client, prompt) {
        granted = granted.without("offline_access");
    }
    if granted.is_empty() {
        return Err(OAuthError::new(
            ErrorCode::InvalidScope,
            "none of the requested scopes is available to this client",
        ));
    }
    Ok(granted)
}

/// OpenID Connect Core §11: `offline_access` is ignored unless the customer is asked each time or, for the company's own
/// apps, need not be. It is also ignored where no refresh token could use it.
fn may_go_on_offline(client: &Client, prompt: Prompt) -> bool {
    client.may_use(GrantType::RefreshToken) && (client.metadata.first_party || prompt.consent)
}

/// RFC 7636 §4.3, RFC 9700 §2.1.1: S256 only, for public clients always.
fn code_challenge(params: &Params, client: &Client) -> Result<Option<CodeChallenge>, OAuthError> {
    let public = client.metadata.token_endpoint_auth_method == TokenEndpointAuthMethod::None;
    match (params.get("code_challenge"), params.get("code_challenge_method")) {
        (Some(challenge), Some("S256")) => CodeChallenge::parse(challenge)
            .map(Some)
            .ok_or_else(|| OAuthError::invalid_request("code_challenge is not a base64url SHA-256 digest")),
        (Some(_), _) => Err(OAuthError::invalid_request("code_challenge_method must be S256")),
        (None, Some(_)) => Err(OAuthError::invalid_request("code_challenge is missing")),
        (None, None) if public || client.metadata.require_pkce => {
            Err(OAuthError::invalid_request("PKCE is required: code_challenge is missing"))
        }
        (None, None) => Ok(None),
    }
}

fn max_age(params: &Params) -> Result<Option<u64>, OAuthError> {
    let Some(text) = params.get("max_age") else { return Ok(None) };
    text.parse().map(Some).map_err(|_| OAuthError::invalid_request("max_age is not a number of seconds"))
}

/// RFC 8707 §2: an absolute URI without a fragment, on the client's list.
pub fn resources(params: &Params, client: &Client) -> Result<Vec<String>, OAuthError> {
    let allowed = |resource: &String| client.metadata.resources.iter().any(|known| known == resource);
    if params.resources().iter().all(allowed) {
        let mut resources = params.resources().to_vec();
        resources.sort_unstable();
        resources.dedup();
        Ok(resources)
    } else {
        Err(OAuthError::new(ErrorCode::InvalidTarget, "resource is not one this client may ask for"))
    }
}

/// RFC 8707 §2.2: a token request may narrow what was authorized.
///
/// # Errors
/// `invalid_target` for anything else.
pub fn narrowed_resources(params: &Params, client: &Client, granted: &[String]) -> Result<Vec<String>, OAuthError> {
    let asked = resources(params, client)?;
    if asked.is_empty() {
        return Ok(granted.to_vec());
    }
    if asked.iter().all(|resource| granted.contains(resource)) {
        return Ok(asked);
    }
    Err(OAuthError::new(ErrorCode::InvalidTarget, "resource was not authorized"))
}

fn bounded(params: &Params, name: &str, max: usize) -> Result<Option<String>, OAuthError> {
    match params.owned(name) {
        Some(value) if value.len() > max => {
            Err(OAuthError::invalid_request(format!("{name} is longer than {max} bytes")))
        }
        value => Ok(value),
    }
}
