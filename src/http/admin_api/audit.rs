//! The audit log: who did what, to whom, and who looked at whom; newest first.
//!
//! The entries are those of the hash chains; `samesake audit verify` checks that none is missing or was changed.

use axum::Json;
use axum::extract::State;
use axum::routing::get;

use super::access::Call;
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, Parameter, schema_of};
use super::page::Page;
use super::query::Query;
use super::view::AuditView;
use crate::app::App;
use crate::board::audit;
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::AuditPlace;

/// The longest name of an actor, and of a kind of entry.
const MAX_ACTOR: usize = 255;
const MAX_ACTION: usize = 64;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "audit_list",
    method: Method::Get,
    path: "/audit",
    summary: "The audit log, newest first: about everybody, or all who are one customer today; by whom, of which kind.",
    access: Access::Needs(Act::SeeAudit),
    query: &[
        Parameter {
            name: "customer",
            required: false,
            words: "Entries about this customer only, whom any ID ever issued may name.",
            schema: r#"{"type":"string","format":"uuid"}"#,
        },
        Parameter {
            name: "actor",
            required: false,
            words: "Entries by this actor only, as entries name it: `customer`, `system`, `admin:…`, `rule:…`.",
            schema: r#"{"type":"string","minLength":1,"maxLength":255,"pattern":"^[^\\u0000-\\u001f\\u007f-\\u009f]+$"}"#,
        },
        Parameter {
            name: "action",
            required: false,
            words: "Entries of this kind only, such as `link.added`.",
            schema: r#"{"type":"string","maxLength":64,"pattern":"^[a-z_]+\\.[a-z_]+$"}"#,
        },
        Parameter {
            name: "looks",
            required: false,
            words: "Whether entries are listed too that say no more than that an admin looked at somebody \
                    (`admin.looked`). With that very `action` they are.",
            schema: r#"{"type":"boolean","default":false}"#,
        },
        Parameter {
            name: "since",
            required: false,
            words: "Entries of this time and later.",
            schema: r#"{"type":"string","format":"date-time"}"#,
        },
        Parameter {
            name: "until",
            required: false,
            words: "Entries before this time.",
            schema: r#"{"type":"string","format":"date-time"}"#,
        },
        LIMIT,
        CURSOR,
    ],
    conditions: Conditions::None,
    body: None,
    answer: schema_of::<Page<AuditView>>,
    tagged: false,
    problems: &[ProblemKind::InvalidCursor, ProblemKind::NotFound],
    route: || get(list),
}];

async fn list(State(app): State<App>, _: Call, query: Query) -> Result<Json<Page<AuditView>>, Problem> {
    let (since, until) = (time(&query, "since")?, time(&query, "until")?);
    let place: Option<(Timestamp, i32, i64)> = query.place(&app)?;
    let place = place.map(|(at, chain, seq)| AuditPlace { at, chain, seq });
    let customer =
        query.text("customer").map(str::parse::<CustomerId>).transpose().map_err(|_| Problem::not_found())?;
    let (limit, looks) = (query.limit()?, flag(&query, "looks")?);
    let (actor, action) = (actor(&query)?, action(&query)?);
    let filter = audit::Filter { customer, actor, action, looks, since, until };
    let mut tx = app.store().begin_read().await?;
    let entries = audit::page(&mut tx, &filter, place, limit).await?.ok_or_else(Problem::not_found)?;
    let next = entries.next.map(|place| (place.at, place.chain, place.seq));
    let items = entries.rows.into_iter().map(AuditView::from).collect();
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

fn actor(query: &Query) -> Result<Option<String>, Problem> {
    let Some(text) = query.text("actor") else { return Ok(None) };
    let sound = text.chars().count() <= MAX_ACTOR;
    let wrong = || Problem::new(ProblemKind::InvalidRequest).fault("actor", "is too long");
    sound.then(|| Some(text.to_owned())).ok_or_else(wrong)
}

fn action(query: &Query) -> Result<Option<String>, Problem> {
    let Some(text) = query.text("action") else { return Ok(None) };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let sound = text.len() <= MAX_ACTION && text.split_once('.').is_some_and(|(of, what)| is_word(of) && is_word(what));
    let wrong = || Problem::new(ProblemKind::InvalidRequest).fault("action", "must be a name such as link.added");
    sound.then(|| Some(text.to_owned())).ok_or_else(wrong)
}

fn flag(query: &Query, name: &str) -> Result<bool, Problem> {
    match query.text(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::new(ProblemKind::InvalidRequest).fault(name, "must be true or false")),
    }
}

/// RFC 3339.
fn time(query: &Query, name: &str) -> Result<Option<Timestamp>, Problem> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let wrong = || Problem::new(ProblemKind::InvalidRequest).fault(name, "must be a time such as 2026-11-22T06:00:00Z");
    Timestamp::parse(text).map(Some).ok_or_else(wrong)
}
