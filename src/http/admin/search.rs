//! Finding a customer by anything: any ID ever issued or linked, an address, the beginning of a name.
//!
//! With `with`, what is found is to be compared with that customer. Who was found is put on record.

use std::collections::BTreeMap;

use askama::Template;
use axum::response::{IntoResponse, Response};

use super::access::{Desk, Visitor};
use super::frame::{Frame, Here, Person};
use super::words;
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::board::search::{self, Found, FoundBy};
use crate::http::admin_api::page::{Page, Scope};
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::ids::CustomerId;

/// Results on one page.
const LIMIT: usize = 25;

#[derive(Template)]
#[template(path = "desk/search.html", config = ".askama.toml")]
struct SearchPage<'a> {
    frame: Frame<'a>,
    /// Whom the results are to be compared with.
    with: Option<Person>,
    problem: &'static str,
    hits: Vec<Hit>,
    /// Where the next page begins, as it stands in its address.
    next: Option<String>,
}

struct Hit {
    person: Person,
    by: String,
    merged_from: Option<String>,
}

impl View for SearchPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

impl SearchPage<'_> {
    fn asked(&self) -> bool {
        !self.frame.query.is_empty()
    }
}

/// The page.
pub async fn get(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeCustomers)?;
    let text = desk.params.get("q").unwrap_or_default().trim().to_owned();
    let problem = if text.len() > search::MAX_TEXT {
        "That is too long to be an ID or a name."
    } else if text.chars().any(char::is_control) {
        "That holds characters that no ID and no name has."
    } else {
        ""
    };
    let found = match text.as_str() {
        "" => Page { items: Vec::new(), next: None },
        _ if !problem.is_empty() => Page { items: Vec::new(), next: None },
        text => find(&desk, text).await?,
    };
    let with = match desk.params.get("with").and_then(|id| id.parse::<CustomerId>().ok()) {
        Some(id) => desk.app.store().begin_read().await?.customer_living(id).await?,
        None => None,
    };
    let mut frame = Frame::of(&desk, Here::Elsewhere).await?;
    frame.query = words::cut(&text, search::MAX_TEXT);
    let hits = found.items.into_iter().map(|found| hit(&desk.app, found)).collect();
    let page = SearchPage { frame, with: with.as_ref().map(Person::from), problem, hits, next: found.next };
    Ok(page.page().into_response())
}

async fn find(desk: &Desk, text: &str) -> Result<Page<Found>, Failure> {
    let scope = Scope::of("/admin/search", &BTreeMap::from([("q".to_owned(), text.to_owned())]));
    // A cursor that is not ours begins anew.
    let place = desk.params.get("cursor").and_then(|cursor| scope.open(&desk.app.secrets.cursor, cursor));
    let mut tx = desk.app.store().begin().await?;
    let results = search::page(&mut tx, text, place, LIMIT).await?;
    let seen: Vec<CustomerId> = results.found.iter().map(|found| found.customer.id).collect();
    admin::record_look(&mut tx, &desk.admin, "desk: search", &seen, desk.context.now).await?;
    tx.commit().await?;
    Ok(Page::new(&desk.app, &scope, results.found, results.next))
}

fn hit(app: &App, found: Found) -> Hit {
    let by = match found.by {
        FoundBy::CustomerId => "customer ID".to_owned(),
        FoundBy::Link { namespace } => words::namespace(app, &namespace),
        FoundBy::Hint { namespace } => format!("{}: a hint only", words::namespace(app, &namespace)),
        FoundBy::Subject { sector } => format!("subject at {}", words::sector(app, &sector)),
        FoundBy::Name => "name".to_owned(),
    };
    Hit { person: Person::from(&found.customer), by, merged_from: found.merged_from.map(|id| words::cut(&id, 80)) }
}
