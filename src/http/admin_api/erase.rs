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
    if let Turn::Answered(response) = change.claim(app.store(), &call).await? {
        return Ok(response);
    }
    let living = app.store().begin_read().await?.customer_living(id).await?;
    // Whoever changes the customer between this and the erasure is erased with them: that is what was asked for.
    if let Some(Err(problem)) = living.map(|customer| change.check_version(customer.version)) {
        return change.release(app.store(), &call, problem).await;
    }
    let reason = change.body.reason.as_str();
    let erased = erase::erase(app.store(), &app.secrets.task, id, call.admin.actor(), reason, call.now).await?;
    let problem = match erased {
        Erased::Done { customer, members } => {
            app.task_queued.notify_one();
            let gone = Gone { customer: customer.into(), members: members.into_iter().map(Id::from).collect() };
            return change.keep(app.store(), &call, Answer::new(&gone)).await;
        }
        Erased::Already { customer } => {
            let gone = Gone { customer: customer.into(), members: Vec::new() };
            return change.keep(app.store(), &call, Answer::new(&gone)).await;
        }
        Erased::Unknown => Problem::not_found(),
        Erased::Refused(refusal) => Problem::new(ProblemKind::Refused).detail(refusal.to_string()),
    };
    change.release(app.store(), &call, problem).await
}
