//! Every mailbox at once: the mails that the gateway would have sent, for whoever tries the demonstration.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;

use super::pages::{Mail, MailboxPage};
use super::{Urls, web};
use crate::mail::Mailer;

struct Mailbox {
    mailer: Mailer,
    urls: Urls,
}

/// The mailbox, beside the shop.
pub(super) fn router(mailer: Mailer, urls: &Urls) -> Router {
    Router::new().route("/mailbox", get(list)).with_state(Arc::new(Mailbox { mailer, urls: urls.clone() }))
}

async fn list(State(mailbox): State<Arc<Mailbox>>) -> Response {
    let mails = mailbox.mailer.sent().into_iter().rev();
    let mails =
        mails.map(|mail| Mail { to: mail.to.display().to_owned(), subject: mail.subject, text: mail.text }).collect();
    web::page(&MailboxPage { nav: web::nav(&mailbox.urls, "Mailbox"), mails })
}
