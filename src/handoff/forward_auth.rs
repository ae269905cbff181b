//! Forward-auth: how a browser on an app's own domain comes to be vouched for, and what one look-up answers.
//!
//! The app's domain cannot see the session cookie of the issuer's. A browser is therefore sent once through the issuer,
//! comes back with a ticket (single use, bound to the browser that began by a state cookie), and gets a cookie of its
//! own on the app's domain. That cookie names the SSO session too, so that one round trip tells whether both still live.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::Destination;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, Sid};
use crate::kv::{self, Kv, Op, Reply, When};
use crate::secret;
use crate::session::{self, Authentication, SidRecord, SsoSession};

const TICKET_LIFETIME: Duration = Duration::from_secs(60);
const MAX_COOKIE: usize = 200;

/// What a ticket, and then the forward session, stands for. What changes about the customer meanwhile is not in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ForwardSession {
    pub destination: String,
    pub customer: CustomerId,
    pub sid: Sid,
    pub authentication: Authentication,
    pub expires_at: Timestamp,
}

/// A ticket on its way through the browser.
#[derive(Debug, Serialize, Deserialize)]
struct Ticket {
    session: ForwardSession,
    return_to: Url,
    /// Hash of the state cookie of the browser that began.
    state_hash: String,
    expires_at: Timestamp,
}

/// Makes the session a destination will know.
pub fn forward_session(destination: &Destination, sso: &SsoSession) -> ForwardSession {
    ForwardSession {
        destination: destination.id.clone(),
        customer: sso.customer,
        sid: sso.sid.clone(),
        authentication: sso.authentication.clone(),
        expires_at: sso.expires_at,
    }
}

/// Writes a ticket and answers its text. `return_to` must be on the destination's origins.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn issue_ticket(
    kv: &Kv,
    session: ForwardSession,
    return_to: Url,
    state_hash: String,
    now: Timestamp,
) -> Result<String, kv::Error> {
    let ticket = secret::random_token();
    let record = Ticket { session, return_to, state_hash, expires_at: now + TICKET_LIFETIME };
    kv.set_json(&ticket_key(&ticket), &record, TICKET_LIFETIME).await?;
    Ok(ticket)
}

/// A redeemed ticket: the cookie's value, how long it may live, and where to go.
#[derive(Debug)]
pub struct Arrived {
    pub cookie: String,
    pub max_age: Duration,
    pub return_to: Url,
}

/// Redeems a ticket in the browser whose state cookie is `state`. `None` if it is unknown, used, expired, another
/// destination's or another browser's.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn redeem_ticket(
    kv: &Kv,
    destination: &Destination,
    ticket: &str,
    state: &str,
    now: Timestamp,
) -> Result<Option<Arrived>, kv::Error> {
    let Some(ticket) = kv.take_json::<Ticket>(&ticket_key(ticket)).await? else { return Ok(None) };
    let same_browser = secret::constant_time_eq(secret::token_hash(state).as_bytes(), ticket.state_hash.as_bytes());
    let session = ticket.session;
    if !same_browser || session.destination != destination.id || now >= ticket.expires_at {
        return Ok(None);
    }
    let max_age = session.expires_at.since(now);
    let token = secret::random_token();
    let op = Op::Set {
        key: session_key(session.sid.as_str(), &token),
        value: kv::to_json(&session)?,
        ttl: max_age,
        when: When::Absent,
    };
    kv.run(vec![op]).await?;
    let cookie = format!("{}.{token}", session.sid);
    Ok(Some(Arrived { cookie, max_age, return_to: ticket.return_to }))
}

/// Who the forward cookie vouches for, and the entry of the SSO session behind it: one round trip.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn look_up(
    kv: &Kv,
    destination: &Destination,
    cookie: &str,
    now: Timestamp,
) -> Result<Option<(ForwardSession, SidRecord)>, kv::Error> {
    let Some((sid, token)) = cookie.split_once('.').filter(|_| cookie.len() <= MAX_COOKIE) else { return Ok(None) };
    let ops = vec![Op::Get { key: session_key(sid, token) }, Op::Get { key: session::sid_key(sid) }];
    let replies = kv.run(ops).await?;
    let [Reply::Value(Some(forward)), Reply::Value(live)] = replies.as_slice() else { return Ok(None) };
    let Ok(forward) = serde_json::from_slice::<ForwardSession>(forward) else { return Ok(None) };
    let good = forward.destination == destination.id && now < forward.expires_at;
    let live = session::live_record(live.as_deref(), now).filter(|_| good);
    Ok(live.map(|live| (forward, live)))
}

fn ticket_key(ticket: &str) -> String {
    format!("ticket:{}", secret::token_hash(ticket))
}

/// Shares the cluster slot of the SSO session's own entry.
fn session_key(sid: &str, token: &str) -> String {
    format!("forward:{{{sid}}}:{}", secret::token_hash(token))
}
