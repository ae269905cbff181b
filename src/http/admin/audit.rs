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
use crate::protocol::params::Params;
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
    /// The kinds of entries that can be asked for.
    kinds: Vec<(&'static str, &'static str)>,
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
    actor: String,
    action: String,
    since: String,
    until: String,
    looks: bool,
}

impl Asked {
    fn of(params: &Params) -> Self {
        let text = |name: &str| words::cut(params.get(name).unwrap_or_default().trim(), MAX_FILTER);
        Self {
            customer: text("customer"),
            actor: text("actor"),
            action: text("action"),
            since: text("since"),
            until: text("until"),
            looks: params.get("looks").is_some_and(|looks| !looks.is_empty()),
        }
    }

    /// As parameters of an address, without those that ask for nothing.
    fn parameters(&self) -> BTreeMap<String, String> {
        let looks = if self.looks { "1" } else { "" };
        let all = [
            ("customer", self.customer.as_str()),
            ("actor", &self.actor),
            ("action", &self.action),
            ("since", &self.since),
            ("until", &self.until),
            ("looks", looks),
        ];
        all.into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text.to_owned()))
            .collect()
    }
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

/// The log: `customer`, `actor`, `action`, `since`, `until` and `looks` say which part of it.
pub async fn get(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeAudit)?;
    let asked = Asked::of(&desk.params);
    let mut tx = desk.app.store().begin().await?;
    let (filter, problem) = filter(&mut tx, &asked).await?;
    let scope = Scope::of("/admin/audit", &asked.parameters());
    let cursor = desk.params.get("cursor");
    let place: Option<(Timestamp, i32, i64)> = cursor.and_then(|cursor| scope.open(&desk.app.secrets.cursor, cursor));
    let place = place.map(|(at, chain, seq)| AuditPlace { at, chain, seq });
    let entries = match &filter {
        Some(filter) => audit::page(&mut tx, filter, place, ENTRIES).await?,
        None => None,
    };
    let (rows, next) = entries.map(|entries| (entries.rows, entries.next)).unwrap_or_default();
    let actors = Actors::of(&mut tx, rows.iter().map(|row| row.actor.as_str())).await?;
    let person = match filter.as_ref().and_then(|filter| filter.customer) {
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
        kinds: timeline::kinds(),
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
    let mut filter = audit::Filter { looks: asked.looks, ..audit::Filter::default() };
    if !asked.customer.is_empty() {
        filter.customer = admin::find(tx, &asked.customer).await?;
        if filter.customer.is_none() {
            return Ok((None, "Nobody is known by this customer ID or proved address."));
        }
    }
    if !asked.actor.is_empty() {
        filter.actor = actor(tx, &asked.actor).await?;
        if filter.actor.is_none() {
            return Ok((None, "Nobody who could have done something is known by this address."));
        }
    }
    if !asked.action.is_empty() {
        if !timeline::kinds().iter().any(|(name, _)| *name == asked.action) {
            return Ok((None, "There is no such kind of entry."));
        }
        filter.action = Some(asked.action.clone());
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

/// Who did it, as the log has them: an admin by customer ID or proved address, or by the name that the log shows.
async fn actor(tx: &mut Tx, text: &str) -> Result<Option<String>, Failure> {
    let admin = |name: &str| Some(format!("admin:{name}"));
    if let Ok(id) = text.parse::<CustomerId>() {
        return Ok(admin(&id.to_string()));
    }
    if text.contains('@') {
        return Ok(admin::find(tx, text).await?.and_then(|id| admin(&id.to_string())));
    }
    Ok(match text {
        "the customer" | "customer" => Some("customer".to_owned()),
        "Samesake" | "samesake" | "system" => Some("system".to_owned()),
        known if known.starts_with("admin:") || known.starts_with("rule:") => Some(known.to_owned()),
        name => match (name.strip_prefix("program "), name.strip_prefix("rule ")) {
            (Some(client), _) => admin(&format!("client:{client}")),
            (None, Some(rule)) => Some(format!("rule:{rule}")),
            (None, None) => admin(name),
        },
    })
}

fn address(asked: &Asked, cursor: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(asked.parameters());
    format!("/admin/audit?{}", query.append_pair("cursor", cursor).finish())
}
