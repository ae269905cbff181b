//! A picture of a customer: what leads to them on one side, who knows them on the other, as inline SVG.
//!
//! Pure: from a dossier to coordinates. It is as wide as a phone, so that nothing in it ever shrinks; whatever has no
//! room is counted. The same facts stand as text beside it.

use crate::app::App;
use crate::board::dossier::Dossier;
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::store::{Link, LinkState, Member};

use super::frame::short;
use super::words;

/// In units of the drawing, which are pixels on a phone.
pub const WIDTH: i32 = 360;
const MIDDLE: i32 = WIDTH / 2;
const BOX_WIDTH: i32 = 128;
const BOX_HEIGHT: i32 = 36;
const STEP: i32 = BOX_HEIGHT + 8;
const TOP: i32 = 8;
/// The most tiles on one side and the most customers in the middle.
const MOST: usize = 8;
const MOST_MEMBERS: usize = 5;
const LETTERS: usize = 17;
const ROOT_RADIUS: i32 = 26;
const RADIUS: i32 = 16;

/// The drawing.
pub struct Picture {
    pub height: i32,
    pub tiles: Vec<Tile>,
    pub circles: Vec<Circle>,
    pub lines: Vec<Line>,
    /// The same in a sentence.
    pub words: String,
}

/// Something that leads to the customer, or that knows them.
pub struct Tile {
    pub x: i32,
    pub y: i32,
    pub kind: String,
    pub label: String,
    /// What it is, for its colour.
    pub class: &'static str,
}

impl Tile {
    pub fn text_x(&self) -> i32 {
        self.x + 10
    }

    pub fn kind_y(&self) -> i32 {
        self.y + 14
    }

    pub fn label_y(&self) -> i32 {
        self.y + 28
    }
}

/// One of the customers that are one today.
pub struct Circle {
    pub y: i32,
    pub radius: i32,
    pub letter: String,
    pub label: String,
    pub root: bool,
}

impl Circle {
    pub fn letter_y(&self) -> i32 {
        self.y + if self.root { 7 } else { 5 }
    }

    pub fn label_y(&self) -> i32 {
        self.y + self.radius + 14
    }
}

/// A line between them, as an SVG path.
pub struct Line {
    pub path: String,
    pub class: &'static str,
}

impl Picture {
    pub fn of(app: &App, dossier: &Dossier, live_sessions: usize) -> Self {
        let members = members(dossier);
        let left = left(app, dossier);
        let right = right(app, dossier, live_sessions);
        let tall = |count: usize| i32::try_from(count).unwrap_or(i32::MAX).saturating_mul(STEP);
        let middle = i32::try_from(members.len()).unwrap_or_default() * 74 + 30;
        let inner = tall(left.len()).max(tall(right.len())).max(middle);
        let circles = circles(dossier, &members, inner);
        let mut drawing =
            Self { height: inner + 2 * TOP, tiles: Vec::new(), circles, lines: Vec::new(), words: String::new() };
        drawing.words = words_of(dossier, live_sessions);
        drawing.bond();
        drawing.column(left, 0, inner, &members);
        drawing.column(right, WIDTH - BOX_WIDTH, inner, &members);
        drawing
    }

    /// The customers of whom this one is made.
    fn bond(&mut self) {
        let ends = self.circles.first().zip(self.circles.last()).map(|(first, last)| (first.y, last.y));
        if let Some((from, to)) = ends.filter(|(from, to)| from != to) {
            self.lines.push(Line { path: format!("M{MIDDLE} {from}V{to}"), class: "bond" });
        }
    }

    fn column(&mut self, tiles: Vec<Entry>, x: i32, inner: i32, members: &[&Member]) {
        let count = i32::try_from(tiles.len()).unwrap_or_default();
        let begin = TOP + (inner - count * STEP + (STEP - BOX_HEIGHT)) / 2;
        for (place, entry) in (0..).zip(tiles) {
            let y = begin + place * STEP;
            let at = members.iter().position(|member| Some(member.id) == entry.of);
            let Some(circle) = at.and_then(|at| self.circles.get(at)).or(self.circles.first()) else { return };
            let (center, to) = (y + BOX_HEIGHT / 2, circle.y);
            let (from_x, to_x) = match x {
                0 => (BOX_WIDTH, MIDDLE - circle.radius),
                _ => (x, MIDDLE + circle.radius),
            };
            let bend = (from_x + to_x) / 2;
            self.lines.push(Line {
                path: format!("M{from_x} {center}C{bend} {center} {bend} {to} {to_x} {to}"),
                class: if entry.faint { "faint" } else { "" },
            });
            self.tiles.push(Tile { x, y, kind: entry.kind, label: entry.label, class: entry.class });
        }
    }
}

/// A box before it has a place.
struct Entry {
    /// The customer it belongs to; the root if nobody in the picture.
    of: Option<CustomerId>,
    kind: String,
    label: String,
    class: &'static str,
    faint: bool,
}

impl Entry {
    fn new(of: CustomerId, kind: &str, label: &str, class: &'static str) -> Self {
        let (kind, label) = (words::cut(kind, LETTERS), words::cut(label, LETTERS));
        Self { of: Some(of), kind, label, class, faint: false }
    }

    fn more(count: usize, what: &str) -> Option<Self> {
        let label = format!("and {count} more");
        (count > 0).then(|| Self { of: None, kind: what.to_owned(), label, class: "more", faint: true })
    }
}

/// The root first, then who was absorbed first.
fn members(dossier: &Dossier) -> Vec<&Member> {
    let mut members: Vec<&Member> = dossier.members.iter().collect();
    members.sort_by_key(|member| (member.id != dossier.customer.id, member.absorbed_seq, member.id));
    members.truncate(MOST_MEMBERS);
    members
}

fn circles(dossier: &Dossier, members: &[&Member], inner: i32) -> Vec<Circle> {
    let count = i32::try_from(members.len()).unwrap_or(1).max(1);
    let slot = inner / count;
    let circle = |(place, member): (i32, &&Member)| {
        let root = member.id == dossier.customer.id;
        let profile = Profile::from_json(if root { &dossier.profile } else { &member.profile });
        Circle {
            y: TOP + slot * place + slot / 2 - 7,
            radius: if root { ROOT_RADIUS } else { RADIUS },
            letter: crate::http::pages::initial(&words::called(&profile)),
            label: short(member.id),
            root,
        }
    };
    (0..).zip(members).map(circle).collect()
}

/// What leads to the customer.
fn left(app: &App, dossier: &Dossier) -> Vec<Entry> {
    let live: Vec<&Link> = dossier.links.iter().filter(|link| link.state == LinkState::Live).collect();
    let entry = |link: &&Link| {
        let shown = link.display.as_deref().unwrap_or(&link.external_id);
        let mut entry = Entry::new(link.customer, &words::namespace(app, &link.namespace), shown, class_of(link));
        entry.faint = !link.exclusive || link.disabled_at.is_some();
        entry
    };
    let mut entries: Vec<Entry> = live.iter().take(MOST).map(entry).collect();
    entries.extend(Entry::more(live.len().saturating_sub(MOST), "Identifiers"));
    entries
}

fn class_of(link: &Link) -> &'static str {
    match link.namespace.split(':').next() {
        Some("social") => "social",
        Some("app" | "ext") => "system",
        _ => "address",
    }
}

/// Who knows the customer, and where they are signed in.
fn right(app: &App, dossier: &Dossier, live_sessions: usize) -> Vec<Entry> {
    let known: Vec<_> = dossier.subjects.iter().filter(|subject| subject.current).collect();
    let mut entries: Vec<Entry> = known
        .iter()
        .take(MOST - 1)
        .map(|subject| Entry::new(subject.customer, "App", &words::sector(app, &subject.sector), "app"))
        .collect();
    entries.extend(Entry::more(known.len().saturating_sub(MOST - 1), "Apps"));
    if live_sessions > 0 {
        let label = format!("{live_sessions} signed in");
        entries.push(Entry::new(dossier.customer.id, "Browsers", &label, "session"));
    }
    entries
}

fn words_of(dossier: &Dossier, live_sessions: usize) -> String {
    let links = dossier.links.iter().filter(|link| link.state == LinkState::Live).count();
    let apps = dossier.subjects.iter().filter(|subject| subject.current).count();
    let made_of = match dossier.members.len() {
        0 | 1 => String::new(),
        many => format!(" It is made of {many} customers that were merged."),
    };
    let count = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        count => format!("{count} {many}"),
    };
    format!(
        "{}; {}; {}.{made_of}",
        count(links, "identifier leads to this customer", "identifiers lead to this customer"),
        count(apps, "app knows them", "apps know them"),
        count(live_sessions, "browser is signed in", "browsers are signed in"),
    )
}
