//! A provider's back-channel logout (OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8): its sessions that we built on
//! end here too.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::{Failed, answer, is_known, media_type, remember};
use crate::app::App;
use crate::clock::Timestamp;
use crate::connector::{Notice, NoticeError};
use crate::events::{self, Actor, Event};
use crate::identity::namespace::Namespace;
use crate::ids::{CustomerId, Sid};
use crate::protocol::params::Params;
use crate::protocol::security_event::LoggedOut;
use crate::session::{self, Of};
use crate::store;
use crate::store::retry::retry;

/// How far the provider's clock may be from ours: a session begun so shortly after the token was made ends with the rest.
const LEEWAY: Duration = Duration::from_secs(60);

/// A logout token, in a form.
pub(super) async fn post(
    State(app): State<App>,
    Path(connector): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = take_in(&app, &connector, &headers, &body).await;
    answer(&connector, outcome, ["error", "error_description"])
}

async fn take_in(app: &App, id: &str, headers: &HeaderMap, body: &[u8]) -> Result<StatusCode, Failed> {
    let Some(connector) = app.connectors.get(id) else { return Err(NoticeError::NotOffered.into()) };
    if media_type(headers) != "application/x-www-form-urlencoded" {
        return Err(Failed::Request("the body must be application/x-www-form-urlencoded"));
    }
    let params = Params::parse(body);
    let Some(token) = params.get("logout_token") else { return Err(Failed::Request("logout_token is missing")) };
    let now = app.clock.now();
    let notice = connector.logout_token(token, now).await?;
    if !is_known(app, id, &notice.id).await? {
        if let Some((of, until)) = meant(app, id, &notice, now).await? {
            end(app, id, &of, until, now).await?;
        }
        remember(app, id, &notice.id).await?;
    }
    Ok(StatusCode::OK)
}

/// Which of our sessions are meant. A token that comes late does not end what its subject has begun since, but a session
/// of the provider's that has ended carries nothing any more.
async fn meant(
    app: &App,
    connector: &str,
    notice: &Notice<LoggedOut>,
    now: Timestamp,
) -> Result<Option<(Of, Timestamp)>, Failed> {
    match &notice.told {
        LoggedOut::Session(sid) => Ok(Some((Of::Upstream(session::upstream_session(connector, sid)), now))),
        LoggedOut::Subject(subject) => {
            let namespace = Namespace::Social(connector.to_owned()).to_string();
            let link = app.store().begin_read().await?.link_login(&namespace, subject).await?;
            let until = (notice.at + LEEWAY).min(now);
            Ok(link.map(|link| (Of::Link(link.link), until)))
        }
    }
}

/// Ends them, with the refresh tokens that do not outlive them: `offline_access` survives a logout (rule 17).
async fn end(app: &App, connector: &str, of: &Of, until: Timestamp, now: Timestamp) -> Result<(), Failed> {
    let sessions = session::sids_of(app.kv(), of, until).await?;
    if !sessions.is_empty() {
        // The database first: who tries again after a failure must still find the sessions.
        retry(|| end_grants(app, connector, &sessions, now)).await?;
    }
    Ok(session::end_all(app.kv(), of, until).await?)
}

async fn end_grants(
    app: &App,
    connector: &str,
    sessions: &[(Sid, CustomerId)],
    now: Timestamp,
) -> Result<(), store::Error> {
    let mut ended: BTreeMap<CustomerId, usize> = BTreeMap::new();
    let mut tx = app.store().begin().await?;
    for (sid, customer) in sessions {
        tx.grants_end_session(sid, now).await?;
        *ended.entry(*customer).or_default() += 1;
    }
    for (customer, sessions) in ended {
        let event = Event::SessionEndedUpstream { connector: connector.to_owned(), sessions };
        events::record(&mut tx, customer, Actor::System, event, now).await?;
    }
    tx.commit().await
}
