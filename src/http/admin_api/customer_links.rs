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
use super::change::{Answer, Change, Reason, Turn, object, tag};
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
use crate::identity::attaching::{self, Attached, Said};
use crate::identity::limit::Limit;
use crate::identity::namespace::{Namespace, Rules};
use crate::identity::resolve::Identifier;
use crate::ids::{CustomerId, LinkId};
use crate::jobs::{self, First};
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::retry::retry;

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
        summary: "Say that an app's or another system's ID, a number or a browser is the customer's.",
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
        summary: "Disconnect an account at a provider, even the last way in, or take away what was linked.",
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

/// What the company itself knows to be a customer's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// `app:<app>`, `ext:<system>`, `phone` or `visitor:<sector>`.
    #[schemars(regex(pattern = r"^(phone|(app|ext|visitor):[!-~]+)$"), length(max = 100))]
    pub namespace: String,
    #[schemars(regex(pattern = r"^[^\u0000-\u001f\u007f-\u009f]+$"), length(min = 1, max = 255))]
    pub external_id: String,
    /// How and when the customer proved it; a number needs it.
    #[serde(default, deserialize_with = "object")]
    pub proof: Option<Proof>,
    pub reason: Reason,
}

/// What proved an identifier outside, and when.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Such as `sms` or `passport`.
    #[schemars(regex(pattern = r"^[a-z0-9_]+$"), length(min = 1, max = 50))]
    pub by: String,
    #[schemars(extend("format" = "date-time"), length(max = 40))]
    pub at: String,
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
    let items = links.into_iter().map(|link| LinkView::new(link, Rules::of(&app.config, call.now))).collect();
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
    Ok(([(ETAG, tag(living.version))], Json(LinkView::new(link, Rules::of(&app.config, call.now)))).into_response())
}

async fn add(
    State(app): State<App>,
    call: Call,
    Named(customer): Named<CustomerId>,
    change: Change<NewLink>,
) -> Result<Response, Problem> {
    let rules = Rules::of(&app.config, call.now);
    let identifier = identifier(&change.body, rules)?;
    let proof = proof(&change.body)?;
    let said = Said {
        source: "admin",
        proof: proof.as_ref().map(|(by, at)| (by.as_str(), *at)),
        actor: call.admin.actor(),
        reason: change.body.reason.as_str(),
    };
    retry(|| async {
        let mut tx = app.store().begin().await?;
        if let Turn::Answered(response) = change.begin(&mut tx, &call).await? {
            return Ok(response);
        }
        let attached = attaching::attach(&mut tx, customer, &identifier, &said, rules).await?;
        let (link, repeated) = settled(attached)?;
        let living = tx.customer_living(customer).await?.ok_or_else(Problem::not_found)?;
        let now = LinkNow { link: link.into(), customer: living.id.into(), live: true, repeated };
        change.finish(tx, &call, Answer::new(&now)).await
    })
    .await
}

fn wrong(at: &str, words: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::InvalidContent).fault(at, words)
}

/// What is to be linked, in the normal form of its namespace.
fn identifier(new: &NewLink, rules: Rules<'_>) -> Result<Identifier, Problem> {
    let is_name = new.namespace.len() <= 100 && new.namespace.bytes().all(|byte| byte.is_ascii_graphic());
    let namespace = Namespace::parse(&new.namespace).filter(|_| is_name);
    let namespace = namespace.ok_or_else(|| wrong("/namespace", "is none of these"))?;
    let external_id = namespace.identifier(&new.external_id, rules.namespaces);
    let external_id = external_id.map_err(|unfit| wrong("/external_id", unfit.to_string()))?;
    Ok(Identifier { namespace, external_id })
}

fn proof(new: &NewLink) -> Result<Option<(String, Timestamp)>, Problem> {
    let Some(Proof { by, at }) = &new.proof else { return Ok(None) };
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !(1..=50).contains(&by.len()) || !by.bytes().all(is_word) {
        return Err(wrong("/proof/by", "is a word of lower-case letters, digits and underscores"));
    }
    let at = Timestamp::parse(at).ok_or_else(|| wrong("/proof/at", "is a time of RFC 3339"))?;
    Ok(Some((by.clone(), at)))
}

/// The link that was attached, and whether it was before.
fn settled(attached: Attached) -> Result<(LinkId, bool), Problem> {
    let refused = |words: &str| Problem::new(ProblemKind::Refused).detail(words);
    match attached {
        Attached::Added(link) | Attached::Renewed(link) => Ok((link, false)),
        Attached::Already(link) => Ok((link, true)),
        Attached::Taken(owner) => Err(refused("It is another customer's.").with("customer", owner.to_string())),
        Attached::Full(Limit::Live) => Err(refused("The customer has as many of these as they may have.")),
        Attached::Full(Limit::Week) => Err(refused("As many of these as may be began in the last seven days.")),
        Attached::Refused => Err(refused("The customer is blocked or erased.")),
        Attached::Unproved => Err(wrong("/proof", "must be there, not too old, and not in the future")),
        Attached::NotThisWay => Err(wrong("/namespace", "is linked by its owner only")),
        Attached::Unknown => Err(Problem::not_found()),
    }
}

async fn remove(
    State(app): State<App>,
    call: Call,
    Named((customer, link)): Named<(CustomerId, LinkId)>,
    change: Change<LinkChange>,
) -> Result<Response, Problem> {
    retry(|| async {
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
                let words = "An address is the customer's to remove.";
                return Err(Problem::new(ProblemKind::Refused).detail(words));
            }
        };
        let queued = jobs::queue_all(&mut tx, &app.secrets.task, tasks, First::Caller, call.now).await?;
        let now = LinkNow { link: link.into(), customer: customer.into(), live: false, repeated };
        let response = change.finish(tx, &call, Answer::new(&now)).await?;
        app.mail_queued.notify_one();
        app.worker.finish_all(queued).await?;
        Ok(response)
    })
    .await
}

async fn enable(
    State(app): State<App>,
    call: Call,
    Named((customer, link)): Named<(CustomerId, LinkId)>,
    change: Change<LinkChange>,
) -> Result<Response, Problem> {
    retry(|| async {
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
    })
    .await
}
