//! What becomes of a delivery that was not taken: a pure decision.
//!
//! Handoff specification, rule 17: a receiver that cannot be reached is tried again for days and misses nothing. One
//! that refuses an event, again and again while it can be reached, gets the event put aside for people to look at, so
//! that the events after it go on; but where it refuses whatever comes, it is the receiver that is broken, and nothing
//! is put aside.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::outbound::{HeaderMap, StatusCode, header};

/// The first wait. Each one after it is twice as long.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait of our own: so long, at most, a receiver that is back waits for its events.
const LONGEST_WAIT: Duration = Duration::from_secs(10 * 60);
/// The longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 60 * 60);
/// After so long without an answer that is of use nobody seems to be there any more.
const GIVE_UP_AFTER: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// So many refusals in a row are about the event.
const REFUSALS: i64 = 5;
/// So many events put aside in a row are about the receiver.
const ASIDE_IN_ROW: i64 = 3;

/// How a receiver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Taken,
    /// It understood the request and does not want this event.
    Refused(String),
    /// It was not reached, or could not take anything just now.
    Failed {
        reason: String,
        retry_after: Option<Duration>,
    },
    /// It wants no events any more.
    Gone,
}

impl Answer {
    /// From the status of an answer (Standard Webhooks, "Delivery success and failure").
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let reason = format!("it answered {}", status.as_u16());
        match status.as_u16() {
            200..=299 => Self::Taken,
            410 => Self::Gone,
            // The others are about where and when we ask, and in whose name.
            400 | 409 | 413 | 422 => Self::Refused(reason),
            _ => Self::Failed { reason, retry_after: retry_after(headers) },
        }
    }
}

/// RFC 9110 §10.2.3, in seconds; a date is for whoever trusts the other's clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What was before this answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Failures in a row, this one not counted.
    pub(super) attempts: i64,
    /// Those of them, at the end, that were refusals.
    pub(super) refusals: i64,
    pub(super) aside_in_row: i64,
    pub(super) failing_since: Option<Timestamp>,
}

/// What is to be done now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The same event again at this time.
    Wait { at: Timestamp, trouble: Trouble },
    /// Goes on behind the event, which is kept for people to look at.
    PutAside { trouble: Trouble },
    /// Nothing more until somebody says so.
    Stop { trouble: Trouble },
}

/// Decides after an answer that was not [`Answer::Taken`]. `dice` is random, so that many receivers behind one broken
/// thing do not all come back at the same moment.
pub(super) fn decide(answer: &Answer, before: Trouble, now: Timestamp, dice: u8) -> Next {
    let since = before.failing_since.unwrap_or(now);
    let attempts = before.attempts.saturating_add(1);
    let refusals = if matches!(answer, Answer::Refused(_)) { before.refusals.saturating_add(1) } else { 0 };
    let trouble = Trouble { attempts, refusals, aside_in_row: before.aside_in_row, failing_since: Some(since) };
    if refusals >= REFUSALS && before.aside_in_row < ASIDE_IN_ROW {
        let aside_in_row = before.aside_in_row.saturating_add(1);
        return Next::PutAside { trouble: Trouble { aside_in_row, ..Trouble::default() } };
    }
    if *answer == Answer::Gone || now.since(since) >= GIVE_UP_AFTER {
        return Next::Stop { trouble };
    }
    let asked = match answer {
        Answer::Failed { retry_after: Some(asked), .. } => (*asked).min(LONGEST_ASKED),
        _ => Duration::ZERO,
    };
    Next::Wait { at: now + backoff(attempts, dice).max(asked), trouble }
}

/// Twice as long each time, and between three quarters of it and the whole.
fn backoff(attempts: i64, dice: u8) -> Duration {
    // More doublings than this are more than the longest wait, too.
    let doublings = attempts.saturating_sub(1).clamp(0, 20);
    let whole = FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT);
    whole.mul_f64(0.75 + 0.25 * f64::from(dice) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_seconds(1_800_014_400);

    fn failed() -> Answer {
        Answer::Failed { reason: "it answered 503".to_owned(), retry_after: None }
    }

    fn refused() -> Answer {
        Answer::Refused("it answered 422".to_owned())
    }

    #[test]
    fn waits_double_up_to_ten_minutes_and_are_never_quite_the_same() {
        let seconds: Vec<u64> = (1..=12).map(|attempts| backoff(attempts, 255).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(backoff(3, 0), Duration::from_secs(3));
        assert!(backoff(5, 100) > backoff(5, 99));
        assert_eq!((backoff(0, 255), backoff(i64::MAX, 255)), (Duration::from_secs(1), LONGEST_WAIT));
    }

    #[test]
    fn an_outage_of_a_day_loses_nothing_and_one_of_a_week_stops() {
        let (mut now, mut trouble, mut tries) = (NOON, Trouble::default(), 0);
        let stopped = loop {
            match decide(&failed(), trouble, now, 128) {
                Next::Wait { at, trouble: next } => (now, trouble, tries) = (at, next, tries + 1),
                other => break other,
            }
        };
        assert!(matches!(stopped, Next::Stop { .. }), "{stopped:?}");
        let lasted = now.since(NOON);
        assert!(lasted >= GIVE_UP_AFTER && lasted < GIVE_UP_AFTER + LONGEST_WAIT, "{lasted:?}");
        assert!(tries > 1000, "{tries}");
    }

    #[test]
    fn five_refusals_put_an_event_aside_but_not_a_fourth_event_in_a_row() {
        let mut trouble = Trouble::default();
        for number in 1..=3 {
            for _ in 1..REFUSALS {
                match decide(&refused(), trouble, NOON, 0) {
                    Next::Wait { trouble: next, .. } => trouble = next,
                    other => panic!("{other:?}"),
                }
            }
            match decide(&refused(), trouble, NOON, 0) {
                Next::PutAside { trouble: next } => trouble = next,
                other => panic!("{other:?}"),
            }
            assert_eq!(trouble, Trouble { aside_in_row: number, ..Trouble::default() });
        }
        for _ in 0..20 {
            match decide(&refused(), trouble, NOON, 0) {
                Next::Wait { trouble: next, .. } => trouble = next,
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_failure_between_refusals_makes_them_count_anew() {
        let before = Trouble { attempts: 4, refusals: 4, aside_in_row: 0, failing_since: Some(NOON) };
        let Next::Wait { trouble, .. } = decide(&failed(), before, NOON, 0) else { panic!("it waits") };
        assert_eq!((trouble.attempts, trouble.refusals), (5, 0));
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_up_to_a_day() {
        for (asked, expected) in [(0, 1), (90, 90), (86_400, 86_400), (u64::MAX / 2_000_000, 86_400)] {
            let retry_after = Some(Duration::from_secs(asked));
            let answer = Answer::Failed { reason: String::new(), retry_after };
            let next = decide(&answer, Trouble::default(), NOON, 255);
            let Next::Wait { at, .. } = next else { panic!("it waits") };
            assert_eq!(at.since(NOON).as_secs(), expected, "{asked}");
        }
    }

    #[test]
    fn each_status_is_taken_for_what_it_says() {
        let of = |status| Answer::of(StatusCode::from_u16(status).unwrap(), &HeaderMap::new());
        for status in [200, 201, 202, 204, 299] {
            assert_eq!(of(status), Answer::Taken, "{status}");
        }
        for status in [400, 409, 413, 422] {
            assert!(matches!(of(status), Answer::Refused(_)), "{status}");
        }
        for status in [301, 302, 307, 308, 401, 403, 404, 405, 408, 415, 425, 429, 500, 502, 503, 504, 520] {
            assert!(matches!(of(status), Answer::Failed { .. }), "{status}");
        }
        assert_eq!(of(410), Answer::Gone);
        assert!(matches!(decide(&Answer::Gone, Trouble::default(), NOON, 0), Next::Stop { .. }));
    }
}
