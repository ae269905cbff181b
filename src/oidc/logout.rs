//! RP-Initiated Logout 1.0: what an end-session request may do, decided without side effects.
//!
//! Nothing is believed that a signed hint does not prove: without one the customer confirms, and there is no redirect
//! unless the client is proved and the URI is exactly one of its own.

use std::sync::Arc;

use url::Url;

use super::Provider;
use super::client::Client;
use crate::clock::Timestamp;
use crate::keys::{Expect, Expiry};
use crate::protocol::params::Params;
use crate::protocol::token::IdTokenClaims;
use crate::session::SsoSession;

/// What to do with an end-session request.
#[derive(Debug)]
pub struct Decision {
    /// Whether the customer must confirm before anything ends.
    pub confirm: bool,
    pub client: Option<Arc<Client>>,
    /// Where to go afterwards: proved, with `state` added.
    pub return_to: Option<Url>,
}

/// Decides. `session` is the browser's live session, if any.
pub fn decide(provider: &Provider, params: &Params, session: Option<&SsoSession>, now: Timestamp) -> Decision {
    let hint = params.get("id_token_hint").map(|hint| verify_hint(provider, hint, now));
    let (claims, client) = match &hint {
        Some(Some(claims)) => (Some(claims), hinted_client(provider, params, claims)),
        // A foreign, changed or unsigned hint: nothing it says counts, and nothing else is believed either.
        Some(None) => return Decision { confirm: true, client: None, return_to: None },
        None => (None, None),
    };
    let proved = claims.filter(|_| client.is_some()).is_some_and(|claims| match session {
        None => true,
        Some(session) => claims.sid.as_deref() == Some(session.sid.as_str()),
    });
    let client = client.or_else(|| {
        // The name on the confirmation page, and a redirect after the customer has confirmed.
        claims.is_none().then(|| params.get("client_id").and_then(|id| provider.clients.find(id))).flatten()
    });
    let foreign = claims.is_some() && !proved;
    let return_to = client.as_deref().filter(|_| !foreign).and_then(|client| return_to(client, params));
    Decision { confirm: !proved && session.is_some(), client, return_to }
}

/// RP-Initiated Logout §2: an expired ID token is accepted as a hint; its signature and issuer are not optional.
fn verify_hint(provider: &Provider, hint: &str, now: Timestamp) -> Option<IdTokenClaims> {
    let expect = Expect { typ: &["JWT"], issuer: &provider.issuer, audience: None, now, expiry: Expiry::Ignored };
    provider.keys.verify(hint, &expect).ok()
}

/// RP-Initiated Logout §2: `client_id`, when given, must be the one the ID token was issued to.
fn hinted_client(provider: &Provider, params: &Params, claims: &IdTokenClaims) -> Option<Arc<Client>> {
    let crate::protocol::token::Audience::One(audience) = &claims.aud else { return None };
    if params.get("client_id").is_some_and(|client_id| client_id != audience) {
        return None;
    }
    provider.clients.find(audience)
}

fn return_to(client: &Client, params: &Params) -> Option<Url> {
    let uri = params.get("post_logout_redirect_uri").filter(|uri| client.owns_post_logout_redirect_uri(uri))?;
    let mut url = Url::parse(uri).ok()?;
    if let Some(state) = params.get("state").filter(|state| state.len() <= 4096) {
        url.query_pairs_mut().append_pair("state", state);
    }
    Some(url)
}
