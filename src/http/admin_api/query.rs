//! The query of a request, and the identifiers in its path: bounded, and nothing passed over unread.
//!
//! What may stand in the query is what the operation's table says; anything else is refused, because whoever sent it
//! believes that it does something.

use std::collections::BTreeMap;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::access::Call;
use super::page::Scope;
use crate::app::App;
use crate::protocol::problem::{Problem, ProblemKind};

/// More than any parameter of ours needs.
const MAX_VALUE: usize = 2000;
const DEFAULT_LIMIT: usize = 25;
const MAX_LIMIT: usize = 100;

/// The parameters of the query, by name.
pub struct Query {
    values: BTreeMap<String, String>,
    /// Which list this is: a cursor is good for no other.
    pub scope: Scope,
}

impl Query {
    /// A parameter that may be left out.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Problem> {
        self.text(name).ok_or_else(|| Problem::new(ProblemKind::InvalidRequest).fault(name, "is missing"))
    }

    /// `limit`.
    pub fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.text("limit") else { return Ok(DEFAULT_LIMIT) };
        let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        limit.ok_or_else(|| {
            let words = format!("must be a number from 1 to {MAX_LIMIT}");
            Problem::new(ProblemKind::InvalidRequest).fault("limit", words)
        })
    }

    /// `cursor`: where the page before ended.
    pub fn place<T: DeserializeOwned>(&self, app: &App) -> Result<Option<T>, Problem> {
        match self.text("cursor") {
            None => Ok(None),
            Some(cursor) => match self.scope.open(&app.secrets.cursor, cursor) {
                Some(place) => Ok(Some(place)),
                None => Err(Problem::new(ProblemKind::InvalidCursor)),
            },
        }
    }
}

impl FromRequestParts<App> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let call = Call::from_request_parts(parts, app).await?;
        let mut problem = Problem::new(ProblemKind::InvalidRequest);
        let mut values = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
            let known = call.operation.query.iter().find(|parameter| parameter.name == name);
            match known {
                // The name is not repeated: it may be anything, and of any length.
                None => problem = problem.fault("query", "holds a parameter that this operation does not have"),
                Some(known) if values.contains_key(known.name) => problem = problem.fault(known.name, "is repeated"),
                Some(known) if value.len() > MAX_VALUE => problem = problem.fault(known.name, "is too long"),
                Some(known) if value.chars().any(char::is_control) => {
                    problem = problem.fault(known.name, "holds a control character");
                }
                Some(known) if value.is_empty() => problem = problem.fault(known.name, "is empty"),
                Some(known) => {
                    values.insert(known.name.to_owned(), value.into_owned());
                }
            }
            if !problem.faults.is_empty() {
                return Err(problem);
            }
        }
        let scope = Scope::of(parts.uri.path(), &values);
        Ok(Self { values, scope })
    }
}

/// The identifiers in the path. One that cannot be ours names nothing.
pub struct Named<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Named<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        match Path::<T>::from_request_parts(parts, app).await {
            Ok(Path(named)) => Ok(Self(named)),
            Err(_) => Err(Problem::not_found()),
        }
    }
}
