//! What waits for a decision about one customer, as their page lists it: each with the other one and the way on.
//!
//! Identity specification, rules 13, 16, 30 and 36. What waits is the board's to say; here it only gets its words.

use super::access::Desk;
use super::customer::person;
use super::frame::{Moment, Person};
use super::timeline::Actors;
use super::waterfall::Chances;
use super::words;
use crate::board::waiting::{self, other_of};
use crate::http::error::Failure;
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::store::{ConflictKind, Member, Tx};

/// One thing that waits.
pub struct Line {
    pub other: Person,
    pub what: String,
    /// A pair: what a search thinks of it.
    pub chances: Option<Chances>,
    /// A pair that leaves the queue alone until more speaks for it.
    pub watched: bool,
    pub since: Moment,
    /// Why, in the words of whoever proposed it.
    pub reason: String,
    pub href: String,
    pub label: &'static str,
}

/// Everything that waits about a customer: what somebody asked for or proposed, conflicts, pairs.
pub async fn lines(tx: &mut Tx, desk: &Desk, root: CustomerId, members: &[Member]) -> Result<Vec<Line>, Failure> {
    let waiting = waiting::of(tx, root, desk.context.now).await?;
    let actors = Actors::of(tx, waiting.proposals.iter().map(|proposal| proposal.proposed_by.as_str())).await?;
    let compare = |other: CustomerId| format!("/admin/compare?a={root}&b={other}");
    let me = desk.admin.actor().as_text();
    let mut lines = Vec::new();
    for proposal in &waiting.proposals {
        let other = other_of(members, (proposal.plan.survivor, proposal.plan.absorbed));
        let by = if proposal.proposed_by == me { "you".to_owned() } else { actors.name(&proposal.proposed_by) };
        lines.push(Line {
            reason: proposal.request.reason.clone(),
            href: format!("/admin/proposals/{}", proposal.id),
            label: "Look",
            ..Line::new(person(tx, other).await?, format!("{by} proposed to merge the two"), proposal.created_at.into())
        });
    }
    for request in &waiting.requests {
        let other = other_of(members, (request.a, request.b));
        let what = "the customer proved both to be theirs and asks for one account".to_owned();
        lines
            .push(Line { href: compare(other), ..Line::new(person(tx, other).await?, what, request.opened_at.into()) });
    }
    for conflict in &waiting.conflicts {
        let other = other_of(members, (conflict.customer, conflict.other));
        let what = conflict_words(conflict.kind).to_owned();
        lines.push(Line {
            href: compare(other),
            ..Line::new(person(tx, other).await?, what, conflict.created_at.into())
        });
    }
    for found in &waiting.candidates {
        let pair = &found.candidate;
        let other = other_of(members, (pair.a, pair.b));
        let profile = Profile::from_json(if other == pair.a { &found.a_profile } else { &found.b_profile });
        let chances = Chances::of(pair);
        let what = format!("{} one person, {} one household", chances.same_words(), chances.household_words());
        lines.push(Line {
            chances: Some(chances),
            watched: pair.band == "watch",
            href: compare(other),
            ..Line::new(Person::named(other, &profile), what, pair.created_at.into())
        });
    }
    Ok(lines)
}

impl Line {
    fn new(other: Person, what: String, since: Moment) -> Self {
        let (reason, href) = (String::new(), String::new());
        Self {
            other,
            what: words::cut(&what, 200),
            chances: None,
            watched: false,
            since,
            reason,
            href,
            label: "Compare",
        }
    }
}

fn conflict_words(kind: ConflictKind) -> &'static str {
    match kind {
        ConflictKind::AddressReassigned => "a provider gave an address of the one to the other",
        ConflictKind::ValueTaken => "the one has an address by now that was the other’s before their merge was undone",
        ConflictKind::ProofAged => "the one proved a number that the other had proved too long ago to keep",
    }
}
