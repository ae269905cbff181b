//! What was done a moment ago, said once on the page that follows.
//!
//! Nobody else can put words on that page: what stands in its address is a random name of a note that we left for this
//! session, the note is one of a few, and it is gone once it was read. Experience specification, rule 12.

use std::time::Duration;

use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::access::Desk;
use crate::ids::Sid;
use crate::kv;
use crate::secret;
use crate::session::pending::Deed;

/// The parameter of an address that names a note.
const NAME: &str = "done";
/// How long a note waits for its page.
const KEPT: Duration = Duration::from_secs(2 * 60);
const MAX_NAME: usize = 64;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    Merged,
    Undone,
    Proposed,
    Approved,
    Withdrawn,
    MarkedNotSame,
    UnmarkedNotSame,
    Watched,
    Declined,
    Closed,
    Disconnected,
    Enabled,
    SignedOut,
    SessionEnded,
    Held,
    Released,
    Branded,
    Erased,
    RoleChanged,
    /// It was done before.
    Already,
}

impl Done {
    const fn words(self) -> &'static str {
        match self {
            Self::Merged => "Done: the two are one customer now.",
            Self::Undone => "Done: they are two customers again, and marked as not the same person.",
            Self::Proposed => "Done: the merge is proposed. Nothing moves before somebody else approves it.",
            Self::Approved => "Done: you have approved it. It still waits for somebody else.",
            Self::Withdrawn => "Done: the proposal is withdrawn.",
            Self::MarkedNotSame => "Done: they are marked as two people.",
            Self::UnmarkedNotSame => "Done: the mark is gone, and they may be proposed and merged again.",
            Self::Watched => "Done: the pair is on watch, and back when more speaks for it.",
            Self::Declined => "Done: the request is declined, and both are told by mail.",
            Self::Closed => "Done: the conflict is closed.",
            Self::Disconnected => "Done: the identifier leads to this customer no more.",
            Self::Enabled => "Done: the identifier logs in again.",
            Self::SignedOut => "Done: the customer is signed out everywhere.",
            Self::SessionEnded => "Done: the session has ended.",
            Self::Held => "Done: the customer is under a legal hold.",
            Self::Released => "Done: the legal hold is lifted.",
            Self::Branded => "Done: the brand is changed.",
            Self::Erased => "Done: the customer is erased.",
            Self::RoleChanged => "Done: the role counts from now on.",
            Self::Already => "That was done before: nothing more has happened.",
        }
    }
}

impl From<&Deed> for Done {
    fn from(deed: &Deed) -> Self {
        match deed {
            Deed::Disconnect(_) => Self::Disconnected,
            Deed::Enable(_) => Self::Enabled,
            Deed::SignOut => Self::SignedOut,
            Deed::EndSession(_) => Self::SessionEnded,
            Deed::Hold => Self::Held,
            Deed::Release => Self::Released,
            Deed::Brand(_) => Self::Branded,
            Deed::Erase => Self::Erased,
        }
    }
}

/// A note for one session.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    sid: Sid,
    done: Done,
}

/// Goes on to a page of the desk, which says what was done. What was done stays done if the note cannot be left.
pub async fn to(desk: &Desk, path: &str, done: Done) -> Response {
    let (name, note) = (secret::random_token(), Note { sid: desk.session.sid.clone(), done });
    match desk.app.kv().set_json(&key(&name), &note, KEPT).await {
        Ok(()) => Redirect::to(&format!("{path}?{NAME}={name}")).into_response(),
        Err(error) => {
            tracing::warn!(%error, "what was done at the desk is not said on the next page");
            Redirect::to(path).into_response()
        }
    }
}

/// The words of the note that the address names, once.
///
/// # Errors
/// If the key-value store does not answer.
pub async fn read(desk: &Desk) -> Result<Option<&'static str>, kv::Error> {
    let Some(name) = desk.params.get(NAME).filter(|name| name.len() <= MAX_NAME) else { return Ok(None) };
    let note: Option<Note> = desk.app.kv().take_json(&key(name)).await?;
    Ok(note.filter(|note| note.sid == desk.session.sid).map(|note| note.done.words()))
}

fn key(name: &str) -> String {
    format!("desk-done:{}", secret::token_hash(name))
}
