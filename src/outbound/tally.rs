//! How the requests of one client went: whether anybody answered, not what.
//!
//! A refusal is an answer. No complete answer in time, no connection, an answer without end and the server's own word
//! that it cannot answer (5xx, 429) are none. What follows from it is others' business.

use std::sync::{Mutex, PoisonError};

use super::{OutboundError, OutboundResponse, StatusCode};

/// The count so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Requests without an answer, ever.
    pub failed: u64,
    /// Those since the last answer.
    pub failed_in_a_row: u32,
}

/// A count that the clones of a client share.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Count>);

impl Tally {
    /// The count at this moment.
    pub fn count(&self) -> Count {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn note(&self, outcome: &Result<OutboundResponse, OutboundError>) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            // It was us who did not want to ask.
            Err(OutboundError::Refused { .. }) => {}
            Ok(response) if is_answer(response.status) => count.failed_in_a_row = 0,
            Ok(_) | Err(_) => {
                count.failed = count.failed.saturating_add(1);
                count.failed_in_a_row = count.failed_in_a_row.saturating_add(1);
            }
        }
    }
}

fn is_answer(status: StatusCode) -> bool {
    !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_an_answer_and_silence_is_none() {
        let answer = |status: u16| {
            let status = StatusCode::from_u16(status).unwrap();
            Ok(OutboundResponse { status, headers: Default::default(), body: Default::default() })
        };
        let host = || "a.example".to_owned();
        let tally = Tally::default();
        let mut expected = 0;
        for (outcome, in_a_row) in [
            (Err(OutboundError::Timeout { host: host() }), 1),
            (Err(OutboundError::Failed { host: host(), reason: "no".to_owned() }), 2),
            (Err(OutboundError::TooLarge { host: host(), max_bytes: 1 }), 3),
            (Err(OutboundError::Refused { host: host(), reason: "no" }), 3),
            (answer(503), 4),
            (answer(429), 5),
            (answer(400), 0),
            (answer(500), 1),
            (answer(200), 0),
        ] {
            let before = tally.count();
            tally.note(&outcome);
            expected += u64::from(in_a_row > before.failed_in_a_row);
            assert_eq!(tally.count(), Count { failed: expected, failed_in_a_row: in_a_row }, "{outcome:?}");
        }
    }
}
