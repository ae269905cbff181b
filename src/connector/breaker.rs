//! A provider that does not answer is left alone for a while, so that customers are told at once and do not wait for it.
//!
//! It opens after so many requests in a row without an answer; a refusal is an answer (`outbound::Tally`). When the
//! pause is over one caller tries; everybody else is told off until that one is back. Pauses grow to five minutes and
//! are shortened by chance, so that replicas do not come back all at once. Each replica finds out for itself.
//! It must not know what is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::ConnectorError;
use crate::clock::{Timestamp, random};
use crate::config::ConnectorConfig;
use crate::outbound::{Count, Outbound, Tally};

/// No pause is longer, unless the configured one is.
const LONGEST: Duration = Duration::from_secs(5 * 60);

/// The breaker of one connector.
pub(super) struct Breaker {
    connector: String,
    failures: u32,
    pause: Duration,
    tally: Arc<Tally>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open {
        until: Timestamp,
        /// How many pauses in a row, with this one.
        pauses: u32,
    },
    /// The pause is over, and one caller is trying.
    Trying {
        pauses: u32,
    },
}

/// Leave to ask the provider. Dropping it says that the asking is over, however it ended.
pub(super) struct Leave<'a> {
    breaker: &'a Breaker,
    since: Timestamp,
    /// The count before, if this is the one that tries.
    trial: Option<Count>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.breaker.settle(self);
    }
}

impl Breaker {
    /// A breaker, and the client whose requests it goes by.
    pub(super) fn around(config: &ConnectorConfig, outbound: &Outbound) -> (Self, Outbound) {
        let tally = Arc::new(Tally::default());
        let outbound = outbound.counted(Arc::clone(&tally));
        let connector = config.id.clone();
        let (failures, pause) = (config.breaker.failures, config.breaker.pause);
        (Self { connector, failures, pause, tally, state: Mutex::new(State::Closed) }, outbound)
    }

    /// Asks for leave to ask the provider.
    ///
    /// # Errors
    /// [`ConnectorError::Paused`] while it is left alone.
    pub(super) fn ask(&self, now: Timestamp) -> Result<Leave<'_>, ConnectorError> {
        let mut state = self.state();
        let trial = match *state {
            State::Closed => None,
            State::Open { until, pauses } if now >= until => {
                *state = State::Trying { pauses };
                Some(self.tally.count())
            }
            State::Open { .. } | State::Trying { .. } => return Err(ConnectorError::Paused),
        };
        Ok(Leave { breaker: self, since: now, trial })
    }

    /// Whether the provider is left alone.
    pub(super) fn is_open(&self) -> bool {
        *self.state() != State::Closed
    }

    fn settle(&self, leave: &Leave<'_>) {
        let count = self.tally.count();
        let mut state = self.state();
        *state = match (*state, &leave.trial) {
            (State::Closed, _) if count.failed_in_a_row >= self.failures => self.open(leave.since, 1, count),
            (State::Closed, _) => State::Closed,
            // Whoever was answered knows better than the pause.
            (_, _) if count.failed_in_a_row == 0 => {
                tracing::info!(connector = self.connector, "upstream provider answers again");
                State::Closed
            }
            (State::Trying { pauses }, Some(before)) if count.failed > before.failed => {
                self.open(leave.since, pauses.saturating_add(1), count)
            }
            // It came to nothing before the provider was asked: the next one tries.
            (State::Trying { pauses }, Some(_)) => State::Open { until: leave.since, pauses },
            (other, _) => other,
        };
    }

    fn open(&self, now: Timestamp, pauses: u32, count: Count) -> State {
        let pause = shortened(longer(self.pause, pauses), u32::from_le_bytes(random()));
        tracing::warn!(
            connector = self.connector,
            failures = count.failed_in_a_row,
            pause.seconds = pause.as_secs(),
            "upstream provider does not answer and is left alone for a while"
        );
        State::Open { until: now + pause, pauses }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Twice as long each time, up to the longest.
fn longer(pause: Duration, pauses: u32) -> Duration {
    let doublings = pauses.saturating_sub(1).min(16);
    pause.saturating_mul(1 << doublings).min(LONGEST.max(pause))
}

/// Between half of it and all of it.
fn shortened(pause: Duration, chance: u32) -> Duration {
    pause / 2 + (pause / 2).mul_f64(f64::from(chance) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_shortened_by_half_at_most() {
        let seconds = Duration::from_secs;
        for (pauses, expected) in [(1, 30), (2, 60), (3, 120), (4, 240), (5, 300), (u32::MAX, 300)] {
            assert_eq!(longer(seconds(30), pauses), seconds(expected), "{pauses}");
        }
        assert_eq!(longer(seconds(600), 3), seconds(600));
        assert_eq!(shortened(seconds(30), 0), seconds(15));
        assert_eq!(shortened(seconds(30), u32::MAX), seconds(30));
        let between = shortened(seconds(30), u32::MAX / 2);
        assert!((seconds(22)..seconds(23)).contains(&between), "{between:?}");
    }
}
