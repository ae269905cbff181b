//! Who just logged in: from a proved external identity to the one customer it belongs to.
//!
//! The database decides races: the insert that loses finds the winner's link by reading again. An e-mail address never
//! decides who somebody is; it becomes a link of its own only where the connector is trusted for it and nobody has it.

use serde_json::Value;

use super::address::EmailAddress;
use super::namespace::{self, Namespace};
use super::profile::Profile;
use crate::clock::Timestamp;
use crate::config::EmailTrust;
use crate::connector::UpstreamIdentity;
use crate::events::{self, Actor, Event};
use crate::ids::{CredentialId, CustomerId, LinkId};
use crate::store::{self, Credential, Customer, CustomerState, Link, LinkLogin, LinkState, Store, Tx};

/// How often a lost race is read again before it is an error.
const TRIES: usize = 4;
/// A link's `last_seen` and its copy of the profile are written at most this often: logins of one customer in many
/// tabs do not queue for a row.
const SEEN_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(60);

/// The answer to a proved external identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignedIn {
    Known(CustomerId),
    Created(CustomerId),
    /// The customer exists but may not log in: blocked or erased.
    Refused,
    /// The value stands for nobody (spec/identity.md rule 1).
    Blocked,
}

/// A connector's part in the decision.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The configured connector ID: the link key is (connector ID, upstream subject).
    pub connector: &'a str,
    pub email_trust: EmailTrust,
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
    if namespace::is_blocked(&upstream.subject) {
        return Ok(SignedIn::Blocked);
    }
    for _ in 0..TRIES {
        let mut tx = store.begin().await?;
        let known = tx.link_login(&namespace.to_string(), &upstream.subject).await?;
        let outcome = match known {
            Some(link) => Some(known_link(&mut tx, &link, upstream, now).await?),
            None => first_login(&mut tx, source, upstream, now).await?,
        };
        if let Some(signed_in) = outcome {
            tx.commit().await?;
            return Ok(signed_in);
        }
        // Somebody else made the link meanwhile: this transaction is dropped with the customer it made.
    }
    Err(store::Error::Contention)
}

async fn known_link(
    tx: &mut Tx,
    link: &LinkLogin,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<SignedIn, store::Error> {
    if link.root_state != CustomerState::Active {
        return Ok(SignedIn::Refused);
    }
    if now.since(link.last_seen) > SEEN_AGAIN_AFTER || now < link.last_seen {
        tx.link_seen(link.link, now, &delivered(upstream)).await?;
    }
    Ok(SignedIn::Known(link.root))
}

/// `None` if another login made the link first.
async fn first_login(
    tx: &mut Tx,
    source: Source<'_>,
    upstream: &UpstreamIdentity,
    now: Timestamp,
) -> Result<Option<SignedIn>, store::Error> {
    let customer = CustomerId::new(now);
    let social = LinkId::new(now);
    let address = upstream.email.as_deref().and_then(|email| EmailAddress::parse(email).ok());
    let address = address.filter(|address| !address.is_blocked());
    let trusted = address.is_some() && upstream.email_verified && source.email_trust != EmailTrust::Unverified;
    let mut profile = profile_of(upstream, social, trusted, now);
    tx.customer_insert(&Customer::new(customer, profile.to_json(), now)).await?;
    let namespace = Namespace::Social(source.connector.to_owned());
    let origin = format!("connector:{}", source.connector);
    let link = Link {
        proof: Some("oidc".to_owned()),
        verified_at: Some(now),
        profile: delivered(upstream),
        ..live_link(social, &namespace, &upstream.subject, customer, &origin, now)
    };
    if !tx.link_insert(&link).await? {
        return Ok(None);
    }
    let mut events = vec![Event::CustomerCreated {}, added(&link)];
    if let Some(address) = address {
        let link = first_address(tx, &address, trusted, customer, &origin, now).await?;
        if trusted && link.verified_at.is_none() {
            profile.set("email_verified", Some(false), Some(social), now);
            tx.customer_profile_set(customer, &profile.to_json(), now).await?;
        }
        events.push(added(&link));
    }
    events::record_all(tx, customer, Actor::Customer, events, now).await?;
    Ok(Some(SignedIn::Created(customer)))
}

/// Links the address of a first login: proved if the provider is trusted for it and nobody has it, else as a hint.
async fn first_address(
    tx: &mut Tx,
    address: &EmailAddress,
    trusted: bool,
    customer: CustomerId,
    origin: &str,
    now: Timestamp,
) -> Result<Link, store::Error> {
    if trusted {
        let link = email_link(address, Namespace::Email, customer, origin, now);
        if tx.link_insert(&link).await? {
            return Ok(link);
        }
    }
    // An address somebody else has proved stays theirs; here it is only a hint.
    let link = email_link(address, Namespace::UnprovedEmail, customer, origin, now);
    tx.link_insert(&link).await?;
    Ok(link)
}

fn email_link(
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
    link.proof = Some("email_code".to_owned());
    let mut profile = Profile::default();
    profile.set("name", name, None, now);
    profile.set("email", Some(address.display()), Some(link.id), now);
    profile.set("email_verified", Some(true), Some(link.id), now);
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
}

fn live_link(
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
        exclusive: namespace.policy().exclusive,
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
    }
}

fn added(link: &Link) -> Event {
    Event::LinkAdded { link: link.id, namespace: link.namespace.clone(), external_id: link.external_id.clone() }
}

fn delivered(upstream: &UpstreamIdentity) -> Value {
    upstream.raw.clone()
}

/// What the provider says of the customer. Its address counts as verified only if it is a proved link of theirs.
fn profile_of(upstream: &UpstreamIdentity, from: LinkId, email_proved: bool, now: Timestamp) -> Profile {
    let mut profile = Profile::default();
    let from = Some(from);
    for (name, value) in [
        ("name", &upstream.name),
        ("given_name", &upstream.given_name),
        ("family_name", &upstream.family_name),
        ("preferred_username", &upstream.preferred_username),
        ("picture", &upstream.picture),
        ("locale", &upstream.locale),
        ("email", &upstream.email),
    ] {
        profile.set(name, value.as_deref(), from, now);
    }
    if upstream.email.is_some() {
        profile.set("email_verified", Some(email_proved), from, now);
    }
    profile
}
