//! Who is at the desk and whether they may: what every handler here takes from a request.
//!
//! A [`Visitor`] is an admin who is signed in; what can be done at the desk needs a [`Desk`], which a handler gets only
//! by naming the act (`board::role`), so that none can forget to ask. A form counts only with the session's own token
//! and from our own origin. Strangers are sent to sign in, and come back to the page they wanted.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use serde::de::DeserializeOwned;

use super::PREFIX;
use crate::app::App;
use crate::board::admin::{self, Admin, Standing};
use crate::board::role::Act;
use crate::http::context::Context;
use crate::http::error::{self, Failure};
use crate::http::login::extract::Posted;
use crate::http::pages::Action;
use crate::http::session::BrowserSession;
use crate::ids::CustomerId;
use crate::protocol::params::Params;
use crate::secret;
use crate::session::SsoSession;
use crate::session::flow::{Flow, Target};
use crate::store::retry::retry;

/// Longer addresses are not worth coming back to.
const MAX_PATH: usize = 2000;

/// An admin who is signed in. What they may do is still to be asked.
pub struct Visitor {
    app: App,
    context: Context,
    session: SsoSession,
    admin: Admin,
    /// The query of the address, or the form that was posted.
    params: Params,
}

/// An admin who may do what they are about to do.
pub struct Desk {
    pub app: App,
    pub context: Context,
    pub session: SsoSession,
    pub admin: Admin,
    pub params: Params,
}

impl Visitor {
    /// What was sent, before anything is allowed: it may say which act is meant.
    pub const fn params(&self) -> &Params {
        &self.params
    }

    /// The page for what is not there.
    pub fn missing(&self) -> Failure {
        Failure::answer(missing(&self.app, &self.context))
    }

    /// Lets them do it, or ends with the page that says which role may.
    ///
    /// # Errors
    /// With that page.
    pub fn to(self, act: Act) -> Result<Desk, Failure> {
        let Self { app, context, session, admin, params } = self;
        if admin.may(act) {
            return Ok(Desk { app, context, session, admin, params });
        }
        let (role, needs) = (admin.role, act.needs());
        let text = format!(
            "You are signed in as {role}; this needs the role {needs}. Nothing was done. Whoever gives roles here can \
             give it to you."
        );
        let back = Action { label: "Back to the desk".to_owned(), href: PREFIX.to_owned() };
        let title = "Your role does not allow this";
        Err(Failure::answer(error::plain_page(&app, &context, StatusCode::FORBIDDEN, title, &text, vec![back])))
    }

    async fn of(app: &App, context: Context, browser: &BrowserSession, path: &str) -> Result<Self, Failure> {
        match browser.current(app, context.now).await? {
            Some(session) => Self::in_session(app, context, session, path).await,
            None => Err(Failure::answer(log_in(app, &context, path).await?)),
        }
    }

    /// Who is in a session. `path` is where they come back to if they have to sign in again.
    ///
    /// # Errors
    /// With the page that sends away whoever has no role; if the database fails.
    pub async fn in_session(app: &App, context: Context, session: SsoSession, path: &str) -> Result<Self, Failure> {
        match admin::of_session(app.store(), session.customer, session.authentication.auth_time).await? {
            Standing::Admin(admin) => Ok(Self { app: app.clone(), context, session, admin, params: Params::default() }),
            Standing::Outdated => Err(Failure::answer(log_in(app, &context, path).await?)),
            Standing::Nobody => Err(Failure::answer(nobody(app, &context))),
        }
    }
}

impl Desk {
    /// What a page shows around its content needs the admin's own token for its forms.
    pub fn token(&self) -> String {
        form_token(&self.app, &self.session)
    }

    /// The page for what is not there.
    pub fn missing(&self) -> Failure {
        Failure::answer(missing(&self.app, &self.context))
    }

    /// Puts on record whom the admin looked at.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn looked(&self, what: &str, customers: &[CustomerId]) -> Result<(), Failure> {
        let attempt = async || {
            let mut tx = self.app.store().begin().await?;
            admin::record_look(&mut tx, &self.admin, what, customers, self.context.now).await?;
            tx.commit().await
        };
        Ok(retry(attempt).await?)
    }
}

fn form_token(app: &App, session: &SsoSession) -> String {
    secret::base64url(&app.secrets.form.mac(&[b"desk", session.sid.as_str().as_bytes()]))
}

impl FromRequestParts<App> for Visitor {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let Ok(context) = Context::from_request_parts(parts, app).await;
        let browser = BrowserSession::from_request_parts(parts, app).await?;
        let path = parts.uri.path_and_query().map_or(PREFIX, |path| path.as_str());
        let mut visitor = Self::of(app, context, &browser, path).await?;
        visitor.params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(visitor)
    }
}

/// A form of the desk that this session's own page has posted.
pub struct Form(pub Visitor);

impl FromRequest<App> for Form {
    type Rejection = Failure;

    async fn from_request(request: Request, app: &App) -> Result<Self, Failure> {
        let (mut parts, body) = request.into_parts();
        let browser = BrowserSession::from_request_parts(&mut parts, app).await?;
        let Posted { context, params } = Posted::from_request(Request::from_parts(parts, body), app).await?;
        let mut visitor = Visitor::of(app, context, &browser, PREFIX).await?;
        let (token, own) = (params.get("token").unwrap_or_default(), form_token(app, &visitor.session));
        if !secret::constant_time_eq(token.as_bytes(), own.as_bytes()) || params.refuse_repeated().is_err() {
            return Err(Failure::answer(error::expired_page(app, &visitor.context)));
        }
        visitor.params = params;
        Ok(Self(visitor))
    }
}

/// The identifiers in the path. One that cannot be ours names nothing.
pub struct At<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for At<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        if let Ok(Path(at)) = Path::<T>::from_request_parts(parts, app).await {
            return Ok(Self(at));
        }
        let Ok(context) = Context::from_request_parts(parts, app).await;
        Err(Failure::answer(missing(app, &context)))
    }
}

/// Sends the browser through the login page and on to this path.
async fn log_in(app: &App, context: &Context, path: &str) -> Result<Response, Failure> {
    let mut browser = app.cookies.browser(&context.cookies);
    let path = if path.len() > MAX_PATH { PREFIX } else { path };
    let flow = Flow::new(browser.hash.clone(), Target::Desk(path.to_owned()), context.now);
    app.kv().run(vec![flow.save(context.now)?]).await?;
    let mut response = Redirect::to(&format!("/login?flow={}", flow.id)).into_response();
    app.cookies.introduce(&mut response, &mut browser);
    Ok(response)
}

fn nobody(app: &App, context: &Context) -> Response {
    let text = "You are signed in, but not as somebody who looks after customers here. If you should be, ask whoever \
                gives roles; if you have another account, sign out and sign in with that one.";
    let actions = vec![
        Action { label: "Start page".to_owned(), href: "/".to_owned() },
        Action { label: "Sign out".to_owned(), href: "/logout".to_owned() },
    ];
    error::plain_page(app, context, StatusCode::FORBIDDEN, "This desk is not for everybody", text, actions)
}

fn missing(app: &App, context: &Context) -> Response {
    let text = "Nothing has this ID, or it is gone.";
    let back = Action { label: "Back to the desk".to_owned(), href: PREFIX.to_owned() };
    error::plain_page(app, context, StatusCode::NOT_FOUND, "There is no such thing", text, vec![back])
}
