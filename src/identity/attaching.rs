//! Identifiers that the company itself says are a customer's: an app's or another system's ID, a proved phone number, a
//! browser (spec/identity.md rules 1, 5 and 20).
//!
//! Who brings one has authority over customers: an admin, an import, an app's back end. Accounts at providers and e-mail
//! addresses do not come this way: only their owner can prove them. The same said again changes nothing. Another
//! customer's identifier is not taken, but for two: a browser, whose current owner is whoever used it last, and a phone
//! number whose proof has aged, because numbers are given to others. It knows nothing of files and requests.

use serde_json::json;

use super::limit::{self, Limit};
use super::merge::side;
use super::namespace::{Namespace, Rules, is_stale};
use super::resolve::Identifier;
use super::sign_in::{added, live_link};
use crate::clock::{Timestamp, uuid_v7};
use crate::events::{self, Actor, Event};
use crate::ids::{CustomerId, LinkId};
use crate::jobs::Task;
use crate::session::FOR_EVER;
use crate::store::{self, Conflict, ConflictKind, CustomerState, Link, LinkState, Tx};

/// Who says so, and on what grounds.
#[derive(Clone, Debug)]
pub struct Said<'a> {
    /// Where the link comes from, such as `admin` or `import`.
    pub source: &'a str,
    /// What proved it and when, if anything did.
    pub proof: Option<(&'a str, Timestamp)>,
    pub actor: Actor,
    /// For whoever reads the audit log.
    pub reason: &'a str,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attached {
    Added(LinkId),
    /// It was theirs; the proof is newer now, or they are the current owner of the browser again.
    Renewed(LinkId),
    /// It was so before: nothing happened.
    Already(LinkId),
    /// It is another customer's.
    Taken(CustomerId),
    Full(Limit),
    /// Identifiers of this namespace need a proof, and one that is not too old.
    Unproved,
    /// Identifiers of this namespace do not come this way.
    NotThisWay,
    /// The customer is blocked or erased.
    Refused,
    /// Nobody ever had this customer ID.
    Unknown,
}

/// Attaches an identifier to a customer.
///
/// # Errors
/// If the database fails; `Contention` if somebody else changes its owner at this moment and it may be tried again.
pub async fn attach(
    tx: &mut Tx,
    customer: CustomerId,
    identifier: &Identifier,
    said: &Said<'_>,
    rules: Rules<'_>,
) -> Result<Attached, store::Error> {
    let namespace = &identifier.namespace;
    let proved_at = said.proof.map(|(_, at)| at);
    if matches!(namespace, Namespace::Social(_) | Namespace::Email | Namespace::UnprovedEmail) {
        return Ok(Attached::NotThisWay);
    }
    let policy = rules.policy(namespace);
    let is_proved = proved_at.is_some_and(|at| at <= rules.now) && !is_stale(policy, proved_at, rules.now);
    if !is_proved && (said.proof.is_some() || *namespace == Namespace::Phone) {
        return Ok(Attached::Unproved);
    }
    let Some(before) = holder(tx, identifier).await? else {
        return free(tx, customer, identifier, None, said, rules).await;
    };
    let Some(living) = tx.customer_living(customer).await? else { return Ok(Attached::Unknown) };
    // Both rows are locked in one order, as a merge does; what was read before may have changed since.
    tx.roots_lock(living.id, before.root).await?;
    match holder(tx, identifier).await? {
        Some(now) if now.id == before.id && now.root == before.root => {
            free(tx, customer, identifier, Some(now), said, rules).await
        }
        _ => Err(store::Error::Contention),
    }
}

/// The live link by which an identifier resolves.
async fn holder(tx: &mut Tx, identifier: &Identifier) -> Result<Option<Link>, store::Error> {
    let all = tx.links_find(&identifier.namespace.to_string(), &identifier.external_id).await?;
    Ok(all.into_iter().find(|link| link.exclusive && link.state == LinkState::Live))
}

/// Goes on with the customer locked. `holder` is whose it is; that customer is locked as well.
async fn free(
    tx: &mut Tx,
    customer: CustomerId,
    identifier: &Identifier,
    holder: Option<Link>,
    said: &Said<'_>,
    rules: Rules<'_>,
) -> Result<Attached, store::Error> {
    let Some(root) = tx.customer_lock(customer).await? else { return Ok(Attached::Unknown) };
    if root.state != CustomerState::Active {
        return Ok(Attached::Refused);
    }
    let name = identifier.namespace.to_string();
    let links = tx.links_live(root.id).await?;
    let mut own = links.iter().filter(|link| link.namespace == name && link.external_id == identifier.external_id);
    if let Some(own) = own.next() {
        return again(tx, root.id, own, holder.as_ref(), said, rules).await;
    }
    if let Some(limit) = limit::reached(tx, root.id, &links, &identifier.namespace, rules).await? {
        return Ok(Attached::Full(limit));
    }
    if let Some(theirs) = &holder
        && !give_way(tx, root.id, theirs, said, rules).await?
    {
        return Ok(Attached::Taken(theirs.root));
    }
    let is_browser = matches!(identifier.namespace, Namespace::Visitor(_));
    let link = Link {
        root: root.id,
        exclusive: is_browser || rules.policy(&identifier.namespace).exclusive,
        proof: said.proof.map(|(proof, _)| proof.to_owned()),
        verified_at: said.proof.map(|(_, at)| at),
        ..live_link(
            LinkId::new(rules.now),
            &identifier.namespace,
            &identifier.external_id,
            customer,
            said.source,
            rules.now,
        )
    };
    if !tx.link_insert(&link).await? {
        // Somebody attached it since it was looked for.
        return Err(store::Error::Contention);
    }
    let vouched = Event::LinkVouched { link: link.id, reason: said.reason.to_owned() };
    events::record_all(tx, root.id, said.actor.clone(), vec![added(&link), vouched], rules.now).await?;
    Ok(Attached::Added(link.id))
}

/// An identifier that is the customer's already.
async fn again(
    tx: &mut Tx,
    root: CustomerId,
    own: &Link,
    holder: Option<&Link>,
    said: &Said<'_>,
    rules: Rules<'_>,
) -> Result<Attached, store::Error> {
    let is_browser = matches!(Namespace::parse(&own.namespace), Some(Namespace::Visitor(_)));
    if is_browser && !own.exclusive {
        if let Some(holder) = holder {
            tx.link_current_set(holder.id, false, holder.last_seen).await?;
        }
        tx.link_current_set(own.id, true, rules.now).await?;
        let vouched = Event::LinkVouched { link: own.id, reason: said.reason.to_owned() };
        events::record(tx, root, said.actor.clone(), vouched, rules.now).await?;
        return Ok(Attached::Renewed(own.id));
    }
    let newer = said.proof.filter(|(_, at)| own.verified_at.is_none_or(|before| before < *at));
    let Some((proof, at)) = newer else { return Ok(Attached::Already(own.id)) };
    tx.link_proved(own.id, proof, at).await?;
    let proved = Event::LinkProved {
        link: own.id,
        namespace: own.namespace.clone(),
        external_id: own.external_id.clone(),
        proof: proof.to_owned(),
    };
    events::record(tx, root, said.actor.clone(), proved, rules.now).await?;
    Ok(Attached::Renewed(own.id))
}

/// Whether another customer's link makes room: a browser's stays theirs without being current, an aged proof ends.
async fn give_way(
    tx: &mut Tx,
    newcomer: CustomerId,
    theirs: &Link,
    said: &Said<'_>,
    rules: Rules<'_>,
) -> Result<bool, store::Error> {
    if matches!(Namespace::parse(&theirs.namespace), Some(Namespace::Visitor(_))) {
        tx.link_current_set(theirs.id, false, theirs.last_seen).await?;
        return Ok(true);
    }
    if said.proof.is_none() || !rules.is_stale(theirs) {
        return Ok(false);
    }
    tx.link_end(theirs.id, rules.now).await?;
    events::record(tx, theirs.root, Actor::System, removed(theirs), rules.now).await?;
    // The old owner may be the new one under another ID: a person should look (rule 13).
    let conflict = Conflict {
        id: uuid_v7(rules.now),
        kind: ConflictKind::ProofAged,
        customer: newcomer,
        other: theirs.root,
        detail: json!({ "namespace": theirs.namespace, "external_id": theirs.external_id }),
        created_at: rules.now,
        closed_at: None,
    };
    tx.conflict_open(&conflict).await?;
    let opened = Event::ConflictOpened { kind: conflict.kind.as_str().to_owned() };
    events::record(tx, newcomer, Actor::System, opened, rules.now).await?;
    Ok(true)
}

/// Takes an identifier away again that came this way, and answers what is left to do; `None` if the customer has no such
/// live link. Whoever takes it away has authority over customers, so it may be their last way in.
///
/// # Errors
/// If the database fails.
pub async fn detach(
    tx: &mut Tx,
    customer: CustomerId,
    link: LinkId,
    (actor, reason): (Actor, &str),
    now: Timestamp,
) -> Result<Option<Vec<Task>>, store::Error> {
    let Some(root) = tx.customer_lock(customer).await? else { return Err(store::Error::Contention) };
    let links = side::links(tx, root.id).await?;
    let Some(gone) = links.iter().find(|candidate| candidate.id == link && came_this_way(candidate)) else {
        return Ok(None);
    };
    tx.link_end(gone.id, now).await?;
    tx.grants_revoke_link(root.id, gone.id, "unlinked", now, now).await?;
    let forced = Event::LinkForcedOff { link: gone.id, reason: reason.to_owned() };
    events::record_all(tx, root.id, actor, vec![removed(gone), forced], now).await?;
    Ok(Some(vec![Task::EndSessions { link: gone.id, until: FOR_EVER }]))
}

/// Whether a link is of a kind that is attached, not proved by a login or a mailed code.
pub fn came_this_way(link: &Link) -> bool {
    !matches!(
        Namespace::parse(&link.namespace),
        None | Some(Namespace::Social(_) | Namespace::Email | Namespace::UnprovedEmail)
    )
}

fn removed(link: &Link) -> Event {
    Event::LinkRemoved { link: link.id, namespace: link.namespace.clone(), external_id: link.external_id.clone() }
}
