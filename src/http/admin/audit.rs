//! The audit log at the desk: who did what, to whom, and who looked at whom; and whether its hash chains are whole.
//!
//! Identity specification, rule 45. A long log is checked at the command line: a page must not take that long.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::access::Visitor;
use super::frame::{Frame, Here, Person, short};
use super::timeline::{self, Actors};
use super::words;
use crate::board::role::Act;
use crate::board::{admin, audit};
use crate::clock::Timestamp;
use crate::http::admin_api::page::{Page, Scope};
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::ids::CustomerId;
use crate::store::{AuditCheck, AuditPlace, Tx};

/// Entries on one page.
const ENTRIES: usize = 50;
/// The longest log that is checked while somebody waits for a page.
const MOST_CHECKED: i64 = 100_000;
/// The longest text of a filter.
const MAX_FILTER: usize = 320;
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 60 * 60);

#[derive(Template)]
#[template(path = "desk/audit.html", config = ".askama.toml")]
struct AuditPage<'a> {
    frame: Frame<'a>,
    /// Whose entries these are, if one customer's.
    person: Option<Person>,
    asked: Asked,
    problem: &'static str,
    lines: Vec<Line>,
    /// Where the next page is.
    next: Option<String>,
    length: i64,
}

impl View for AuditPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

/// What was asked for, as it was typed.
#[derive(Default)]
struct Asked {
    customer: String,
    since: String,
    until: String,
}

/// An entry with whom it is about.
struct Line {
    entry: timeline::Line,
    customer: Option<CustomerId>,
    /// Its chain and its number there.
    place: String,
}

impl Line {
    fn short(&self) -> String {
        self.customer.map(short).unwrap_or_default()
    }
}

#[derive(Template)]
#[template(path = "desk/chains.html", config = ".askama.toml")]
struct ChainsPage<'a> {
    frame: Frame<'a>,
    length: i64,
    /// What each chain came to; nothing if there are too many entries.
    chains: Vec<Chain>,
}

impl View for ChainsPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

impl ChainsPage<'_> {
    fn broken(&self) -> usize {
        self.chains.iter().filter(|chain| chain.broken_at.is_some()).count()
    }
}

struct Chain {
    number: usize,
    entries: i64,
    broken_at: Option<i64>,
}

/// The log: `customer`, `since` and `until` say which part of it.
pub async fn get(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeAudit)?;
    let text = |name: &str| words::cut(desk.params.get(name).unwrap_or_default().trim(), MAX_FILTER);
    let asked = Asked { customer: text("customer"), since: text("since"), until: text("until") };
    let mut tx = desk.app.store().begin().await?;
    let (filter, problem) = filter(&mut tx, &asked).await?;
    let scope = scope(&asked);
    let cursor = desk.params.get("cursor");
    let place: Option<(Timestamp, i32, i64)> = cursor.and_then(|cursor| scope.open(&desk.app.secrets.cursor, cursor));
    let place = place.map(|(at, chain, seq)| AuditPlace { at, chain, seq });
    let entries = match &filter {
        Some(filter) => audit::page(&mut tx, filter, place, ENTRIES).await?,
        None => None,
    };
    let (rows, next) = entries.map(|entries| (entries.rows, entries.next)).unwrap_or_default();
    let actors = Actors::of(&mut tx, rows.iter().map(|row| row.actor.as_str())).await?;
    let person = match filter.and_then(|filter| filter.customer) {
        Some(customer) => tx.customer_living(customer).await?.as_ref().map(Person::from),
        None => None,
    };
    if let Some(person) = &person {
        admin::record_look(&mut tx, &desk.admin, "desk: audit log", &[person.id], desk.context.now).await?;
    }
    let length = tx.audit_length().await?;
    tx.commit().await?;
    let line = |row: &crate::store::AuditRow| Line {
        entry: timeline::line(&desk.app, &actors, row),
        customer: row.customer,
        place: format!("{}/{}", row.chain, row.seq),
    };
    let next =
        Page::<()>::new(&desk.app, &scope, Vec::new(), next.map(|place| (place.at, place.chain, place.seq))).next;
    let page = AuditPage {
        frame: Frame::of(&desk, Here::Audit).await?,
        person,
        problem,
        lines: rows.iter().map(line).collect(),
        next: next.map(|cursor| address(&asked, &cursor)),
        asked,
        length,
    };
    Ok(page.page().into_response())
}

/// Whether the chains are whole.
pub async fn chains(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeAudit)?;
    let length = desk.app.store().begin_read().await?.audit_length().await?;
    let checks = if length <= MOST_CHECKED { audit::verify(desk.app.store()).await? } else { Vec::new() };
    let chain = |(number, check): (usize, AuditCheck)| match check {
        AuditCheck::Intact { entries } => Chain { number, entries, broken_at: None },
        AuditCheck::Broken { seq } => Chain { number, entries: seq - 1, broken_at: Some(seq) },
    };
    let chains = checks.into_iter().enumerate().map(chain).collect();
    Ok(ChainsPage { frame: Frame::of(&desk, Here::Audit).await?, length, chains }.page().into_response())
}

/// What is asked for; nothing, and why, if it cannot be understood.
async fn filter(tx: &mut Tx, asked: &Asked) -> Result<(Option<audit::Filter>, &'static str), Failure> {
    let mut filter = audit::Filter::default();
    if !asked.customer.is_empty() {
        filter.customer = admin::find(tx, &asked.customer).await?;
        if filter.customer.is_none() {
            return Ok((None, "Nobody is known by this customer ID or proved address."));
        }
    }
    for (text, place, add) in [
        (&asked.since, &mut filter.since, std::time::Duration::ZERO),
        // The whole of that day.
        (&asked.until, &mut filter.until, DAY),
    ] {
        if !text.is_empty() {
            let Some(at) = Timestamp::parse(&format!("{text}T00:00:00Z")) else {
                return Ok((None, "A day is written as 2026-11-22."));
            };
            *place = Some(at + add);
        }
    }
    Ok((Some(filter), ""))
}

fn scope(asked: &Asked) -> Scope {
    let parameters = [("customer", &asked.customer), ("since", &asked.since), ("until", &asked.until)];
    let parameters: BTreeMap<_, _> = parameters.map(|(name, text)| (name.to_owned(), text.clone())).into();
    Scope::of("/admin/audit", &parameters)
}

fn address(asked: &Asked, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, text) in [("customer", &asked.customer), ("since", &asked.since), ("until", &asked.until)] {
        if !text.is_empty() {
            query.append_pair(name, text);
        }
    }
    format!("/admin/audit?{}", query.append_pair("cursor", cursor).finish())
}
