//! "Not the same person": said of two customers, remembered, and taken back (identity specification, rule 35).

use axum::http::StatusCode;
use axum::response::Response;

use super::access::{Desk, Form};
use super::acts::{self, Ended, no_reason, reason};
use super::done::{self, Done};
use crate::board::role::Act;
use crate::http::error::Failure;
use crate::identity::not_same::{self, Marked};
use crate::ids::CustomerId;

/// Marks `a` and `b`.
pub async fn mark(Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::MarkNotSame)?;
    let Some((a, b)) = pair(&desk) else { return Err(desk.missing()) };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let marked = not_same::mark(desk.app.store(), a, b, desk.admin.actor(), &reason, desk.context.now).await;
    settle(&desk, marked, a, Done::MarkedNotSame).await
}

/// Takes it back.
pub async fn lift(Form(visitor): Form) -> Result<Response, Failure> {
    let desk = visitor.to(Act::MarkNotSame)?;
    let Some((a, b)) = pair(&desk) else { return Err(desk.missing()) };
    let lifted = not_same::lift(desk.app.store(), a, b, desk.admin.actor(), desk.context.now).await;
    settle(&desk, lifted, a, Done::UnmarkedNotSame).await
}

async fn settle(
    desk: &Desk,
    marked: Result<Marked, crate::store::Error>,
    a: CustomerId,
    done: Done,
) -> Result<Response, Failure> {
    let customer = format!("/admin/customers/{a}");
    match marked.map_err(Ended::from) {
        Ok(Marked::Done) => Ok(done::to(desk, &customer, done).await),
        Ok(Marked::Already) => Ok(done::to(desk, &customer, Done::Already).await),
        Ok(Marked::Merged) => {
            let text = "To say that they are two people, undo their merge: that marks them.";
            let on = Some(("To the customer", customer));
            Ok(acts::refusal(desk, StatusCode::CONFLICT, "They are one customer", text, on))
        }
        Ok(Marked::Unknown) => Err(desk.missing()),
        Err(ended) => ended.answered(desk),
    }
}

fn pair(desk: &Desk) -> Option<(CustomerId, CustomerId)> {
    Some((desk.params.get("a")?.parse().ok()?, desk.params.get("b")?.parse().ok()?))
}
