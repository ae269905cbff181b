//! Settling what waits in the queue without a merge: a pair put on watch, a request declined, a conflict closed.
//!
//! Identity specification, rules 13, 16 and 39. Each is done once; of two admins at once the other one finds it done.

use axum::http::StatusCode;
use axum::response::Response;
use uuid::Uuid;

use super::PREFIX;
use super::access::{Desk, Form};
use super::acts::{self, Ended, no_reason, reason};
use super::done::{self, Done};
use crate::board::notices::Notices;
use crate::board::queue::{self, Settled};
use crate::board::role::Act;
use crate::http::error::Failure;
use crate::ids::CustomerId;
use crate::store;

/// Takes the pair `a`, `b` off the queue until more speaks for it than now.
pub async fn watch(Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::Dismiss)?;
    let id = |name: &str| desk.params.get(name)?.parse::<CustomerId>().ok();
    let (Some(a), Some(b)) = (id("a"), id("b")) else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let mut tx = desk.app.store().begin().await?;
    let actor = desk.admin.actor();
    let watched = queue::watch(&mut tx, (a.min(b), a.max(b)), (&actor, &reason), desk.context.now).await?;
    tx.commit().await?;
    let settled = if watched { Settled::Done } else { Settled::Already };
    answer(&desk, Ok(settled), Done::Watched).await
}

/// Declines a customer's `request` that two accounts become one, and tells both.
pub async fn decline(Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::Dismiss)?;
    let Some(request) = uuid(&desk, "request") else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let notices = Notices::new(&desk.app.config, &desk.app.secrets.mail);
    let mut tx = desk.app.store().begin().await?;
    let actor = desk.admin.actor();
    let settled = queue::decline(&mut tx, &notices, request, (&actor, &reason), desk.context.now).await;
    if matches!(settled, Ok(Settled::Done)) {
        tx.commit().await?;
        desk.app.mail_queued.notify_one();
    }
    answer(&desk, settled, Done::Declined).await
}

/// Closes a `conflict`: somebody has looked into it.
pub async fn close(Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::Dismiss)?;
    let Some(conflict) = uuid(&desk, "conflict") else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let mut tx = desk.app.store().begin().await?;
    let actor = desk.admin.actor();
    let settled = queue::close_conflict(&mut tx, conflict, (&actor, &reason), desk.context.now).await;
    if matches!(settled, Ok(Settled::Done)) {
        tx.commit().await?;
    }
    answer(&desk, settled, Done::Closed).await
}

fn uuid(desk: &Desk, name: &str) -> Option<Uuid> {
    Uuid::parse_str(desk.params.get(name)?).ok()
}

async fn answer(desk: &Desk, settled: Result<Settled, store::Error>, done: Done) -> Result<Response, Failure> {
    match settled.map_err(Ended::from) {
        Ok(Settled::Done) => Ok(done::to(desk, PREFIX, done).await),
        Ok(Settled::Already) => {
            let text = "Somebody has settled it before, you perhaps. Nothing more was done.";
            Ok(acts::refusal(desk, StatusCode::CONFLICT, "It waits no more", text, None))
        }
        Ok(Settled::Unknown) => Err(desk.missing()),
        Err(ended) => ended.answered(desk),
    }
}
