//! How receivers of events stand, in one word for people and for programs.

use crate::store::{Numbering, WebhookState};

/// `up to date`, `delivering`, `failing`, `stopped`, or `not configured` any more.
pub fn word(state: &WebhookState, is_configured: bool, numbering: Numbering) -> &'static str {
    match state {
        _ if !is_configured => "not configured",
        state if state.stopped_at.is_some() => "stopped",
        state if state.failing_since.is_some() => "failing",
        state if state.replay_from.is_some() || state.cursor < numbering.last => "delivering",
        _ => "up to date",
    }
}
