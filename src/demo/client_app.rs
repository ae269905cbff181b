//! An app that signs its customers in at the gateway: its sessions, and the routes that begin and end them.
//!
//! The app asks userinfo at each visit, so that a session that ended at the gateway ends here too. What the pages look
//! like is the shop's and the magazine's own matter.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::Response;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;
use axum_extra::extract::CookieJar;
use axum_extra::extract::cookie::Cookie;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::issuer::Problem;
use super::pages::AppCustomer;
use super::relying_party::{Claims, Pending, Prompt, RelyingParty, SignedIn};
use super::web;
use crate::clock::Timestamp;
use crate::kv::Kv;
use crate::protocol::params::Params;
use crate::secret;

const LOGIN_LIFETIME: Duration = Duration::from_secs(60 * 60);
const SESSION_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// When an app asks the gateway who its visitor is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Greeting {
    /// When the visitor presses a button.
    WhenAsked,
    /// At the first visit, without showing anything.
    AtOnce,
}

/// One app.
pub(super) struct ClientApp {
    party: RelyingParty,
    kv: Kv,
    greeting: Greeting,
}

/// Who visits.
pub(super) enum Visitor {
    SignedIn(Box<Customer>),
    Nobody,
    /// To be found out first: send this.
    Asked(Response),
}

/// A signed-in visitor.
pub(super) struct Customer {
    session: Session,
    userinfo: Claims,
}

/// What the app remembers of a signed-in browser.
#[derive(Serialize, Deserialize)]
struct Session {
    signed_in: SignedIn,
    reason: Reason,
}

/// Why a login was begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Reason {
    /// The visitor wants it.
    Asked,
    /// It is the first visit.
    FirstVisit,
    /// The session that the app knew has ended.
    Ended,
}

#[derive(Serialize, Deserialize)]
struct Login {
    pending: Pending,
    reason: Reason,
}

/// The routes that every app has.
pub(super) fn routes() -> Router<Arc<ClientApp>> {
    Router::new()
        .route("/login", get(login))
        .route("/callback", get(callback))
        .route("/logout", get(logout))
        .route("/signed-out", get(|| async { web::see_other("/?notice=signed-out") }))
}

/// What to tell at the top of the page: only words of ours.
pub(super) fn notice(params: &Params) -> Option<String> {
    let text = match params.get("notice")? {
        "signed-out" => "You are signed out, here and in the other apps.",
        "ended" => "You have signed out elsewhere, so you are signed out here too.",
        "canceled" => "You did not sign in. That is all right.",
        "failed" => "Signing in did not work. Please try again.",
        _ => return None,
    };
    Some(text.to_owned())
}

impl ClientApp {
    pub(super) const fn new(party: RelyingParty, kv: Kv, greeting: Greeting) -> Self {
        Self { party, kv, greeting }
    }

    /// Finds out who visits.
    pub(super) async fn visitor(&self, jar: &CookieJar, params: &Params) -> Result<Visitor, Problem> {
        let Some((key, session)) = self.session(jar).await? else {
            // After a notice the gateway has just been asked.
            return match (self.greeting, params.get("notice")) {
                (Greeting::AtOnce, None) => {
                    Ok(Visitor::Asked(self.begin(Prompt::None, Reason::FirstVisit, jar).await?))
                }
                _ => Ok(Visitor::Nobody),
            };
        };
        match self.party.userinfo(&session.signed_in).await? {
            Some(userinfo) => Ok(Visitor::SignedIn(Box::new(Customer { session, userinfo }))),
            // The access token has expired, or the session it was bound to has ended: `prompt=none` tells which.
            None => {
                self.kv.delete(&key).await?;
                Ok(Visitor::Asked(self.begin(Prompt::None, Reason::Ended, jar).await?))
            }
        }
    }

    async fn session(&self, jar: &CookieJar) -> Result<Option<(String, Session)>, Problem> {
        let Some(cookie) = jar.get(&self.cookie_name("session")) else { return Ok(None) };
        let key = session_key(cookie.value());
        Ok(self.kv.get_json(&key).await?.map(|session| (key, session)))
    }

    async fn begin(&self, prompt: Prompt, reason: Reason, jar: &CookieJar) -> Result<Response, Problem> {
        let (url, pending) = self.party.authorization_request(prompt).await?;
        let browser = secret::random_token();
        self.kv.set_json(&login_key(&browser), &Login { pending, reason }, LOGIN_LIFETIME).await?;
        let jar = jar.clone().add(web::cookie(self.cookie_name("login"), browser));
        Ok((jar, Redirect::to(url.as_str())).into_response())
    }

    fn cookie_name(&self, what: &str) -> String {
        format!("demo-{}-{what}", self.party.client_id())
    }

    fn without_cookie(&self, jar: CookieJar, what: &str) -> CookieJar {
        jar.remove(Cookie::build(self.cookie_name(what)).path("/"))
    }
}

fn session_key(cookie: &str) -> String {
    format!("session:{}", secret::token_hash(cookie))
}

fn login_key(cookie: &str) -> String {
    format!("login:{}", secret::token_hash(cookie))
}

async fn login(State(app): State<Arc<ClientApp>>, jar: CookieJar) -> Result<Response, Problem> {
    app.begin(Prompt::Any, Reason::Asked, &jar).await
}

async fn callback(
    State(app): State<Arc<ClientApp>>,
    jar: CookieJar,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.unwrap_or_default().as_bytes());
    let browser = jar.get(&app.cookie_name("login")).map(|cookie| cookie.value().to_owned()).unwrap_or_default();
    // Taken, not read: a callback counts once, and only in the browser that began.
    let Some(login) = app.kv.take_json::<Login>(&login_key(&browser)).await? else {
        return Ok(web::see_other("/?notice=failed"));
    };
    let jar = app.without_cookie(jar, "login");
    let (jar, location) = match app.party.finish(&params, &login.pending).await {
        Ok(signed_in) => {
            // A new name for every login: one that was there before never becomes a signed-in one.
            let cookie = secret::random_token();
            let session = Session { signed_in, reason: login.reason };
            app.kv.set_json(&session_key(&cookie), &session, SESSION_LIFETIME).await?;
            (jar.add(web::cookie(app.cookie_name("session"), cookie)), "/")
        }
        Err(problem) => (jar, after(&problem, login.reason)),
    };
    Ok((jar, web::see_other(location)).into_response())
}

/// Where a login that came to nothing leads.
fn after(problem: &Problem, reason: Reason) -> &'static str {
    match (problem, reason) {
        (Problem::Refused(error), Reason::FirstVisit) if error == "login_required" => "/?notice=nobody",
        (Problem::Refused(error), Reason::Ended) if error == "login_required" => "/?notice=ended",
        (Problem::Refused(error), _) if error == "access_denied" => "/?notice=canceled",
        (problem, _) => {
            tracing::warn!(error = %problem, "a login at the demonstration's app failed");
            "/?notice=failed"
        }
    }
}

/// Ends the app's own session, then the one at the gateway.
async fn logout(State(app): State<Arc<ClientApp>>, jar: CookieJar) -> Result<Response, Problem> {
    let Some((key, session)) = app.session(&jar).await? else { return Ok(web::see_other("/?notice=signed-out")) };
    app.kv.delete(&key).await?;
    let url = app.party.end_session_request(&session.signed_in.id_token).await?;
    Ok((app.without_cookie(jar, "session"), Redirect::to(url.as_str())).into_response())
}

impl Customer {
    /// The token that the app calls back ends with.
    pub(super) fn access_token(&self) -> &str {
        &self.session.signed_in.access_token
    }

    /// Whether the gateway vouched for the visitor without a word, because another app had signed them in.
    pub(super) fn was_known_already(&self) -> bool {
        self.session.reason != Reason::Asked
    }

    /// What the app's page shows.
    pub(super) fn shown(&self, app: &ClientApp) -> AppCustomer {
        let text = |name: &str| self.userinfo.get(name).and_then(Value::as_str).map(str::to_owned);
        let customer_id = text("sub").unwrap_or_default();
        let name = text("name").or_else(|| text("email")).unwrap_or_else(|| "Customer".to_owned());
        AppCustomer { name, customer_id, claims: self.claims(app.party.now()) }
    }

    /// The ID token's claims that a person can make something of, then userinfo's.
    fn claims(&self, now: Timestamp) -> Vec<(String, String)> {
        let from_token = ["iss", "aud", "sub", "auth_time", "amr", "sid"];
        let from_userinfo =
            ["name", "given_name", "family_name", "preferred_username", "email", "email_verified", "picture", "locale"];
        let token = from_token.iter().filter_map(|name| Some((name, self.session.signed_in.claims.get(*name)?)));
        let userinfo = from_userinfo.iter().filter_map(|name| Some((name, self.userinfo.get(*name)?)));
        token.chain(userinfo).map(|(name, value)| ((*name).to_owned(), shown(name, value, now))).collect()
    }
}

fn shown(name: &str, value: &Value, now: Timestamp) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) if name == "auth_time" => {
            let at = Timestamp::from_seconds(number.as_i64().unwrap_or_default());
            format!("{number} ({})", ago(now.since(at)))
        }
        other => other.to_string(),
    }
}

fn ago(passed: Duration) -> String {
    match passed.as_secs() {
        0..=4 => "just now".to_owned(),
        seconds @ 5..=119 => format!("{seconds} seconds ago"),
        seconds @ 120..=7199 => format!("{} minutes ago", seconds / 60),
        seconds => format!("{} hours ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_of_ours_are_shown_as_a_notice() {
        assert!(notice(&Params::parse(b"notice=ended")).unwrap().contains("signed out elsewhere"));
        for other in [&b"notice=You+owe+us+money"[..], b"notice=nobody", b"notice=", b""] {
            assert_eq!(notice(&Params::parse(other)), None);
        }
    }

    #[test]
    fn the_time_of_the_login_is_readable() {
        let at = |seconds: i64| shown("auth_time", &Value::from(1000), Timestamp::from_seconds(1000 + seconds));
        assert_eq!(at(2), "1000 (just now)");
        assert_eq!(at(60), "1000 (60 seconds ago)");
        assert_eq!(at(600), "1000 (10 minutes ago)");
        assert_eq!(at(8000), "1000 (2 hours ago)");
    }
}
