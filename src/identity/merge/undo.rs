//! Undoing a merge: the restored customer has its ID, links, credentials, consents and subjects again (spec/identity.md
//! rules 32 to 35).
//!
//! It follows open merges, so that merges can be undone in any order and an inner one takes its own branch along. What
//! came after the merge stays with the survivor, unless its own row or a choice says otherwise. It has a dry run with a
//! hash like a merge, and marks the pair as not the same person.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::facts::Side;
use super::tree::Tree;
use super::{Initiator, MovedLink, Refusal, subjects, taking};
use crate::clock::{Timestamp, uuid_v7};
use crate::config::MergeConfig;
use crate::events::{self, Event, Parted};
use crate::ids::{CustomerId, LinkId, MergeId};
use crate::secret;
use crate::store::retry::retry;
use crate::store::{
    self, Conflict, ConflictKind, Consent, CustomerState, Link, LinkState, Member, Merge, NotSame, Store, Subject, Tx,
    most_restrictive,
};

/// Which merge is to be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoRequest {
    pub merge: MergeId,
    pub by: Initiator,
    /// For the record.
    pub reason: String,
    /// Links that came to the survivor after the merge and go with the restored customer.
    #[serde(default)]
    pub take: Vec<LinkId>,
}

/// Everything that an undoing would do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UndoPlan {
    pub merge: MergeId,
    /// The customer of whom the restored one is a part now.
    pub from: CustomerId,
    pub restored: CustomerId,
    pub refusals: Vec<Refusal>,
    /// The restored customer and everyone below it.
    pub moved: Vec<CustomerId>,
    /// Live links that go.
    pub links: Vec<MovedLink>,
    /// Live links that came after the merge and stay: they can be taken along by choice.
    pub stay: Vec<MovedLink>,
    /// What each sector that knew the restored customer will see.
    pub sectors: Vec<Parted>,
    /// Clients to which consent was given while they were one: both keep it, the stricter.
    pub consents: Vec<String>,
    /// Identifiers that somebody else has by now: each opens a conflict case.
    pub taken: Vec<MovedLink>,
    pub version: i64,
}

impl UndoPlan {
    /// The same for the same plan only.
    pub fn hash(&self) -> String {
        let text = serde_json::to_string(&Self { version: 0, ..self.clone() }).unwrap_or_default();
        secret::base64url(&secret::sha256(&[b"undo plan", text.as_bytes()]))
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Undone {
    /// Both customers, the restored one second. `repeated` if it was undone before.
    Done {
        merge: MergeId,
        from: CustomerId,
        restored: CustomerId,
        repeated: bool,
    },
    Unknown,
    Refused(Box<UndoPlan>),
    Stale(Box<UndoPlan>),
}

/// What an undoing would do; `None` if there is no such merge, or it was undone.
///
/// # Errors
/// If the database fails.
pub async fn undo_plan(
    store: &Store,
    config: &MergeConfig,
    request: &UndoRequest,
    now: Timestamp,
) -> Result<Option<UndoPlan>, store::Error> {
    undo_plan_in(&mut store.begin_read().await?, config, request, now).await
}

/// The same within a transaction of the caller's.
///
/// # Errors
/// If the database fails.
pub async fn undo_plan_in(
    tx: &mut Tx,
    config: &MergeConfig,
    request: &UndoRequest,
    now: Timestamp,
) -> Result<Option<UndoPlan>, store::Error> {
    let Some(merge) = tx.merge_find(request.merge).await?.filter(|merge| merge.undone_at.is_none()) else {
        return Ok(None);
    };
    let Some(root) = tx.customer_living(merge.absorbed).await? else { return Ok(None) };
    let parts = Parts::read(tx, merge, root.id, request).await?;
    Ok(Some(parts.plan(config, now)))
}

/// Undoes a merge. Done twice it answers what the first one did.
///
/// # Errors
/// If the database fails, or others stand in the way for seconds.
pub async fn undo(
    store: &Store,
    config: &MergeConfig,
    request: &UndoRequest,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<Undone, store::Error> {
    retry(|| once(store, config, request, hash, now)).await
}

async fn once(
    store: &Store,
    config: &MergeConfig,
    request: &UndoRequest,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<Undone, store::Error> {
    let mut tx = store.begin().await?;
    let Some(merge) = tx.merge_find(request.merge).await? else { return Ok(Undone::Unknown) };
    let Some(root) = tx.customer_living(merge.absorbed).await? else { return Ok(Undone::Unknown) };
    if !tx.roots_lock(root.id, merge.absorbed).await?.contains(&root.id) {
        return Err(store::Error::Contention);
    }
    // Under the lock: whoever undoes this merge, or hangs its root under another, has locked that root.
    let Some(merge) = tx.merge_find(request.merge).await? else { return Ok(Undone::Unknown) };
    let (id, restored) = (merge.id, merge.absorbed);
    if merge.undone_at.is_some() {
        return Ok(Undone::Done { merge: id, from: merge.survivor, restored, repeated: true });
    }
    if tx.customer_living(merge.absorbed).await?.is_none_or(|living| living.id != root.id) {
        return Err(store::Error::Contention);
    }
    let parts = Parts::read(&mut tx, merge, root.id, request).await?;
    let plan = Box::new(parts.plan(config, now));
    if hash.is_some_and(|agreed| agreed != plan.hash()) {
        return Ok(Undone::Stale(plan));
    }
    if !plan.refusals.is_empty() {
        return Ok(Undone::Refused(plan));
    }
    apply(&mut tx, &parts, &plan, request, now).await?;
    tx.commit().await?;
    Ok(Undone::Done { merge: id, from: root.id, restored, repeated: false })
}

/// A customer about to be two.
struct Parts {
    merge: Merge,
    whole: Side,
    /// Live and ended links of the whole.
    links: Vec<Link>,
    /// The rows that go.
    branch: BTreeSet<CustomerId>,
    /// Ended links of the branch whose identifier somebody else has, with that customer.
    taken: Vec<(Link, CustomerId)>,
    /// Links that the request takes along.
    take: Vec<Link>,
}

impl Parts {
    async fn read(tx: &mut Tx, merge: Merge, root: CustomerId, request: &UndoRequest) -> Result<Self, store::Error> {
        let whole = Side::read(tx, root).await?;
        let branch: BTreeSet<CustomerId> = Tree::new(&whole.rows).branch(merge.absorbed).into_iter().collect();
        let links = tx.links_of(root, LINKS).await?;
        let mut taken = Vec::new();
        for link in links.iter().filter(|link| link.state == LinkState::Ended && link.exclusive) {
            let since = link.ended_at.is_some_and(|ended| ended >= merge.merged_at);
            if since
                && branch.contains(&link.customer)
                && let Some(other) = tx.link_resolve(&link.namespace, &link.external_id).await?
            {
                let theirs = links.iter().any(|live| {
                    let same = live.namespace == link.namespace && live.external_id == link.external_id;
                    same && live.state == LinkState::Live && branch.contains(&live.customer)
                });
                if !theirs {
                    taken.push((link.clone(), other));
                }
            }
        }
        let came_after = |link: &&Link| {
            let mine = branch.contains(&link.customer);
            request.take.contains(&link.id) && !mine && link.first_seen >= merge.merged_at
        };
        let take = links.iter().filter(|link| link.state == LinkState::Live).filter(came_after).cloned().collect();
        Ok(Self { merge, whole, links, branch, taken, take })
    }

    fn plan(&self, config: &MergeConfig, now: Timestamp) -> UndoPlan {
        let goes = |link: &&Link| self.branch.contains(&link.customer) || self.take.iter().any(|it| it.id == link.id);
        let live = || self.links.iter().filter(|link| link.state == LinkState::Live);
        let after = |link: &&Link| link.first_seen >= self.merge.merged_at;
        let (restored, rest) = self.subjects();
        UndoPlan {
            merge: self.merge.id,
            from: self.whole.root,
            restored: self.merge.absorbed,
            refusals: self.refusals(config, now),
            moved: self.branch.iter().copied().collect(),
            links: live().filter(goes).map(line).collect(),
            stay: live().filter(|link| !goes(link)).filter(after).map(line).collect(),
            sectors: subjects::parted(&restored, &rest),
            consents: self.consents_given(),
            taken: self.taken.iter().map(|(link, _)| line(link)).collect(),
            version: self.whole.version(),
        }
    }

    /// What each sector will call the restored customer, and the rest.
    fn subjects(&self) -> (Subjects<'_>, Subjects<'_>) {
        let (gone, left): (Vec<Member>, Vec<Member>) =
            self.whole.rows.iter().cloned().partition(|row| self.branch.contains(&row.id));
        // A restored root's keys are its own, whatever they were joined to.
        let gone: Vec<Member> = gone
            .into_iter()
            .map(|row| if row.id == self.merge.absorbed { Member { absorbed_by: None, ..row } } else { row })
            .collect();
        (
            subjects::current(&gone, self.merge.absorbed, &self.whole.subjects),
            subjects::current(&left, self.whole.root, &self.whole.subjects),
        )
    }

    fn refusals(&self, config: &MergeConfig, now: Timestamp) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        if now.since(self.merge.merged_at) > config.undo_window {
            refusals.push(Refusal::TooLate);
        }
        for row in &self.whole.rows {
            let customer = row.id;
            if row.state == CustomerState::Erased {
                refusals.push(Refusal::Erased { customer });
            }
            if row.legal_hold.is_some() {
                refusals.push(Refusal::LegalHold { customer });
            }
        }
        refusals
    }

    /// Clients to which the rest, as the whole customer, gave consent since the merge.
    fn consents_given(&self) -> Vec<String> {
        let given =
            |consent: &&Consent| !self.branch.contains(&consent.customer) && consent.updated_at > self.merge.merged_at;
        let clients: BTreeSet<String> =
            self.whole.consents.iter().filter(given).map(|consent| consent.client_id.clone()).collect();
        clients.into_iter().collect()
    }

    /// What one side had allowed a client when the merge was made.
    fn consent_before(&self, client_id: &str, of_branch: Branching) -> Option<String> {
        let lines = self.merge.plan.as_ref()?.get("moves")?.get("consents")?.as_array()?;
        let mine = |line: &&serde_json::Value| {
            let customer = line["customer"].as_str().and_then(|id| id.parse::<CustomerId>().ok());
            let gone = customer.is_some_and(|customer| self.branch.contains(&customer));
            line["client_id"] == client_id && gone == (of_branch == Branching::Gone)
        };
        most_restrictive(lines.iter().filter(mine).filter_map(|line| line["scope"].as_str().map(str::to_owned)))
    }
}

type Subjects<'a> = std::collections::BTreeMap<&'a str, &'a Subject>;

/// Which of the two a row belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Branching {
    Gone,
    Left,
}

/// How many links of one customer are looked at.
const LINKS: i64 = 10_000;

fn line(link: &Link) -> MovedLink {
    MovedLink { link: link.id, namespace: link.namespace.clone(), external_id: link.external_id.clone() }
}

async fn apply(
    tx: &mut Tx,
    parts: &Parts,
    plan: &UndoPlan,
    request: &UndoRequest,
    now: Timestamp,
) -> Result<(), store::Error> {
    let (root, restored, actor) = (plan.from, plan.restored, request.by.actor());
    tx.merge_undone(plan.merge, &actor.as_text(), now).await?;
    let taken = taking::take(tx, (root, restored), &parts.take, &parts.whole.rows, now).await?;
    let unmerged = Event::CustomerUnmerged {
        merge: plan.merge,
        restored,
        moved: plan.moved.clone(),
        links: plan.links.iter().map(|line| line.link).collect(),
        audiences: plan.sectors.clone(),
    };
    events::record_all(tx, root, actor.clone(), [Some(unmerged), taken.left].into_iter().flatten().collect(), now)
        .await?;
    let state = parts.whole.rows.iter().find(|row| row.id == root).map_or(CustomerState::Active, |row| row.state);
    tx.members_release((root, restored), state, plan.version + 1, now).await?;
    tx.belongings_follow(root, restored).await?;
    let (gone, left) = parts.subjects();
    for subject in gone.values().chain(left.values()).filter(|subject| !subject.current) {
        tx.subject_restore(&subject.sector, &subject.sub, now).await?;
    }
    consents(tx, parts, plan, now).await?;
    tx.members_end_sessions(root, now).await?;
    tx.members_end_sessions(restored, now).await?;
    let pair = NotSame {
        a: parts.merge.survivor,
        b: restored,
        actor: actor.as_text(),
        reason: json!({ "undone": plan.merge, "text": request.reason }),
        created_at: now,
    };
    tx.candidates_part(restored, now).await?;
    let mut events = vec![Event::CustomerRestored { merge: plan.merge, from: root }];
    events.extend(taken.restored);
    if tx.not_same_insert(&pair).await? {
        events.push(Event::NotSameMarked { other: pair.a });
    }
    for (link, other) in &parts.taken {
        let kind = ConflictKind::ValueTaken;
        let detail = json!({ "merge": plan.merge, "namespace": link.namespace, "link": link.id });
        let conflict = Conflict {
            id: uuid_v7(now),
            kind,
            customer: restored,
            other: *other,
            detail,
            created_at: now,
            closed_at: None,
        };
        tx.conflict_open(&conflict).await?;
        events.push(Event::ConflictOpened { kind: kind.as_str().to_owned() });
    }
    events::record_all(tx, restored, actor, events, now).await
}

/// Consent given while they were one goes to both: what it and the one of before have in common (rule 33).
async fn consents(tx: &mut Tx, parts: &Parts, plan: &UndoPlan, now: Timestamp) -> Result<(), store::Error> {
    for client_id in &plan.consents {
        let of_client = parts.whole.consents.iter().filter(|consent| consent.client_id == *client_id);
        let Some(given) = most_restrictive(of_client.map(|consent| consent.scope.clone())) else { continue };
        for (customer, side) in [(plan.restored, Branching::Gone), (plan.from, Branching::Left)] {
            let before = parts.consent_before(client_id, side);
            let scope = most_restrictive(before.into_iter().chain([given.clone()])).unwrap_or_default();
            let consent = Consent { customer, client_id: client_id.clone(), scope, granted_at: now, updated_at: now };
            tx.consent_put_member(customer, &consent).await?;
        }
    }
    Ok(())
}
