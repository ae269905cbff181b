//! Merging two customers: what it would do, doing it or proposing it, and what was done.
//!
//! Identity specification, rules 28 to 30: a merge is made by the hash of the plan that was seen. If it would be
//! something else by now, the page is shown again as it would be, and nothing is done.

use std::collections::BTreeMap;

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::access::{At, Desk, Form, Visitor};
use super::acts::{self, Ended, no_reason, reason};
use super::customer::person;
use super::done::{self, Done};
use super::frame::{Frame, Here, Moment, Person, Rights};
use super::plan_view::PlanView;
use super::proposals;
use super::timeline::Actors;
use crate::board::admin;
use crate::board::role::Act;
use crate::config::MergedSessions;
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::identity::merge::{self, Executed, Outcome, Plan, PlanRequest, Planned, Terms};
use crate::ids::{CustomerId, MergeId};
use crate::protocol::params::Params;
use crate::secret;
use crate::session::pending::{AgreedMerge, DeskAction};
use crate::store::MergeKind;

/// What stands before the name of a field in the names of parameters that decide it.
const CHOICE: &str = "choice.";
/// Longer texts of a form are none of ours.
const MAX_TOKEN: usize = 64;

#[derive(Template)]
#[template(path = "desk/plan.html", config = ".askama.toml")]
struct PlanPage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    plan: PlanView,
    /// The page's own key.
    key: String,
    reason: String,
    notice: &'static str,
}

impl View for PlanPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

#[derive(Template)]
#[template(path = "desk/merge.html", config = ".askama.toml")]
struct MergePage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    id: MergeId,
    survivor: Person,
    absorbed: Person,
    at: Moment,
    by: String,
    reason: String,
    moved: usize,
    full: bool,
    undone: Option<(Moment, String)>,
}

impl View for MergePage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

/// What a merge would do: `survivor`, `absorbed`, `choice.FIELD` for each field that is decided, and `sessions`.
pub async fn plan(visitor: Visitor) -> Result<Response, Failure> {
    let desk = visitor.to(Act::PreviewMerge)?;
    let Some((survivor, absorbed)) = pair(&desk.params) else { return Err(desk.missing()) };
    let decided = (choices(&desk.params), sessions(&desk.params));
    let request = request(&desk, (survivor, absorbed), decided, String::new());
    let plan = match merge::plan(desk.app.store(), &desk.app.config.merge, &request, desk.context.now).await? {
        Outcome::Done(Planned::New(plan))
        | Outcome::Refused(plan)
        | Outcome::Stale(plan)
        | Outcome::NeedsApproval(plan) => *plan,
        Outcome::Done(Planned::Already(Some(executed))) => return Ok(to_merge(&executed)),
        Outcome::Done(Planned::Already(None)) => {
            let text = "Both IDs mean the same customer. There is nothing to merge.";
            return Ok(acts::refusal(&desk, StatusCode::CONFLICT, "They are one customer", text, None));
        }
        Outcome::Unknown(_) => return Err(desk.missing()),
    };
    show(&desk, plan, &request, "").await
}

/// Merges now, or proposes it (`act`).
pub async fn post(Form(visitor): Form) -> Result<Response, Failure> {
    let proposed = visitor.params().get("act") == Some("propose");
    let desk = visitor.to(if proposed { Act::ProposeMerge } else { Act::Merge })?;
    let Some(agreed) = agreed(&desk.params) else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let agreed = AgreedMerge { reason, ..agreed };
    if proposed {
        return match proposals::propose(&desk, agreed).await {
            Err(ended) => ended.answered(&desk),
            Ok(answer) => Ok(answer),
        };
    }
    acts::press(desk, DeskAction::Merge(agreed)).await
}

/// Makes the merge as it was agreed to. The same page's form twice is one merge.
pub async fn execute(desk: &Desk, agreed: AgreedMerge) -> Result<Response, Ended> {
    let pair = (agreed.survivor, agreed.absorbed);
    let request = request(desk, pair, (agreed.choices, agreed.sessions), agreed.reason);
    let key = effect_key(desk, &agreed.key);
    let terms = Terms { hash: Some(&agreed.hash), idempotency_key: Some(&key) };
    let outcome = merge::execute(desk.app.store(), &desk.app.config.merge, &request, terms, desk.context.now).await?;
    match outcome {
        Outcome::Done(executed) => Ok(merged(desk, &executed).await),
        other => not_done(desk, other, &request).await,
    }
}

/// The answer to an outcome that is not `Done`: the page as it is now, or that there is nothing.
pub async fn not_done<T>(desk: &Desk, outcome: Outcome<T>, request: &PlanRequest) -> Result<Response, Ended> {
    let (plan, notice) = match outcome {
        Outcome::Done(_) | Outcome::Unknown(_) => return Err(desk.missing().into()),
        Outcome::Refused(plan) => (plan, "Nothing was done: these two cannot be merged as they are now."),
        Outcome::Stale(plan) => {
            (plan, "Nothing was done: something changed since you looked. This is what it would be now.")
        }
        Outcome::NeedsApproval(plan) => (plan, "Nothing was done: this merge needs somebody else’s approval."),
    };
    let mut response = show(desk, *plan, request, notice).await?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

async fn show(desk: &Desk, plan: Plan, request: &PlanRequest, notice: &'static str) -> Result<Response, Failure> {
    desk.looked("desk: merge plan", &[plan.survivor, plan.absorbed]).await?;
    let page = PlanPage {
        frame: Frame::of(desk, Here::Elsewhere).await?,
        rights: Rights::from(desk),
        plan: PlanView::read(desk, &plan, &request.choices).await?,
        key: secret::random_token(),
        reason: request.reason.clone(),
        notice,
    };
    Ok(page.page().into_response())
}

/// A merge on record.
pub async fn see(visitor: Visitor, At(id): At<MergeId>) -> Result<Response, Failure> {
    let desk = visitor.to(Act::SeeQueue)?;
    let mut tx = desk.app.store().begin().await?;
    let Some(merge) = tx.merge_find(id).await? else { return Err(desk.missing()) };
    let actors = [merge.actor.as_str()].into_iter().chain(merge.undone_by.as_deref());
    let actors = Actors::of(&mut tx, actors).await?;
    let (survivor, absorbed) = (person(&mut tx, merge.survivor).await?, person(&mut tx, merge.absorbed).await?);
    admin::record_look(&mut tx, &desk.admin, "desk: merge", &[merge.survivor, merge.absorbed], desk.context.now)
        .await?;
    tx.commit().await?;
    let reason = merge.reason.get("text").and_then(|text| text.as_str()).unwrap_or_default();
    let page = MergePage {
        frame: Frame::of(&desk, Here::Elsewhere).await?,
        rights: Rights::from(&desk),
        id,
        survivor,
        absorbed,
        at: Moment(merge.merged_at),
        by: actors.name(&merge.actor),
        reason: reason.to_owned(),
        moved: merge.moved.len(),
        full: merge.kind == MergeKind::Full,
        undone: merge.undone_at.map(|at| (Moment(at), actors.name(merge.undone_by.as_deref().unwrap_or_default()))),
    };
    Ok(page.page().into_response())
}

/// The page of a merge that was made before.
pub fn to_merge(executed: &Executed) -> Response {
    Redirect::to(&format!("/admin/merges/{}", executed.merge)).into_response()
}

/// The page of a merge, which says that it was made, now or before.
pub async fn merged(desk: &Desk, executed: &Executed) -> Response {
    let done = if executed.repeated { Done::Already } else { Done::Merged };
    done::to(desk, &format!("/admin/merges/{}", executed.merge), done).await
}

/// What is asked of the core, in the name of this admin.
pub fn request(
    desk: &Desk,
    (survivor, absorbed): (CustomerId, CustomerId),
    (choices, sessions): (BTreeMap<String, CustomerId>, Option<MergedSessions>),
    reason: String,
) -> PlanRequest {
    PlanRequest { survivor, absorbed, by: desk.admin.initiator(), reason, choices, sessions }
}

/// By which an effect knows its own repetition: another text for every admin and page.
pub fn effect_key(desk: &Desk, key: &str) -> String {
    secret::base64url(&secret::sha256(&[b"desk\n", desk.admin.name().as_bytes(), b"\n", key.as_bytes()]))
}

fn pair(params: &Params) -> Option<(CustomerId, CustomerId)> {
    Some((params.get("survivor")?.parse().ok()?, params.get("absorbed")?.parse().ok()?))
}

/// Fields that are decided. The names stand in the merge's record, so they are bounded.
fn choices(params: &Params) -> BTreeMap<String, CustomerId> {
    let sound = |name: &str| name.len() <= 100 && name.bytes().all(|byte| byte.is_ascii_graphic());
    let chosen = params.beginning(CHOICE).filter(|(name, _)| sound(name));
    chosen.filter_map(|(name, customer)| Some((name.to_owned(), customer.parse().ok()?))).collect()
}

/// What becomes of the absorbed side's sessions, if somebody said so.
fn sessions(params: &Params) -> Option<MergedSessions> {
    params.get("sessions").and_then(MergedSessions::named)
}

fn agreed(params: &Params) -> Option<AgreedMerge> {
    let (survivor, absorbed) = pair(params)?;
    let token = |name: &str| params.owned(name).filter(|text| text.len() <= MAX_TOKEN);
    Some(AgreedMerge {
        survivor,
        absorbed,
        choices: choices(params),
        sessions: sessions(params),
        reason: String::new(),
        hash: token("hash")?,
        key: token("key")?,
    })
}
