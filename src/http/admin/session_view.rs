//! Where a customer is signed in, in words, and what ending it would do (experience specification, rules 11 and 12).
//!
//! It reads and never decides: which sessions there are and how they end is `board::sessions`' to say.

use super::access::Desk;
use super::deed_view::Says;
use super::frame::Moment;
use super::plan_view::{Signed, counted};
use super::words;
use crate::app::App;
use crate::board::sessions::{self, Apps, Session};
use crate::http::error::Failure;
use crate::identity::merge::sessions::count;
use crate::ids::{CustomerId, Sid};
use crate::store::Member;

/// Sessions on the page of a customer; more are counted.
const MOST: usize = 20;

/// One session.
pub struct SessionLine {
    pub sid: Sid,
    /// Which browser, or that it is an app's.
    pub place: String,
    pub how: String,
    pub since: Option<Moment>,
    pub seen: Option<Moment>,
    /// The apps with a refresh token from it.
    pub apps: Vec<String>,
    /// The admin is sitting in it.
    pub me: bool,
}

/// The newest sessions of a customer, and how many more there are.
pub fn lines(desk: &Desk, sessions: &[Session], apps: &Apps) -> (Vec<SessionLine>, usize) {
    let line = |session: &Session| SessionLine {
        sid: session.sid.clone(),
        place: place(session),
        how: how(&desk.app, session),
        since: session.began().map(Moment),
        seen: session.record.told.as_ref().map(|told| Moment(told.last_seen)),
        apps: apps.of_session(&session.sid).map(|client| app_name(&desk.app, client)).collect(),
        me: session.sid == desk.session.sid,
    };
    (sessions.iter().take(MOST).map(line).collect(), sessions.len().saturating_sub(MOST))
}

fn place(session: &Session) -> String {
    if session.record.is_without_browser() {
        return "In an app".to_owned();
    }
    let told = session.record.told.as_ref();
    told.and_then(|told| told.browser.clone()).unwrap_or_else(|| "A browser".to_owned())
}

fn how(app: &App, session: &Session) -> String {
    let Some(told) = &session.record.told else { return String::new() };
    // What was done at a provider is the provider's to know.
    let by = |method: &str| !told.via.starts_with("social:") && told.amr.iter().any(|known| known == method);
    if by("pwd") {
        return "by password".to_owned();
    }
    if by("otp") {
        return "by a mailed code".to_owned();
    }
    format!("through {}", words::namespace(app, &told.via))
}

fn app_name(app: &App, client: &str) -> String {
    let known = app.provider.clients.find(client);
    words::cut(known.as_ref().map_or(client, |client| client.name()), 60)
}

/// What stays, whatever is ended.
fn stays(desk: &Desk) -> Vec<String> {
    let minutes = desk.app.provider.lifetimes.access_token.as_secs().div_ceil(60);
    let minutes = counted(minutes, "minute");
    vec![
        format!("What apps keep by themselves: sessions of their own, and access tokens for {minutes} at most."),
        "Every way to sign in: whoever knows the password or has the account at a provider can sign in again."
            .to_owned(),
    ]
}

/// Signing somebody out everywhere.
pub async fn sign_out(desk: &Desk, root: CustomerId, members: &[Member]) -> Result<Says, Failure> {
    let (app, now) = (&desk.app, desk.context.now);
    let live = sessions::live(app.kv(), members, now).await?;
    let tokens = Signed(count(app.store(), None, root, now).await?.but(&[])).0.refresh_tokens;
    let mut says = Says {
        title: "Sign out everywhere",
        lead: "For a lost device, or when somebody else got in.".to_owned(),
        numbers: vec![
            ("Signed in", live.len().to_string(), "ended at once".to_owned()),
            ("Refresh tokens", tokens.to_string(), "end, those for offline access too".to_owned()),
        ],
        happens: vec![
            "Whoever is signed in as this customer signs in again, in every browser and every app.".to_owned(),
            "The customer is not told.".to_owned(),
        ],
        stays: stays(desk),
        button: "Sign out everywhere",
        danger: true,
        ..Says::default()
    };
    if live.is_empty() && tokens == 0 {
        says.refusals.push("They are signed in nowhere.".to_owned());
    }
    Ok(says)
}

/// Ending one session.
pub async fn end_one(desk: &Desk, root: CustomerId, members: &[Member], sid: &Sid) -> Result<Says, Failure> {
    let (app, now) = (&desk.app, desk.context.now);
    let live = sessions::live(app.kv(), members, now).await?;
    let mut says = Says {
        title: "End a session",
        lead: "Every other session goes on.".to_owned(),
        happens: vec![
            "Whoever is signed in there signs in again.".to_owned(),
            "Refresh tokens that came from it end, those for offline access too.".to_owned(),
        ],
        stays: stays(desk),
        button: "End the session",
        danger: true,
        ..Says::default()
    };
    let Some(session) = live.iter().find(|session| session.sid == *sid) else {
        says.refusals.push("This session has ended.".to_owned());
        return Ok(says);
    };
    let apps = Apps::of(&mut app.store().begin_read().await?, root, now).await?;
    let names: Vec<String> = apps.of_session(sid).map(|client| app_name(app, client)).collect();
    if !names.is_empty() {
        says.happens.push(format!("It was used to sign in to {}.", words::cut(&names.join(", "), 200)));
    }
    says.about = Some((place(session), how(app, session)));
    if *sid == desk.session.sid {
        says.happens.push("It is the session that you are in: you sign in again yourself.".to_owned());
    }
    Ok(says)
}
