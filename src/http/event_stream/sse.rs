//! Events as they happen: an answer that stays open (HTML, section 9.2).
//!
//! `id` is the cursor, so that whoever comes back with `Last-Event-ID` misses nothing and sees nothing twice. A stream
//! ends with its token, with its client, and with the gateway. A reader who does not read is waited for, not buffered.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::access::Caller;
use super::{MOST, document};
use crate::app::App;
use crate::events::stream::{self, Fetched, View};
use crate::events::webhook::Message;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store;

/// How often a stream looks for more.
const POLL: Duration = Duration::from_millis(300);
/// So many looks without anything to say are followed by a sign of life; it carries the cursor.
const QUIET: u32 = 50;
/// How many pieces may wait for a reader.
const BUFFERED: usize = 4;

/// Opens a stream behind a number.
pub(super) fn open(app: &App, caller: Caller, view: View, after: i64) -> Result<Response, Problem> {
    let permit = app.streams.clone().try_acquire_owned();
    let permit = permit.map_err(|_| Problem::new(ProblemKind::Unavailable).detail("too many streams are open"))?;
    let (pieces, receiver) = mpsc::channel(BUFFERED);
    let stream = Stream { app: app.clone(), caller, view, cursor: after, pieces, _permit: permit };
    tokio::spawn(stream.run());
    let mut response = Body::new(Pieces(receiver)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx passes it on as it comes.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

/// The body: what the stream has to say, piece by piece.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| Ok(Frame::data(piece))))
    }
}

struct Stream {
    app: App,
    caller: Caller,
    view: View,
    cursor: i64,
    pieces: mpsc::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

impl Stream {
    async fn run(mut self) {
        let mut closing = self.app.closing.subscribe();
        let ended = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => Ok(()),
            ended = self.tell() => ended,
        };
        if let Err(error) = ended {
            // The reader comes back by itself and goes on where it stopped.
            tracing::warn!(client.id = self.caller.client.id(), %error, "a stream of events was cut off");
        }
    }

    /// Until nobody reads any more, or nobody may.
    async fn tell(&mut self) -> Result<(), store::Error> {
        let mut quiet = 0;
        if self.pieces.send(Bytes::from_static(b"retry: 1000\n\n")).await.is_err() {
            return Ok(());
        }
        while self.is_good() {
            let (store, now) = (self.app.store(), self.app.clock.now());
            if self.app.stream_head.last(store, now).await? > self.cursor {
                let page = stream::page(store, &self.app.provider.clients, &self.view, self.cursor, MOST).await?;
                // Who comes back with its cursor is told so.
                let Fetched::Page(page) = page else { return Ok(()) };
                self.cursor = page.next;
                if !page.messages.is_empty() {
                    quiet = 0;
                    let text: String = page.messages.iter().map(event).collect();
                    if self.pieces.send(text.into()).await.is_err() {
                        return Ok(());
                    }
                }
                if page.more {
                    continue;
                }
            }
            quiet += 1;
            if quiet == QUIET {
                quiet = 0;
                // Without data nothing is dispatched, but the reader keeps the number.
                if self.pieces.send(format!("id: {}\n\n", self.cursor).into()).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = tokio::time::sleep(POLL) => {}
                () = self.pieces.closed() => return Ok(()),
            }
        }
        Ok(())
    }

    /// Whether the token still counts, and the client is what it was.
    fn is_good(&self) -> bool {
        let client = self.app.provider.clients.find(self.caller.client.id());
        self.app.clock.now() < self.caller.until && client.is_some_and(|client| client.sector == self.view.sector)
    }
}

/// One event. Names and numbers hold no line end, and neither does JSON.
fn event(message: &Message) -> String {
    let document = document(message);
    let name = document.get("type").and_then(|name| name.as_str()).unwrap_or_default();
    format!("id: {}\nevent: {name}\ndata: {document}\n\n", message.sequence)
}
