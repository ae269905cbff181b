//! RP-Initiated Logout 1.0: what an end-session request may do, decided without side effects.
//!
//! Nothing is believed that a signed hint does not prove: without one the customer confirms, and there is no redirect
//! unless the client is proved and the URI is exactly one of its own.

use std::sync::Arc;

use url::Url;

use super::client::Client;
use super::{Provider, authorize};
use crate::clock::Timestamp;
use crate::identity::merge::side;
use crate::keys::{Expect, Expiry};
use crate::protocol::params::Params;
use crate::protocol::token::IdTokenClaims;
use crate::session::SsoSession;
use crate::store;

/// What to do with an end-session request.
#[derive(Debug)]
pub struct Decision {
    /// Whether the customer must confirm before anything ends.
    pub confirm: bool,
    pub client: Option<Arc<Client>>,
    /// Where to go afterwards: proved, with `state` added.
    pub return_to: Option<Url>,
}

/// What an `id_token_hint` is worth.
enum Hint {
    Absent,
    /// Foreign, changed, unsigned, or of a client that is gone or is not the one named beside it.
    Worthless,
    Ours {
        claims: Box<IdTokenClaims>,
        client: Arc<Client>,
    },
}

/// Decides. `session` is the browser's live session, if any.
///
/// # Errors
/// If the database fails.
pub async fn decide(
    provider: &Provider,
    params: &Params,
    session: Option<&SsoSession>,
    now: Timestamp,
) -> Result<Decision, store::Error> {
    let (client, proved) = match hint(provider, params, now) {
        // Nothing it says counts, and nothing else is believed either.
        Hint::Worthless => return Ok(Decision { confirm: session.is_some(), client: None, return_to: None }),
        // The name on the confirmation page, and a redirect after the customer has confirmed.
        Hint::Absent => (params.get("client_id").and_then(|id| provider.clients.find(id)), session.is_none()),
        Hint::Ours { claims, client } => {
            let proved = match session {
                None => true,
                Some(session) => is_about(provider, &claims, &client, session).await?,
            };
            if !proved {
                return Ok(Decision { confirm: true, client: Some(client), return_to: None });
            }
            (Some(client), true)
        }
    };
    let return_to = client.as_deref().and_then(|client| return_to(client, params));
    Ok(Decision { confirm: !proved, client, return_to })
}

fn hint(provider: &Provider, params: &Params, now: Timestamp) -> Hint {
    if params.refuse_repeated().is_err() {
        return Hint::Worthless;
    }
    let Some(hint) = params.get("id_token_hint") else { return Hint::Absent };
    let claims = verify_hint(provider, hint, now);
    match claims.and_then(|claims| hinted_client(provider, params, &claims).map(|client| (claims, client))) {
        Some((claims, client)) => Hint::Ours { claims: Box::new(claims), client },
        None => Hint::Worthless,
    }
}

/// Whether the ID token is about this session, or an earlier one of the same customer: whoever signed in again since
/// still means to sign out.
async fn is_about(
    provider: &Provider,
    claims: &IdTokenClaims,
    client: &Client,
    session: &SsoSession,
) -> Result<bool, store::Error> {
    if claims.sid.as_deref() == Some(session.sid.as_str()) {
        return Ok(true);
    }
    let mut tx = provider.store.begin_read().await?;
    let Some(hinted) = tx.subject_holder(&client.sector, &claims.sub).await? else { return Ok(false) };
    // Either may be of a customer who was merged into another since, and one side of a merge is not who the other is.
    let rows = tx.members_of(session.customer).await?;
    Ok(side::holds(&rows, session.customer, hinted))
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
    // Intact or not at all, as at the authorization endpoint.
    if authorize::state_problem(params).is_some() {
        return None;
    }
    let mut url = Url::parse(uri).ok()?;
    if let Some(state) = params.get("state") {
        url.query_pairs_mut().append_pair("state", state);
    }
    Some(url)
}
