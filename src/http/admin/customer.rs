//! A customer: a picture, the values and where each is from, what leads to them, who knows them, what happened.
//!
//! Identity specification, rules 20 and 24: whoever was merged into another answers as that one, and says from where.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::access::{At, Desk, Visitor};
use super::frame::{Frame, Here, Moment, Person, Rights};
use super::picture::Picture;
use super::session_view::{self, SessionLine};
use super::timeline::{self, Actors};
use super::{waits, words};
use crate::app::App;
use crate::board::dossier::Dossier;
use crate::board::links::is_removable;
use crate::board::role::Act;
use crate::board::sessions::Apps;
use crate::board::{admin, dossier, sessions};
use crate::clock::Timestamp;
use crate::http::admin_api::page::{Page, Scope};
use crate::http::error::{self, Failure};
use crate::http::pages::{Action, Brand, View};
use crate::identity::namespace::Rules;
use crate::identity::profile::Profile;
use crate::ids::{CustomerId, LinkId, MergeId};
use crate::store::{AuditPlace, AuditRow, CustomerState, Link, LinkState, Merge, NotSame, Tx};

/// Entries of the timeline on one page.
const ENTRIES: usize = 30;

#[derive(Template)]
#[template(path = "desk/customer.html", config = ".askama.toml")]
struct CustomerPage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    person: Person,
    /// The retired ID that was asked for.
    asked: Option<CustomerId>,
    since: Moment,
    version: i64,
    picture: Picture,
    values: Vec<ValueLine>,
    links: Vec<LinkLine>,
    apps: Vec<AppLine>,
    /// Why they are held, if they are.
    hold: Option<String>,
    brands: Vec<String>,
    flags: Vec<FlagLine>,
    credentials: Vec<CredentialLine>,
    live_sessions: usize,
    sessions: Vec<SessionLine>,
    more_sessions: usize,
    waiting: Vec<waits::Line>,
    merges: Vec<MergeLine>,
    not_same: Vec<NotSameLine>,
    timeline: Vec<timeline::Line>,
    next: Option<String>,
}

impl View for CustomerPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

/// A value of the profile.
pub struct ValueLine {
    pub field: String,
    pub value: String,
    pub source: String,
    pub at: Moment,
}

/// Why somebody should look at the customer.
struct FlagLine {
    what: String,
    /// The account the trouble is with.
    account: String,
    at: Moment,
}

/// One row of the ID mapping table.
pub struct LinkLine {
    pub id: LinkId,
    /// An admin may take it away.
    pub removable: bool,
    /// An admin may let it log in again.
    pub stopped: bool,
    pub kind: String,
    pub shown: String,
    pub standing: &'static str,
    pub source: String,
    pub seen: Moment,
    pub live: bool,
}

/// What one sector calls the customer.
struct AppLine {
    name: String,
    sub: String,
    current: bool,
}

struct CredentialLine {
    kind: &'static str,
    since: Moment,
    used: Option<Moment>,
}

/// A merge that made the customer what they are.
struct MergeLine {
    id: MergeId,
    absorbed: Person,
    by: String,
    at: Moment,
}

/// Somebody who is not the same person.
struct NotSameLine {
    other: Person,
    by: String,
    at: Moment,
}

/// The page.
pub async fn get(visitor: Visitor, At(id): At<CustomerId>) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeCustomers)?;
    let (app, now) = (&desk.app, desk.context.now);
    let mut tx = app.store().begin().await?;
    let Some(dossier) = dossier::read(&mut tx, id, &app.config.merge, now).await? else { return Err(desk.missing()) };
    let root = dossier.customer.id;
    if dossier.customer.state == CustomerState::Erased {
        return Ok(erased(&desk));
    }
    let scope = Scope::of(&format!("/admin/customers/{root}"), &BTreeMap::new());
    let (entries, next) = entries(&mut tx, &desk, root, &scope).await?;
    let apps_of_sessions = Apps::of(&mut tx, root, now).await?;
    let merges = tx.merges_open(root).await?;
    let pairs = tx.not_same_of(root).await?;
    let actors = merges.iter().map(|merge| &merge.actor).chain(pairs.iter().map(|pair| &pair.actor));
    let actors = actors.chain(entries.iter().map(|entry| &entry.actor)).map(String::as_str);
    let actors = Actors::of(&mut tx, actors).await?;
    let merges = merge_lines(&mut tx, &actors, merges).await?;
    let not_same = not_same_lines(&mut tx, &actors, root, pairs).await?;
    let waiting = waits::lines(&mut tx, &desk, root, &dossier.members).await?;
    admin::record_look(&mut tx, &desk.admin, "desk: customer", &[root], now).await?;
    let others: Vec<CustomerId> = waiting.iter().map(|line| line.other.id).collect();
    admin::record_look(&mut tx, &desk.admin, "desk: customer, who may be the same", &others, now).await?;
    tx.commit().await?;
    let live = sessions::live(app.kv(), &dossier.members, now).await?;
    let (sessions, more_sessions) = session_view::lines(&desk, &live, &apps_of_sessions);
    let live_sessions = live.len();
    let profile = Profile::from_json(&dossier.profile);
    let page = CustomerPage {
        frame: Frame::of(&desk, Here::Elsewhere).await?,
        rights: Rights::from(&desk),
        person: Person::new(&dossier.customer, &profile),
        asked: (id != root).then_some(id),
        since: Moment(dossier.customer.created_at),
        version: dossier.customer.version,
        picture: Picture::of(app, &dossier, live_sessions),
        values: values(app, &profile, &dossier.links),
        links: links(app, &dossier, now),
        apps: apps(app, &dossier),
        hold: dossier.members.iter().find_map(|member| member.legal_hold.clone()),
        brands: brands(&dossier),
        flags: flags(app, &dossier),
        credentials: credentials(&dossier),
        live_sessions,
        sessions,
        more_sessions,
        waiting,
        merges,
        not_same,
        timeline: entries.iter().map(|entry| timeline::line(app, &actors, entry)).collect(),
        next: Page::<()>::new(app, &scope, Vec::new(), next.map(|place| (place.at, place.chain, place.seq))).next,
    };
    Ok(page.page().into_response())
}

/// The page for whom there is nothing to know of any more.
pub fn erased(desk: &Desk) -> Response {
    let text = "This customer was erased. The ID stays taken; what was known of the person is gone, and the audit log \
                says when and why.";
    let back = Action { label: "Back to the desk".to_owned(), href: super::PREFIX.to_owned() };
    error::plain_page(&desk.app, &desk.context, StatusCode::GONE, "Nobody is here any more", text, vec![back])
}

async fn entries(
    tx: &mut Tx,
    desk: &Desk,
    root: CustomerId,
    scope: &Scope,
) -> Result<(Vec<AuditRow>, Option<AuditPlace>), Failure> {
    let cursor = desk.params.get("cursor");
    let place: Option<(Timestamp, i32, i64)> = cursor.and_then(|cursor| scope.open(&desk.app.secrets.cursor, cursor));
    let newest = AuditPlace::before(Timestamp::from_micros(i64::MAX));
    let before = place.map_or(newest, |(at, chain, seq)| AuditPlace { at, chain, seq });
    Ok(dossier::timeline(tx, root, before, ENTRIES).await?)
}

/// The values that count.
pub fn values(app: &App, profile: &Profile, links: &[Link]) -> Vec<ValueLine> {
    let line = |(name, attribute): (&str, &crate::identity::profile::Attribute)| {
        let link = attribute.from.and_then(|from| links.iter().find(|link| link.id == from));
        let source = match (attribute.from, link) {
            (None, _) => "the customer".to_owned(),
            (Some(_), Some(link)) => words::namespace(app, &link.namespace),
            (Some(_), None) => "an account that is linked no more".to_owned(),
        };
        let (field, value) = (words::field(name), words::value(&attribute.value));
        ValueLine { field, value, source, at: Moment(attribute.at) }
    };
    profile.iter().map(line).collect()
}

/// Live links first.
pub fn links(app: &App, dossier: &Dossier, now: Timestamp) -> Vec<LinkLine> {
    let is_flagged = |link: &Link| dossier.flags.iter().any(|flag| flag.link == link.id);
    let rules = Rules::of(&app.config, now);
    let line = |link: &Link| LinkLine {
        id: link.id,
        removable: link.state == LinkState::Live && is_removable(link),
        stopped: link.state == LinkState::Live && (link.disabled_at.is_some() || is_flagged(link)),
        kind: words::namespace(app, &link.namespace),
        shown: words::cut(link.display.as_deref().unwrap_or(&link.external_id), 200),
        standing: words::standing(link, rules),
        source: words::source(app, &link.source),
        seen: Moment(link.last_seen),
        live: link.state == LinkState::Live,
    };
    let mut lines: Vec<LinkLine> = dossier.links.iter().map(line).collect();
    lines.sort_by_key(|line| !line.live);
    lines
}

/// Whose they are, where brands are kept apart.
fn brands(dossier: &Dossier) -> Vec<String> {
    let mut brands: Vec<String> = dossier.members.iter().filter_map(|member| member.brand.clone()).collect();
    brands.sort();
    brands.dedup();
    brands
}

fn flags(app: &App, dossier: &Dossier) -> Vec<FlagLine> {
    let account = |link: LinkId| dossier.links.iter().find(|found| found.id == link);
    let line = |flag: &crate::store::Flag| FlagLine {
        what: words::flag(&flag.kind),
        account: account(flag.link).map(|link| words::namespace(app, &link.namespace)).unwrap_or_default(),
        at: Moment(flag.raised_at),
    };
    dossier.flags.iter().map(line).collect()
}

fn apps(app: &App, dossier: &Dossier) -> Vec<AppLine> {
    let subjects = dossier.subjects.iter();
    let line = |subject: &crate::store::Subject| AppLine {
        name: words::sector(app, &subject.sector),
        sub: subject.sub.clone(),
        current: subject.current,
    };
    let mut lines: Vec<AppLine> = subjects.map(line).collect();
    lines.sort_by(|a, b| (!a.current, &a.name).cmp(&(!b.current, &b.name)));
    lines
}

fn credentials(dossier: &Dossier) -> Vec<CredentialLine> {
    let lines = dossier.credentials.iter();
    lines
        .map(|line| CredentialLine {
            kind: line.kind.as_str(),
            since: Moment(line.created_at),
            used: line.last_used_at.map(Moment),
        })
        .collect()
}

/// A customer row by itself, whoever it is today.
pub async fn person(tx: &mut Tx, id: CustomerId) -> Result<Person, Failure> {
    let found = tx.customer_find(id).await?;
    Ok(found.as_ref().map_or_else(|| Person::named(id, &Profile::default()), Person::from))
}

async fn merge_lines(tx: &mut Tx, actors: &Actors, merges: Vec<Merge>) -> Result<Vec<MergeLine>, Failure> {
    let mut lines = Vec::new();
    // The newest is the one that somebody wants to undo.
    for merge in merges.iter().rev().take(50) {
        lines.push(MergeLine {
            id: merge.id,
            absorbed: person(tx, merge.absorbed).await?,
            by: actors.name(&merge.actor),
            at: Moment(merge.merged_at),
        });
    }
    Ok(lines)
}

async fn not_same_lines(
    tx: &mut Tx,
    actors: &Actors,
    root: CustomerId,
    pairs: Vec<NotSame>,
) -> Result<Vec<NotSameLine>, Failure> {
    let mut lines = Vec::new();
    for pair in pairs.iter().take(50) {
        let mut other = None;
        for id in [pair.a, pair.b] {
            other = tx.customer_living(id).await?.filter(|living| living.id != root).or(other);
        }
        // A mark from within the customer is history.
        if let Some(other) = other {
            let (by, at) = (actors.name(&pair.actor), Moment(pair.created_at));
            lines.push(NotSameLine { other: Person::from(&other), by, at });
        }
    }
    Ok(lines)
}
