//! A login flow: what a browser came for, kept while the person proves who they are.
//!
//! A flow belongs to the browser that began it, by the hash of a cookie; whoever else presents its ID gets nothing. It
//! is not used up by its end, so that the back button and a second click lead to a working login.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::clock::Timestamp;
use crate::connector::PendingUpstream;
use crate::identity::linking::Claim;
use crate::ids::{CustomerId, Sid};
use crate::kv::{self, Kv, Op, Reply, When};
use crate::oidc::interaction::Progress;
use crate::protocol::authorization::AuthorizationRequest;
use crate::secret;
use crate::session::pending::{
    Action, AddressOf, PendingAction, PendingAddress, PendingLink, PendingMerge, PendingSignUp, PendingWhole,
};
use crate::session::{RECENT, SsoSession};

/// How long a person may take.
pub const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// How long a person may take at the upstream provider.
const UPSTREAM_LIFETIME: Duration = Duration::from_secs(20 * 60);
const MAX_ID: usize = 64;

/// One login flow.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Flow {
    pub id: String,
    /// Hash of the browser cookie.
    pub browser: String,
    pub target: Target,
    pub began_at: Timestamp,
    pub expires_at: Timestamp,
    #[serde(default)]
    pub progress: Progress,
    /// Whom the page that is open asks: the answer counts for nobody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<CustomerId>,
    /// An account that is being made: waiting for its address to be proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_up: Option<PendingSignUp>,
    /// An upstream account that will be linked once its bearer has proved to be a certain customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PendingLink>,
    /// An address that is being added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<PendingAddress>,
    /// Two customers who may be one person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<PendingMerge>,
    /// A code that proves more of a customer than the session sees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whole: Option<PendingWhole>,
    /// What was pressed before a fresh login was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<PendingAction>,
}

/// Where the flow leads.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// Back to a client with a code.
    Authorization(Box<AuthorizationRequest>),
    /// To the question whether a device may be connected, by the name of its request (RFC 8628).
    Device { client_id: String, request: String },
    /// Back to an app behind forward-auth.
    Destination { destination: String, return_to: Url, state_hash: String },
    /// Our own start page.
    Home,
    /// Our own account page.
    Account,
    /// A page of the desk, by its path: `/admin` or below.
    Desk(String),
    /// The account page, with one more account at a provider: for this customer, in this session (rule 10).
    Link { customer: CustomerId, sid: Sid },
}

impl Flow {
    /// A new flow of the browser whose cookie hashes to `browser`.
    pub fn new(browser: String, target: Target, now: Timestamp) -> Self {
        Self {
            id: secret::random_token(),
            browser,
            target,
            began_at: now,
            expires_at: now + LIFETIME,
            progress: Progress::default(),
            asked: None,
            sign_up: None,
            link: None,
            address: None,
            merge: None,
            whole: None,
            action: None,
        }
    }

    /// The authorization request, if the flow is one's.
    pub fn request(&self) -> Option<&AuthorizationRequest> {
        match &self.target {
            Target::Authorization(request) => Some(request),
            Target::Device { .. }
            | Target::Destination { .. }
            | Target::Home
            | Target::Account
            | Target::Desk(_)
            | Target::Link { .. } => None,
        }
    }

    /// The client that the flow is about, if it is one's.
    pub fn client_id(&self) -> Option<&str> {
        match &self.target {
            Target::Authorization(request) => Some(&request.client_id),
            Target::Device { client_id, .. } => Some(client_id),
            Target::Destination { .. } | Target::Home | Target::Account | Target::Desk(_) | Target::Link { .. } => None,
        }
    }

    /// Keeps an upstream account until its bearer proves to be this customer.
    pub fn await_proof(&mut self, claim: Claim, customer: CustomerId, now: Timestamp) {
        self.link = Some(PendingLink { claim, customer, expires_at: now + UPSTREAM_LIFETIME });
    }

    /// The upstream account that still waits at `now`.
    pub fn pending_link(&self, now: Timestamp) -> Option<&PendingLink> {
        self.link.as_ref().filter(|pending| now < pending.expires_at)
    }

    /// Keeps an address that is being added.
    pub fn await_address(&mut self, of: AddressOf, hint: Option<String>, now: Timestamp) {
        self.address = Some(PendingAddress { of, hint, typed: None, expires_at: now + UPSTREAM_LIFETIME });
    }

    /// The address that is still being added at `now`.
    pub fn pending_address(&self, now: Timestamp) -> Option<&PendingAddress> {
        self.address.as_ref().filter(|pending| now < pending.expires_at)
    }

    /// Whether somebody who is no customer yet is being asked for an address.
    pub fn asks_newcomer(&self, now: Timestamp) -> bool {
        self.pending_address(now).is_some_and(|pending| matches!(pending.of, AddressOf::Newcomer(_)))
    }

    /// The pair of customers that is this session's to ask about.
    pub fn pending_merge(&self, session: &SsoSession) -> Option<&PendingMerge> {
        self.merge.as_ref().filter(|pending| pending.is_of(session))
    }

    /// Keeps what a mailed code will prove.
    pub fn await_whole(&mut self, pending: PendingWhole, now: Timestamp) {
        self.whole = Some(PendingWhole { expires_at: now + UPSTREAM_LIFETIME, ..pending });
        self.target = Target::Account;
    }

    /// What a mailed code still proves at `now`.
    pub fn pending_whole(&self, now: Timestamp) -> Option<&PendingWhole> {
        self.whole.as_ref().filter(|pending| now < pending.expires_at)
    }

    /// Keeps a button until whoever pressed it has logged in again. The login leads to nothing else.
    pub fn wait_for_login(&mut self, session: &SsoSession, action: Action, now: Timestamp) {
        let (customer, sid) = (session.customer, session.sid.clone());
        self.target = match &action {
            Action::Desk(_) => Target::Desk("/admin".to_owned()),
            Action::Connect(_)
            | Action::Disconnect(_)
            | Action::AddAddress(_)
            | Action::RequestMerge
            | Action::ProveWhole(_) => Target::Account,
        };
        self.action = Some(PendingAction { action, customer, sid, expires_at: now + RECENT });
    }

    /// Takes the button that waited for this session's fresh login. Whatever else waited is forgotten.
    pub fn take_action(&mut self, session: &SsoSession, now: Timestamp) -> Option<Action> {
        let pending = self.action.take()?;
        let is_theirs = pending.customer == session.customer && pending.sid == session.sid;
        (is_theirs && now < pending.expires_at).then_some(pending.action)
    }

    /// Whether it was this customer whom the open page asked. Another tab may have signed in somebody else since.
    pub fn has_asked(&self, session: &SsoSession) -> bool {
        self.asked == Some(session.customer)
    }

    /// The operation that writes it.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn save(&self, now: Timestamp) -> Result<Op, kv::Error> {
        let ttl = self.expires_at.since(now).max(Duration::from_secs(1));
        Ok(Op::Set { key: key(&self.id), value: kv::to_json(self)?, ttl, when: When::Always })
    }

    /// The operation that reads a flow.
    pub fn load_op(id: &str) -> Op {
        Op::Get { key: key(id) }
    }

    /// Reads the answer to [`Flow::load_op`]: the flow, if it is this browser's and its time is not up.
    ///
    /// # Errors
    /// If what is stored is not a flow.
    pub fn decode(reply: Option<Reply>, browser: Option<&str>, now: Timestamp) -> Result<Option<Self>, kv::Error> {
        let Some(Reply::Value(value)) = reply else { return Ok(None) };
        let flow: Option<Self> = kv::from_json(value)?;
        Ok(flow.filter(|flow| flow.is_usable(browser, now)))
    }

    /// Loads a flow: one round trip.
    ///
    /// # Errors
    /// If the key-value store does not answer.
    pub async fn load(kv: &Kv, id: &str, browser: Option<&str>, now: Timestamp) -> Result<Option<Self>, kv::Error> {
        let mut replies = kv.run(vec![Self::load_op(id)]).await?;
        Self::decode(replies.pop(), browser, now)
    }

    fn is_usable(&self, browser: Option<&str>, now: Timestamp) -> bool {
        let same_browser = browser.is_some_and(|b| secret::constant_time_eq(b.as_bytes(), self.browser.as_bytes()));
        same_browser && now < self.expires_at
    }
}

fn key(id: &str) -> String {
    // Longer IDs are not ours; their hash is as good a key as any.
    if id.len() > MAX_ID { format!("flow:{}", secret::token_hash(id)) } else { format!("flow:{id}") }
}

/// A browser on its way through an upstream provider: the flow it belongs to travels along.
#[derive(Debug, Serialize, Deserialize)]
pub struct UpstreamFlow {
    pub pending: PendingUpstream,
    pub flow: Flow,
}

/// What a callback's `state` led to.
#[derive(Debug)]
pub enum Returned {
    First(Box<UpstreamFlow>),
    /// The same callback once more: a reload or a double click.
    Again(Box<Flow>),
    /// Unknown, expired, or begun in another browser.
    Unknown,
}

impl UpstreamFlow {
    /// Remembers what the callback will be checked against.
    ///
    /// # Errors
    /// If the key-value store does not answer.
    pub async fn save(&self, kv: &Kv) -> Result<(), kv::Error> {
        kv.set_json(&upstream_key(&self.pending.state), self, UPSTREAM_LIFETIME).await
    }

    /// Finds the flow of a callback and marks its `state` as used: one round trip. The first to present it wins.
    ///
    /// # Errors
    /// If the key-value store does not answer.
    pub async fn take(
        kv: &Kv,
        state: &str,
        connector: &str,
        browser: Option<&str>,
        now: Timestamp,
    ) -> Result<Returned, kv::Error> {
        let key = upstream_key(state);
        let used =
            Op::Set { key: format!("{key}:used"), value: b"1".to_vec(), ttl: UPSTREAM_LIFETIME, when: When::Absent };
        let replies = kv.run(vec![Op::Get { key }, used]).await?;
        let [Reply::Value(value), Reply::Done(first)] = replies.as_slice() else { return Ok(Returned::Unknown) };
        let Some(upstream) = kv::from_json::<Self>(value.clone())? else { return Ok(Returned::Unknown) };
        // RFC 9700 §4.4: the answer must come from the provider that was asked.
        if upstream.pending.connector != connector || !upstream.flow.is_usable(browser, now) {
            return Ok(Returned::Unknown);
        }
        Ok(if *first { Returned::First(Box::new(upstream)) } else { Returned::Again(Box::new(upstream.flow)) })
    }
}

fn upstream_key(state: &str) -> String {
    format!("upstream:{{{}}}", secret::token_hash(state))
}
