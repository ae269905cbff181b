//! One step of several ways: a code is mailed to an address, asked for on a page, and tried.
//!
//! Who may ask for one, what it is bound to, and what follows from a right one is the caller's; the limits, the page and
//! what a wrong one leads to are the same for all.

use axum::response::Response;

use super::{masked, told};
use crate::app::App;
use crate::credential::device::DeviceCookie;
use crate::credential::email_code::{self, Binding, CODE_LIFETIME, Code, Issued, Outcome, Purpose};
use crate::credential::throttle::{Action, Attempt, Decision};
use crate::http::context::Context;
use crate::http::error::Failure;
use crate::http::pages::{CodePage, CodePurpose, Message, View};
use crate::identity::address::EmailAddress;
use crate::mail::{self, queue, templates};
use crate::protocol::params::Params;
use crate::session::flow::Flow;

/// A code that one flow asks for.
pub struct MailedCode<'a> {
    pub app: &'a App,
    pub context: &'a Context,
    pub flow: &'a Flow,
    pub address: &'a EmailAddress,
    pub purpose: Purpose,
    /// What the page says, and where its forms lead.
    pub page: CodePurpose,
    /// Whatever else the proof is for: in any other combination the code is wrong (spec/identity.md rule 10).
    pub bound_to: String,
}

impl MailedCode<'_> {
    fn binding(&self) -> Binding<'_> {
        Binding { purpose: self.purpose, address: self.address, flow: &self.bound_to }
    }

    /// Counts a mail to the address; why none may be sent, if so.
    ///
    /// # Errors
    /// If the key-value store does not answer.
    pub async fn allowed(&self) -> Result<Option<Message>, Failure> {
        let (app, context) = (self.app, self.context);
        if !app.mailer.is_offered() {
            return Ok(Some(Message::MailUnavailable));
        }
        let device = DeviceCookie::parse(app.cookies.get(&context.cookies, "device").unwrap_or_default());
        let attempt = Attempt {
            action: Action::Mail,
            account: self.address.normalized(),
            client: context.client,
            browser: device.browser(&app.secrets.device, self.address.normalized(), context.now),
        };
        let check = app.throttle.before(&attempt, context.now);
        let replies = app.kv().run(check.ops()).await?;
        Ok(match check.decide(&replies) {
            Decision::Allowed => None,
            Decision::Refused { retry_after } => Some(Message::TooManyTries { seconds: retry_after.as_secs() }),
        })
    }

    /// Mails the code in the letter made of it, in place of any earlier one; why not, if it cannot.
    ///
    /// # Errors
    /// If a store does not answer.
    pub async fn mail(&self, letter: impl FnOnce(&Code) -> mail::Message) -> Result<Option<Message>, Failure> {
        let (app, now) = (self.app, self.context.now);
        let issued = email_code::issue(app.kv(), &app.secrets.code, &self.binding()).await?;
        let Issued::Code(code) = issued else { return Ok(Some(Message::TooManyCodes)) };
        let mut tx = app.store().begin().await?;
        queue::queue_until(&mut tx, &app.secrets.mail, &letter(&code), now + CODE_LIFETIME, now).await?;
        tx.commit().await?;
        app.mail_queued.notify_one();
        Ok(None)
    }

    /// The letter that says what the code is for.
    pub fn letter(&self, code: &Code) -> mail::Message {
        templates::code(&self.app.letterhead, self.address, self.purpose, code)
    }

    /// Mails a code, if one may be sent; why not, if it cannot.
    ///
    /// # Errors
    /// If a store does not answer.
    pub async fn send(&self) -> Result<Option<Message>, Failure> {
        match self.allowed().await? {
            None => self.mail(|code| self.letter(code)).await,
            refusal => Ok(refusal),
        }
    }

    /// The page that asks for the code.
    pub fn ask(&self, error: Option<Message>) -> Response {
        let page = CodePage {
            brand: &self.app.brand,
            flow: self.flow.id.clone(),
            masked_email: masked(self.address.display()),
            purpose: self.page,
            resend_allowed: error != Some(Message::TooManyCodes),
            error,
        };
        told(page.page(), page.error.as_ref())
    }

    /// Tries the code that was posted.
    ///
    /// # Errors
    /// With the page that asks again, unless it is right. If the key-value store does not answer.
    pub async fn prove(&self, params: &Params) -> Result<(), Failure> {
        let again = |message| Err(Failure::answer(self.ask(Some(message))));
        let Some(code) = params.get("code").and_then(Code::parse) else { return again(Message::CodeMalformed) };
        match email_code::check(self.app.kv(), &self.app.secrets.code, &self.binding(), &code).await? {
            Outcome::Right => Ok(()),
            Outcome::Wrong { tries_left } => {
                again(Message::CodeWrong { tries_left: u32::try_from(tries_left).unwrap_or(u32::MAX) })
            }
            Outcome::Void => again(Message::CodeUsedUp),
        }
    }
}
