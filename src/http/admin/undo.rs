//! Undoing a merge: what it would do, and doing it exactly so (identity specification, rules 32 to 35).

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::access::{At, Desk, Form, Visitor};
use super::acts::{self, Ended, no_reason, reason};
use super::customer::person;
use super::done::{self, Done};
use super::frame::{Frame, Here, Person, Rights};
use super::plan_view::refusal;
use super::words;
use crate::app::App;
use crate::board::role::Act;
use crate::board::sessions;
use crate::events::Parted;
use crate::http::error::Failure;
use crate::http::pages::{Brand, View};
use crate::identity::merge::{self, MovedLink, UndoPlan, UndoRequest, Undone};
use crate::ids::{LinkId, MergeId};
use crate::protocol::params::Params;
use crate::session::pending::{AgreedUndo, DeskAction};

/// What stands before a link's ID in the names of parameters that take it along.
const TAKE: &str = "take.";

#[derive(Template)]
#[template(path = "desk/undo.html", config = ".askama.toml")]
struct UndoPage<'a> {
    frame: Frame<'a>,
    rights: Rights,
    merge: MergeId,
    hash: String,
    from: Person,
    restored: Person,
    refusals: Vec<String>,
    moved: usize,
    /// Browsers that have to sign in anew.
    sessions: usize,
    links: Vec<LinkLine>,
    stay: Vec<LinkLine>,
    taken: Vec<LinkLine>,
    sectors: Vec<SectorLine>,
    consents: Vec<String>,
    /// Links that go along by choice.
    take: Vec<LinkId>,
    reason: String,
    notice: &'static str,
}

impl View for UndoPage<'_> {
    fn brand(&self) -> &Brand {
        self.frame.brand
    }
}

struct LinkLine {
    id: LinkId,
    kind: String,
    shown: String,
    /// Somebody chose it, rather than that it belongs to the restored customer.
    by_choice: bool,
}

struct SectorLine {
    name: String,
    restored: String,
    parted_from: Option<String>,
}

/// What undoing would do; `take.LINK` for each link that goes along.
pub async fn plan(visitor: Visitor, At(merge): At<MergeId>) -> Result<Response, Failure> {
    let desk = visitor.to(Act::PreviewMerge)?;
    let request =
        request(&desk, AgreedUndo { merge, take: take(&desk.params), reason: String::new(), hash: String::new() });
    let plan = merge::undo_plan(desk.app.store(), &desk.app.config.merge, &request, desk.context.now).await?;
    match plan {
        Some(plan) => show(&desk, plan, &request, "").await,
        // There is none, or it was undone: its page says which.
        None => Ok(to_merge(merge)),
    }
}

/// Undoes it.
pub async fn post(At(merge): At<MergeId>, Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::Unmerge)?;
    let Some(hash) = desk.params.owned("hash").filter(|hash| hash.len() <= 64) else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let agreed = AgreedUndo { merge, take: take(&desk.params), reason, hash };
    acts::press(desk, DeskAction::Undo(agreed)).await
}

/// Undoes the merge as it was agreed to. Twice is once.
pub async fn undo(desk: &Desk, agreed: AgreedUndo) -> Result<Response, Ended> {
    let hash = agreed.hash.clone();
    let request = request(desk, agreed);
    let (store, config) = (desk.app.store(), &desk.app.config.merge);
    let (plan, notice) = match merge::undo(store, config, &request, Some(&hash), desk.context.now).await? {
        Undone::Done { merge, repeated, .. } => {
            let done = if repeated { Done::Already } else { Done::Undone };
            return Ok(done::to(desk, &format!("/admin/merges/{merge}"), done).await);
        }
        Undone::Unknown => return Err(desk.missing().into()),
        Undone::Refused(plan) => (plan, "Nothing was done: this merge cannot be undone as things are now."),
        Undone::Stale(plan) => {
            (plan, "Nothing was done: something changed since you looked. This is what it would be now.")
        }
    };
    let mut response = show(desk, *plan, &request, notice).await?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

async fn show(desk: &Desk, plan: UndoPlan, request: &UndoRequest, notice: &'static str) -> Result<Response, Failure> {
    desk.looked("desk: undo plan", &[plan.from, plan.restored]).await?;
    let mut tx = desk.app.store().begin_read().await?;
    let (from, restored) = (person(&mut tx, plan.from).await?, person(&mut tx, plan.restored).await?);
    let members = tx.members_of(plan.from).await?;
    drop(tx);
    let app = &desk.app;
    let sessions = sessions::live(app.kv(), &members, desk.context.now).await?.len();
    let lines = |links: &[MovedLink]| links.iter().take(200).map(|link| line(app, link, &request.take)).collect();
    let page = UndoPage {
        frame: Frame::of(desk, Here::Elsewhere).await?,
        rights: Rights::from(desk),
        merge: plan.merge,
        hash: plan.hash(),
        from,
        restored,
        refusals: plan.refusals.iter().map(refusal).collect(),
        moved: plan.moved.len(),
        sessions,
        links: lines(&plan.links),
        stay: lines(&plan.stay),
        taken: lines(&plan.taken),
        sectors: plan.sectors.iter().map(|parted| sector(app, parted)).collect(),
        consents: plan.consents.iter().map(|client| client_name(app, client)).collect(),
        take: request.take.clone(),
        reason: request.reason.clone(),
        notice,
    };
    Ok(page.page().into_response())
}

fn line(app: &App, link: &MovedLink, take: &[LinkId]) -> LinkLine {
    LinkLine {
        id: link.link,
        kind: words::namespace(app, &link.namespace),
        shown: words::cut(&link.external_id, 120),
        by_choice: take.contains(&link.link),
    }
}

fn sector(app: &App, parted: &Parted) -> SectorLine {
    let (restored, parted_from) = (parted.restored.clone(), parted.parted_from.clone());
    SectorLine { name: words::sector(app, &parted.sector), restored, parted_from }
}

fn client_name(app: &App, client_id: &str) -> String {
    app.provider.clients.find(client_id).map_or_else(|| client_id.to_owned(), |client| client.name().to_owned())
}

fn request(desk: &Desk, agreed: AgreedUndo) -> UndoRequest {
    UndoRequest { merge: agreed.merge, by: desk.admin.initiator(), reason: agreed.reason, take: agreed.take }
}

fn take(params: &Params) -> Vec<LinkId> {
    params.beginning(TAKE).filter_map(|(link, _)| link.parse().ok()).collect()
}

fn to_merge(merge: MergeId) -> Response {
    Redirect::to(&format!("/admin/merges/{merge}")).into_response()
}
