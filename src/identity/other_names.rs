//! One account at a provider under two subjects (spec/identity.md rule 3): Apple moves it to another team, or the
//! company has several apps at Facebook, which each know a person by an ID of their own.
//!
//! The second subject is a second live link of the same customer, so that either resolves as any link does. It does not
//! count against the limit, because it is no second account. Which of several at once makes it is decided by the unique
//! index; doing any of it again changes nothing. After a move's overlap the old link ends, and the new one takes its
//! place. It knows nothing of files and tokens.

use std::time::Duration;

use super::namespace::{Namespace, Rules};
use super::receive;
use super::sign_in::{added, live_link};
use crate::clock::Timestamp;
use crate::connector::OtherName;
use crate::events::{self, Actor, Event};
use crate::ids::LinkId;
use crate::store::retry::retry;
use crate::store::{self, DueMove, Link, LinkLogin, LinkState, Store, Tx};

/// Where a link comes from whose account moved here.
const TRANSFER: &str = "transfer";
/// Where a link comes from that is what another app of the business calls the account.
const BUSINESS: &str = "business";

/// How long both subjects of a moved account resolve if nobody says otherwise: Apple's tokens name the old one for so
/// long.
pub const OVERLAP: Duration = Duration::from_secs(60 * 24 * 60 * 60);
const BATCH: i64 = 100;

/// Where links come from that are only another name of an account.
pub const SOURCES: [&str; 2] = [TRANSFER, BUSINESS];

/// Whether a link is only another name of an account that has a link already.
pub fn is_other_name(link: &Link) -> bool {
    SOURCES.contains(&link.source.as_str())
}

/// Follows a subject that is nobody's here to an account that is somebody's, by what else the provider calls it, and
/// gives that account this subject too. `None` if no name leads anywhere. Call it in the transaction that looked.
///
/// # Errors
/// If the database fails.
pub async fn follow(
    tx: &mut Tx,
    connector: &str,
    subject: &str,
    names: &[OtherName],
    now: Timestamp,
) -> Result<Option<LinkLogin>, store::Error> {
    let namespace = Namespace::Social(connector.to_owned());
    for name in names {
        let Some((old, ends_at)) = known(tx, &namespace, name, now).await? else { continue };
        let source = if ends_at.is_some() { TRANSFER } else { BUSINESS };
        let second = Second { namespace: &namespace, subject, source, ends_at };
        second.add(tx, &old, Actor::System, now).await?;
        // Ours, or that of whoever was first.
        return tx.link_login(&namespace.to_string(), subject).await;
    }
    Ok(None)
}

/// The live link that a name leads to, and when it ends.
async fn known(
    tx: &mut Tx,
    namespace: &Namespace,
    name: &OtherName,
    now: Timestamp,
) -> Result<Option<(Link, Option<Timestamp>)>, store::Error> {
    match name {
        OtherName::Transfer(transfer_sub) => {
            let awaited = tx.transfer_subject_find(&namespace.to_string(), transfer_sub, now).await?;
            let Some((old_sub, ends_at)) = awaited else { return Ok(None) };
            Ok(live(tx, namespace, &old_sub).await?.map(|link| (link, Some(ends_at))))
        }
        OtherName::Business { connector, subject } => {
            let theirs = Namespace::Social(connector.clone());
            Ok(live(tx, &theirs, subject).await?.map(|link| (link, None)))
        }
    }
}

async fn live(tx: &mut Tx, namespace: &Namespace, subject: &str) -> Result<Option<Link>, store::Error> {
    let all = tx.links_find(&namespace.to_string(), subject).await?;
    Ok(all.into_iter().find(|link| link.exclusive && link.state == LinkState::Live))
}

/// A second subject of an account.
struct Second<'a> {
    namespace: &'a Namespace,
    subject: &'a str,
    source: &'static str,
    ends_at: Option<Timestamp>,
}

impl Second<'_> {
    /// Adds it beside `old`; `false` if the subject is somebody's already, or the old one nobody's any more.
    async fn add(&self, tx: &mut Tx, old: &Link, actor: Actor, now: Timestamp) -> Result<bool, store::Error> {
        // Whoever merges or erases the customer, or disconnects the account, waits or has been.
        let Some(root) = tx.customer_lock(old.customer).await? else { return Err(store::Error::Contention) };
        let still = live(tx, &Namespace::parse(&old.namespace).ok_or(store::Error::Missing)?, &old.external_id).await?;
        let Some(old) = still.filter(|link| link.id == old.id) else { return Ok(false) };
        let link = Link {
            root: root.id,
            proof: old.proof.clone(),
            verified_at: old.verified_at,
            display: old.display.clone(),
            profile: old.profile.clone(),
            // What the provider spoke against stays so under another name.
            disabled_reason: old.disabled_reason,
            disabled_at: old.disabled_at,
            ..live_link(LinkId::new(now), self.namespace, self.subject, old.customer, self.source, now)
        };
        if !tx.link_insert(&link).await? {
            return Ok(false);
        }
        tx.moved_link_insert(link.id, old.id, self.ends_at, now).await?;
        let mut events = vec![added(&link)];
        events.extend(link.disabled_reason.map(|reason| receive::disabled(&link, reason)));
        events::record_all(tx, root.id, actor, events, now).await?;
        Ok(true)
    }
}

/// What the old team says of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub old_sub: String,
    /// What the account is called on the way.
    pub transfer_sub: Option<String>,
    /// What the new team calls it.
    pub new_sub: Option<String>,
}

/// What became of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transferred {
    /// The new subject resolves from now on, beside the old one.
    Moved,
    /// The account moves at its first login that brings the name on the way.
    Awaited,
    /// It was so before.
    Already,
    /// Nobody here has the old subject.
    Unknown,
    /// The new subject, or the name on the way, is another account's.
    Taken,
    /// A subject is empty or stands for nobody, or there is nothing to move to.
    Unfit,
}

/// Moves one account of a connector. Doing it again changes nothing.
///
/// # Errors
/// If the database fails; `Contention` if the customer changed at this moment and the transaction may be tried again.
pub async fn transfer(
    tx: &mut Tx,
    connector: &str,
    account: &Transfer,
    ends_at: Timestamp,
    actor: &Actor,
    rules: Rules<'_>,
) -> Result<Transferred, store::Error> {
    let now = rules.now;
    let namespace = Namespace::Social(connector.to_owned());
    let subjects = [Some(&account.old_sub), account.transfer_sub.as_ref(), account.new_sub.as_ref()];
    let nowhere = account.transfer_sub.is_none() && account.new_sub.is_none();
    let unfit = |subject: &String| namespace.identifier(subject, rules.namespaces).is_err();
    if nowhere || subjects.into_iter().flatten().any(unfit) {
        return Ok(Transferred::Unfit);
    }
    let Some(old) = live(tx, &namespace, &account.old_sub).await? else {
        return moved_before(tx, &namespace, account).await;
    };
    if let Some(transfer_sub) = &account.transfer_sub {
        let known = tx.transfer_subject_find(&namespace.to_string(), transfer_sub, now).await?;
        let is_new = known.is_none();
        if !tx.transfer_subject_put(&namespace.to_string(), transfer_sub, &account.old_sub, ends_at, now).await? {
            return Ok(Transferred::Taken);
        }
        if account.new_sub.is_none() {
            return Ok(if is_new { Transferred::Awaited } else { Transferred::Already });
        }
    }
    let Some(new_sub) = &account.new_sub else { return Ok(Transferred::Unfit) };
    let second = Second { namespace: &namespace, subject: new_sub, source: TRANSFER, ends_at: Some(ends_at) };
    if *new_sub != account.old_sub && second.add(tx, &old, actor.clone(), now).await? {
        return Ok(Transferred::Moved);
    }
    Ok(match tx.link_resolve(&namespace.to_string(), new_sub).await? {
        Some(owner) if owner == old.root => Transferred::Already,
        Some(_) => Transferred::Taken,
        None => Transferred::Unknown,
    })
}

/// The old subject does not resolve: because the move is over, or because it never did.
async fn moved_before(tx: &mut Tx, namespace: &Namespace, account: &Transfer) -> Result<Transferred, store::Error> {
    let Some(new_sub) = &account.new_sub else { return Ok(Transferred::Unknown) };
    let Some(new) = live(tx, namespace, new_sub).await? else { return Ok(Transferred::Unknown) };
    let before = tx.links_find(&namespace.to_string(), &account.old_sub).await?;
    let was_it = before.iter().any(|link| link.root == new.root);
    Ok(if was_it { Transferred::Already } else { Transferred::Unknown })
}

/// Ends the old links of moves whose overlap is over, and forgets names on the way that are. Answers how many ended. Of
/// several replicas at once one ends each.
///
/// # Errors
/// If the database fails.
pub async fn end_due(store: &Store, now: Timestamp) -> Result<usize, store::Error> {
    let mut ended = 0;
    loop {
        let due = store.begin_read().await?.moved_links_due(now, BATCH).await?;
        for one in &due {
            let attempt = async || {
                let mut tx = store.begin().await?;
                let ended = end(&mut tx, one, now).await?;
                tx.commit().await?;
                Ok::<bool, store::Error>(ended)
            };
            ended += usize::from(retry(attempt).await?);
        }
        if due.is_empty() {
            break;
        }
    }
    let mut tx = store.begin().await?;
    tx.transfer_subjects_purge(now).await?;
    tx.commit().await?;
    Ok(ended)
}

async fn end(tx: &mut Tx, due: &DueMove, now: Timestamp) -> Result<bool, store::Error> {
    // A merge or an undoing may have come since it was found to be due, or come while we wait for the customer.
    let owner = old_of(tx, due).await?.map_or(due.root, |old| old.root);
    let root = tx.customer_lock(owner).await?.ok_or(store::Error::Contention)?.id;
    let old = old_of(tx, due).await?;
    if old.as_ref().is_some_and(|old| old.root != root) {
        return Err(store::Error::Contention);
    }
    if !tx.moved_link_end(due.link, now).await? {
        return Ok(false);
    }
    // What rests on the account, such as an address it proved, rests on its source: the new link takes that over.
    tx.link_source_set(due.link, &due.source).await?;
    let Some(old) = old.filter(|old| old.state == LinkState::Live) else { return Ok(false) };
    tx.link_end(old.id, now).await?;
    let removed = Event::LinkRemoved { link: old.id, namespace: old.namespace, external_id: old.external_id };
    events::record_all(tx, root, Actor::System, vec![removed], now).await?;
    Ok(true)
}

/// The link that a move ends, as it is now.
async fn old_of(tx: &mut Tx, due: &DueMove) -> Result<Option<Link>, store::Error> {
    let links = tx.links_find(&due.namespace, &due.external_id).await?;
    Ok(links.into_iter().find(|link| link.id == due.old))
}

/// Every link of the account that a link is of, live or ended; that one first.
///
/// # Errors
/// If the database fails.
pub async fn links_of_account(tx: &mut Tx, link: LinkId) -> Result<Vec<LinkId>, store::Error> {
    let mut all = vec![link];
    let mut next = 0;
    while let Some(&known) = all.get(next) {
        for other in tx.moved_links_with(known).await? {
            if !all.contains(&other) {
                all.push(other);
            }
        }
        next += 1;
    }
    Ok(all)
}
