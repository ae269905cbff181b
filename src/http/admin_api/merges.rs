//! Merges: planned, made, looked at, and undone.
//!
//! Identity specification, rules 28 to 32: a merge is executed by the hash of the plan that was seen; if it would be
//! something else by now, the answer is the plan as it would be. What a merge may be is the core's to say.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::header::ETAG;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::access::Call;
use super::change::{Answer, Asked, Change, PlanHash, Reason, tag};
use super::merge_view::{
    LivePartedSessions, LiveSessions, MergeDone, MergeView, PlanView, SessionPolicy, UndoPlanView, line,
};
use super::operation::{Access, CURSOR, Conditions, LIMIT, Method, Operation, schema_of};
use super::page::Page;
use super::query::{Named, Query};
use super::view::Id;
use crate::app::App;
use crate::board::admin;
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::identity::merge::{
    self, Outcome, Plan, PlanRequest, Planned, Terms, UndoPlan, UndoRequest, Undone, sessions,
};
use crate::ids::{CustomerId, LinkId, MergeId};
use crate::protocol::problem::{Problem, ProblemKind};

/// The operations of this file.
pub const OPERATIONS: &[Operation] = &[
    Operation {
        id: "merge_plan",
        method: Method::Post,
        path: "/merges/plan",
        summary: "What a merge of two customers would do, before anything moves.",
        access: Access::Needs(Act::PreviewMerge),
        query: &[],
        conditions: Conditions::None,
        body: Some(schema_of::<Wanted>),
        answer: schema_of::<PlanView>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused],
        route: || post(plan),
    },
    Operation {
        id: "merge_execute",
        method: Method::Post,
        path: "/merges",
        summary: "Merge two customers, exactly as planned.",
        access: Access::Needs(Act::Merge),
        query: &[],
        conditions: Conditions::KeyAndPlan,
        body: Some(schema_of::<Agreed>),
        answer: schema_of::<MergeDone>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused, ProblemKind::Stale, ProblemKind::ApprovalNeeded],
        route: || post(execute),
    },
    Operation {
        id: "merge_get",
        method: Method::Get,
        path: "/merges/{merge}",
        summary: "A merge on record.",
        access: Access::Needs(Act::SeeQueue),
        query: &[],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<MergeView>,
        tagged: true,
        problems: &[ProblemKind::NotFound],
        route: || get(see),
    },
    Operation {
        id: "customer_merges",
        method: Method::Get,
        path: "/customers/{customer}/merges",
        summary: "The merges that made a customer what they are, and can be undone.",
        access: Access::Needs(Act::SeeCustomers),
        query: &[LIMIT, CURSOR],
        conditions: Conditions::None,
        body: None,
        answer: schema_of::<Page<MergeView>>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::InvalidCursor],
        route: || get(list),
    },
    Operation {
        id: "merge_undo_plan",
        method: Method::Post,
        path: "/merges/{merge}/undo/plan",
        summary: "What undoing a merge would do.",
        access: Access::Needs(Act::PreviewMerge),
        query: &[],
        conditions: Conditions::None,
        body: Some(schema_of::<UndoWanted>),
        answer: schema_of::<UndoPlanView>,
        tagged: false,
        problems: &[ProblemKind::NotFound],
        route: || post(undo_plan),
    },
    Operation {
        id: "merge_undo",
        method: Method::Post,
        path: "/merges/{merge}/undo",
        summary: "Undo a merge, exactly as planned.",
        access: Access::Needs(Act::Unmerge),
        query: &[],
        conditions: Conditions::KeyAndPlan,
        body: Some(schema_of::<UndoAgreed>),
        answer: schema_of::<UndoDone>,
        tagged: false,
        problems: &[ProblemKind::NotFound, ProblemKind::Refused, ProblemKind::Stale],
        route: || post(undo),
    },
];

/// More than any customer has fields, or links.
const MOST_CHOICES: usize = 100;
const MOST_TAKEN: usize = 1000;

/// Two customers to be one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Whose ID lives on.
    #[schemars(with = "Id")]
    pub survivor: CustomerId,
    #[schemars(with = "Id")]
    pub absorbed: CustomerId,
    /// Fields that are decided: name of the field to the customer whose value counts.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Id>", extend("propertyNames" = { "pattern": "^[!-~]{1,100}$" }, "maxProperties" = 100))]
    pub choices: BTreeMap<String, CustomerId>,
    /// What becomes of the absorbed side's sessions, if not what is configured.
    #[serde(default)]
    pub sessions: Option<SessionPolicy>,
}

/// Two customers to be one, as planned.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Agreed {
    /// Whose ID lives on.
    #[schemars(with = "Id")]
    pub survivor: CustomerId,
    #[schemars(with = "Id")]
    pub absorbed: CustomerId,
    /// As it was planned.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Id>", extend("propertyNames" = { "pattern": "^[!-~]{1,100}$" }, "maxProperties" = 100))]
    pub choices: BTreeMap<String, CustomerId>,
    /// As it was planned.
    #[serde(default)]
    pub sessions: Option<SessionPolicy>,
    pub reason: Reason,
    /// Of the plan that was seen.
    pub plan_hash: PlanHash,
}

/// How a merge is to be undone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoWanted {
    /// Links that came after the merge and go with the restored customer.
    #[serde(default)]
    #[schemars(with = "Vec<Id>", extend("maxItems" = 1000))]
    pub take: Vec<LinkId>,
}

/// How a merge is to be undone, as planned.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UndoAgreed {
    /// As it was planned.
    #[serde(default)]
    #[schemars(with = "Vec<Id>", extend("maxItems" = 1000))]
    pub take: Vec<LinkId>,
    pub reason: Reason,
    /// Of the plan that was seen.
    pub plan_hash: PlanHash,
}

/// A merge that was undone.
#[derive(Debug, Serialize, JsonSchema)]
pub struct UndoDone {
    pub merge: Id,
    pub from: Id,
    pub restored: Id,
    /// Whether it was undone already.
    pub repeated: bool,
}

/// What is asked of the core, in the name of who asks.
pub fn request(
    call: &Call,
    (survivor, absorbed): (CustomerId, CustomerId),
    (choices, sessions): (BTreeMap<String, CustomerId>, Option<SessionPolicy>),
    reason: &str,
) -> Result<PlanRequest, Problem> {
    // The names stand in the merge's record.
    if choices.len() > MOST_CHOICES
        || choices.keys().any(|name| name.len() > 100 || !name.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        return Err(Problem::new(ProblemKind::InvalidContent).fault("/choices", "holds what is no field"));
    }
    let by = call.admin.initiator();
    let sessions = sessions.map(Into::into);
    Ok(PlanRequest { survivor, absorbed, by, reason: reason.to_owned(), choices, sessions })
}

async fn plan(State(app): State<App>, call: Call, Asked(wanted): Asked<Wanted>) -> Result<Json<PlanView>, Problem> {
    let choices = wanted.choices.clone();
    let request = request(&call, (wanted.survivor, wanted.absorbed), (wanted.choices, wanted.sessions), "")?;
    let mut tx = app.store().begin().await?;
    let plan = match merge::plan_in(&mut tx, &app.config.merge, &request, call.now).await? {
        Outcome::Done(Planned::New(plan))
        | Outcome::Refused(plan)
        | Outcome::Stale(plan)
        | Outcome::NeedsApproval(plan) => *plan,
        Outcome::Done(Planned::Already(_)) => {
            return Err(Problem::new(ProblemKind::Refused).detail("They are one customer already."));
        }
        Outcome::Unknown(_) => return Err(Problem::not_found()),
    };
    // Whoever chose it believes that it does something.
    let has_value = |name: &String, customer: CustomerId| {
        let field = plan.fields.iter().find(|field| field.name == *name);
        field.is_some_and(|field| field.candidates.iter().any(|candidate| candidate.customer == customer))
    };
    if let Some((name, _)) = choices.iter().find(|(name, customer)| !has_value(name, **customer)) {
        let words = "names a customer who has no value of this field";
        return Err(Problem::new(ProblemKind::InvalidContent).fault(format!("/choices/{}", pointer(name)), words));
    }
    let both = [plan.survivor, plan.absorbed];
    admin::record_look(&mut tx, &call.admin, call.operation.id, &both, call.now).await?;
    tx.commit().await?;
    let survivor = sessions::count(app.store(), Some(app.kv()), plan.survivor, call.now).await?.but(&[]);
    let absorbed = sessions::count(app.store(), Some(app.kv()), plan.absorbed, call.now).await?.but(&[]);
    let live = LiveSessions { survivor: survivor.into(), absorbed: absorbed.into() };
    Ok(Json(PlanView { live_sessions: Some(live), ..plan.into() }))
}

async fn execute(State(app): State<App>, call: Call, change: Change<Agreed>) -> Result<Response, Problem> {
    let agreed = &change.body;
    let (both, reason) = ((agreed.survivor, agreed.absorbed), agreed.reason.as_str());
    let request = request(&call, both, (agreed.choices.clone(), agreed.sessions), reason)?;
    let key = change.effect_key(&call);
    let terms = Terms { hash: Some(agreed.plan_hash.as_str()), idempotency_key: Some(&key) };
    let effect = async {
        match merge::execute(app.store(), &app.config.merge, &request, terms, call.now).await? {
            Outcome::Done(executed) => Ok(Answer::new(&MergeDone::from(executed))),
            other => Err(refused(other)),
        }
    };
    change.carry_out(app.store(), &call, effect).await
}

/// What an outcome that is not `Done` is called here.
pub fn refused<T>(outcome: Outcome<T>) -> Problem {
    let (kind, plan) = match outcome {
        Outcome::Done(_) => return Problem::new(ProblemKind::ServerError),
        Outcome::Unknown(_) => return Problem::not_found(),
        Outcome::Refused(plan) => (ProblemKind::Refused, plan),
        Outcome::Stale(plan) => (ProblemKind::Stale, plan),
        Outcome::NeedsApproval(plan) => (ProblemKind::ApprovalNeeded, plan),
    };
    with_plan(Problem::new(kind), *plan)
}

fn with_plan(problem: Problem, plan: Plan) -> Problem {
    let problem = match (plan.refusals.as_slice(), plan.questions.as_slice()) {
        ([], []) => problem,
        ([], questions) => problem.detail(format!("To be decided: {}", line(questions))),
        (refusals, _) => problem.detail(line(refusals)),
    };
    problem.with("plan", serde_json::to_value(PlanView::from(plan)).unwrap_or_default())
}

async fn see(State(app): State<App>, call: Call, Named(id): Named<MergeId>, _: Query) -> Result<Response, Problem> {
    let mut tx = app.store().begin().await?;
    let merge = tx.merge_find(id).await?.ok_or_else(Problem::not_found)?;
    let both = [merge.survivor, merge.absorbed];
    admin::record_look(&mut tx, &call.admin, call.operation.id, &both, call.now).await?;
    tx.commit().await?;
    let since = |at: Option<Timestamp>| at.map_or(0, Timestamp::micros);
    let version = format!("{}.{}", since(merge.keys_joined_at), since(merge.undone_at));
    Ok(([(ETAG, tag(version))], Json(MergeView::from(merge))).into_response())
}

async fn list(
    State(app): State<App>,
    call: Call,
    Named(id): Named<CustomerId>,
    query: Query,
) -> Result<Json<Page<MergeView>>, Problem> {
    let place: Option<(Timestamp, MergeId)> = query.place(&app)?;
    let (limit, mut tx) = (query.limit()?, app.store().begin().await?);
    let living = tx.customer_living(id).await?.ok_or_else(Problem::not_found)?;
    let merges = tx.merges_page(living.id, place, i64::try_from(limit).unwrap_or(i64::MAX)).await?;
    admin::record_look(&mut tx, &call.admin, call.operation.id, &[living.id], call.now).await?;
    tx.commit().await?;
    let next = merges.last().filter(|_| merges.len() == limit).map(|last| (last.merged_at, last.id));
    Ok(Json(Page::new(&app, &query.scope, merges.into_iter().map(MergeView::from).collect(), next)))
}

async fn undo_plan(
    State(app): State<App>,
    call: Call,
    Named(merge): Named<MergeId>,
    Asked(wanted): Asked<UndoWanted>,
) -> Result<Json<UndoPlanView>, Problem> {
    bound(&wanted.take)?;
    let request = UndoRequest { merge, by: call.admin.initiator(), reason: String::new(), take: wanted.take };
    let mut tx = app.store().begin().await?;
    let plan = merge::undo_plan_in(&mut tx, &app.config.merge, &request, call.now).await?;
    let plan = plan.ok_or_else(Problem::not_found)?;
    let both = [plan.from, plan.restored];
    admin::record_look(&mut tx, &call.admin, call.operation.id, &both, call.now).await?;
    tx.commit().await?;
    let counts = sessions::count(app.store(), Some(app.kv()), plan.from, call.now).await?;
    let live = LivePartedSessions { from: counts.but(&plan.moved).into(), restored: counts.of(&plan.moved).into() };
    Ok(Json(UndoPlanView { live_sessions: Some(live), ..plan.into() }))
}

async fn undo(
    State(app): State<App>,
    call: Call,
    Named(merge): Named<MergeId>,
    change: Change<UndoAgreed>,
) -> Result<Response, Problem> {
    bound(&change.body.take)?;
    let (by, agreed) = (call.admin.initiator(), &change.body);
    let reason = agreed.reason.as_str().to_owned();
    let request = UndoRequest { merge, by, reason, take: agreed.take.clone() };
    let hash = Some(agreed.plan_hash.as_str());
    let effect = async {
        let refused = |plan: &UndoPlan| Problem::new(ProblemKind::Refused).detail(line(&plan.refusals));
        match merge::undo(app.store(), &app.config.merge, &request, hash, call.now).await? {
            Undone::Done { merge, from, restored, repeated } => {
                let (merge, from, restored) = (merge.into(), from.into(), restored.into());
                Ok(Answer::new(&UndoDone { merge, from, restored, repeated }))
            }
            Undone::Unknown => Err(Problem::not_found()),
            Undone::Refused(plan) => Err(with_undo_plan(refused(&plan), *plan)),
            Undone::Stale(plan) => Err(with_undo_plan(Problem::new(ProblemKind::Stale), *plan)),
        }
    };
    change.carry_out(app.store(), &call, effect).await
}

/// A name as a part of a JSON pointer (RFC 6901 §3).
fn pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn bound(take: &[LinkId]) -> Result<(), Problem> {
    if take.len() <= MOST_TAKEN {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::InvalidContent).fault("/take", "names too many links"))
}

fn with_undo_plan(problem: Problem, plan: UndoPlan) -> Problem {
    problem.with("plan", serde_json::to_value(UndoPlanView::from(plan)).unwrap_or_default())
}
