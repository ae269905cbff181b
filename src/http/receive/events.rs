//! A provider's word about its accounts: security event tokens by push (RFC 8935), and Apple's notifications.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;

use super::{Failed, answer, is_known, media_type, remember};
use crate::app::App;
use crate::clock::Timestamp;
use crate::connector::{Connector, Feed, NoticeError};
use crate::identity::receive;
use crate::jobs::{self, First};
use crate::mail::{queue, templates};
use crate::protocol::security_event::AccountEvent;
use crate::store;
use crate::store::retry::retry;

/// Apple's envelope.
#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

/// A token, in the form that the connector's provider sends it.
pub(super) async fn post(
    State(app): State<App>,
    Path(connector): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let outcome = take_in(&app, &connector, &headers, &body).await;
    answer(&connector, outcome, ["err", "description"])
}

async fn take_in(app: &App, id: &str, headers: &HeaderMap, body: &[u8]) -> Result<StatusCode, Failed> {
    let Some(connector) = app.connectors.get(id) else { return Err(NoticeError::NotOffered.into()) };
    let envelope: Envelope;
    let (token, received) = match connector.feed() {
        Feed::None => return Err(NoticeError::NotOffered.into()),
        Feed::SecurityEvents { .. } => {
            // RFC 8935 §2.1.
            if media_type(headers) != "application/secevent+jwt" {
                return Err(Failed::Request("the body must be application/secevent+jwt"));
            }
            let token = std::str::from_utf8(body).map_err(|_| Failed::Request("the body is not a token"))?;
            (token.trim(), StatusCode::ACCEPTED)
        }
        Feed::Notifications => {
            let unreadable = |_| Failed::Request("the body is not a JSON object with a payload");
            envelope = serde_json::from_slice(body).map_err(unreadable)?;
            (envelope.payload.as_str(), StatusCode::OK)
        }
    };
    let now = app.clock.now();
    let notice = connector.account_events(token, now).await?;
    if !is_known(app, id, &notice.id).await? {
        for event in &notice.told {
            take_in_one(app, connector.as_ref(), event, notice.at, now).await?;
        }
        remember(app, id, &notice.id).await?;
    }
    Ok(received)
}

async fn take_in_one(
    app: &App,
    connector: &dyn Connector,
    event: &AccountEvent,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), Failed> {
    Ok(retry(|| attempt(app, connector, event, at, now)).await?)
}

/// One transaction; what cannot be part of it follows.
async fn attempt(
    app: &App,
    connector: &dyn Connector,
    event: &AccountEvent,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), store::Error> {
    let mut tx = app.store().begin().await?;
    let told = receive::account_event(&mut tx, connector.id(), event, at, now).await?;
    let Some(told) = told else {
        tracing::info!(connector.id = connector.id(), event = ?event.happened, "an event of no account we know");
        return Ok(());
    };
    let url = app.config.server.endpoint("/account");
    for address in &told.tell {
        let message = templates::account_in_doubt(&app.letterhead, address, connector.name(), &url);
        queue::queue(&mut tx, &app.secrets.mail, &message, now).await?;
    }
    let queued = jobs::queue_all(&mut tx, &app.secrets.task, told.tasks, First::Caller, now).await?;
    tx.commit().await?;
    app.mail_queued.notify_one();
    app.worker.finish_all(queued).await
}
