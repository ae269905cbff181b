//! What admins do to single links of a customer: take them away, and let them log in again.
//!
//! Identity specification, rules 18 to 20. The API, the desk and the command line all come here; who may is asked before.
//! Everything is the caller's one transaction: the change, the mails about it, and the tasks it leaves.

use super::notices::Notices;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::events::Actor;
use crate::identity::attaching;
use crate::identity::linking;
use crate::identity::receive;
use crate::identity::unlinking::{self, Authority, Unlinked, Ways};
use crate::ids::{CustomerId, LinkId};
use crate::jobs::Task;
use crate::mail::templates;
use crate::store::{self, Link, LinkState, Tx};

/// Who does it, and why.
#[derive(Clone, Copy, Debug)]
pub struct Deed<'a> {
    /// The admin's name, without the word that says it is one.
    pub admin: &'a str,
    pub reason: &'a str,
}

impl Deed<'_> {
    fn actor(&self) -> Actor {
        Actor::Admin(self.admin.to_owned())
    }
}

/// What became of a removal.
#[derive(Clone, Debug, PartialEq)]
pub enum Removed {
    /// What is left to do, and how many addresses are told.
    Done { tasks: Vec<Task>, told: usize },
    /// It had ended before.
    Already,
    /// The customer has no such link.
    Unknown,
    /// Addresses are the customer's to remove.
    NotThatKind,
}

/// Whether a link is of a kind that an admin may remove; addresses are the customer's own.
pub fn is_removable(link: &Link) -> bool {
    unlinking::connector_of(link).is_some() || attaching::came_this_way(link)
}

/// Removes a link, even the last way in. An account at a provider is disconnected, with everything that came through it;
/// what the company linked is free again.
///
/// # Errors
/// If the database fails.
pub async fn remove(
    tx: &mut Tx,
    (config, notices): (&Config, &Notices<'_>),
    (customer, link): (CustomerId, LinkId),
    deed: Deed<'_>,
    now: Timestamp,
) -> Result<Removed, store::Error> {
    let Some(found) = of_customer(tx, customer, link).await? else { return Ok(Removed::Unknown) };
    if found.state == LinkState::Ended {
        return Ok(Removed::Already);
    }
    // A retired ID sees its own side of a merge only; whoever is alive has them all.
    let customer = found.root;
    let Some(connector) = unlinking::connector_of(&found) else {
        let gone = attaching::detach(tx, customer, link, (deed.actor(), deed.reason), now).await?;
        return Ok(gone.map_or(Removed::NotThatKind, |tasks| Removed::Done { tasks, told: 0 }));
    };
    // Before the change: an address that only this link proved is told too.
    let addresses = linking::proved_addresses(tx, customer).await?;
    let authority = Authority::Admin { name: deed.admin, reason: deed.reason };
    match unlinking::remove(tx, customer, link, &Ways::offered(config), authority, now).await? {
        Unlinked::Removed(tasks) => {
            let name = config.connectors.iter().find(|known| known.id == connector);
            let name = name.map_or(connector.as_str(), |known| known.name.as_str());
            let message = |letterhead: &_, to: &_, url: &str| templates::account_removed(letterhead, to, name, url);
            notices.tell(tx, &addresses, now, message).await?;
            Ok(Removed::Done { tasks, told: addresses.len() })
        }
        // An admin's word takes the last way in too; what is not there any more was removed before.
        Unlinked::LastWay | Unlinked::Unproved | Unlinked::NotThere => Ok(Removed::Already),
    }
}

/// What became of enabling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enabled {
    Done,
    /// It was not disabled, and nothing was flagged.
    Already,
    /// The customer has no such live link.
    Unknown,
}

/// Lets a link log in again that its provider spoke against, and takes down its flags.
///
/// # Errors
/// If the database fails.
pub async fn enable(
    tx: &mut Tx,
    (customer, link): (CustomerId, LinkId),
    deed: Deed<'_>,
    now: Timestamp,
) -> Result<Enabled, store::Error> {
    let Some(root) = tx.customer_lock(customer).await? else { return Ok(Enabled::Unknown) };
    if !tx.links_live(root.id).await?.iter().any(|candidate| candidate.id == link) {
        return Ok(Enabled::Unknown);
    }
    let authority = receive::Authority::Admin { name: deed.admin, reason: deed.reason };
    let changed = receive::enable(tx, root.id, link, authority, now).await?;
    Ok(if changed { Enabled::Done } else { Enabled::Already })
}

/// A link of a customer's, live or ended.
///
/// # Errors
/// If the database fails.
pub async fn of_customer(tx: &mut Tx, customer: CustomerId, link: LinkId) -> Result<Option<Link>, store::Error> {
    let Some(living) = tx.customer_living(customer).await? else { return Ok(None) };
    Ok(tx.link_find(link).await?.filter(|found| found.root == living.id))
}
