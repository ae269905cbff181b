//! The browser's session: the session layer's record, read and written as an [`SsoSession`].
//!
//! The session ID changes at every change of level. Nothing is written on a request that changes nothing, except that a
//! session in use is kept from idling out.

use axum::extract::FromRequestParts;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use time::OffsetDateTime;
use tower_sessions::{Expiry, Session};

use super::error::Failure;
use crate::app::App;
use crate::clock::Timestamp;
use crate::ids::{CustomerId, Sid};
use crate::session::{self, Authentication, RECORD_FIELD, SsoSession, TOUCH_AFTER};
use crate::store::retry::retry;

/// The session of the browser that a request comes from.
#[derive(Clone, Debug)]
pub struct BrowserSession {
    record: Session,
    /// What the browser is called.
    browser: Option<String>,
}

impl FromRequestParts<App> for BrowserSession {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let record = Session::from_request_parts(parts, app).await;
        let browser = parts.headers.get(USER_AGENT).and_then(|text| session::browser_called(text.to_str().ok()?));
        record.map(|record| Self { record, browser }).map_err(|(status, reason)| {
            tracing::error!(%status, reason, "the session layer is not mounted on this route");
            Failure::Internal(status)
        })
    }
}

impl BrowserSession {
    /// The live SSO session, if any. One round trip if the browser has a cookie, none otherwise.
    ///
    /// # Errors
    /// If the key-value store does not answer.
    pub async fn current(&self, app: &App, now: Timestamp) -> Result<Option<SsoSession>, Failure> {
        let idle = app.config.session.idle;
        let stored = self.record.get::<SsoSession>(RECORD_FIELD).await?;
        let Some(mut sso) = stored.filter(|sso| sso.is_live(now, idle)) else { return Ok(None) };
        if now.since(sso.last_seen) > idle / TOUCH_AFTER {
            sso.last_seen = now;
            self.write(app, &sso, now).await?;
        }
        Ok(Some(sso))
    }

    /// Begins a session for a customer who has just authenticated, under a new session ID. The same customer keeps the
    /// `sid`; another one's session in this browser ends.
    ///
    /// # Errors
    /// If a store does not answer.
    pub async fn start(
        &self,
        app: &App,
        customer: CustomerId,
        authentication: Authentication,
        now: Timestamp,
    ) -> Result<SsoSession, Failure> {
        let mut sid = Sid::random();
        let mut created_at = now;
        if self.record.id().is_some() {
            match self.current(app, now).await? {
                Some(old) if old.customer == customer => {
                    sid = old.sid;
                    created_at = old.created_at;
                }
                Some(old) => end_everywhere(app, &old, now).await?,
                None => {}
            }
            // Session fixation: an ID that was there before the login is never the logged-in one.
            self.record.cycle_id().await?;
        }
        let expires_at = now + app.config.session.absolute;
        let browser = self.browser.clone();
        let sso = SsoSession { sid, customer, authentication, created_at, last_seen: now, expires_at, browser };
        self.write(app, &sso, now).await?;
        Ok(sso)
    }

    /// Writes the session at once, not only with the response.
    ///
    /// # Errors
    /// If the key-value store does not answer.
    pub async fn save(&self) -> Result<(), Failure> {
        Ok(self.record.save().await?)
    }

    /// Ends the session in this browser, with the refresh tokens that do not outlive it.
    ///
    /// # Errors
    /// If a store does not answer.
    pub async fn end(&self, app: &App, sso: &SsoSession, now: Timestamp) -> Result<(), Failure> {
        end_everywhere(app, sso, now).await?;
        self.record.flush().await?;
        Ok(())
    }

    async fn write(&self, app: &App, sso: &SsoSession, now: Timestamp) -> Result<(), Failure> {
        let until = (now + app.config.session.idle).min(sso.expires_at);
        self.record.set_expiry(Some(Expiry::AtDateTime(date(until))));
        self.record.insert(RECORD_FIELD, sso).await?;
        Ok(())
    }
}

async fn end_everywhere(app: &App, sso: &SsoSession, now: Timestamp) -> Result<(), Failure> {
    let attempt = async || {
        let mut tx = app.store().begin().await?;
        tx.grants_end_session(&sso.sid, now).await?;
        tx.commit().await
    };
    retry(attempt).await?;
    session::end(app.kv(), &sso.sid).await?;
    Ok(())
}

fn date(at: Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.micros()) * 1000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
