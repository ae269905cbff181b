//! Who may fetch events: a registered client that comes for itself, not on behalf of a customer.
//!
//! RFC 6750 and RFC 9068: a token of ours for the API, with the scope `events`, whose subject is the client.

use std::sync::Arc;

use axum::http::HeaderMap;

use crate::app::App;
use crate::clock::Timestamp;
use crate::http::admin_api;
use crate::http::oidc::userinfo::bearer;
use crate::oidc::access_token;
use crate::oidc::client::Client;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::protocol::{ErrorCode, OAuthError};

/// The scope of a token for events.
pub const SCOPE: &str = "events";

/// A client that was let in.
pub(super) struct Caller {
    pub client: Arc<Client>,
    /// Until when its token is good.
    pub until: Timestamp,
}

pub(super) async fn admit(app: &App, headers: &HeaderMap) -> Result<Caller, Problem> {
    let token = bearer(headers).map_err(|error| refused(app, &error))?;
    let token = token.ok_or_else(|| {
        Problem::new(ProblemKind::Unauthenticated).challenge(admin_api::access::challenge(app, &[("scope", SCOPE)]))
    })?;
    let audience = admin_api::audience(app);
    let claims = access_token::check(&app.provider, token, &audience, app.clock.now()).await;
    let (claims, _) = claims.map_err(|error| refused(app, &error))?;
    let client = app.provider.clients.find(&claims.client_id);
    let client = client.ok_or_else(|| refused(app, &access_token::invalid("the client is gone")))?;
    // A customer who signed in at an app has not asked for the events of all the others.
    if !claims.scope.contains(SCOPE) || claims.sub != client.id() || claims.sid.is_some() {
        let words = "the scope events is needed, in a token of the client's own";
        return Err(refused(app, &OAuthError::new(ErrorCode::InsufficientScope, words)));
    }
    Ok(Caller { client, until: Timestamp::from_seconds(claims.exp) })
}

fn refused(app: &App, error: &OAuthError) -> Problem {
    admin_api::access::refused(app, error, SCOPE)
}
