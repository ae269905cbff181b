//! One operation of the API: what it is called, where it is, who may do it, what it takes and answers.
//!
//! The router, the check of roles, the reading of queries and the OpenAPI document all come from these values, so that
//! none can say something else than the others.

use axum::routing::MethodRouter;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::app::App;
use crate::board::role::Act;
use crate::protocol::problem::ProblemKind;

/// The methods the API uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
    Put,
    Delete,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// Who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    Public,
    /// Whoever has a role that may.
    Needs(Act),
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub struct Parameter {
    pub name: &'static str,
    pub required: bool,
    pub words: &'static str,
    /// JSON Schema.
    pub schema: &'static str,
}

/// How many items at most.
pub const LIMIT: Parameter = Parameter {
    name: "limit",
    required: false,
    words: "How many items at most.",
    schema: r#"{"type":"integer","minimum":1,"maximum":100,"default":25}"#,
};

/// Where to go on.
pub const CURSOR: Parameter = Parameter {
    name: "cursor",
    required: false,
    words: "The `next` of the page before; the other parameters must be the same.",
    schema: r#"{"type":"string","pattern":"^[A-Za-z0-9_-]+$"}"#,
};

/// What a changing request must bring beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conditions {
    /// It changes nothing.
    None,
    /// `Idempotency-Key`: it makes something new.
    Key,
    /// `Idempotency-Key`, and in the body the hash of the plan that was seen, which says more than a version.
    KeyAndPlan,
    /// `Idempotency-Key`, and `If-Match` with the `ETag` of what was seen.
    KeyAndVersion,
}

/// Makes the schema of a type.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// The schema of `T`.
pub fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// One operation.
pub struct Operation {
    /// `operationId`.
    pub id: &'static str,
    pub method: Method,
    /// Below the prefix, with the names of its variables in braces.
    pub path: &'static str,
    pub summary: &'static str,
    pub access: Access,
    pub query: &'static [Parameter],
    pub conditions: Conditions,
    pub body: Option<SchemaOf>,
    pub answer: SchemaOf,
    /// Whether the answer is one thing, with its version as `ETag`.
    pub tagged: bool,
    /// What may be wrong, beside what may be wrong with every operation like it.
    pub problems: &'static [ProblemKind],
    pub route: fn() -> MethodRouter<App>,
}
