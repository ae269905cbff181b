//! "Not the same person": said of two customers, remembered, and lifted again.
//!
//! Identity specification, rule 35: neither that pair nor any chain that would join it is proposed or made until then.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, Reason};
use super::merge_view::NotSameView;
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::Id;
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::identity::not_same::{self, Marked};
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "not_same_mark",
        method: Method::Post,
        path: "/not-same",
        summary: "Say that two customers are not the same person.",
        access: Access::Needs(Act::MarkNotSame),
        query: &[],
        conditions: Conditions::Key,
        body: Some(schema_of::<Mark>),
        answer: schema_of::<Marks>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(mark),
    },
    Operation {
        id: "not_same_lift",
        method: Method::Post,
        path: "/not-same/lift",
        summary: "Take it back that two customers are not the same person.",
        access: Access::Needs(Act::MarkNotSame),
        query: &[],
        conditions: Conditions::Key,
        body: Some(schema_of::<Lift>),
        answer: schema_of::<Marks>,
        tagged: false,
        problems: &[ProblemKind::NotFound],
        route: || post(lift),
    },
    Operation {
        id: "customer_not_same",
        method: Method::Get,
        path: "/customers/{customer}/not-same",
        summary: "Who is not the same person as a customer.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<NotSameView>>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::InvalidCursor],
        route: || get(list),
    },
];

/// Two who are not the same person.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    #[schemars(with = "Id")]
    pub a: CustomerId,
    #[schemars(with = "Id")]
    pub b: CustomerId,
    pub reason: Reason,
}

/// Two who may be the same person after all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Lift {
    #[schemars(with = "Id")]
    pub a: CustomerId,
    #[schemars(with = "Id")]
    pub b: CustomerId,
}

/// How it is now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Marks {
    pub not_same: bool,
    /// Whether it was so already.
    pub repeated: bool,
}

async fn mark(State(app): State<App>, call: Call, change: Change<Mark>) -> Result<Response, Problem> {
    let Mark { a, b, reason } = &change.body;
    let effect = async {
        let marked = not_same::mark(app.store(), *a, *b, call.admin.actor(), reason.as_str(), call.now).await?;
        answer(marked, true)
    };
    change.carry_out(app.store(), &call, effect).await
}

async fn lift(State(app): State<App>, call: Call, change: Change<Lift>) -> Result<Response, Problem> {
    let Lift { a, b } = &change.body;
    let effect = async { answer(not_same::lift(app.store(), *a, *b, call.admin.actor(), call.now).await?, false) };
    change.carry_out(app.store(), &call, effect).await
}

fn answer(marked: Marked, not_same: bool) -> Result<Answer, Problem> {
    match marked {
        Marked::Done | Marked::Already => Ok(Answer::new(&Marks { not_same, repeated: marked == Marked::Already })),
        Marked::Merged => {
            Err(Problem::new(ProblemKind::Refused).detail("They are one customer: undo the merge first."))
        }
        Marked::Unknown => Err(Problem::not_found()),
    }
}

async fn list(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    query: Query,
) -> Result<Json<Page<NotSameView>>, Problem> {
    let place: Option<(Timestamp, CustomerId, CustomerId)> = query.place(&app)?;
    let (limit, mut tx) = (query.limit()?, app.store().begin().await?);
    let living = tx.customer_living(id).await?.ok_or_else(Problem::not_found)?;
    let pairs = tx.not_same_page(living.id, place, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[living.id], call.now).await?;
    tx.commit().await?;
    let next = pairs.last().filter(|_| pairs.len() == limit).map(|last| (last.created_at, last.a, last.b));
    Ok(Json(Page::new(&app, &query.scope, pairs.into_iter().map(NotSameView::from).collect(), next)))
}
