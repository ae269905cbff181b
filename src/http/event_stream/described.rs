//! How the OpenAPI document describes fetching events: the one operation that is not an admin's, and has another scope.

use serde_json::{Value, json};

use super::MOST;
use super::access::SCOPE;
use crate::http::admin_api::document::refusals;
use crate::protocol::problem::ProblemKind as Kind;

/// Where it is, below the prefix.
pub const PATH: &str = "/events";

/// The operation, as the document has it.
pub fn operation() -> Value {
    let event = json!({
        "type": "object",
        "required": ["id", "type", "timestamp", "sequence", "data"],
        "properties": {
            "id": { "description": "The same however often it is told.", "type": "string", "format": "uuid" },
            "type": { "description": "Such as `customer.merged`.", "type": "string" },
            "timestamp": { "description": "When it happened.", "type": "string", "format": "date-time" },
            "sequence": { "type": "integer", "minimum": 1 },
            "data": { "description": "What the app may see of it, with its own subjects.", "type": "object" },
        },
    });
    let page = json!({
        "type": "object",
        "required": ["events", "next", "more"],
        "properties": {
            "events": { "type": "array", "items": event },
            "next": { "description": "`after` of the next request.", "type": "integer" },
            "more": { "description": "Whether there is more already.", "type": "boolean" },
        },
    });
    let stream = json!({ "description": "Server-sent events; `id` is the cursor.", "type": "string" });
    let mut responses = refusals([
        Kind::InvalidRequest,
        Kind::InvalidCursor,
        Kind::Unauthenticated,
        Kind::InsufficientScope,
        Kind::EventsRemoved,
        Kind::ServerError,
        Kind::Unavailable,
        Kind::Contention,
    ]);
    let content = json!({ "application/json": { "schema": page }, "text/event-stream": { "schema": stream } });
    responses.insert("200".to_owned(), json!({ "description": "Events, oldest first.", "content": content }));
    let number = json!({ "type": "integer", "minimum": 0 });
    let parameter = |name: &str, place: &str, words: &str, schema: Value| json!({ "name": name, "in": place, "required": false, "description": words, "schema": schema });
    json!({
        "tags": ["events"],
        "operationId": "event_list",
        "summary": "What happened to the customers whom an app knows, with its own names for them: page by page, or as a stream.",
        "security": [{ "oauth": [SCOPE] }],
        "parameters": [
            parameter("after", "query", "The number of the last event that was seen; from the oldest that is kept without it.", number.clone()),
            parameter("limit", "query", "How many events at most.", json!({ "type": "integer", "minimum": 1, "maximum": MOST, "default": MOST })),
            parameter("types", "query", "Names of events, or families such as `link.*`, separated by commas.", json!({ "type": "string", "pattern": r"^(\*|[a-z_.]+\*?)(,(\*|[a-z_.]+\*?)){0,49}$", "maxLength": 1000 })),
            parameter("Last-Event-ID", "header", "As `after`, of a stream that was cut off.", number),
        ],
        "responses": responses,
    })
}
