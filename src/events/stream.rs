//! Events as an app fetches them itself: page by page behind a cursor, which is the number of the last event it has seen.
//!
//! Identity specification, rule 31, and handoff specification, rules 16 to 18: an app sees of its own customers what a
//! webhook of its sector would be told, under the same IDs and in the same order, as often as it asks. Nothing is
//! remembered here of who has seen what. It must not know HTTP.

use tokio::sync::Mutex;

use super::relay;
use super::webhook::{self, Audience, Message, Selection};
use crate::clock::Timestamp;
use crate::oidc::client::ClientRegistry;
use crate::store::{self, Store};

/// How many streams one replica keeps open.
pub const MOST_STREAMS: usize = 200;
/// How many events one statement reads.
const PAGE: i64 = 100;
/// How many statements one request may send to find what concerns the app.
const PAGES: usize = 10;
/// How many thousands of events one request may number, if nobody else does.
const BATCHES: usize = 5;
/// How long streams of one replica go by what one of them has seen.
const FRESH: std::time::Duration = std::time::Duration::from_millis(250);

/// What one app may see.
#[derive(Clone, Debug)]
pub struct View {
    pub sector: String,
    pub events: Selection,
}

/// A part of an app's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub messages: Vec<Message>,
    /// Everything up to this number was looked at.
    pub next: i64,
    /// Whether there may be more already.
    pub more: bool,
}

/// What an app that asks is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    Page(Page),
    /// Events behind its cursor are not kept any more. It has to begin again behind this number.
    Removed {
        to: i64,
    },
    /// Its cursor is none that it was ever given here: this is the last event. It would wait for events that have been.
    Beyond {
        last: i64,
    },
}

/// Behind which number the oldest event is that is kept.
///
/// # Errors
/// If the database fails.
pub async fn beginning(store: &Store) -> Result<i64, store::Error> {
    Ok(store.begin_read().await?.outbox_numbering().await?.removed)
}

/// The last event's number.
///
/// # Errors
/// If the database fails.
pub async fn end(store: &Store) -> Result<i64, store::Error> {
    relay::number(store, BATCHES).await
}

/// What concerns an app after a number, `limit` events at most.
///
/// # Errors
/// If the database fails.
pub async fn page(
    store: &Store,
    clients: &ClientRegistry,
    view: &View,
    after: i64,
    limit: usize,
) -> Result<Fetched, store::Error> {
    let last = relay::number(store, BATCHES).await?;
    if after > last {
        return Ok(Fetched::Beyond { last });
    }
    let is_own = |client: &str| clients.find(client).is_some_and(|client| client.sector == view.sector);
    let mut page = Page { messages: Vec::new(), next: after, more: true };
    for _ in 0..PAGES {
        let events = store.begin_read().await?.outbox_sequenced(page.next, &view.sector, PAGE).await?;
        let is_last = i64::try_from(events.len()) != Ok(PAGE);
        for event in &events {
            // Numbers have no gaps: what is missing was removed, before this began or since.
            if event.sequence != page.next + 1 {
                return Ok(Fetched::Removed { to: beginning(store).await? });
            }
            page.next = event.sequence;
            if view.events.holds(&event.event_type) {
                page.messages.extend(webhook::message(event, Audience::Sector(&view.sector), is_own));
            }
            if page.messages.len() >= limit {
                return Ok(Fetched::Page(page));
            }
        }
        if is_last {
            page.more = false;
            break;
        }
    }
    Ok(Fetched::Page(page))
}

/// How far the numbering is, as the streams of one replica see it together: they cost one look, however many they are.
#[derive(Debug, Default)]
pub struct Head(Mutex<Option<(Timestamp, i64)>>);

impl Head {
    /// The last number, as it was a moment ago.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn last(&self, store: &Store, now: Timestamp) -> Result<i64, store::Error> {
        let mut seen = self.0.lock().await;
        if let Some((at, last)) = *seen
            && now.since(at) < FRESH
            && at <= now
        {
            return Ok(last);
        }
        let last = relay::number(store, BATCHES).await?;
        *seen = Some((now, last));
        Ok(last)
    }
}
