//! Two customers or more side by side: each value with its source, what differs marked, and why a search proposed them.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::access::{Desk, Visitor};
use super::acts;
use super::customer::{LinkLine, ValueLine, links, values};
use super::frame::{Frame, Here, Moment, Person, Rights};
use super::waterfall::Score;
use super::words;
use crate::app::App;
use crate::board::dossier::{self, Dossier};
use crate::board::role::Act;
use crate::board::sessions;
use crate::clock::Timestamp;
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::store::{CandidateState, CustomerState};

/// The parameters that name who is compared: no more stand side by side.
const SIDES: [&str; 4] = ["a", "b", "c", "d"];

#[derive(Template)]
#[template(path = "desk/compare.html", config = ".askama.toml")]
struct ComparePage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    sides: Vec<Side>,
    rows: Vec<Row>,
    /// What a search thinks of the two.
    score: Option<Score>,
    /// What became of the pair, if somebody decided.
    decided: &'static str,
    /// Whether the pair is in the queue.
    waits: bool,
    /// Whom to keep, of two: whom more apps know, else the elder.
    keep: Option<(CustomerId, &'static str)>,
}

impl View for ComparePage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

impl ComparePage<'_> {
    fn name_of(&self, place: &usize) -> &str {
        self.sides.get(*place).map_or("", |side| side.person.name.as_str())
    }

    /// The two of a pair, as survivor and absorbed, the better order first.
    fn orders(&self) -> Vec<(&Side, &Side, bool)> {
        let [one, other] = self.sides.as_slice() else { return Vec::new() };
        let first = self.keep.is_none_or(|(keep, _)| keep == one.person.id);
        let (one, other) = if first { (one, other) } else { (other, one) };
        vec![(one, other, true), (other, one, false)]
    }
}

/// One customer.
struct Side {
    person: Person,
    links: Vec<LinkLine>,
    apps: Vec<String>,
    sessions: usize,
    since: Moment,
    members: usize,
}

/// A field with the value of each.
struct Row {
    label: String,
    mark: Mark,
    cells: Vec<Option<ValueLine>>,
}

/// How the values of a field stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Same,
    /// The same but for capitals and spaces.
    Nearly,
    Differs,
    /// Fewer than two have it.
    Alone,
}

impl Row {
    fn class(&self) -> &'static str {
        match self.mark {
            Mark::Same | Mark::Nearly => "same",
            Mark::Differs => "differs",
            Mark::Alone => "",
        }
    }

    fn words(&self) -> &'static str {
        match self.mark {
            Mark::Same => "the same",
            Mark::Nearly => "the same but for its spelling",
            Mark::Differs => "differs",
            Mark::Alone => "",
        }
    }
}

/// The page.
pub async fn get(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeCustomers)?;
    let dossiers = dossiers(&desk).await?;
    let ids: Vec<CustomerId> = dossiers.iter().map(|dossier| dossier.customer.id).collect();
    if ids.len() < 2 {
        let text = "The IDs mean one and the same customer, so there is nothing to compare.";
        let on = ids.first().map(|id| ("To the customer", format!("/admin/customers/{id}")));
        return Ok(acts::refusal(&desk, StatusCode::CONFLICT, "They are one customer", text, on));
    }
    desk.looked("desk: compare", &ids).await?;
    let pair = match ids.as_slice() {
        [one, other] => desk.app.store().begin_read().await?.candidate_find(*one, *other).await?,
        _ => None,
    };
    let mut sides = Vec::new();
    for dossier in &dossiers {
        let sessions = sessions::live(desk.app.kv(), &dossier.members, desk.context.now).await?.len();
        sides.push(side(&desk.app, dossier, sessions, desk.context.now));
    }
    let state = pair.as_ref().map(|pair| pair.candidate.state);
    let waits = pair.as_ref().is_some_and(|pair| pair.candidate.band == "queue");
    let page = ComparePage {
        waits: waits && state == Some(CandidateState::Open),
        frame: Frame::of(&desk, Here::Elsewhere).await?,
        rights: Rights::from(&desk),
        rows: rows(&desk.app, &dossiers),
        keep: keep(&dossiers),
        score: pair.map(|pair| Score::of(&pair.candidate)),
        decided: match state {
            Some(CandidateState::Dismissed) => "Somebody has said that they are two people.",
            Some(CandidateState::Merged) => "They were merged once.",
            Some(CandidateState::Open) | None => "",
        },
        sides,
    };
    Ok(page.page().into_response())
}

/// Those who live on behind the IDs, once each, in the order in which they are named.
async fn dossiers(desk: &Desk) -> Result<Vec<Dossier>, Failure> {
    let mut tx = desk.app.store().begin_read().await?;
    let mut dossiers: Vec<Dossier> = Vec::new();
    for id in SIDES.iter().filter_map(|side| desk.params.get(side)) {
        let Ok(id) = id.parse::<CustomerId>() else { return Err(desk.missing()) };
        let found = dossier::read(&mut tx, id, &desk.app.config.merge, desk.context.now).await?;
        let Some(found) = found.filter(|found| found.customer.state != CustomerState::Erased) else {
            return Err(desk.missing());
        };
        if !dossiers.iter().any(|known| known.customer.id == found.customer.id) {
            dossiers.push(found);
        }
    }
    if dossiers.is_empty() { Err(desk.missing()) } else { Ok(dossiers) }
}

fn side(app: &App, dossier: &Dossier, sessions: usize, now: Timestamp) -> Side {
    let mut apps: Vec<String> = dossier
        .subjects
        .iter()
        .filter(|subject| subject.current)
        .map(|subject| words::sector(app, &subject.sector))
        .collect();
    apps.sort();
    Side {
        person: Person::new(&dossier.customer, &Profile::from_json(&dossier.profile)),
        links: links(app, dossier, now).into_iter().filter(|link| link.live).collect(),
        apps,
        sessions,
        since: Moment(dossier.customer.created_at),
        members: dossier.members.len(),
    }
}

/// Every field that any of them has, those that differ first.
fn rows(app: &App, dossiers: &[Dossier]) -> Vec<Row> {
    let profiles: Vec<Profile> = dossiers.iter().map(|dossier| Profile::from_json(&dossier.profile)).collect();
    let mut names: Vec<String> =
        profiles.iter().flat_map(|profile| profile.iter().map(|(name, _)| name.to_owned())).collect();
    names.sort();
    names.dedup();
    let row = |name: String| {
        let raw: Vec<String> = profiles
            .iter()
            .filter_map(|profile| profile.get(&name))
            .map(|attribute| words::value(&attribute.value))
            .collect();
        let label = words::field(&name);
        let cell = |(profile, dossier): (&Profile, &Dossier)| {
            values(app, profile, &dossier.links).into_iter().find(|line| line.field == label)
        };
        Row { mark: mark(&raw), cells: profiles.iter().zip(dossiers).map(cell).collect(), label: label.clone() }
    };
    let mut rows: Vec<Row> = names.into_iter().map(row).collect();
    rows.sort_by_key(|row| match row.mark {
        Mark::Differs => 0,
        Mark::Same | Mark::Nearly => 1,
        Mark::Alone => 2,
    });
    rows
}

fn mark(values: &[String]) -> Mark {
    let [first, _, ..] = values else { return Mark::Alone };
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    if values.iter().all(|value| value == first) {
        Mark::Same
    } else if values.iter().all(|value| plain(value) == plain(first)) {
        Mark::Nearly
    } else {
        Mark::Differs
    }
}

/// Whom to keep of two: the fewer apps have to learn another subject, the better.
fn keep(dossiers: &[Dossier]) -> Option<(CustomerId, &'static str)> {
    let [one, other] = dossiers else { return None };
    let apps = |dossier: &Dossier| dossier.subjects.iter().filter(|subject| subject.current).count();
    let elder = if one.customer.created_at <= other.customer.created_at { one } else { other };
    Some(match apps(one).cmp(&apps(other)) {
        std::cmp::Ordering::Greater => (one.customer.id, "more apps know them"),
        std::cmp::Ordering::Less => (other.customer.id, "more apps know them"),
        std::cmp::Ordering::Equal => (elder.customer.id, "they have been here longer"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_one_of_meaning() {
        let of = |values: &[&str]| mark(&values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["Ann Lee", "Ann Lee"]), Mark::Same);
        assert_eq!(of(&["Ann Lee", "ann  lee "]), Mark::Nearly);
        assert_eq!(of(&["Ann", "Anne"]), Mark::Differs);
        assert_eq!(of(&["Ann", "Ann", "Ben"]), Mark::Differs);
        assert_eq!(of(&["Ann"]), Mark::Alone);
    }
}
