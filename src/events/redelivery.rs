//! Events that were put aside, delivered again when somebody says so: one, or as many as there is time for.
//!
//! Handoff specification, rule 17. It does not wait for the receiver's round, and moves no cursor: what was put aside
//! comes late, after events that followed it. A receiver knows by its ID what it has seen, so that of two people at once
//! both may send it. Where it is refused again it stays aside, with the new reason.

use std::time::Duration;

use super::delivery::{self, Sending};
use super::relay::{Receiver, Relay};
use super::retry::Answer;
use crate::store::{self, DeadLetter};

/// For so long whoever asked is let wait before the rest is left.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many are read at once.
const PAGE: i64 = 50;

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Redelivered {
    Taken,
    /// It stays aside, for this reason.
    Refused(String),
    /// There is no such receiver in the configuration, or nothing of this number was put aside for it.
    Unknown,
}

/// What became of all of a receiver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedeliveredAll {
    pub taken: i64,
    /// Why it went no further; absent if nothing is left, or there was no more time.
    pub reason: Option<String>,
}

impl Relay {
    /// Delivers one event that was put aside for a receiver.
    ///
    /// # Errors
    /// If the database does not answer. What was delivered may be delivered again.
    pub async fn redeliver(&self, id: &str, sequence: i64) -> Result<Redelivered, store::Error> {
        let Some(receiver) = self.receiver(id) else { return Ok(Redelivered::Unknown) };
        match self.store.begin_read().await?.webhook_dead_letter(id, sequence).await? {
            Some(letter) => self.send_again(receiver, letter).await,
            None => Ok(Redelivered::Unknown),
        }
    }

    /// Delivers what was put aside for a receiver, oldest first, until one is refused. `None` if there is no such
    /// receiver in the configuration.
    ///
    /// # Errors
    /// As [`Relay::redeliver`].
    pub async fn redeliver_all(&self, id: &str) -> Result<Option<RedeliveredAll>, store::Error> {
        let Some(receiver) = self.receiver(id) else { return Ok(None) };
        let until = self.clock.now() + PATIENCE;
        let mut taken = 0;
        loop {
            let letters = self.store.begin_read().await?.webhook_dead_letters(id, PAGE).await?;
            let is_last = letters.is_empty();
            for letter in letters {
                if let Redelivered::Refused(reason) = self.send_again(receiver, letter).await? {
                    return Ok(Some(RedeliveredAll { taken, reason: Some(reason) }));
                }
                taken += 1;
                if self.clock.now() >= until {
                    return Ok(Some(RedeliveredAll { taken, reason: None }));
                }
            }
            if is_last {
                return Ok(Some(RedeliveredAll { taken, reason: None }));
            }
        }
    }

    async fn send_again(&self, receiver: &Receiver, letter: DeadLetter) -> Result<Redelivered, store::Error> {
        let sending = Sending::to(self, receiver);
        let sector = match sending.sector() {
            Ok(sector) => sector,
            Err(reason) => return Ok(Redelivered::Refused(reason)),
        };
        let named = sector.as_deref().unwrap_or_default();
        let events = self.store.begin_read().await?.outbox_sequenced(letter.sequence - 1, named, 1).await?;
        let event = events.into_iter().find(|event| event.sequence == letter.sequence);
        // Configured otherwise since, the receiver may have nothing to hear of it any more: then it is done with.
        let message = event.and_then(|event| sending.message(&event, sector.as_deref()));
        let answer = match &message {
            Some(message) => delivery::send(&sending.outbound, sending.request(message)).await,
            None => Answer::Taken,
        };
        let mut tx = self.store.begin().await?;
        let redelivered = match answer {
            Answer::Taken => {
                tx.webhook_dead_letter_delete(&receiver.id, letter.sequence).await?;
                Redelivered::Taken
            }
            Answer::Failed { reason, .. } | Answer::Refused(reason) => {
                let put_aside_at = self.clock.now();
                let letter = DeadLetter { reason: reason.clone(), put_aside_at, ..letter };
                tx.webhook_put_aside(&receiver.id, &letter).await?;
                Redelivered::Refused(reason)
            }
            Answer::Gone => Redelivered::Refused("it answered 410: it wants no more events".to_owned()),
        };
        tx.commit().await?;
        Ok(redelivered)
    }
}
