//! Links: whose an identifier is, and how surely.
//!
//! Identity specification, rule 20: one probe of one index. What only hints at somebody resolves to nobody (rule 46);
//! the search finds it.

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use schemars::JsonSchema;
use serde::Serialize;

use super::access::Call;
use super::operation::{Access, Conditions, Method, Operation, Parameter, schema_of};
use super::query::Query;
use super::view::{Id, LinkView};
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::identity::namespace::{Namespace, Rules};
use crate::protocol::problem::{Problem, ProblemKind};
use crate::store::LinkState;

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[Operation {
    id: "link_resolve",
    method: Method::Get,
    path: "/links",
    summary: "Whose an identifier is, and how surely.",
    access: Access::Needs(Act::SeeLinks),
    query: &[
        Parameter {
            name: "namespace",
            required: true,
            words: "`social:<connector>`, `email`, `phone`, `app:<app>`, `ext:<system>`.",
            schema: r#"{"type":"string","pattern":"^(email|unproved_email|phone|(social|app|ext|visitor):[!-~]+)$"}"#,
        },
        Parameter {
            name: "external_id",
            required: true,
            words: "The identifier there. Addresses and phone numbers are brought to their normal form first.",
            schema: r#"{"type":"string","minLength":1,"maxLength":255,"pattern":"^[^\\u0000-\\u001f\\u007f-\\u009f]+$"}"#,
        },
    ],
    conditions: Conditions::None,
    body: None,
    answer: schema_of::<Resolved>,
    tagged: false,
    problems: &[ProblemKind::NotFound],
    route: || get(resolve),
}];

/// Whose an identifier is.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Resolved {
    /// The living customer.
    pub customer: Id,
    /// The customer ID it was attached to, where that one was merged since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merged_from: Option<Id>,
    pub link: LinkView,
}

async fn resolve(State(app): State<App>, call: Call, query: Query) -> Result<Json<Resolved>, Problem> {
    let (namespace, external_id) = (query.required("namespace")?, query.required("external_id")?);
    let Some(known) = Namespace::parse(namespace) else {
        return Err(Problem::new(ProblemKind::InvalidRequest).fault("namespace", "is no namespace"));
    };
    let rules = Rules::of(&app.config, call.now);
    // What has no normal form is nobody's.
    let external_id = known.normal(external_id, rules.namespaces).map_err(|_| Problem::not_found())?;
    let mut tx = app.store().begin().await?;
    let links = tx.links_find(namespace, &external_id).await?;
    let link = links.into_iter().find(|link| link.exclusive && link.state == LinkState::Live);
    let link = link.ok_or_else(Problem::not_found)?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[link.root], call.now).await?;
    tx.commit().await?;
    let merged_from = (link.customer != link.root).then(|| link.customer.into());
    Ok(Json(Resolved { customer: link.root.into(), merged_from, link: LinkView::new(link, rules) }))
}
