//! What keeps a customer as they are: a legal hold, and the brand whose customer they are.
//!
//! Identity specification, rule 30: whoever is held is not merged, parted or erased, and a wall between brands is not
//! crossed. Doing either again changes nothing.

use std::borrow::Cow;

use axum::extract::State;
use axum::response::Response;
use axum::routing::post;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, Reason, Turn};
use super::operation::{Access, Conditions, Method, Operation, schema_of};
use super::query::Named;
use super::view::Id;
use crate::app::App;
use crate::board::role::Act;
use crate::identity::brand::{self, BrandName, Branded};
use crate::identity::hold::{self, Held};
use crate::ids::CustomerId;
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::Tx;
use crate::store::retry::retry;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "customer_hold",
        method: Method::Post,
        path: "/customers/{customer}/hold",
        summary: "Put a customer under a legal hold: nobody merges, parts or erases them until it is lifted.",
        access: Access::Needs(Act::Hold),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Why>),
        answer: schema_of::<Kept>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Gone],
        route: || post(place),
    },
    Operation {
        id: "customer_release",
        method: Method::Post,
        path: "/customers/{customer}/release",
        summary: "Lift the legal hold of a customer.",
        access: Access::Needs(Act::Hold),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Why>),
        answer: schema_of::<Kept>,
        tagged: false,
        problems: &[ProblemKind::NotFound],
        route: || post(lift),
    },
    Operation {
        id: "customer_brand",
        method: Method::Post,
        path: "/customers/{customer}/brand",
        summary: "Say which brand's customer this very customer ID is.",
        access: Access::Needs(Act::SetBrand),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<Whose>),
        answer: schema_of::<Kept>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused, ProblemKind::Gone],
        route: || post(set_brand),
    },
];

/// Why a customer is held, or free again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    pub reason: Reason,
}

/// Whose customer somebody is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Whose {
    // With a function of its own it must be there: leaving it out is no way to take a brand away.
    #[serde(deserialize_with = "Option::deserialize")]
    #[schemars(with = "BrandOrNone")]
    pub brand: Option<String>,
    pub reason: Reason,
}

/// The schema of a brand that may be none.
struct BrandOrNone;

impl JsonSchema for BrandOrNone {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "BrandOrNone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`null` for no brand in particular.", "type": ["string", "null"], "minLength": 1,
            "maxLength": 64, "pattern": "^[!-~]+$",
        })
    }
}

/// A customer as they stand now.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Kept {
    pub customer: Id,
    /// Whether it was so already.
    pub repeated: bool,
}

async fn place(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<Why>,
) -> Result<Response, Problem> {
    hold_or_release(&app, &call, customer, &change, true).await
}

async fn lift(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<Why>,
) -> Result<Response, Problem> {
    hold_or_release(&app, &call, customer, &change, false).await
}

async fn hold_or_release(
    app: &App,
    call: &Call,
    customer: CustomerId,
    change: &Change<Why>,
    places: bool,
) -> Result<Response, Problem> {
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, call).await? {
            return Ok(response);
        }
        change.lock(&mut tx, customer).await?;
        let (actor, reason) = (call.admin.actor(), change.body.reason.as_str());
        let held = match places {
            true => hold::place(&mut tx, customer, actor, reason, call.now).await?,
            false => hold::lift(&mut tx, customer, actor, reason, call.now).await?,
        };
        settle(tx, change, call, held).await
    })
    .await
}

async fn settle(tx: Tx, change: &Change<Why>, call: &Call, held: Held) -> Result<Response, Problem> {
    let (customer, repeated) = match held {
        Held::Done { customer } => (customer, false),
        Held::Already { customer, .. } => (customer, true),
        Held::Erased { .. } => return Err(Problem::new(ProblemKind::Gone)),
        Held::Unknown => return Err(Problem::not_found()),
    };
    change.finish(tx, call, Answer::new(&Kept { customer: customer.into(), repeated })).await
}

async fn set_brand(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<Whose>,
) -> Result<Response, Problem> {
    let wrong = |words: &str| Problem::new(ProblemKind::InvalidContent).fault("/brand", words);
    let brand = change.body.brand.as_deref().map(str::parse::<BrandName>).transpose().map_err(wrong)?;
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        change.lock(&mut tx, customer).await?;
        let deed = (call.admin.actor(), change.body.reason.as_str());
        let set = brand::set(&mut tx, &app.config.merge, customer, brand.as_ref(), deed, call.now).await?;
        let (customer, repeated) = match set {
            Branded::Done { customer } => (customer, false),
            Branded::Already { customer } => (customer, true),
            Branded::Refused(refusal) => return Err(Problem::new(ProblemKind::Refused).detail(refusal.to_string())),
            Branded::Erased { .. } => return Err(Problem::new(ProblemKind::Gone)),
            Branded::Unknown => return Err(Problem::not_found()),
        };
        change.finish(tx, &call, Answer::new(&Kept { customer: customer.into(), repeated })).await
    })
    .await
}
