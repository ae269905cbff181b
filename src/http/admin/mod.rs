//! The desk, `/admin`: where people look after who is who, in the browser, without a line of script.
//!
//! It stands on the same functions as the admin API (`board`, `identity::merge`) and shows what they say; nothing about
//! customers is decided here. Admins sign in through Samesake itself, and their role is read at each request
//! (`access`). Experience specification, rules 10 to 12.

pub mod access;
pub mod acts;
pub mod audit;
pub mod compare;
pub mod customer;
pub mod deed_view;
pub mod deeds;
pub mod done;
pub mod frame;
pub mod merges;
pub mod not_same;
pub mod picture;
pub mod plan_view;
pub mod proposals;
pub mod queue;
pub mod roles;
pub mod search;
pub mod session_view;
pub mod settle;
pub mod timeline;
pub mod undo;
pub mod waits;
pub mod waterfall;
pub mod words;

use axum::Router;
use axum::routing::{get, post};

use crate::app::App;

/// Where the desk begins.
pub const PREFIX: &str = "/admin";

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/admin", get(queue::get))
        .route("/admin/search", get(search::get))
        .route("/admin/customers/{customer}", get(customer::get))
        .route("/admin/customers/{customer}/{deed}", get(deeds::get).post(deeds::post))
        .route("/admin/customers/{customer}/links/{link}/{deed}", get(deeds::get_link).post(deeds::post_link))
        .route("/admin/customers/{customer}/sessions/{sid}/{deed}", get(deeds::get_session).post(deeds::post_session))
        .route("/admin/compare", get(compare::get))
        .route("/admin/merges", post(merges::post))
        .route("/admin/merges/new", get(merges::plan))
        .route("/admin/merges/{merge}", get(merges::see))
        .route("/admin/merges/{merge}/undo", get(undo::plan).post(undo::post))
        .route("/admin/proposals", get(proposals::list))
        .route("/admin/proposals/{proposal}", get(proposals::see))
        .route("/admin/proposals/{proposal}/approve", post(proposals::post_approve))
        .route("/admin/proposals/{proposal}/withdraw", post(proposals::withdraw))
        .route("/admin/audit", get(audit::get))
        .route("/admin/audit/chains", get(audit::chains))
        .route("/admin/roles", get(roles::list))
        .route("/admin/roles/{customer}", get(roles::see).post(roles::post))
        .route("/admin/queue/watch", post(settle::watch))
        .route("/admin/queue/decline", post(settle::decline))
        .route("/admin/queue/close", post(settle::close))
        .route("/admin/not-same", post(not_same::mark))
        .route("/admin/not-same/lift", post(not_same::lift))
}
