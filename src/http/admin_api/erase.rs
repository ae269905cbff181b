//! Erasure: a customer's personal data goes for good (identity specification, rules 21 and 34).

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, Reason, Turn};
use super::operation::{Access, Conditions, Method, Operation, schema_of};
use super::query::Named;
use super::view::Id;
use crate::app::App;
use crate::board::role::Act;
use crate::identity::erase::{self, Erased};
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::retry::retry;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "customer_erase",
    method: Method::Post,
    path: "/customers/{customer}/erase",
    summary: "Erase a customer, with everyone who was merged into them, for good.",
    access: Access::Needs(Act::Erase),
    query: &[],
    conditions: Conditions::KeyAndVersion,
    body: Some(schema_of::<Erase>),
    answer: schema_of::<Gone>,
    tagged: false,
    problems: &[ProblemKind::NotFound, ProblemKind::Refused],
    route: || post(erase_customer),
}];

/// Why a customer is to be erased.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Erase {
    pub reason: Reason,
}

/// A customer without personal data.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Gone {
    pub customer: Id,
    /// All customer IDs that are blank now; empty if they were before.
    pub members: Vec<Id>,
}

async fn erase_customer(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    change: Change<Erase>,
) -> Result<Response, Problem> {
    // One transaction: whoever changes the customer waits, or was seen.
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        if let Some(root) = tx.customer_lock(id).await? {
            change.check_version(root.version)?;
        }
        let by = (call.admin.actor(), change.body.reason.as_str());
        let (customer, members) = match erase::erase_in(&mut tx, &app.secrets.task, id, by, call.now).await? {
            Erased::Done { customer, members } => (customer, members),
            Erased::Already { customer } => (customer, Vec::new()),
            Erased::Unknown => return Err(Problem::not_found()),
            Erased::Refused(refusal) => return Err(Problem::new(ProblemKind::Refused).detail(refusal.to_string())),
        };
        let gone = Gone { customer: customer.into(), members: members.into_iter().map(Id::from).collect() };
        let response = change.finish(tx, &call, Answer::new(&gone)).await?;
        app.task_queued.notify_one();
        Ok(response)
    })
    .await
}
