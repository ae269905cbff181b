//! Events that were put aside, delivered again when somebody says so: one, or as many as there is time for.
//!
//! Handoff specification, rule 17. It does not wait for the receiver's round, and moves no cursor: what was put aside
//! comes late, after events that followed it and were taken. Among themselves they keep their order: of one customer's
//! none goes before an older one, and what joins or parts customers goes before nothing older and after nothing newer.
//! A receiver knows by its ID what it has seen, so that of two people at once both may send it. Where it is refused again
//! it stays aside, with the new reason.

use std::collections::BTreeSet;
use std::time::Duration;

use super::delivery::{self, Sending};
use super::relay::{Receiver, Relay};
use super::retry::Answer;
use super::webhook::Message;
use crate::ids::CustomerId;
use crate::store::{self, DeadLetter};

/// For so long whoever asked is let wait before the rest is left.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many are read at once.
const PAGE: i64 = 50;

/// What became of what was to be delivered again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redelivered {
    pub taken: i64,
    /// Why the first that was refused stays aside; absent if none was.
    pub reason: Option<String>,
}

/// Which of them are to go.
enum Wanted {
    All,
    /// One, and what has to go before it, by their numbers.
    These {
        one: i64,
        before: BTreeSet<i64>,
    },
}

impl Wanted {
    fn holds(&self, sequence: i64) -> bool {
        match self {
            Self::All => true,
            Self::These { one, before } => sequence == *one || before.contains(&sequence),
        }
    }

    /// What is said of one that stays aside for this reason.
    fn explain(&self, sequence: i64, reason: String) -> String {
        match self {
            Self::These { one, .. } if sequence != *one => format!("event {sequence} goes before it: {reason}"),
            _ => reason,
        }
    }
}

impl Relay {
    /// Delivers one event that was put aside for a receiver, behind those that have to go before it. `None` if there is no
    /// such receiver in the configuration, or nothing of this number was put aside for it.
    ///
    /// # Errors
    /// If the database does not answer. What was delivered may be delivered again.
    pub async fn redeliver(&self, id: &str, sequence: i64) -> Result<Option<Redelivered>, store::Error> {
        let Some(receiver) = self.receiver(id) else { return Ok(None) };
        let letter = self.store.begin_read().await?.webhook_dead_letter(id, sequence).await?;
        let Some(letter) = letter else { return Ok(None) };
        let sending = Sending::to(self, receiver);
        let before = match sending.sector() {
            Ok(sector) => self.before(&sending, sector.as_deref(), &letter).await?,
            Err(reason) => return Ok(Some(Redelivered { taken: 0, reason: Some(reason) })),
        };
        self.send_again(receiver, &Wanted::These { one: sequence, before }).await.map(Some)
    }

    /// What was put aside and has to go before this one: what is of the same customer, and all before the last that joins
    /// or parts customers.
    async fn before(
        &self,
        sending: &Sending<'_>,
        sector: Option<&str>,
        letter: &DeadLetter,
    ) -> Result<BTreeSet<i64>, store::Error> {
        let Some(one) = self.said(sending, sector, letter).await? else { return Ok(BTreeSet::new()) };
        let (mut own, mut others, mut after) = (BTreeSet::new(), BTreeSet::new(), 0);
        loop {
            let page =
                self.store.begin_read().await?.webhook_dead_letters_page(&sending.receiver.id, after, PAGE).await?;
            for older in &page {
                if older.sequence >= letter.sequence {
                    break;
                }
                let Some(message) = self.said(sending, sector, older).await? else { continue };
                match message.customer == one.customer {
                    true => own.insert(older.sequence),
                    false => others.insert(older.sequence),
                };
                if message.is_turn {
                    own.insert(older.sequence);
                    own.append(&mut others);
                }
            }
            match page.last() {
                Some(last) if last.sequence < letter.sequence => after = last.sequence,
                _ => break,
            }
        }
        if one.is_turn {
            own.append(&mut others);
        }
        Ok(own)
    }

    /// Delivers what was put aside for a receiver, oldest first; what is refused holds back what has to come after it.
    /// `None` if there is no such receiver in the configuration.
    ///
    /// # Errors
    /// As [`Relay::redeliver`].
    pub async fn redeliver_all(&self, id: &str) -> Result<Option<Redelivered>, store::Error> {
        let Some(receiver) = self.receiver(id) else { return Ok(None) };
        self.send_again(receiver, &Wanted::All).await.map(Some)
    }

    async fn send_again(&self, receiver: &Receiver, wanted: &Wanted) -> Result<Redelivered, store::Error> {
        let sending = Sending::to(self, receiver);
        let mut done = Redelivered::default();
        let sector = match sending.sector() {
            Ok(sector) => sector,
            Err(reason) => return Ok(Redelivered { reason: Some(reason), ..done }),
        };
        let until = self.clock.now() + PATIENCE;
        // Whose events wait, because an older one was refused.
        let mut waiting: BTreeSet<CustomerId> = BTreeSet::new();
        let mut after = 0;
        loop {
            let letters = self.store.begin_read().await?.webhook_dead_letters_page(&receiver.id, after, PAGE).await?;
            let Some(last) = letters.last() else { return Ok(done) };
            after = last.sequence;
            for letter in letters {
                if !wanted.holds(letter.sequence) {
                    continue;
                }
                if self.clock.now() >= until {
                    return Ok(done);
                }
                let message = self.said(&sending, sector.as_deref(), &letter).await?;
                if let Some(message) = &message {
                    if message.is_turn && !waiting.is_empty() {
                        return Ok(done);
                    }
                    if waiting.contains(&message.customer) {
                        continue;
                    }
                }
                let answer = match &message {
                    Some(message) => delivery::send(&sending.outbound, sending.request(message)).await,
                    // Configured otherwise since, the receiver has nothing to hear of it any more: it is done with.
                    None => Answer::Taken,
                };
                self.note(receiver, &letter, &answer).await?;
                let is_about_it = matches!(answer, Answer::Refused(_));
                let Some(reason) = why(answer) else {
                    done.taken += 1;
                    continue;
                };
                done.reason.get_or_insert(wanted.explain(letter.sequence, reason));
                match message {
                    Some(message) if is_about_it && !message.is_turn => waiting.insert(message.customer),
                    // Nothing may pass it, or the receiver would take nothing else either.
                    _ => return Ok(done),
                };
            }
        }
    }

    /// What the receiver is told of an event that was put aside, if anything.
    async fn said(
        &self,
        sending: &Sending<'_>,
        sector: Option<&str>,
        letter: &DeadLetter,
    ) -> Result<Option<Message>, store::Error> {
        let before = letter.sequence - 1;
        let events = self.store.begin_read().await?.outbox_sequenced(before, sector.unwrap_or_default(), 1).await?;
        let event = events.into_iter().find(|event| event.sequence == letter.sequence);
        Ok(event.and_then(|event| sending.message(&event, sector)))
    }

    /// Writes down how the receiver answered.
    async fn note(&self, receiver: &Receiver, letter: &DeadLetter, answer: &Answer) -> Result<(), store::Error> {
        let mut tx = self.store.begin().await?;
        match answer {
            Answer::Taken => tx.webhook_dead_letter_delete(&receiver.id, letter.sequence).await?,
            Answer::Failed { reason, .. } | Answer::Refused(reason) => {
                let put_aside_at = self.clock.now();
                let letter = DeadLetter { reason: reason.clone(), put_aside_at, ..letter.clone() };
                tx.webhook_put_aside(&receiver.id, &letter).await?;
            }
            Answer::Gone => {}
        }
        tx.commit().await
    }
}

/// Why an event stays aside; `None` if it was taken.
fn why(answer: Answer) -> Option<String> {
    match answer {
        Answer::Taken => None,
        Answer::Failed { reason, .. } | Answer::Refused(reason) => Some(reason),
        Answer::Gone => Some("it answered 410: it wants no more events".to_owned()),
    }
}
