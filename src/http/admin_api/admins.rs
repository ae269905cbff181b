//! Admins: who has which role. A client's role stands in its registration and is changed there.
//!
//! Nobody changes their own role, so that an installation is not left without an owner by a slip.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, Reason, Turn, tag};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{Id, Time};
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::protocol::admin_role::AdminRole;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::retry::retry;
use crate::store::{AdminRow, Tx};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "admin_list",
        method: Method::Get,
        path: "/admins",
        summary: "Everybody with a role.",
        access: Access::Needs(Act::SeeAdmins),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<AdminView>>,
        tagged: false,
        problems: &[ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "admin_get",
        method: Method::Get,
        path: "/admins/{customer}",
        summary: "The role of a customer, if they have one.",
        access: Access::Needs(Act::SeeAdmins),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<RoleNow>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "admin_grant",
        method: Method::Post,
        path: "/admins/{customer}/grant",
        summary: "Give a living customer a role, in the place of any they have.",
        access: Access::Needs(Act::ChangeAdmins),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Grant>),
        answer: schema_of::<RoleNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(grant),
    },
    Operation {
        id: "admin_revoke",
        method: Method::Post,
        path: "/admins/{customer}/revoke",
        summary: "Take a role away; tokens of its holder count no more at once.",
        access: Access::Needs(Act::ChangeAdmins),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Revoke>),
        answer: schema_of::<RoleNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(revoke),
    },
];

/// The schema of a role.
fn role_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": AdminRole::ALL.map(AdminRole::as_str) })
}

/// Somebody with a role.
#[derive(Debug, Serialize, JsonSchema)]
pub struct AdminView {
    pub customer: Id,
    #[schemars(schema_with = "role_schema")]
    pub role: AdminRole,
    pub granted_by: String,
    pub granted_at: Time,
}

impl From<AdminRow> for AdminView {
    fn from(row: AdminRow) -> Self {
        Self {
            customer: row.customer.into(),
            role: row.role,
            granted_by: row.granted_by,
            granted_at: row.granted_at.into(),
        }
    }
}

/// A role to give.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    #[schemars(schema_with = "role_schema")]
    pub role: AdminRole,
    pub reason: Reason,
}

/// A role to take away.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoke {
    pub reason: Reason,
}

/// The role a customer has now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RoleNow {
    pub customer: Id,
    /// Absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "role_schema")]
    pub role: Option<AdminRole>,
}

async fn list(State(app): State<App>, _: Call, query: Query) -> Result<Json<Page<AdminView>>, Problem> {
    let place: Option<(Timestamp, CustomerId)> = query.place(&app)?;
    let limit = query.limit()?;
    let rows = app.store().begin_read().await?.admins_page(place, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    let next = rows.last().filter(|_| rows.len() == limit).map(|last| (last.granted_at, last.customer));
    Ok(Json(Page::new(&app, &query.scope, rows.into_iter().map(AdminView::from).collect(), next)))
}

async fn see(
    State(app): State<App>,
    _: Call,
    Named(customer): Named<CustomerId>,
    _: Query,
) -> Result<Response, Problem> {
    let mut tx = app.store().begin_read().await?;
    tx.customer_find(customer).await?.ok_or_else(Problem::not_found)?;
    let row = tx.admin_find(customer).await?;
    let now = RoleNow { customer: customer.into(), role: row.as_ref().map(|row| row.role) };
    Ok(([(ETAG, tag(admin::version(row.as_ref())))], Json(now)).into_response())
}

/// Locks the customer whose role is to change, and compares it with what was seen.
async fn lock<T: Send>(tx: &mut Tx, change: &Change<T>, call: &Call, customer: CustomerId) -> Result<(), Problem> {
    if let Some(refused) = admin::lock(tx, &call.admin.actor(), customer).await? {
        return Err(refusal(refused));
    }
    tx.customer_lock(customer).await?.ok_or_else(Problem::not_found)?;
    change.check_tag(&admin::version(tx.admin_find(customer).await?.as_ref()))
}

async fn grant(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<Grant>,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        lock(&mut tx, &change, &call, customer).await?;
        let (role, reason) = (change.body.role, change.body.reason.as_str());
        match admin::grant(&mut tx, customer, role, &call.admin.actor(), Some(reason), call.now).await? {
            admin::Change::Done | admin::Change::Nothing => {
                let answer = Answer::new(&RoleNow { customer: customer.into(), role: Some(role) });
                change.finish(tx, &call, answer).await
            }
            refused => Err(refusal(refused)),
        }
    })
    .await
}

async fn revoke(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<Revoke>,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        lock(&mut tx, &change, &call, customer).await?;
        let reason = change.body.reason.as_str();
        match admin::revoke(&mut tx, customer, &call.admin.actor(), Some(reason), call.now).await? {
            admin::Change::Done => {
                let answer = Answer::new(&RoleNow { customer: customer.into(), role: None });
                change.finish(tx, &call, answer).await
            }
            admin::Change::Nothing => Err(Problem::not_found()),
            refused => Err(refusal(refused)),
        }
    })
    .await
}

fn refusal(change: admin::Change) -> Problem {
    let refused = |words: &str| Problem::new(ProblemKind::Refused).detail(words);
    match change {
        admin::Change::Own => refused("Nobody changes their own role."),
        admin::Change::NotActive => refused("Nobody signs in as this customer."),
        admin::Change::NotAllowed => {
            Problem::new(ProblemKind::RoleTooLow).with("needs", Act::ChangeAdmins.needs().as_str())
        }
        admin::Change::Done | admin::Change::Nothing => Problem::new(ProblemKind::ServerError),
    }
}
