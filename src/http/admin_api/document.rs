//! The OpenAPI 3.1 document of the API, made from the same table as the router, and the resource's metadata.
//!
//! Schemas come from the types that are read and written. Every problem that may be answered is named with its type.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use bytes::Bytes;
use schemars::generate::SchemaSettings;
use schemars::transform::ReplaceBoolSchemas;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::access::SCOPE;
use super::operation::{Access, Conditions, Method, Operation};
use super::{PREFIX, audience, operations};
use crate::app::App;
use crate::http::event_stream::{self, SCOPE as EVENTS_SCOPE};
use crate::protocol::admin_role::AdminRole;
use crate::protocol::problem::ProblemKind;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "openapi",
    method: Method::Get,
    path: "/openapi.json",
    summary: "This document.",
    access: Access::Public,
    query: &[],
    conditions: Conditions::None,
    body: None,
    answer: |_| json_schema!({ "type": "object" }),
    tagged: false,
    problems: &[],
    route: || get(openapi),
}];

/// What says where the API is and who gives tokens for it (RFC 9728 §3).
pub fn metadata_routes() -> Router<App> {
    Router::new().route("/.well-known/oauth-protected-resource/api/v1", get(metadata))
}

async fn metadata(State(app): State<App>) -> Response {
    let document = json!({
        "resource": audience(&app),
        "authorization_servers": [app.provider.issuer],
        "scopes_supported": [SCOPE, EVENTS_SCOPE],
        "bearer_methods_supported": ["header"],
        "resource_name": "Samesake admin API",
    });
    ([(CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response()
}

async fn openapi(State(app): State<App>) -> Response {
    let document = app.api_document.get_or_init(|| Bytes::from(document(&app.provider.issuer).to_string()));
    let headers = [(CACHE_CONTROL, "public, max-age=300"), (CONTENT_TYPE, "application/json")];
    (headers, document.clone()).into_response()
}

/// What is made on the way through the table.
struct Schemas {
    /// Of what is answered.
    answers: SchemaGenerator,
    /// Of what is sent.
    bodies: SchemaGenerator,
}

fn document(issuer: &str) -> Value {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = "/components/schemas".into());
    // There are generators of clients that know no `true` for "anything".
    let mut anything = ReplaceBoolSchemas::default();
    anything.skip_additional_properties = true;
    let settings = settings.with_transform(anything);
    let mut schemas = Schemas {
        answers: settings.clone().for_serialize().into_generator(),
        bodies: settings.for_deserialize().into_generator(),
    };
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        let described = describe(operation, &mut schemas);
        paths.entry(operation.path).or_default().insert(operation.method.as_str().to_lowercase(), described);
    }
    paths
        .entry(event_stream::described::PATH)
        .or_default()
        .insert("get".to_owned(), event_stream::described::operation());
    let mut tags: Vec<&str> = paths.keys().map(|path| tag(path)).collect();
    tags.dedup();
    let mut components = schemas.answers.take_definitions(true);
    components.extend(schemas.bodies.take_definitions(true));
    components.insert("Problem".to_owned(), problem_schema());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Samesake admin API",
            "version": "1",
            "description": INTRODUCTION,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": format!("{issuer}{PREFIX}") }],
        "tags": tags.into_iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "security": [{ "oauth": [SCOPE] }],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": { "oauth": security_scheme(issuer) },
        },
    })
}

const INTRODUCTION: &str = "Customers, links, merges and the audit log of a Samesake installation. Access tokens come from the \
    installation itself: scope `admin`, `resource` the address of this API. What may be done depends on the role \
    (`x-role`), which is read at each request. Problems are documents of RFC 9457; their `type` never changes, and the \
    schema `Problem` says what each means. Lists come in pages: `next` is the `cursor` of the next one. Whoever changes one \
    thing names the version that they saw (`ETag`, `If-Match`); every change has an `Idempotency-Key`, and its repetition \
    gets the first answer.";

fn describe(operation: &Operation, schemas: &mut Schemas) -> Value {
    let mut described = json!({
        "tags": [tag(operation.path)],
        "operationId": operation.id,
        "summary": operation.summary,
        "parameters": parameters(operation),
        "responses": responses(operation, &mut schemas.answers),
    });
    let Some(members) = described.as_object_mut() else { return described };
    match operation.access {
        Access::Public => members.insert("security".to_owned(), json!([])),
        Access::Needs(act) => members.insert("x-role".to_owned(), act.needs().as_str().into()),
    };
    if let Some(body) = operation.body {
        let schema = body(&mut schemas.bodies);
        let body = json!({ "required": true, "content": { "application/json": { "schema": schema } } });
        members.insert("requestBody".to_owned(), body);
    }
    described
}

/// What an operation is about: the first part of its path.
fn tag(path: &str) -> &str {
    path.split('/').find(|part| !part.is_empty()).unwrap_or_default().trim_end_matches(".json")
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let variables = operation.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = variables
        .map(|name| {
            // Receivers of events are named in the configuration; whatever else there is has an ID of ours.
            let schema = match name {
                "webhook" => json!({ "type": "string", "pattern": "^[A-Za-z0-9._-]+$", "maxLength": 100 }),
                "sid" => json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]+$", "maxLength": 64 }),
                _ => json!({ "type": "string", "format": "uuid" }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        })
        .collect();
    for parameter in operation.query {
        let schema: Value = serde_json::from_str(parameter.schema).unwrap_or_default();
        parameters.push(json!({
            "name": parameter.name, "in": "query", "required": parameter.required, "description": parameter.words,
            "schema": schema,
        }));
    }
    if operation.conditions != Conditions::None {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Chosen by the caller, once for each change; a repetition gets the first answer.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]+$" },
        }));
    }
    if operation.conditions == Conditions::KeyAndVersion {
        parameters.push(json!({
            "name": "If-Match", "in": "header", "required": true,
            "description": "The `ETag` of what was seen; `*` for whatever is there.",
            "schema": { "type": "string" },
        }));
    }
    parameters
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Map<String, Value> {
    let schema: Schema = (operation.answer)(generator);
    let mut success = json!({ "description": "Done.", "content": { "application/json": { "schema": schema } } });
    let headers = match operation.conditions {
        Conditions::None if operation.tagged => Some(json!({ "ETag": header("The version, for `If-Match`.") })),
        Conditions::None => None,
        _ => Some(json!({ "Idempotency-Replayed": header("`true` if this was answered before, under the same key.") })),
    };
    if let (Some(headers), Some(members)) = (headers, success.as_object_mut()) {
        members.insert("headers".to_owned(), headers);
    }
    let mut responses = refusals(problems(operation));
    responses.insert("200".to_owned(), success);
    responses
}

fn header(words: &str) -> Value {
    json!({ "description": words, "schema": { "type": "string" } })
}

/// The answers that these kinds of problems are, by status.
pub fn refusals(kinds: impl IntoIterator<Item = ProblemKind>) -> Map<String, Value> {
    let mut responses = Map::new();
    let mut by_status: BTreeMap<u16, Vec<ProblemKind>> = BTreeMap::new();
    for kind in kinds {
        by_status.entry(kind.status()).or_default().push(kind);
    }
    for (status, kinds) in by_status {
        let words: Vec<String> = kinds.iter().map(|kind| format!("{} (`{}`)", kind.title(), kind.uri())).collect();
        let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        let mut response = json!({ "description": words.join("; "), "content": content });
        let told = match status {
            401 => Some(("WWW-Authenticate", "RFC 6750, RFC 9470 and RFC 9728.")),
            503 => Some(("Retry-After", "In seconds.")),
            _ => None,
        };
        if let (Some((name, words)), Some(members)) = (told, response.as_object_mut()) {
            members.insert("headers".to_owned(), json!({ name: header(words) }));
        }
        responses.insert(status.to_string(), response);
    }
    responses
}

/// Everything that an operation may answer instead of doing what was asked.
fn problems(operation: &Operation) -> Vec<ProblemKind> {
    use ProblemKind as Kind;
    let mut kinds = vec![Kind::ServerError, Kind::Unavailable];
    if let Access::Needs(act) = operation.access {
        kinds.extend([Kind::InvalidRequest, Kind::Unauthenticated, Kind::InsufficientScope, Kind::RoleTooLow]);
        kinds.push(Kind::Contention);
        if act.needs_fresh_login() {
            kinds.push(Kind::LoginTooOld);
        }
    }
    if operation.body.is_some() && operation.conditions == Conditions::None {
        kinds.extend([Kind::TooLarge, Kind::UnsupportedMediaType, Kind::InvalidContent]);
    }
    if operation.conditions != Conditions::None {
        kinds.extend([Kind::TooLarge, Kind::UnsupportedMediaType, Kind::InvalidContent, Kind::KeyReused]);
    }
    if operation.conditions == Conditions::KeyAndVersion {
        kinds.extend([Kind::VersionMismatch, Kind::VersionRequired]);
    }
    kinds.extend(operation.problems);
    kinds
}

fn problem_schema() -> Value {
    let kind = |kind: ProblemKind| json!({ "const": kind.uri(), "title": kind.title(), "description": kind.meaning() });
    let types: Vec<Value> = ProblemKind::ALL.into_iter().map(kind).collect();
    let roles: Vec<&str> = AdminRole::ALL.into_iter().map(AdminRole::as_str).collect();
    json!({
        "description": "Why something was not done (RFC 9457).",
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri", "oneOf": types },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "errors": {
                "description": "What is wrong with what was sent.",
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["at", "detail"],
                    "properties": { "at": { "type": "string" }, "detail": { "type": "string" } },
                },
            },
            "needs": { "description": "The lowest role that may do it.", "type": "string", "enum": roles },
            "version": { "description": "The customer's version now.", "type": "integer" },
            "customer": { "description": "Whose it is already.", "type": "string", "format": "uuid" },
            "after": { "description": "With which cursor events go on.", "type": "integer" },
            "plan": { "description": "What would be done now, in the form that plans have.", "type": "object" },
        },
    })
}

fn security_scheme(issuer: &str) -> Value {
    let scopes = json!({ SCOPE: "What your role may do", EVENTS_SCOPE: "What happens to the customers of your app" });
    let token = format!("{issuer}/token");
    json!({
        "type": "oauth2",
        "description": format!("With `resource={issuer}{PREFIX}` (RFC 8707)."),
        "flows": {
            "authorizationCode": {
                "authorizationUrl": format!("{issuer}/authorize"), "tokenUrl": token, "refreshUrl": token,
                "scopes": scopes,
            },
            "clientCredentials": { "tokenUrl": token, "scopes": scopes },
        },
    })
}
