//! What an admin does to one customer: a link taken away or let log in again, sessions ended, a legal hold, a brand, an
//! erasure.
//!
//! Each has a page that says first what will happen (`deed_view`), and a form that does exactly that: for the version of
//! the customer that was seen, for a reason. Done twice it is done once. Identity specification, rules 18 to 21 and 30;
//! experience specification, rule 12. What may be done is the functions' to say that the API calls too.

use axum::http::StatusCode;
use axum::response::Response;

use super::access::{At, Desk, Form, Visitor};
use super::acts::{self, Ended, no_reason, reason};
use super::customer::erased;
use super::deed_view::{self, ending_of};
use super::done::{self, Done};
use super::plan_view::refusal;
use crate::board::links::{self, Enabled, Removed};
use crate::board::notices::Notices;
use crate::board::role::Act;
use crate::board::sessions::{self, Session, Which};
use crate::http::error::Failure;
use crate::identity::brand::{self, BrandName, Branded};
use crate::identity::erase::{self, Erased};
use crate::identity::hold::{self, Held};
use crate::ids::{CustomerId, LinkId};
use crate::jobs::{self, First, Task};
use crate::session::pending::{AgreedDeed, Deed, DeskAction};
use crate::store::{self, Customer, CustomerState, Tx};

/// Which role a deed takes, and whether it wants a fresh login.
pub const fn act(deed: &Deed) -> Act {
    match deed {
        Deed::Disconnect(_) => Act::Unlink,
        Deed::Enable(_) => Act::EnableLink,
        Deed::SignOut | Deed::EndSession(_) => Act::EndSessions,
        Deed::Hold | Deed::Release => Act::Hold,
        Deed::Brand(_) => Act::SetBrand,
        Deed::Erase => Act::Erase,
    }
}

fn named(word: &str) -> Option<Deed> {
    match word {
        "sign-out" => Some(Deed::SignOut),
        "hold" => Some(Deed::Hold),
        "release" => Some(Deed::Release),
        "brand" => Some(Deed::Brand(None)),
        "erase" => Some(Deed::Erase),
        _ => None,
    }
}

fn named_of_link(word: &str, link: LinkId) -> Option<Deed> {
    match word {
        "disconnect" => Some(Deed::Disconnect(link)),
        "enable" => Some(Deed::Enable(link)),
        _ => None,
    }
}

fn named_of_session(word: &str, sid: &str) -> Option<Deed> {
    match (word, Which::one(sid)?) {
        ("end", Which::One(sid)) => Some(Deed::EndSession(sid)),
        _ => None,
    }
}

/// The page of a deed to a customer.
pub async fn get(visitor: Visitor, At((customer, word)): At<(CustomerId, String)>) -> Result<Response, Failure> {
    match named(&word) {
        Some(deed) => look(visitor, customer, deed).await,
        None => Err(visitor.missing()),
    }
}

/// The page of a deed to a link.
pub async fn get_link(
    visitor: Visitor,
    At((customer, link, word)): At<(CustomerId, LinkId, String)>,
) -> Result<Response, Failure> {
    match named_of_link(&word, link) {
        Some(deed) => look(visitor, customer, deed).await,
        None => Err(visitor.missing()),
    }
}

/// The page of a deed to a session.
pub async fn get_session(
    visitor: Visitor,
    At((customer, sid, word)): At<(CustomerId, String, String)>,
) -> Result<Response, Failure> {
    match named_of_session(&word, &sid) {
        Some(deed) => look(visitor, customer, deed).await,
        None => Err(visitor.missing()),
    }
}

async fn look(visitor: Visitor, customer: CustomerId, deed: Deed) -> Result<Response, Failure> {
    let desk = visitor.to(act(&deed))?;
    deed_view::show(&desk, &AgreedDeed { customer, version: 0, deed, reason: String::new() }, "").await
}

/// A deed to a customer.
pub async fn post(At((customer, word)): At<(CustomerId, String)>, Form(visitor): Form) -> Result<Response, Failure> {
    match named(&word) {
        Some(deed) => press(visitor, customer, deed).await,
        None => Err(visitor.missing()),
    }
}

/// A deed to a link.
pub async fn post_link(
    At((customer, link, word)): At<(CustomerId, LinkId, String)>,
    Form(visitor): Form,
) -> Result<Response, Failure> {
    match named_of_link(&word, link) {
        Some(deed) => press(visitor, customer, deed).await,
        None => Err(visitor.missing()),
    }
}

/// A deed to a session.
pub async fn post_session(
    At((customer, sid, word)): At<(CustomerId, String, String)>,
    Form(visitor): Form,
) -> Result<Response, Failure> {
    match named_of_session(&word, &sid) {
        Some(deed) => press(visitor, customer, deed).await,
        None => Err(visitor.missing()),
    }
}

async fn press(visitor: Visitor, customer: CustomerId, deed: Deed) -> Result<Response, Failure> {
    let desk = visitor.to(act(&deed))?;
    let Some(version) = desk.params.get("version").and_then(|version| version.parse().ok()) else {
        return Err(desk.missing());
    };
    let Some(reason) = reason(&desk.params) else { return Ok(no_reason(&desk)) };
    let agreed = AgreedDeed { customer, version, deed, reason };
    let wrong = match &agreed.deed {
        Deed::Brand(_) => match brand_of(&desk) {
            Ok(brand) => {
                return acts::press(desk, DeskAction::Deed(AgreedDeed { deed: Deed::Brand(brand), ..agreed })).await;
            }
            Err(words) => Some(words),
        },
        Deed::Erase if desk.params.get("typed").map(str::trim) != Some(ending_of(customer).as_str()) => {
            Some("Nothing was done: what you typed is not the end of the customer ID.")
        }
        _ => None,
    };
    match wrong {
        None => acts::press(desk, DeskAction::Deed(agreed)).await,
        Some(words) => {
            let mut response = deed_view::show(&desk, &agreed, words).await?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            Ok(response)
        }
    }
}

/// The brand that was entered; nothing for none in particular.
fn brand_of(desk: &Desk) -> Result<Option<String>, &'static str> {
    let text = desk.params.get("brand").unwrap_or_default().trim();
    let sound = text.is_empty() || text.parse::<BrandName>().is_ok();
    if !sound {
        return Err("Nothing was done: a brand is 1 to 64 letters, digits and signs without spaces.");
    }
    Ok(Some(text.to_owned()).filter(|text| !text.is_empty()))
}

/// What became of a deed, before anything is kept.
enum Outcome {
    /// It is to be kept, with what is left to do.
    Done(Vec<Task>),
    /// It was so already.
    Already,
    Refused(String),
    Unknown,
}

/// Does what was agreed to. Twice is once; if the customer is not as they were seen, nothing is done and the page is shown
/// as it would be now.
pub async fn perform(desk: &Desk, agreed: AgreedDeed) -> Result<Response, Ended> {
    let (app, now) = (&desk.app, desk.context.now);
    let seen = sessions_of(desk, &agreed).await?;
    let mut tx = app.store().begin().await?;
    let Some(living) = tx.customer_lock(agreed.customer).await? else { return Err(desk.missing().into()) };
    if living.state == CustomerState::Erased {
        return Ok(erased(desk));
    }
    match decide(&mut tx, desk, &agreed, &seen).await? {
        Outcome::Unknown => Err(desk.missing().into()),
        Outcome::Already => Ok(to_customer(desk, &agreed, Done::Already).await),
        Outcome::Refused(words) => {
            // What was refused wrote nothing.
            drop(tx);
            again(desk, &agreed, &format!("Nothing was done. {words}")).await
        }
        Outcome::Done(_) if !is_as_seen(&living, &agreed) => {
            // What was written goes with the transaction.
            drop(tx);
            let words = "Nothing was done: something changed since you looked. This is what it would be now.";
            again(desk, &agreed, words).await
        }
        Outcome::Done(tasks) => {
            let queued = jobs::queue_all(&mut tx, &app.secrets.task, tasks, First::Caller, now).await?;
            tx.commit().await?;
            app.mail_queued.notify_one();
            app.task_queued.notify_one();
            app.worker.finish_all(queued).await.map_err(Failure::from)?;
            Ok(to_customer(desk, &agreed, Done::from(&agreed.deed)).await)
        }
    }
}

/// The customer's sessions, for the deeds that end them: no transaction is open while another server is asked.
async fn sessions_of(desk: &Desk, agreed: &AgreedDeed) -> Result<Vec<Session>, Failure> {
    if !matches!(agreed.deed, Deed::SignOut | Deed::EndSession(_)) {
        return Ok(Vec::new());
    }
    let mut tx = desk.app.store().begin_read().await?;
    let Some(living) = tx.customer_living(agreed.customer).await? else { return Ok(Vec::new()) };
    let members = tx.members_of(living.id).await?;
    drop(tx);
    Ok(sessions::live(desk.app.kv(), &members, desk.context.now).await?)
}

/// Whether a customer is whom the page showed, as it showed them. A brand is that of a row, whoever it is today.
fn is_as_seen(living: &Customer, agreed: &AgreedDeed) -> bool {
    let same = living.id == agreed.customer || matches!(agreed.deed, Deed::Brand(_));
    same && living.version == agreed.version
}

async fn again(desk: &Desk, agreed: &AgreedDeed, words: &str) -> Result<Response, Ended> {
    let mut response = deed_view::show(desk, agreed, words).await?;
    *response.status_mut() = StatusCode::CONFLICT;
    Ok(response)
}

/// Writes it, for the caller to keep or to leave.
async fn decide(tx: &mut Tx, desk: &Desk, agreed: &AgreedDeed, seen: &[Session]) -> Result<Outcome, store::Error> {
    let (app, now, customer) = (&desk.app, desk.context.now, agreed.customer);
    let (name, actor, reason) = (desk.admin.name(), desk.admin.actor(), agreed.reason.as_str());
    let deed = links::Deed { admin: &name, reason };
    Ok(match &agreed.deed {
        Deed::Disconnect(link) => {
            let notices = Notices::new(&app.config, &app.secrets.mail);
            match links::remove(tx, (&app.config, &notices), (customer, *link), deed, now).await? {
                Removed::Done { tasks, .. } => Outcome::Done(tasks),
                Removed::Already => Outcome::Already,
                Removed::Unknown => Outcome::Unknown,
                Removed::NotThatKind => Outcome::Refused("An address is the customer’s to remove.".to_owned()),
            }
        }
        Deed::Enable(link) => match links::enable(tx, (customer, *link), deed, now).await? {
            Enabled::Done => Outcome::Done(Vec::new()),
            Enabled::Already => Outcome::Already,
            Enabled::Unknown => Outcome::Unknown,
        },
        Deed::SignOut => of_sessions(sessions::end(tx, customer, &Which::All, Some(seen), (actor, reason), now).await?),
        Deed::EndSession(sid) => {
            of_sessions(sessions::end(tx, customer, &Which::One(sid.clone()), Some(seen), (actor, reason), now).await?)
        }
        Deed::Hold => of_hold(hold::place(tx, customer, actor, reason, now).await?),
        Deed::Release => of_hold(hold::lift(tx, customer, actor, reason, now).await?),
        Deed::Brand(brand) => {
            let Ok(brand) = brand.as_deref().map(str::parse::<BrandName>).transpose() else {
                return Ok(Outcome::Unknown);
            };
            match brand::set(tx, &app.config.merge, customer, brand.as_ref(), (actor, reason), now).await? {
                Branded::Done { .. } => Outcome::Done(Vec::new()),
                Branded::Already { .. } => Outcome::Already,
                Branded::Refused(because) => Outcome::Refused(refusal(&because)),
                Branded::Erased { .. } | Branded::Unknown => Outcome::Unknown,
            }
        }
        Deed::Erase if deed_view::is_oneself(tx, desk, customer).await? => {
            Outcome::Refused(deed_view::ONESELF.to_owned())
        }
        Deed::Erase => match erase::erase_in(tx, &app.secrets.task, customer, (actor, reason), now).await? {
            Erased::Done { .. } => Outcome::Done(Vec::new()),
            Erased::Already { .. } => Outcome::Already,
            Erased::Unknown => Outcome::Unknown,
            Erased::Refused(because) => Outcome::Refused(refusal(&because)),
        },
    })
}

fn of_sessions(ended: sessions::Ended) -> Outcome {
    match ended {
        sessions::Ended::Done { task, .. } => Outcome::Done(vec![task]),
        sessions::Ended::Already { .. } => Outcome::Already,
        sessions::Ended::Erased { .. } | sessions::Ended::Unknown => Outcome::Unknown,
    }
}

fn of_hold(held: Held) -> Outcome {
    match held {
        Held::Done { .. } => Outcome::Done(Vec::new()),
        Held::Already { .. } => Outcome::Already,
        Held::Erased { .. } | Held::Unknown => Outcome::Unknown,
    }
}

/// Back to the customer, where the deed is to be seen.
async fn to_customer(desk: &Desk, agreed: &AgreedDeed, done: Done) -> Response {
    done::to(desk, &format!("/admin/customers/{}", agreed.customer), done).await
}
