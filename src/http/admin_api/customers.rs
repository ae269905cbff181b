//! Customers: found by anything, seen whole, and what happened to them.
//!
//! Identity specification, rules 20 and 24: whoever was merged into another answers as that one, and says from where.
//! Whom an admin looks at is put on record in the transaction that reads.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::access::Call;
use super::change::tag;
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, Parameter, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{AuditView, CustomerSummary, CustomerView};
use crate::app::App;
use crate::board::role::Act;
use crate::board::{admin, dossier, search, sessions};
use crate::clock::Timestamp;
use crate::identity::namespace::Rules;
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::{AuditPlace, CustomerState};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "customer_search",
        method: Method::Get,
        path: "/customers",
        summary: "Find customers by any ID ever issued or linked, or by the beginning of a name.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[
            Parameter {
                name: "q",
                required: true,
                words: "A customer ID, a subject, an external ID with or without its namespace (`social:google:1157`), \
                        an e-mail address, a phone number with its country code, or the beginning of a name.",
                schema: r#"{"type":"string","minLength":1,"maxLength":255,"pattern":"^[^\\u0000-\\u001f\\u007f-\\u009f]+$"}"#,
            },
            LIMIT,
            CURSOR,
        ],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<CustomerSummary>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(find),
    },
    Operation {
        id: "customer_get",
        method: Method::Get,
        path: "/customers/{customer}",
        summary: "See a customer: profile with sources, links, subjects, credentials, sessions.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<CustomerView>,
        tagged: true,
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        route: || get(see),
    },
    Operation {
        id: "customer_timeline",
        method: Method::Get,
        path: "/customers/{customer}/timeline",
        summary: "What happened to a customer, newest first.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<AuditView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor, ProblemKind::NotFound],
        route: || get(timeline),
    },
];

async fn find(State(app): State<App>, call: Call, query: Query) -> Result<Json<Page<CustomerSummary>>, Problem> {
    let text = query.required("q")?;
    if text.len() > search::MAX_TEXT {
        return Err(Problem::new(ProblemKind::InvalidRequest).fault("q", "is too long"));
    }
    let (limit, place) = (query.limit()?, query.place(&app)?);
    let mut tx = app.store().begin().await?;
    let results = search::page(&mut tx, text, place, limit).await?;
    let seen: Vec<CustomerId> = results.found.iter().map(|found| found.customer.id).collect();
    admin::record_look(&mut tx, &call.admin, call.operation.id, &seen, call.now).await?;
    tx.commit().await?;
    let items = results.found.into_iter().map(CustomerSummary::from).collect();
    Ok(Json(Page::new(&app, &query.scope, items, results.next)))
}

async fn see(State(app): State<App>, call: Call, Named(id): Named<CustomerId>, _: Query) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    let dossier = dossier::read(&mut tx, id, &app.config.merge, call.now).await?.ok_or_else(Problem::not_found)?;
    if dossier.customer.state == CustomerState::Erased {
        return Err(Problem::new(ProblemKind::Gone));
    }
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[dossier.customer.id], call.now).await?;
    tx.commit().await?;
    let sessions = sessions::live(app.kv(), &dossier.members, call.now).await?.len();
    let version = tag(dossier.customer.version);
    let view = CustomerView::new(dossier, id, sessions, Rules::of(&app.config, call.now));
    Ok(([(ETAG, version)], Json(view)).into_response())
}

async fn timeline(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    query: Query,
) -> Result<Json<Page<AuditView>>, Problem> {
    let place: Option<(Timestamp, i32, i64)> = query.place(&app)?;
    let before = place.map_or(AuditPlace::before(Timestamp::from_micros(i64::MAX)), |(at, chain, seq)| AuditPlace {
        at,
        chain,
        seq,
    });
    let limit = query.limit()?;
    let mut tx = app.store().begin().await?;
    let living = tx.customer_living(id).await?.ok_or_else(Problem::not_found)?;
    let (entries, next) = dossier::timeline(&mut tx, living.id, before, limit).await?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[living.id], call.now).await?;
    tx.commit().await?;
    let next = next.map(|place| (place.at, place.chain, place.seq));
    let items = entries.into_iter().map(AuditView::from).collect();
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}
