//! What a provider tells of one of its accounts after a login, and what follows for the customer who has it.
//!
//! A link that its provider speaks against is disabled: it stays, so that nobody else can claim the account and every
//! look-up still finds the customer, but it does not log in. What the provider said last counts, in whatever order it
//! arrives, so that a token sent twice or late changes nothing. Sessions and mail are the caller's: what is left to do
//! is in the answer. It knows nothing of how it was told.

use super::address::EmailAddress;
use super::linking::{delivered_address, proved_addresses};
use super::namespace::Namespace;
use super::other_names;
use crate::clock::{Timestamp, uuid_v7};
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::jobs::Task;
use crate::protocol::security_event::{AccountEvent, Cause, Happened};
use crate::store::{self, DisabledReason, Flag, Link, Tx};

/// What is left to do when the transaction has committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub customer: CustomerId,
    pub tasks: Vec<Task>,
    /// Where the customer hears of it, if it is to be told: other addresses than the one in doubt.
    pub tell: Vec<EmailAddress>,
}

/// Why somebody has to look at a customer although the link is not disabled.
const CREDENTIAL_CHANGE: &str = "credential_change_required";

/// Takes in one event. `None` if nobody here has that account.
///
/// # Errors
/// If the database fails.
pub async fn account_event(
    tx: &mut Tx,
    connector: &str,
    event: &AccountEvent,
    at: Timestamp,
    now: Timestamp,
) -> Result<Option<Told>, store::Error> {
    let namespace = Namespace::Social(connector.to_owned()).to_string();
    let Some(subject) = &event.subject else { return Ok(None) };
    let Some(known) = tx.link_login(&namespace, subject).await? else { return Ok(None) };
    let Some(root) = tx.customer_lock(known.root).await? else { return Err(store::Error::Contention) };
    // While a provider moves an account it has two links, and what it says holds for both.
    let account = other_names::links_of_account(tx, known.link).await?;
    let links = tx.links_live(root.id).await?;
    let mut told = Told { customer: root.id, tasks: Vec::new(), tell: Vec::new() };
    let mut all_events = Vec::new();
    for link in links.into_iter().filter(|link| account.contains(&link.id)) {
        let mut case = Case { tx, connector, root: root.id, link, at, now, events: Vec::new() };
        case.take_in(&event.happened, &mut told).await?;
        all_events.append(&mut case.events);
    }
    if !all_events.is_empty() {
        events::record_all(tx, root.id, Actor::System, all_events, now).await?;
    }
    Ok(Some(told))
}

/// One event and the link it is about, with the customer's row locked.
struct Case<'t> {
    tx: &'t mut Tx,
    connector: &'t str,
    root: CustomerId,
    link: Link,
    /// When it happened at the provider.
    at: Timestamp,
    now: Timestamp,
    events: Vec<Event>,
}

impl Case<'_> {
    async fn take_in(&mut self, happened: &Happened, told: &mut Told) -> Result<(), store::Error> {
        match happened {
            Happened::Disabled(cause) => self.disable(reason_of(*cause), told).await?,
            Happened::Deleted => self.disable(DisabledReason::AccountDeleted, told).await?,
            Happened::ConsentRevoked => self.disable(DisabledReason::ConsentRevoked, told).await?,
            Happened::Enabled => self.enable().await?,
            Happened::SessionsRevoked => self.end_sessions("sessions-revoked", told).await?,
            // Who logged in with tokens of the provider is to log in again (Google's required response).
            Happened::TokensRevoked => {
                self.tx.upstream_tokens_delete(self.link.id).await?;
                self.end_sessions("tokens-revoked", told).await?;
            }
            Happened::CredentialChangeRequired => self.flag(CREDENTIAL_CHANGE).await?,
            Happened::EmailDisabled(email) => self.stop_mail(email.as_deref(), Some(self.now)).await?,
            Happened::EmailEnabled(email) => self.stop_mail(email.as_deref(), None).await?,
            Happened::TokenRevoked => self.note("token-revoked"),
            Happened::Verification => self.note("verification"),
            Happened::Unknown(kind) => self.note(kind),
        }
        Ok(())
    }

    /// The link logs nobody in until the provider, the customer or an admin enables it again.
    async fn disable(&mut self, reason: DisabledReason, told: &mut Told) -> Result<(), store::Error> {
        let before = self.link.disabled_reason;
        let since = if before.is_some() { self.link.disabled_at.unwrap_or(self.now) } else { self.now };
        if !self.tx.link_told(self.link.id, Some((reason, since)), self.at).await? {
            // It has said something else since.
            return Ok(());
        }
        told.tasks.push(Task::EndSessions { link: self.link.id, until: self.now });
        if before == Some(reason) {
            return Ok(());
        }
        self.events.push(disabled(&self.link, reason));
        self.flag(reason.as_str()).await?;
        self.tx.grants_revoke_link(self.root, self.link.id, "link_disabled", self.now, self.now).await?;
        // Nobody calls the provider for a customer through an account that is not theirs any more.
        self.tx.upstream_tokens_delete(self.link.id).await?;
        let in_doubt = delivered_address(&self.link);
        if let (DisabledReason::Hijacking, Some(address)) = (reason, &in_doubt) {
            // Whoever has the account may have its mailbox: no code is sent there that would prove to be the customer.
            self.stop_mail(Some(address.normalized()), Some(self.now)).await?;
        }
        let addresses = proved_addresses(self.tx, self.root).await?;
        let is_other = |address: &EmailAddress| {
            in_doubt.as_ref().is_none_or(|in_doubt| in_doubt.normalized() != address.normalized())
        };
        told.tell = addresses.into_iter().filter(is_other).collect();
        Ok(())
    }

    async fn enable(&mut self) -> Result<(), store::Error> {
        let before = self.link.disabled_reason;
        if !self.tx.link_told(self.link.id, None, self.at).await? || before.is_none() {
            return Ok(());
        }
        let event = enable_again(self.tx, &self.link, None, self.now).await?;
        self.events.push(event);
        if let (Some(DisabledReason::Hijacking), Some(address)) = (before, delivered_address(&self.link)) {
            self.stop_mail(Some(address.normalized()), None).await?;
        }
        Ok(())
    }

    async fn end_sessions(&mut self, what: &str, told: &mut Told) -> Result<(), store::Error> {
        self.tx.grants_revoke_link(self.root, self.link.id, "upstream", self.at, self.now).await?;
        told.tasks.push(Task::EndSessions { link: self.link.id, until: self.at });
        self.note(what);
        Ok(())
    }

    async fn flag(&mut self, kind: &str) -> Result<(), store::Error> {
        let flag = Flag {
            id: uuid_v7(self.now),
            customer: self.link.customer,
            link: self.link.id,
            kind: kind.to_owned(),
            raised_at: self.now,
            cleared_at: None,
        };
        if self.tx.flag_raise(&flag).await? {
            self.events.push(Event::CustomerFlagged { link: self.link.id, kind: kind.to_owned() });
        }
        Ok(())
    }

    /// Stops mail to an address of the customer's, or lets it go again. An address that is not theirs stays as it is.
    async fn stop_mail(&mut self, email: Option<&str>, stopped_at: Option<Timestamp>) -> Result<(), store::Error> {
        let delivered = delivered_address(&self.link);
        let address = email.and_then(|email| EmailAddress::parse(email).ok()).or(delivered);
        let Some(address) = address else { return Ok(()) };
        if let Some(link) = self.tx.link_mail_stop(self.root, address.normalized(), stopped_at).await? {
            self.events.push(match stopped_at {
                Some(_) => Event::MailStopped { link },
                None => Event::MailResumed { link },
            });
        }
        Ok(())
    }

    fn note(&mut self, what: &str) {
        let (link, connector) = (self.link.id, self.connector.to_owned());
        self.events.push(Event::ProviderTold { link, connector, what: what.to_owned() });
    }
}

const fn reason_of(cause: Cause) -> DisabledReason {
    match cause {
        Cause::Hijacking => DisabledReason::Hijacking,
        Cause::BulkAccount => DisabledReason::BulkAccount,
        Cause::Unsaid => DisabledReason::AccountDisabled,
    }
}

/// The event of a link that is disabled.
pub(super) fn disabled(link: &Link, reason: DisabledReason) -> Event {
    let (namespace, external_id) = (link.namespace.clone(), link.external_id.clone());
    Event::LinkDisabled { link: link.id, namespace, external_id, reason: reason.as_str() }
}

/// The event of a link that was just enabled; its flags come down with it.
async fn enable_again(tx: &mut Tx, link: &Link, reason: Option<String>, now: Timestamp) -> Result<Event, store::Error> {
    tx.flags_clear(link.id, now).await?;
    let (namespace, external_id) = (link.namespace.clone(), link.external_id.clone());
    Ok(Event::LinkEnabled { link: link.id, namespace, external_id, reason })
}

/// By whose word a link is enabled again that its provider spoke against.
#[derive(Clone, Copy, Debug)]
pub enum Authority<'a> {
    /// The customer's own, by logging in.
    Customer,
    Admin {
        name: &'a str,
        reason: &'a str,
    },
}

/// Enables a link of a customer whose row is locked, and takes down its flags. `false` if there was nothing to change.
///
/// # Errors
/// If the database fails.
pub async fn enable(
    tx: &mut Tx,
    root: CustomerId,
    link: LinkId,
    authority: Authority<'_>,
    now: Timestamp,
) -> Result<bool, store::Error> {
    let links = tx.links_live(root).await?;
    let Some(link) = links.into_iter().find(|candidate| candidate.id == link) else { return Ok(false) };
    let is_flagged = tx.flags_of(root).await?.iter().any(|flag| flag.link == link.id);
    if link.disabled_reason.is_none() && !is_flagged {
        return Ok(false);
    }
    let (actor, reason) = match authority {
        Authority::Customer => (Actor::Customer, None),
        Authority::Admin { name, reason } => (Actor::Admin(name.to_owned()), Some(reason.to_owned())),
    };
    tx.link_told(link.id, None, now).await?;
    let mut events = vec![enable_again(tx, &link, reason, now).await?];
    if let Some(address) = delivered_address(&link)
        && link.disabled_reason == Some(DisabledReason::Hijacking)
        && let Some(link) = tx.link_mail_stop(root, address.normalized(), None).await?
    {
        events.push(Event::MailResumed { link });
    }
    events::record_all(tx, root, actor, events, now).await?;
    Ok(true)
}

/// Whether a login through a link that is disabled for this reason enables it: who took back their consent gives it anew
/// by logging in again. Everything else is the provider's word against whoever is logging in.
pub const fn ends_by_login(reason: DisabledReason) -> bool {
    matches!(reason, DisabledReason::ConsentRevoked)
}
