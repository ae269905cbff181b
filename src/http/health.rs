//! Health for those who run it: alive, and ready (with what is missing).

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

use crate::app::App;

/// The routes of this surface.
pub fn routes() -> Router<App> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live() -> Response {
    answer(StatusCode::OK, &[], &[])
}

/// Whether requests can be answered: both stores reachable, the schema up to date.
async fn ready(State(app): State<App>) -> Response {
    let store = app.store().background();
    let kv = app.kv().background();
    let mut missing = Vec::new();
    match store.ping().await {
        Err(_) => missing.push("the database does not answer"),
        Ok(()) => match store.migrations_pending().await {
            Ok(false) => {}
            Ok(true) => missing.push("the database schema is not up to date: run `samesake migrate`"),
            Err(_) => missing.push("the state of the database schema cannot be read"),
        },
    }
    if kv.ping().await.is_err() {
        missing.push("Redis does not answer");
    }
    let status = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    answer(status, &missing, &paused(&app))
}

/// The providers that are left alone. Another replica would reach them no better, so they are no reason to be unready.
fn paused(app: &App) -> Vec<&str> {
    let connectors = app.connectors.list().iter();
    connectors.filter(|connector| connector.is_paused()).map(|connector| connector.id()).collect()
}

fn answer(status: StatusCode, missing: &[&str], paused: &[&str]) -> Response {
    let word = if missing.is_empty() { "ok" } else { "unavailable" };
    let body = match paused {
        [] => json!({ "status": word, "missing": missing }),
        paused => json!({ "status": word, "missing": missing, "connectors_not_answering": paused }),
    };
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}
