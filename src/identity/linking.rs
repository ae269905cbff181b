//! Linking: an upstream account becomes one more way in for a customer who is there already (spec/identity.md rules 8
//! to 10, 13, 17).
//!
//! An address never decides alone. Who brings one that a customer has proved is asked to prove to be that customer;
//! only then is the account linked, to that customer and no other. The customer's row is locked while its links are
//! counted and changed, so that of any number at once each sees what the others did. Callers prove; this file holds
//! what follows from a proof. It knows nothing of flows and pages.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::EmailAddress;
use super::addresses;
use super::import::{self, Differs, Imported, Offer};
use super::limit::{self, Limit};
use super::merge::side;
use super::namespace::{self, Namespace, Rules};
use super::other_names;
use super::profile::Profile;
use super::receive;
use super::sign_in::{Source, Typed, added, email_link, live_link};
use super::upstream_tokens::SealedTokens;
use crate::clock::Timestamp;
use crate::config::{EmailTrust, Importable};
use crate::connector::{OtherName, UpstreamIdentity};
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::store::{self, CustomerState, Link, Tx};

/// What proves an address by a mailed code.
pub const MAILED_CODE: &str = "email_code";
/// Nothing unproved may have come to a customer for so long before an account is linked without a question: a squatter
/// prepares the ground shortly before the owner comes.
const SETTLED: Duration = Duration::from_secs(24 * 60 * 60);

/// An upstream account that somebody has proved to have, and that is nobody's here yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Claim {
    /// The configured connector ID.
    pub connector: String,
    /// Byte-exact.
    pub subject: String,
    /// What can be an address of a person's, as the provider delivered it.
    pub email: Option<EmailAddress>,
    /// Whether the provider vouches for `email` and is believed, or its bearer has proved it here.
    pub vouched: bool,
    /// Whether `email` was typed here and proved by a mailed code: the provider knows nothing of it (rule 11).
    #[serde(default)]
    pub typed: bool,
    /// The profile as delivered, without what is to be ignored.
    pub profile: Value,
    /// What of it may become the customer's own.
    #[serde(default)]
    pub offers: Vec<Offer>,
    /// What the provider did not say, although the configuration requires it.
    #[serde(default)]
    pub missing: Vec<Importable>,
    /// How the customer authenticated there.
    pub amr: Vec<String>,
    /// What the provider calls the session there.
    #[serde(default)]
    pub sid: Option<String>,
    /// The level of ours that this reached.
    #[serde(default)]
    pub level: Option<String>,
    /// What else the provider calls the account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_names: Vec<OtherName>,
    /// The provider's tokens, where they are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<SealedTokens>,
}

impl Claim {
    /// What a provider has said, and how far it is believed.
    pub fn new(source: Source<'_>, upstream: &UpstreamIdentity) -> Self {
        let email = upstream.email.as_deref().and_then(|email| EmailAddress::parse(email).ok());
        let email = email.filter(|address| !namespace::blocks_address(address, source.namespaces));
        let vouched = email.is_some() && upstream.email_verified && source.email_trust != EmailTrust::Unverified;
        let typed = match source.typed {
            Typed::Proved(address) => Some(address.clone()),
            Typed::Nothing | Typed::AskedFor => None,
        };
        Self {
            connector: source.connector.to_owned(),
            subject: upstream.subject.clone(),
            vouched: vouched || typed.is_some(),
            typed: typed.is_some(),
            email: typed.or(email),
            profile: import::kept(source.import, &upstream.raw),
            offers: import::first_offers(source.import, source.birthdate_trust, upstream),
            missing: import::missing(source.import, upstream),
            amr: upstream.amr.clone(),
            sid: upstream.sid.clone(),
            level: source.level.map(str::to_owned),
            other_names: upstream.other_names.clone(),
            tokens: source.tokens.cloned(),
        }
    }

    /// The namespace of its link.
    pub fn namespace(&self) -> Namespace {
        Namespace::Social(self.connector.clone())
    }

    /// Where its links come from.
    pub fn origin(&self) -> String {
        format!("connector:{}", self.connector)
    }

    /// The address that the provider vouches for, or that was proved here in its place.
    pub fn vouched_address(&self) -> Option<&EmailAddress> {
        self.email.as_ref().filter(|_| self.vouched)
    }

    /// The link that its address becomes.
    pub(super) fn email_link(
        &self,
        address: &EmailAddress,
        namespace: Namespace,
        customer: CustomerId,
        now: Timestamp,
    ) -> Link {
        match namespace {
            Namespace::Email if self.typed => addresses::typed_link(address, customer, now),
            namespace => email_link(address, namespace, customer, &self.origin(), now),
        }
    }

    /// Keeps the provider's tokens with the link of this claim.
    pub(super) async fn keep_tokens(&self, tx: &mut Tx, link: LinkId, now: Timestamp) -> Result<(), store::Error> {
        match &self.tokens {
            Some(tokens) => tokens.keep(tx, link, now).await,
            None => Ok(()),
        }
    }

    /// The link it becomes.
    pub(super) fn link(&self, id: LinkId, customer: CustomerId, now: Timestamp) -> Link {
        Link {
            proof: Some("oidc".to_owned()),
            verified_at: Some(now),
            display: self.email.as_ref().filter(|_| !self.typed).map(|address| address.display().to_owned()),
            profile: self.profile.clone(),
            ..live_link(id, &self.namespace(), &self.subject, customer, &self.origin(), now)
        }
    }
}

/// Whose the address of a claim is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    /// A customer who may have this account too, if they prove it.
    Customer(CustomerId),
    /// A customer to whom this very provider had vouched for it under another subject: the address may have passed into
    /// other hands, and then a mail to it proves nothing about the customer (rule 13).
    Reassigned(CustomerId),
}

/// Finds whose the address of a claim is.
pub(super) async fn holder(tx: &mut Tx, claim: &Claim) -> Result<Holder, store::Error> {
    let Some(address) = claim.vouched_address() else { return Ok(Holder::Nobody) };
    let namespace = Namespace::Email.to_string();
    let Some(root) = tx.link_resolve(&namespace, address.normalized()).await? else { return Ok(Holder::Nobody) };
    let (social, origin) = (claim.namespace().to_string(), claim.origin());
    let links = tx.links_live(root).await?;
    // After a merge the address may be one side's, and proves that side only (rule 25).
    let holds = |link: &&Link| link.namespace == namespace && link.external_id == address.normalized();
    let root = links.iter().find(holds).map_or(root, |link| link.customer);
    let same_provider = links.iter().any(|link| {
        let brought = link.namespace == social && delivered_address(link).as_ref() == Some(address);
        let proved =
            link.namespace == namespace && link.external_id == address.normalized() && is_proved_by(link, &origin);
        brought || proved
    });
    Ok(if same_provider { Holder::Reassigned(root) } else { Holder::Customer(root) })
}

fn is_proved_by(link: &Link, proof: &str) -> bool {
    link.proof.as_deref() == Some(proof)
}

/// The address in the profile that a link's provider last delivered.
pub(super) fn delivered_address(link: &Link) -> Option<EmailAddress> {
    EmailAddress::parse(link.profile.get("email")?.as_str()?).ok()
}

/// Whether a claim may be linked to the holder of its address without a question (rule 8): the provider runs the
/// mailbox, the customer has proved it here, and nothing unproved came to them within a day.
pub(super) async fn is_settled(
    tx: &mut Tx,
    source: Source<'_>,
    claim: &Claim,
    root: CustomerId,
    now: Timestamp,
) -> Result<bool, store::Error> {
    if !source.links_automatically || source.email_trust != EmailTrust::Authoritative {
        return Ok(false);
    }
    let Some(address) = claim.vouched_address() else { return Ok(false) };
    let links = side::links(tx, root).await?;
    let proved_here = links.iter().any(|link| {
        link.namespace == Namespace::Email.to_string()
            && link.external_id == address.normalized()
            && is_proved_by(link, MAILED_CODE)
    });
    let unsettled = |link: &Link| link.verified_at.is_none() && now < link.first_seen + SETTLED;
    Ok(proved_here && !links.iter().any(unsettled))
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Linked {
    /// A new link of this customer's.
    Added { customer: CustomerId, link: LinkId, address: Mailbox },
    /// It was theirs already: nothing happened (rule 17).
    Already { customer: CustomerId, link: LinkId },
    /// It is another customer's (rule 16), of this row, and so is the link it is. It may open that row's side only.
    Taken { owner: CustomerId, link: LinkId },
    /// The customer has as many accounts of this provider as they may have, or began as many as they may (rule 3).
    Full(Limit),
    /// The provider did not say what the configuration requires.
    Missing(Vec<Importable>),
    /// The customer has another value where the configuration allows none.
    Differs(Differs),
    /// The customer may not log in.
    Refused,
}

/// What a proof by mail means for the address it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mailbox {
    /// Nothing new.
    AsBefore,
    /// Its owner has proved it for the first time. Until then it rested on a provider's word, which others may have had
    /// as well: the sessions and grants there are, are not known to be the owner's (rule 9).
    ProvedFirst,
}

/// What else the customer has proved along with the claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// That they are the customer: they logged in.
    Login,
    /// That mail to the claim's address reaches them.
    MailedCode,
}

/// Links a claim to a customer who has proved to be the one.
///
/// # Errors
/// If the database fails.
pub async fn add(
    tx: &mut Tx,
    customer: CustomerId,
    claim: &Claim,
    proof: Proof,
    rules: Rules<'_>,
) -> Result<Linked, store::Error> {
    let now = rules.now;
    let Some(root) = tx.customer_lock(customer).await? else { return Err(store::Error::Contention) };
    if root.state != CustomerState::Active {
        return Ok(Linked::Refused);
    }
    let namespace = claim.namespace();
    let known = match tx.link_login(&namespace.to_string(), &claim.subject).await? {
        Some(known) => Some(known),
        None => other_names::follow(tx, &claim.connector, &claim.subject, &claim.other_names, now).await?,
    };
    if let Some(theirs) = known {
        if theirs.root == root.id {
            if theirs.disabled_reason.is_some_and(receive::ends_by_login) {
                receive::enable(tx, root.id, theirs.link, receive::Authority::Customer, now).await?;
            }
            claim.keep_tokens(tx, theirs.link, now).await?;
        }
        let already = Linked::Already { customer: theirs.customer, link: theirs.link };
        let taken = Linked::Taken { owner: theirs.customer, link: theirs.link };
        return Ok(if theirs.root == root.id { already } else { taken });
    }
    let links = tx.links_live(root.id).await?;
    if let Some(limit) = limit::reached(tx, root.id, &links, &namespace, rules).await? {
        return Ok(Linked::Full(limit));
    }
    if !claim.missing.is_empty() {
        return Ok(Linked::Missing(claim.missing.clone()));
    }
    // It is the row's who brought it, so that it goes with that row if a merge is undone (rule 32).
    let link = Link { root: root.id, ..claim.link(LinkId::new(now), customer, now) };
    let own = tx.customer_find(customer).await?.ok_or(store::Error::Missing)?;
    let mut profile = Profile::from_json(&own.profile);
    // An account that was disconnected and comes back says what it always said, and not what another one says (rule 5).
    let before = tx.links_find(&namespace.to_string(), &claim.subject).await?;
    let former: Vec<LinkId> = before.iter().filter(|link| link.root == root.id).map(|link| link.id).collect();
    let is_back = profile.take_for(&former, link.id);
    let imported = match import::import(&profile, &claim.offers, link.id, now) {
        Ok(imported) => imported,
        Err(differs) => return Ok(Linked::Differs(differs)),
    };
    if !tx.link_insert(&link).await? {
        // Made by somebody else since; this customer's own links wait for the lock.
        let theirs = tx.link_login(&namespace.to_string(), &claim.subject).await?.ok_or(store::Error::Contention)?;
        return Ok(Linked::Taken { owner: theirs.customer, link: theirs.link });
    }
    claim.keep_tokens(tx, link.id, now).await?;
    let mut events = vec![added(&link)];
    let of_address = add_address(tx, (customer, root.id), &links, claim, proof, rules).await?;
    let first = of_address.iter().any(|event| matches!(event, Event::LinkProved { .. }));
    events.extend(of_address);
    if let Some(imported) = imported {
        events.push(update_profile(tx, customer, &imported, now).await?);
    } else if is_back {
        tx.member_profile_set(customer, &profile.to_json(), now).await?;
    }
    events::record_all(tx, root.id, Actor::Customer, events, now).await?;
    let address = if first { Mailbox::ProvedFirst } else { Mailbox::AsBefore };
    Ok(Linked::Added { customer, link: link.id, address })
}

/// Writes the changed values of a row whose root is locked. The caller records the event.
pub(super) async fn update_profile(
    tx: &mut Tx,
    member: CustomerId,
    imported: &Imported,
    now: Timestamp,
) -> Result<Event, store::Error> {
    tx.member_profile_set(member, &imported.profile.to_json(), now).await?;
    Ok(Event::ProfileUpdated { fields: imported.changed.iter().map(|claim| claim.as_str().to_owned()).collect() })
}

/// Takes the address of a claim along: proved if the provider vouches for it and nobody has it, else as a hint. An
/// address beyond the limit is left out; the account itself is what the customer asked for.
async fn add_address(
    tx: &mut Tx,
    (customer, root): (CustomerId, CustomerId),
    links: &[Link],
    claim: &Claim,
    proof: Proof,
    rules: Rules<'_>,
) -> Result<Vec<Event>, store::Error> {
    let now = rules.now;
    let Some(address) = &claim.email else { return Ok(vec![]) };
    let own = |namespace: Namespace| {
        let name = namespace.to_string();
        links.iter().find(move |link| link.namespace == name && link.external_id == address.normalized())
    };
    if let Some(link) = own(Namespace::Email) {
        return match proof {
            Proof::Login => Ok(vec![]),
            Proof::MailedCode => addresses::proved_by_mail(tx, root, link, now).await,
        };
    }
    if claim.vouched && limit::reached(tx, root, links, &Namespace::Email, rules).await?.is_none() {
        let link = Link { root, ..claim.email_link(address, Namespace::Email, customer, now) };
        if tx.link_insert(&link).await? {
            return Ok(vec![added(&link)]);
        }
    }
    let is_known = own(Namespace::UnprovedEmail).is_some();
    if is_known || limit::reached(tx, root, links, &Namespace::UnprovedEmail, rules).await?.is_some() {
        return Ok(vec![]);
    }
    let link = Link { root, ..claim.email_link(address, Namespace::UnprovedEmail, customer, now) };
    tx.link_insert(&link).await?;
    Ok(vec![added(&link)])
}

/// Where mail about changes to a customer goes: every address they have proved, unless mail to it is stopped.
///
/// # Errors
/// If the database fails.
pub async fn proved_addresses(tx: &mut Tx, customer: CustomerId) -> Result<Vec<EmailAddress>, store::Error> {
    let links = side::links(tx, customer).await?;
    let email = Namespace::Email.to_string();
    let proved = links.iter().filter(|link| link.namespace == email && link.mail_stopped_at.is_none());
    Ok(proved.filter_map(|link| EmailAddress::parse(&link.external_id).ok()).collect())
}
