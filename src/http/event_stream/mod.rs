//! `GET /api/v1/events`: an app's own events, fetched page by page or kept open as server-sent events.
//!
//! Identity specification, rule 31; handoff specification, rules 16 to 18; RFC 6750; HTML, section 9.2. A client comes
//! with a token of its own (client credentials) whose audience is the API and whose scope is `events`, and sees what
//! its sector may. The cursor is the number of the last event it has seen, in both forms the same.

mod access;
pub mod described;
mod sse;

use axum::extract::{RawQuery, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use serde_json::{Value, json};

use crate::app::App;
use crate::events::stream::{self, Fetched, View};
use crate::events::webhook::{Message, Selection};
use crate::protocol::problem::{Problem, ProblemKind};

pub use self::access::SCOPE;

/// How many events one answer holds at most.
const MOST: usize = 100;
/// More than any parameter needs.
const MAX_QUERY: usize = 2000;
/// How many kinds of events may be asked for by name.
const MAX_TYPES: usize = 50;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new().route("/api/v1/events", routing::get(get))
}

async fn get(State(app): State<App>, headers: HeaderMap, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let caller = access::admit(&app, &headers).await?;
    let asked = Asked::read(query.as_deref().unwrap_or_default())?;
    let view = View { sector: caller.client.sector.clone(), events: asked.types };
    if is_stream_asked(&headers) {
        // A browser's or a library's EventSource says by itself where it stopped, whatever its address says.
        let beginning = stream::beginning(app.store()).await?;
        let after = last_event_id(&headers)?.or(asked.after).unwrap_or(beginning);
        let last = stream::end(app.store()).await?;
        return match after {
            _ if after < beginning => Err(removed(beginning)),
            _ if after > last => Err(beyond(last)),
            _ => sse::open(&app, caller, view, after),
        };
    }
    let store = app.store();
    let after = match asked.after {
        Some(after) => after,
        None => stream::beginning(store).await?,
    };
    let page = match stream::page(store, &app.provider.clients, &view, after, asked.limit).await? {
        Fetched::Page(page) => page,
        Fetched::Removed { to } => return Err(removed(to)),
        Fetched::Beyond { last } => return Err(beyond(last)),
    };
    let events: Vec<Value> = page.messages.iter().map(document).collect();
    let mut response = Json(json!({ "events": events, "next": page.next, "more": page.more })).into_response();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// An app that goes on behind what is not kept any more would take what it misses for nothing.
fn removed(to: i64) -> Problem {
    let detail = format!("The events up to {to} are not kept any more: read anew what they were about, then go on.");
    Problem::new(ProblemKind::EventsRemoved).detail(detail).with("after", to)
}

/// A cursor from another installation, or from before a database was put back.
fn beyond(last: i64) -> Problem {
    Problem::new(ProblemKind::InvalidCursor).detail(format!("The last event is {last}."))
}

/// One event: what a webhook has in its body, with the ID that it has in a header.
fn document(message: &Message) -> Value {
    let mut document: Value = serde_json::from_str(&message.body).unwrap_or_default();
    if let Some(members) = document.as_object_mut() {
        members.insert("id".to_owned(), json!(message.id));
    }
    document
}

/// What stands in the query.
struct Asked {
    /// `None`: from the oldest that is kept.
    after: Option<i64>,
    limit: usize,
    types: Selection,
}

impl Asked {
    /// Refuses what it does not know, because whoever sent it believes that it does something.
    fn read(query: &str) -> Result<Self, Problem> {
        let wrong = |at: &str, words: &str| Problem::new(ProblemKind::InvalidRequest).fault(at, words);
        if query.len() > MAX_QUERY {
            return Err(wrong("query", "is too long"));
        }
        let (mut after, mut limit, mut types) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let place = match name.as_ref() {
                "after" => &mut after,
                "limit" => &mut limit,
                "types" => &mut types,
                _ => return Err(wrong("query", "holds a parameter that does not exist here")),
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(wrong(&name, "is repeated"));
            }
        }
        let wrong_after = || wrong("after", "must be the number of an event, or 0");
        let after = after.map(|text| number(&text).ok_or_else(wrong_after)).transpose()?;
        let limit = limit.map_or(Some(MOST), |text| text.parse().ok().filter(|limit| (1..=MOST).contains(limit)));
        let types: Vec<String> = types.map_or_else(|| vec!["*".to_owned()], |text| split(&text));
        Ok(Self {
            after,
            limit: limit.ok_or_else(|| wrong("limit", "must be a number from 1 to 100"))?,
            types: Some(types)
                .filter(|types| types.len() <= MAX_TYPES)
                .and_then(|types| Selection::parse(&types).ok())
                .ok_or_else(|| wrong("types", "must be names of events, or families such as link.*"))?,
        })
    }
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|word| word.trim().to_owned()).collect()
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok().filter(|number| *number >= 0)
}

fn is_stream_asked(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepts.flat_map(|line| line.split(',')).any(|kind| kind.trim().starts_with("text/event-stream"))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let last = value.to_str().ok().and_then(number);
    last.map(Some).ok_or_else(|| Problem::new(ProblemKind::InvalidRequest).fault("Last-Event-ID", "is none of ours"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_query_does_not_have_is_refused() {
        for good in ["", "after=0", "after=7&limit=100", "types=customer.merged,link.*", "types=*&after=1"] {
            assert!(Asked::read(good).is_ok(), "{good}");
        }
        for bad in [
            "after=-1",
            "after=x",
            "after=",
            "limit=0",
            "limit=101",
            "cursor=1",
            "after=1&after=2",
            "types=",
            "types=Link",
            "after=99999999999999999999",
        ] {
            assert!(Asked::read(bad).is_err(), "{bad}");
        }
        assert!(Asked::read(&format!("types={}", vec!["a"; 51].join(","))).is_err());
        assert!(Asked::read(&format!("after=1&types={}", "a".repeat(3000))).is_err());
    }
}
