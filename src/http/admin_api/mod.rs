//! The admin API, `/api/v1`: customers, links, the audit log and the roles of admins, for programs and consoles.
//!
//! One table of operations makes the router, says who may do what, and is the OpenAPI document. It takes access tokens
//! of our own provider whose audience is the API; no browser's cookie means anything here, and no other origin is let in.
//! Experience specification, rules 9 and 10.

pub mod access;
pub mod admins;
pub mod audit;
pub mod candidate_view;
pub mod candidates;
pub mod change;
pub mod conflicts;
pub mod customer_links;
pub mod customers;
pub mod document;
pub mod erase;
pub mod keeping;
pub mod links;
pub mod merge_requests;
pub mod merge_view;
pub mod merges;
pub mod not_same;
pub mod operation;
pub mod page;
pub mod proposals;
pub mod query;
pub mod sessions;
pub mod view;
pub mod webhooks;

use axum::Router;
use axum::middleware::from_fn_with_state;

use crate::app::App;

pub use operation::{Access, Method, Operation};

/// Where the API begins.
pub const PREFIX: &str = "/api/v1";

/// Whether a path is the API's.
pub fn is_below(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Everything the API can do.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    let all = [
        document::OPERATIONS,
        customers::OPERATIONS,
        erase::OPERATIONS,
        keeping::OPERATIONS,
        sessions::OPERATIONS,
        links::OPERATIONS,
        customer_links::OPERATIONS,
        candidates::OPERATIONS,
        merge_requests::OPERATIONS,
        conflicts::OPERATIONS,
        merges::OPERATIONS,
        proposals::OPERATIONS,
        not_same::OPERATIONS,
        webhooks::OPERATIONS,
        audit::OPERATIONS,
        admins::OPERATIONS,
    ];
    all.into_iter().flatten()
}

/// The audience of access tokens for the API.
pub fn audience(app: &App) -> String {
    format!("{}{PREFIX}", app.provider.issuer)
}

/// The routes of this surface, each behind the check that its operation names.
pub fn routes(app: &App) -> Router<App> {
    operations().fold(document::metadata_routes(), |router, operation| {
        let path = format!("{PREFIX}{}", operation.path);
        let handlers = (operation.route)();
        let guarded = match operation.access {
            Access::Public => handlers,
            Access::Needs(act) => {
                let gate = access::Gate { app: app.clone(), operation, act };
                handlers.route_layer(from_fn_with_state(gate, access::guard))
            }
        };
        router.route(&path, guarded)
    })
}
