//! Who just logged in: from a proved external identity to the one customer it belongs to.
//!
//! The database decides races: the insert that loses finds the winner's link by reading again. An e-mail address never
//! decides who somebody is: it becomes a link of its own only where the connector is trusted for it and nobody has it,
//! and whoever brings one that somebody has must prove to be them (`linking`).

use serde_json::{Value, json};

use super::address::EmailAddress;
use super::import::{self, Differs, Imported};
use super::linking::{self, Claim, Holder};
use super::namespace::Namespace;
use super::other_names;
use super::profile::Profile;
use super::receive;
use super::upstream_tokens::SealedTokens;
use crate::clock::{Timestamp, uuid_v7};
use crate::config::{BirthdateTrust, EmailTrust, ImportConfig, Importable, NamespacesConfig};
use crate::connector::{Connector, UpstreamIdentity};
use crate::events::{self, Actor, Event};
use crate::ids::{CredentialId, CustomerId, LinkId};
use crate::store::retry::retry;
use crate::store::{
    self, Conflict, ConflictKind, Credential, Customer, CustomerState, Link, LinkLogin, LinkState, Store, Tx,
};

/// A link's `last_seen` and its copy of the profile are written at most this often: logins of one customer in many
/// tabs do not queue for a row.
const SEEN_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(60);

/// The answer to a proved external identity.
#[derive(Clone, Debug, PartialEq)]
pub enum SignedIn {
    Known(CustomerId, LinkId),
    Created(CustomerId, LinkId),
    /// Nobody is known by this account, and it brings no address that is proved: to be asked for before a customer is
    /// made, so that whoever has it need not become two (rule 11).
    AddressAsked,
    /// The provider vouches for an address that this customer has proved (rule 8).
    AccountExists(CustomerId, Box<Claim>, Question),
    /// The customer exists but may not log in: blocked or erased.
    Refused,
    /// The provider spoke against this account: it is somebody's, and logs nobody in.
    Disabled,
    /// The value stands for nobody (spec/identity.md rule 1).
    Blocked,
    /// The provider did not say what the configuration requires.
    Missing(Vec<Importable>),
    /// The customer has another value where the configuration allows none.
    Differs(Differs),
}

/// Whether somebody who brings a customer's address must prove to be that customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    Asked,
    /// The account may be linked at once: the connector is told to, and nothing speaks against it.
    Spared,
}

/// A connector's part in the decision.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The configured connector ID: the link key is (connector ID, upstream subject).
    pub connector: &'a str,
    pub email_trust: EmailTrust,
    pub birthdate_trust: BirthdateTrust,
    /// Whether it may link to the customer who has proved its address without asking them.
    pub links_automatically: bool,
    /// The provider's tokens, where they are kept.
    pub tokens: Option<&'a SealedTokens>,
    /// What of the profile becomes the customer's own.
    pub import: &'a ImportConfig,
    /// The level of ours that this login reached.
    pub level: Option<&'a str>,
    /// What the customer is asked for, or has typed here, where the provider brings no address that counts.
    pub typed: Typed<'a>,
    /// What the namespaces declare.
    pub namespaces: &'a NamespacesConfig,
}

impl<'a> Source<'a> {
    /// What a connector is configured to be worth, for what it says of this customer.
    pub fn of(connector: &'a dyn Connector, identity: &UpstreamIdentity, namespaces: &'a NamespacesConfig) -> Self {
        Self {
            connector: connector.id(),
            email_trust: connector.email_trust(identity),
            birthdate_trust: connector.config().birthdate_trust,
            links_automatically: connector.links_automatically(),
            import: &connector.config().import,
            level: connector.level(identity),
            tokens: None,
            typed: Typed::Nothing,
            namespaces,
        }
    }
}

/// The address of a newcomer whose provider vouches for none.
#[derive(Clone, Copy, Debug, Default)]
pub enum Typed<'a> {
    /// They go without.
    #[default]
    Nothing,
    /// They are to be asked before a customer is made.
    AskedFor,
    /// They have typed this one, and proved by a mailed code that it is theirs.
    Proved(&'a EmailAddress),
}

/// Finds or makes the customer of a proved social identity.
///
/// # Errors
/// If the database fails.
pub async fn social(
    store: &Store,
    source: Source<'_>,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<SignedIn, store::Error> {
    let namespace = Namespace::Social(source.connector.to_owned());
    if namespace.blocks(&upstream.subject, source.namespaces) {
        return Ok(SignedIn::Blocked);
    }
    let missing = import::missing(source.import, upstream);
    if !missing.is_empty() {
        return Ok(SignedIn::Missing(missing));
    }
    let namespace = namespace.to_string();
    retry(|| arrive(store, source, &namespace, upstream, now)).await
}

async fn arrive(
    store: &Store,
    source: Source<'_>,
    namespace: &str,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<SignedIn, store::Error> {
    let mut tx = store.begin().await?;
    let known = match tx.link_login(namespace, &upstream.subject).await? {
        Some(link) => Some(link),
        None => {
            let names = &upstream.other_names;
            other_names::follow(&mut tx, source.connector, &upstream.subject, names, now).await?
        }
    };
    let outcome = match known {
        Some(link) => known_link(&mut tx, source, &link, upstream, now).await?,
        None => newcomer(&mut tx, source, upstream, now).await?,
    };
    // Somebody else made the link meanwhile: this transaction is dropped with the customer it made.
    let signed_in = outcome.ok_or(store::Error::Contention)?;
    tx.commit().await?;
    Ok(signed_in)
}

/// An account that is somebody's. `None` if it is theirs no more: an unlinking or an erasure came between.
async fn known_link(
    tx: &mut Tx,
    source: Source<'_>,
    link: &LinkLogin,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<Option<SignedIn>, store::Error> {
    if link.root_state != CustomerState::Active {
        return Ok(Some(SignedIn::Refused));
    }
    if let Some(reason) = link.disabled_reason {
        if !receive::ends_by_login(reason) {
            return Ok(Some(SignedIn::Disabled));
        }
        let Some(root) = tx.customer_lock(link.root).await? else { return Ok(None) };
        if root.state != CustomerState::Active {
            return Ok(Some(SignedIn::Refused));
        }
        receive::enable(tx, root.id, link.link, receive::Authority::Customer, now).await?;
    }
    let offers = import::later_offers(source.import, source.birthdate_trust, upstream);
    let imported = |profile: &Value| match offers.as_slice() {
        [] => Ok(None),
        offers => import::import(&Profile::from_json(profile), offers, link.link, now),
    };
    let changes = match imported(&link.profile) {
        Ok(imported) => imported.is_some(),
        Err(differs) => return Ok(Some(SignedIn::Differs(differs))),
    };
    if changes {
        // Decided again under the lock: of two logins that bring the same change one makes it.
        let Some(root) = tx.customer_lock(link.customer).await? else { return Ok(None) };
        if root.state != CustomerState::Active {
            return Ok(Some(SignedIn::Refused));
        }
        // What a provider says is written to the row whose account it is: a merge mixes no values.
        let own = tx.customer_find(link.customer).await?.ok_or(store::Error::Missing)?;
        match imported(&own.profile) {
            Ok(Some(imported)) => update(tx, own.id, &imported, now).await?,
            Ok(None) => {}
            Err(differs) => return Ok(Some(SignedIn::Differs(differs))),
        }
    }
    if changes || now.since(link.last_seen) > SEEN_AGAIN_AFTER || now < link.last_seen {
        let kept = import::kept(source.import, &upstream.raw);
        if !tx.link_seen(link.link, now, &kept).await? {
            return Ok(None);
        }
    }
    if let Some(tokens) = source.tokens {
        tokens.keep(tx, link.link, now).await?;
    }
    // The row whose way in this is: after a merge it may open its own side only (rule 25).
    Ok(Some(SignedIn::Known(link.customer, link.link)))
}

async fn update(tx: &mut Tx, member: CustomerId, imported: &Imported, now: Timestamp) -> Result<(), store::Error> {
    let event = linking::update_profile(tx, member, imported, now).await?;
    events::record(tx, member, Actor::Customer, event, now).await
}

/// An account that is nobody's here. `None` if that changed meanwhile.
async fn newcomer(
    tx: &mut Tx,
    source: Source<'_>,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<Option<SignedIn>, store::Error> {
    let claim = Claim::new(source, upstream);
    if matches!(source.typed, Typed::AskedFor) && claim.vouched_address().is_none() {
        return Ok(Some(SignedIn::AddressAsked));
    }
    let holder = linking::holder(tx, &claim).await?;
    let Holder::Customer(customer) = holder else { return first_login(tx, &claim, holder, upstream, now).await };
    // A typed address is here because its owner has just answered.
    let settled = claim.typed || linking::is_settled(tx, source, &claim, customer, now).await?;
    let question = if settled { Question::Spared } else { Question::Asked };
    Ok(Some(SignedIn::AccountExists(customer, Box::new(claim), question)))
}

/// Makes a customer. `None` if another login made the link, or took the address, first.
async fn first_login(
    tx: &mut Tx,
    claim: &Claim,
    holder: Holder,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<Option<SignedIn>, store::Error> {
    let customer = CustomerId::new(now);
    let social = LinkId::new(now);
    let proved = claim.vouched && holder == Holder::Nobody;
    let mut profile = profile_of(claim, upstream, social, proved, now);
    if let Some(address) = claim.email.as_ref().filter(|_| claim.typed) {
        profile.set("email", Some(address.display()), None, now);
        profile.set("email_verified", Some(proved), None, now);
    }
    tx.customer_insert(&Customer::new(customer, profile.to_json(), now)).await?;
    let link = claim.link(social, customer, now);
    if !tx.link_insert(&link).await? {
        return Ok(None);
    }
    claim.keep_tokens(tx, social, now).await?;
    let mut events = vec![Event::CustomerCreated {}, added(&link)];
    if let Some(address) = &claim.email {
        // An address somebody else has proved stays theirs; here it is only a hint.
        let namespace = if proved { Namespace::Email } else { Namespace::UnprovedEmail };
        let link = claim.email_link(address, namespace, customer, now);
        if !tx.link_insert(&link).await? {
            return Ok(None);
        }
        events.push(added(&link));
    }
    if let Holder::Reassigned(other) = holder {
        let kind = ConflictKind::AddressReassigned;
        let detail = json!({ "connector": claim.connector, "subject": claim.subject });
        let id = uuid_v7(now);
        let conflict = Conflict { id, kind, customer, other, detail, created_at: now, closed_at: None };
        tx.conflict_open(&conflict).await?;
        events.push(Event::ConflictOpened { kind: kind.as_str().to_owned() });
    }
    events::record_all(tx, customer, Actor::Customer, events, now).await?;
    Ok(Some(SignedIn::Created(customer, social)))
}

pub(super) fn email_link(
    address: &EmailAddress,
    namespace: Namespace,
    customer: CustomerId,
    origin: &str,
    now: Timestamp,
) -> Link {
    let proved = namespace == Namespace::Email;
    Link {
        display: Some(address.display().to_owned()),
        verified_at: proved.then_some(now),
        proof: proved.then(|| origin.to_owned()),
        ..live_link(LinkId::new(now), &namespace, address.normalized(), customer, origin, now)
    }
}

/// What a password sign-up with a proved address gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedUp {
    Created(CustomerId),
    /// The address is somebody's. Whoever proved it by code now owns the mailbox, but not that customer's password.
    AddressTaken,
}

/// Makes a customer who proved an address by a mailed code and chose a password.
///
/// # Errors
/// If the database fails.
pub async fn sign_up(
    store: &Store,
    address: &EmailAddress,
    password_phc: &str,
    name: Option<&str>,
    now: Timestamp,
) -> Result<SignedUp, store::Error> {
    let customer = CustomerId::new(now);
    let mut link = email_link(address, Namespace::Email, customer, "sign_up", now);
    link.proof = Some(linking::MAILED_CODE.to_owned());
    let mut profile = Profile::default();
    profile.set("name", name, None, now);
    profile.set("email", Some(address.display()), Some(link.id), now);
    profile.set("email_verified", Some(true), Some(link.id), now);
    let attempt = async || {
        let mut tx = store.begin().await?;
        tx.customer_insert(&Customer::new(customer, profile.to_json(), now)).await?;
        if !tx.link_insert(&link).await? {
            return Ok(SignedUp::AddressTaken);
        }
        let credential = Credential::password(CredentialId::new(now), customer, password_phc, now);
        if !tx.credential_insert(&credential).await? {
            return Err(store::Error::Contention);
        }
        let events = vec![Event::CustomerCreated {}, added(&link), Event::CredentialAdded { kind: "password" }];
        events::record_all(&mut tx, customer, Actor::Customer, events, now).await?;
        tx.commit().await?;
        Ok(SignedUp::Created(customer))
    };
    retry(attempt).await
}

pub(super) fn live_link(
    id: LinkId,
    namespace: &Namespace,
    external_id: &str,
    customer: CustomerId,
    source: &str,
    now: Timestamp,
) -> Link {
    Link {
        id,
        namespace: namespace.to_string(),
        external_id: external_id.to_owned(),
        exclusive: namespace.is_exclusive(),
        customer,
        root: customer,
        state: LinkState::Live,
        source: source.to_owned(),
        proof: None,
        verified_at: None,
        display: None,
        profile: Value::Null,
        first_seen: now,
        last_seen: now,
        ended_at: None,
        disabled_reason: None,
        disabled_at: None,
        mail_stopped_at: None,
    }
}

pub(super) fn added(link: &Link) -> Event {
    Event::LinkAdded { link: link.id, namespace: link.namespace.clone(), external_id: link.external_id.clone() }
}

/// What the provider says of a new customer. Its address counts as verified only if it is a proved link of theirs.
fn profile_of(claim: &Claim, upstream: &UpstreamIdentity, from: LinkId, proved: bool, now: Timestamp) -> Profile {
    let mut profile = Profile::default();
    for offer in &claim.offers {
        offer.write(&mut profile, from, now);
    }
    if let Some(email) = &upstream.email {
        profile.set("email", Some(email.as_str()), Some(from), now);
        profile.set("email_verified", Some(proved), Some(from), now);
    }
    profile
}
