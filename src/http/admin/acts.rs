//! What buttons of the desk do, once whoever pressed them has logged in lately enough.
//!
//! What the table of roles (`board::role`) wants a fresh login for wants one of the last ten minutes here. Whoever pressed
//! the button later than that signs in first, and the button waits in the flow (`session::pending`): for the same admin
//! in the same session, once. The role is asked for again when it goes on.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};

use super::access::{Desk, Visitor};
use super::{PREFIX, deeds, merges, proposals, roles, undo};
use crate::app::App;
use crate::board::reason;
use crate::board::role::Act;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::pages;
use crate::protocol::params::Params;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};
use crate::session::pending::{Action, DeskAction};
use crate::store;

/// Does what was pressed, or sends the admin to sign in first.
///
/// # Errors
/// If a store does not answer.
pub async fn press(desk: Desk, action: DeskAction) -> Result<Response, Failure> {
    let (app, context) = (&desk.app, &desk.context);
    if desk.session.is_recent(context.now) || !act(&action).needs_fresh_login() {
        return perform(desk, action).await;
    }
    let mut browser = app.cookies.browser(&context.cookies);
    let mut flow = Flow::new(browser.hash.clone(), Target::Desk(PREFIX.to_owned()), context.now);
    flow.wait_for_login(&desk.session, Action::Desk(Box::new(action)), context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    let mut response = Redirect::to(&format!("/login?flow={}", flow.id)).into_response();
    app.cookies.introduce(&mut response, &mut browser);
    Ok(response)
}

/// Goes on with what waited for a login.
///
/// # Errors
/// If a store does not answer.
pub async fn go_on(
    app: &App,
    context: &Context,
    session: &SsoSession,
    action: DeskAction,
) -> Result<Response, Failure> {
    if !session.is_recent(context.now) {
        // The flow came by without a login: the page is there to press again.
        return Ok(Redirect::to(PREFIX).into_response());
    }
    let act = act(&action);
    let visitor = Visitor::in_session(app, context.clone(), session.clone(), PREFIX).await?;
    perform(visitor.to(act)?, action).await
}

/// What the role is asked for.
const fn act(action: &DeskAction) -> Act {
    match action {
        DeskAction::Merge(_) => Act::Merge,
        DeskAction::Undo(_) => Act::Unmerge,
        DeskAction::Approve(_) => Act::Approve,
        DeskAction::Deed(agreed) => deeds::act(&agreed.deed),
        DeskAction::Role(_) => Act::ChangeAdmins,
    }
}

async fn perform(desk: Desk, action: DeskAction) -> Result<Response, Failure> {
    let outcome = match action {
        DeskAction::Merge(agreed) => merges::execute(&desk, agreed).await,
        DeskAction::Undo(agreed) => undo::undo(&desk, agreed).await,
        DeskAction::Approve(proposal) => proposals::approve(&desk, proposal).await,
        DeskAction::Deed(agreed) => deeds::perform(&desk, agreed).await,
        DeskAction::Role(agreed) => roles::perform(&desk, agreed).await,
    };
    outcome.or_else(|ended| ended.answered(&desk))
}

/// Why an act ended early.
pub enum Ended {
    /// With a page.
    Page(Failure),
    /// Others were changing the same customers for seconds: nothing was done.
    Busy,
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        Self::Page(failure)
    }
}

impl From<store::Error> for Ended {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Contention => Self::Busy,
            error => Self::Page(error.into()),
        }
    }
}

impl Ended {
    /// As an answer.
    ///
    /// # Errors
    /// With what failed, if that was it.
    pub fn answered(self, desk: &Desk) -> Result<Response, Failure> {
        match self {
            Self::Page(failure) => Err(failure),
            Self::Busy => {
                let text = "Nothing was done. Go back and press the button again.";
                let title = "Somebody else was changing the same customers";
                Ok(refusal(desk, StatusCode::SERVICE_UNAVAILABLE, title, text, None))
            }
        }
    }
}

/// A page that says why nothing was done, with the way on.
pub fn refusal(desk: &Desk, status: StatusCode, title: &str, text: &str, on: Option<(&str, String)>) -> Response {
    let on = on.map(|(label, href)| pages::Action { label: label.to_owned(), href });
    let back = pages::Action { label: "Back to the desk".to_owned(), href: PREFIX.to_owned() };
    let actions = on.into_iter().chain([back]).collect();
    error::plain_page(&desk.app, &desk.context, status, title, text, actions)
}

/// Why an admin does something: a sentence for whoever reads the audit log. `None` if it says nothing or too much.
pub fn reason(params: &Params) -> Option<String> {
    // Browsers send lines as CR LF.
    reason::read(&params.get("reason")?.replace("\r\n", "\n")).ok().map(str::to_owned)
}

/// The page for a form without a reason.
pub fn no_reason(desk: &Desk) -> Response {
    let text = "Say in a sentence of at most 500 characters why, for whoever reads the audit log. Go back, and what you \
                entered is still there.";
    refusal(desk, StatusCode::UNPROCESSABLE_ENTITY, "A reason is missing", text, None)
}
