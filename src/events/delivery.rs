//! One round of deliveries to one receiver: from where it stands, page by page, until all is taken or something fails.
//!
//! Handoff specification, rules 17 and 19. Messages of one customer go one after the other, those of several side by
//! side, and what joins or parts customers goes alone. After a failure nothing new is begun, and the next round tries
//! the first message by itself: so a receiver sees few things twice. The round may write, and deliver, only while its
//! lease lasts. No transaction is open while the receiver is asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::relay::{Receiver, Relay, Whose};
use super::retry::{self, Answer, Next, Trouble};
use super::webhook::{self, Audience, Message};
use crate::clock::{Timestamp, random, uuid_v7};
use crate::ids::{CustomerId, EventId};
use crate::outbound::{HeaderMap, Method, Outbound, OutboundRequest, header};
use crate::store::{self, DeadLetter, SequencedEvent, WebhookProgress};

/// How many events one statement reads.
const PAGE: i64 = 100;
/// How many customers' messages are under way at once.
const LANES: usize = 8;
/// What a receiver may answer; nothing of it is used.
const MAX_ANSWER: usize = 1024 * 1024;
/// The shortest time a round keeps a receiver to itself without a sign of life.
const SHORTEST_LEASE: Duration = Duration::from_secs(5);

/// One round.
pub(super) struct Round<'a> {
    relay: &'a Relay,
    receiver: &'a Receiver,
    sending: Sending<'a>,
    /// Nobody else has this one, so what is written under it is ours.
    holder: Uuid,
    lease_until: Timestamp,
    trouble: Trouble,
    stopped: watch::Receiver<bool>,
}

/// What became of a page.
#[derive(Default)]
struct Outcome {
    taken: i64,
    /// The lowest number that was not taken.
    undone: Option<i64>,
    failure: Option<Failure>,
}

struct Failure {
    sequence: i64,
    event: EventId,
    answer: Answer,
}

/// What is to be written of a page.
struct Page {
    cursor: i64,
    outcome: Outcome,
    /// Nothing is left.
    ends: bool,
}

impl<'a> Round<'a> {
    /// Delivers what there is; answers how many deliveries were taken. 0 if somebody else holds the receiver.
    ///
    /// # Errors
    /// If the database does not answer. What was delivered since the last page was written is delivered again.
    pub(super) async fn run(
        relay: &'a Relay,
        receiver: &'a Receiver,
        stopped: watch::Receiver<bool>,
    ) -> Result<i64, store::Error> {
        let now = relay.clock.now();
        let (holder, lease_until) = (uuid_v7(now), now + lease(receiver));
        let mut tx = relay.store.begin().await?;
        let leased = tx.webhook_lease(&receiver.id, holder, now, lease_until).await?;
        tx.commit().await?;
        let Some(leased) = leased else { return Ok(0) };
        let trouble = Trouble {
            attempts: leased.attempts,
            refusals: leased.refusals,
            aside_in_row: leased.aside_in_row,
            failing_since: leased.failing_since,
        };
        let sending = Sending::to(relay, receiver);
        let mut round = Self { relay, receiver, sending, holder, lease_until, trouble, stopped };
        round.deliver_from(leased.cursor).await
    }

    async fn deliver_from(&mut self, mut cursor: i64) -> Result<i64, store::Error> {
        let mut delivered = 0;
        loop {
            let page = match self.sending.sector() {
                Ok(sector) => self.page(cursor, sector).await?,
                Err(reason) => Page { cursor, outcome: nobody(cursor, reason), ends: true },
            };
            delivered += page.outcome.taken;
            let ends = page.ends || page.outcome.failure.is_some() || *self.stopped.borrow();
            match self.save(page, ends).await? {
                Some(next) if !ends => cursor = next,
                _ => return Ok(delivered),
            }
        }
    }

    /// Reads a page and delivers it.
    async fn page(&self, cursor: i64, sector: Option<String>) -> Result<Page, store::Error> {
        let mut tx = self.relay.store.begin_read().await?;
        let events = tx.outbox_sequenced(cursor, sector.as_deref().unwrap_or_default(), PAGE).await?;
        drop(tx);
        if let Some(first) = events.first().map(|event| event.sequence).filter(|first| *first > cursor + 1) {
            // It was stopped, or not configured, for longer than events are kept.
            let (webhook, missed) = (&self.receiver.id, first - cursor - 1);
            tracing::warn!(webhook.id = %webhook, event.sequence = first, missed, "events are not kept any more");
        }
        let last = events.last().map_or(cursor, |event| event.sequence);
        let is_last = i64::try_from(events.len()) != Ok(PAGE);
        let messages = events.iter().filter_map(|event| self.sending.message(event, sector.as_deref())).collect();
        let outcome = self.deliver(messages).await;
        let cursor = outcome.undone.map_or(last, |undone| undone - 1);
        Ok(Page { cursor, ends: is_last && outcome.undone.is_none(), outcome })
    }

    async fn deliver(&self, messages: VecDeque<Message>) -> Outcome {
        // After a failure one message shows whether the receiver is back.
        let lanes = if self.trouble.attempts > 0 { 1 } else { LANES };
        let mut queue = Queue { waiting: messages, running: BTreeMap::new() };
        let mut outcome = Outcome::default();
        let mut running = JoinSet::new();
        loop {
            while running.len() < lanes
                && outcome.failure.is_none()
                && self.has_time()
                && let Some(message) = queue.take()
            {
                let (outbound, request) = (self.sending.outbound.clone(), self.sending.request(&message));
                running.spawn(async move { (message, send(&outbound, request).await) });
            }
            match running.join_next().await {
                None => break,
                Some(Ok((message, Answer::Taken))) => {
                    queue.running.remove(&message.sequence);
                    outcome.taken += 1;
                }
                Some(Ok((message, answer))) => {
                    let first = outcome.failure.as_ref().is_none_or(|failure| message.sequence < failure.sequence);
                    if first {
                        outcome.failure = Some(Failure { sequence: message.sequence, event: message.id, answer });
                    }
                }
                // It stays among those under way, and is delivered again.
                Some(Err(error)) => tracing::error!(%error, "a delivery ended without an answer"),
            }
        }
        outcome.undone = queue.lowest();
        outcome
    }

    /// Whether a delivery that begins now is over before somebody else may take the receiver.
    fn has_time(&self) -> bool {
        !*self.stopped.borrow() && self.relay.clock.now() + self.receiver.timeout < self.lease_until
    }

    /// Writes down what became of a page. `None` if the receiver is no longer this round's.
    async fn save(&mut self, page: Page, ends: bool) -> Result<Option<i64>, store::Error> {
        let now = self.relay.clock.now();
        if page.outcome.taken > 0 {
            self.trouble = Trouble::default();
        }
        self.lease_until = if ends { now } else { now + lease(self.receiver) };
        let mut progress = WebhookProgress {
            cursor: page.cursor,
            attempts: 0,
            refusals: 0,
            aside_in_row: 0,
            failing_since: None,
            next_attempt_at: now,
            last_error: None,
            stopped_at: None,
            lease_until: self.lease_until,
            delivered: page.outcome.taken,
            delivered_at: (page.outcome.taken > 0).then_some(now),
        };
        let letter = page.outcome.failure.and_then(|failure| self.judge(failure, &mut progress, now));
        progress.attempts = self.trouble.attempts;
        progress.refusals = self.trouble.refusals;
        progress.aside_in_row = self.trouble.aside_in_row;
        progress.failing_since = self.trouble.failing_since;
        let mut tx = self.relay.store.begin().await?;
        let saved = tx.webhook_save(&self.receiver.id, self.holder, &progress).await?;
        if let (Some(letter), Some(_)) = (&letter, saved) {
            tx.webhook_put_aside(&self.receiver.id, letter).await?;
        }
        tx.commit().await?;
        Ok(saved)
    }

    /// Takes over what is to be done after a failure; answers what is to be put aside.
    fn judge(&mut self, failure: Failure, progress: &mut WebhookProgress, now: Timestamp) -> Option<DeadLetter> {
        let reason = match &failure.answer {
            Answer::Failed { reason, .. } | Answer::Refused(reason) => reason.clone(),
            Answer::Gone => "it answered 410: it wants no more events".to_owned(),
            Answer::Taken => return None,
        };
        let (webhook, sequence) = (&self.receiver.id, failure.sequence);
        let [dice] = random::<1>();
        progress.last_error = Some(reason.clone());
        match retry::decide(&failure.answer, self.trouble, now, dice) {
            Next::Wait { at, trouble } => {
                if trouble.attempts == 1 {
                    tracing::warn!(webhook.id = %webhook, event.sequence = sequence, reason, "events cannot be delivered");
                }
                (self.trouble, progress.next_attempt_at) = (trouble, at);
                None
            }
            Next::Stop { trouble } => {
                tracing::error!(webhook.id = %webhook, event.sequence = sequence, reason, "no more events are delivered");
                (self.trouble, progress.stopped_at) = (trouble, Some(now));
                None
            }
            Next::PutAside { trouble } => {
                tracing::warn!(webhook.id = %webhook, event.sequence = sequence, reason, "an event was put aside");
                self.trouble = trouble;
                progress.cursor = sequence;
                Some(DeadLetter { sequence, event: failure.event, reason, put_aside_at: now })
            }
        }
    }
}

/// How one receiver is told things.
pub(super) struct Sending<'a> {
    relay: &'a Relay,
    pub(super) receiver: &'a Receiver,
    /// With the receiver's time limit.
    pub(super) outbound: Outbound,
}

impl<'a> Sending<'a> {
    /// To this receiver.
    pub(super) fn to(relay: &'a Relay, receiver: &'a Receiver) -> Self {
        Self { relay, receiver, outbound: relay.outbound.with_timeout(receiver.timeout) }
    }

    /// The sector whose subjects this receiver sees; none for an internal one.
    pub(super) fn sector(&self) -> Result<Option<String>, String> {
        match &self.receiver.whose {
            Whose::Company => Ok(None),
            Whose::Sector(sector) => Ok(Some(sector.clone())),
            Whose::Client(id) => match self.relay.clients.find(id) {
                Some(client) => Ok(Some(client.sector.clone())),
                None => Err(format!("there is no client or destination {id}")),
            },
        }
    }

    /// What the receiver is told of an event, if anything.
    pub(super) fn message(&self, event: &SequencedEvent, sector: Option<&str>) -> Option<Message> {
        if !self.receiver.events.holds(&event.event_type) {
            return None;
        }
        let audience = sector.map_or(Audience::Internal, Audience::Sector);
        let clients = &self.relay.clients;
        let is_own = |client: &str| clients.find(client).is_some_and(|client| Some(client.sector.as_str()) == sector);
        webhook::message(event, audience, is_own)
    }

    /// One delivery, signed now.
    pub(super) fn request(&self, message: &Message) -> OutboundRequest {
        let mut headers = HeaderMap::new();
        for (name, value) in webhook::headers(message, &self.receiver.keys, self.relay.clock.now()) {
            // IDs, numbers and base64 are header values.
            if let Ok(value) = header::HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        OutboundRequest {
            method: Method::POST,
            url: self.receiver.url.clone(),
            headers,
            body: message.body.clone().into(),
            max_bytes: MAX_ANSWER,
        }
    }
}

/// The messages of a page: those to begin, and those under way.
struct Queue {
    waiting: VecDeque<Message>,
    /// By number: whose it is, and whether it goes alone.
    running: BTreeMap<i64, (CustomerId, bool)>,
}

impl Queue {
    /// The next message that may begin now.
    fn take(&mut self) -> Option<Message> {
        if self.running.values().any(|(_, is_turn)| *is_turn) {
            return None;
        }
        let is_busy = |message: &Message| self.running.values().any(|(customer, _)| *customer == message.customer);
        let stop = self.waiting.iter().position(|message| message.is_turn).unwrap_or(self.waiting.len());
        let at = match stop {
            0 => self.running.is_empty().then_some(0)?,
            stop => self.waiting.iter().take(stop).position(|message| !is_busy(message))?,
        };
        let message = self.waiting.remove(at)?;
        self.running.insert(message.sequence, (message.customer, message.is_turn));
        Some(message)
    }

    /// The lowest number that is not done with.
    fn lowest(&self) -> Option<i64> {
        let waiting = self.waiting.front().map(|message| message.sequence);
        self.running.keys().next().copied().into_iter().chain(waiting).min()
    }
}

pub(super) async fn send(outbound: &Outbound, request: OutboundRequest) -> Answer {
    match outbound.send(request).await {
        Ok(response) => Answer::of(response.status, &response.headers),
        Err(error) => Answer::Failed { reason: error.to_string(), retry_after: None },
    }
}

/// Nothing can be delivered, because nobody is there to hear it.
fn nobody(cursor: i64, reason: String) -> Outcome {
    let answer = Answer::Failed { reason, retry_after: None };
    let failure = Failure { sequence: cursor + 1, event: EventId(Uuid::nil()), answer };
    Outcome { taken: 0, undone: None, failure: Some(failure) }
}

/// Long enough for a few deliveries, short enough that a receiver does not wait for one who died.
fn lease(receiver: &Receiver) -> Duration {
    receiver.timeout.saturating_mul(3).max(SHORTEST_LEASE)
}
