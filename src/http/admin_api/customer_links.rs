//! A customer's links: listed, taken away, let log in again, and added where the company itself says whose an ID is.
//!
//! Identity specification, rules 1, 18 and 19. A change names the customer's version that was seen: links are part of
//! what a customer is. What came in through a link ends at once, and the customer is told.

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Change, Reason, Turn, tag};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::{Id, LinkView};
use crate::app::App;
use crate::board::admin;
use crate::board::links::{self, Deed, Enabled, Removed};
use crate::board::notices::Notices;
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::identity::asserting::{self, Asserted};
use crate::identity::namespace::Namespace;
use crate::ids::{CustomerId, LinkId};
use crate::jobs::{self, First};
use crate::protocol::problem::{Problem, ProblemKind};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "customer_links",
        method: Method::Get,
        path: "/customers/{customer}/links",
        summary: "A customer's links, ended ones too, in the order in which they were made.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<LinkView>>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "customer_link_add",
        method: Method::Post,
        path: "/customers/{customer}/links",
        summary: "Say that an ID of an app (`app:<app>`) or of another system (`ext:<system>`) is the customer's.",
        access: Access::Needs(Act::AssertLink),
        query: &[],
        conditions: Conditions::Key,
        body: Some(schema_of::<NewLink>),
        answer: schema_of::<LinkNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(add),
    },
    Operation {
        id: "customer_link_get",
        method: Method::Get,
        path: "/customers/{customer}/links/{link}",
        summary: "One link of a customer; its version is the customer's.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<LinkView>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "customer_link_remove",
        method: Method::Post,
        path: "/customers/{customer}/links/{link}/remove",
        summary: "Disconnect an account at a provider, even the last way in, or take an ID of an app or system back.",
        access: Access::Needs(Act::Unlink),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<LinkChange>),
        answer: schema_of::<LinkNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(remove),
    },
    Operation {
        id: "customer_link_enable",
        method: Method::Post,
        path: "/customers/{customer}/links/{link}/enable",
        summary: "Let a link log in again that its provider spoke against, and take down its flags.",
        access: Access::Needs(Act::EnableLink),
        query: &[],
        conditions: Conditions::KeyAndVersion,
        body: Some(schema_of::<LinkChange>),
        answer: schema_of::<LinkNow>,
        tagged: false,
        problems: &[ProblemKind::NotFound],
        route: || post(enable),
    },
];

/// An ID that the company itself knows to be a customer's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// `app:<app>` or `ext:<system>`.
    #[schemars(regex(pattern = r"^(app|ext):[!-~]+$"), length(max = 100))]
    pub namespace: String,
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"), length(min = 1, max = 255))]
    pub external_id: String,
    pub reason: Reason,
}

/// Why a link is changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkChange {
    pub reason: Reason,
}

/// How a link stands now. What it says is not repeated: answers are kept, and keep nobody's data.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LinkNow {
    pub link: Id,
    /// The living customer.
    pub customer: Id,
    pub live: bool,
    /// Whether it was so already.
    pub repeated: bool,
}

async fn list(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    query: Query,
) -> Result<Json<Page<LinkView>>, Problem> {
    let after: Option<(Timestamp, LinkId)> = query.place(&app)?;
    let limit = query.limit()?;
    let mut tx = app.store().begin().await?;
    let living = tx.customer_living(id).await?.ok_or_else(Problem::not_found)?;
    let links = tx.links_page(living.id, after, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[living.id], call.now).await?;
    tx.commit().await?;
    let next = links.last().filter(|_| links.len() == limit).map(|last| (last.first_seen, last.id));
    let items = links.into_iter().map(|link| LinkView::new(link, call.now)).collect();
    Ok(Json(Page::new(&app, &query.scope, items, next)))
}

async fn see(
    State(app): State<App>,
    call: Call,
    Named((customer, link)): Named<(CustomerId, LinkId)>,
    _: Query,
) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    let living = tx.customer_living(customer).await?.ok_or_else(Problem::not_found)?;
    let link = links::of_customer(&mut tx, customer, link).await?.ok_or_else(Problem::not_found)?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[living.id], call.now).await?;
    tx.commit().await?;
    Ok(([(ETAG, tag(living.version))], Json(LinkView::new(link, call.now))).into_response())
}

async fn add(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<NewLink>,
) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
        return Ok(response);
    }
    let NewLink { namespace, external_id, reason } = &change.body;
    let wrong = |at: &str, words: &str| Problem::new(ProblemKind::InvalidContent).fault(at, words);
    let words = "is `app:<app>` or `ext:<system>`";
    let parsed = Namespace::parse(namespace).filter(|_| is_name(namespace));
    let parsed = parsed.ok_or_else(|| wrong("/namespace", words))?;
    let deed = (call.admin.actor(), reason.as_str());
    let refused = |words: &str| Problem::new(ProblemKind::Refused).detail(words);
    let (link, repeated) = match asserting::assert(&mut tx, customer, (&parsed, external_id), deed, call.now).await? {
        Asserted::Added(link) => (link, false),
        Asserted::Already(link) => (link, true),
        Asserted::Taken { owner } => {
            return Err(refused("It is another customer's.").with("customer", owner.to_string()));
        }
        Asserted::Full => return Err(refused("The customer has as many of these as they may have.")),
        Asserted::NotActive => return Err(refused("The customer is blocked or erased.")),
        Asserted::WrongNamespace => return Err(wrong("/namespace", words)),
        Asserted::WrongId => return Err(wrong("/external_id", "stands for nobody")),
        Asserted::Unknown => return Err(Problem::not_found()),
    };
    let now = LinkNow { link: link.id.into(), customer: link.root.into(), live: true, repeated };
    change.finish(tx, &call, Answer::new(&now)).await
}

/// What stands in every row of a namespace is short and plain.
fn is_name(namespace: &str) -> bool {
    namespace.len() <= 100 && namespace.bytes().all(|byte| byte.is_ascii_graphic())
}

async fn remove(
    State(app): State<App>,
    call: Call,
    Named((customer, link)): Named<(CustomerId, LinkId)>,
    change: Change<LinkChange>,
) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
        return Ok(response);
    }
    let customer = change.lock(&mut tx, customer).await?.id;
    let notices = Notices::new(&app.config, &app.secrets.mail);
    let (name, reason) = (call.admin.name(), change.body.reason.as_str().to_owned());
    let deed = Deed { admin: &name, reason: &reason };
    let removed = links::remove(&mut tx, (&app.config, &notices), (customer, link), deed, call.now).await?;
    let (tasks, repeated) = match removed {
        Removed::Done { tasks, .. } => (tasks, false),
        Removed::Already => (Vec::new(), true),
        Removed::Unknown => return Err(Problem::not_found()),
        Removed::NotThatKind => {
            let words = "Only accounts at providers and IDs of apps and systems are removed.";
            return Err(Problem::new(ProblemKind::Refused).detail(words));
        }
    };
    let queued = jobs::queue_all(&mut tx, &app.secrets.task, tasks, First::Caller, call.now).await?;
    let now = LinkNow { link: link.into(), customer: customer.into(), live: false, repeated };
    let response = change.finish(tx, &call, Answer::new(&now)).await?;
    app.mail_queued.notify_one();
    app.worker.finish_all(queued).await?;
    Ok(response)
}

async fn enable(
    State(app): State<App>,
    call: Call,
    Named((customer, link)): Named<(CustomerId, LinkId)>,
    change: Change<LinkChange>,
) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
        return Ok(response);
    }
    let customer = change.lock(&mut tx, customer).await?.id;
    let name = call.admin.name();
    let deed = Deed { admin: &name, reason: change.body.reason.as_str() };
    let repeated = match links::enable(&mut tx, (customer, link), deed, call.now).await? {
        Enabled::Done => false,
        Enabled::Already => true,
        Enabled::Unknown => return Err(Problem::not_found()),
    };
    let now = LinkNow { link: link.into(), customer: customer.into(), live: true, repeated };
    change.finish(tx, &call, Answer::new(&now)).await
}
