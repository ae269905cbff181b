//! Which subject a sector is given: for a side of a merge, after keys were joined, and after an undoing (spec/identity.md
//! rules 23, 25, 32, 33).
//!
//! The choice is pure. Of a branch it is the subject that the sector is given now; else the one retired last, which was
//! current before the branch was absorbed; else what was issued to a login by that side's own keys. So a side is called
//! what it was called before, and an undoing leaves what would be there without the merge.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;
use crate::clock::Timestamp;
use crate::events::{Audience, Parted};
use crate::ids::CustomerId;
use crate::store::{self, Member, Subject, Tx};

/// How near a subject is to being the one. The greater wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Given to a login that saw its own side only.
    OwnSide,
    Retired(Option<Timestamp>),
    Current,
}

impl Standing {
    pub(super) const fn of(current: bool, own_side: bool, retired_at: Option<Timestamp>) -> Self {
        match (current, own_side) {
            (true, _) => Self::Current,
            (false, true) => Self::OwnSide,
            (false, false) => Self::Retired(retired_at),
        }
    }
}

/// The one of these, which are in the order of the tree. Of equals it is the first: that is what the merges would have
/// made it, one after the other.
pub(super) fn chosen<T>(subjects: impl IntoIterator<Item = T>, standing: impl Fn(&T) -> Standing) -> Option<T> {
    let in_order = subjects.into_iter().enumerate();
    in_order.max_by_key(|(at, subject)| (standing(subject), Reverse(*at))).map(|(_, subject)| subject)
}

/// What each sector calls the rows of a branch: sector to subject.
pub(super) fn current<'a>(rows: &[Member], top: CustomerId, subjects: &'a [Subject]) -> BTreeMap<&'a str, &'a Subject> {
    let tree = Tree::new(rows);
    let of_row: BTreeMap<(CustomerId, &str), &Subject> =
        subjects.iter().map(|subject| ((subject.customer, subject.sector.as_str()), subject)).collect();
    let sectors: BTreeSet<&str> = subjects.iter().map(|subject| subject.sector.as_str()).collect();
    let branch = tree.branch(top);
    // What was issued to a side for itself alone is the whole customer's only if that side is the whole.
    let counts = |subject: &&Subject| !subject.own_side || tree.leader(subject.customer) == top;
    let one = |sector: &'a str| {
        let of_sector = branch.iter().filter_map(|id| of_row.get(&(*id, sector)).copied()).filter(counts);
        let standing = |subject: &&Subject| Standing::of(subject.current, subject.own_side, subject.retired_at);
        chosen(of_sector, standing).map(|subject| (sector, subject))
    };
    sectors.into_iter().filter_map(one).collect()
}

/// What the sectors must be told that knew the restored customer, by whatever name.
pub(super) fn parted(restored: &BTreeMap<&str, &Subject>, rest: &BTreeMap<&str, &Subject>) -> Vec<Parted> {
    let line = |(sector, subject): (&&str, &&Subject)| Parted {
        sector: (*sector).to_owned(),
        restored: subject.sub.clone(),
        parted_from: rest.get(sector).map(|subject| subject.sub.clone()),
    };
    restored.iter().map(line).collect()
}

/// A side whose keys have just become those of the root brings along what it was called alone: a sector that knows the
/// root by nothing goes on with that; one that knows both is given the root's from now on, and is to be told.
///
/// # Errors
/// If the database fails.
pub(super) async fn unite(tx: &mut Tx, root: CustomerId, now: Timestamp) -> Result<Vec<Audience>, store::Error> {
    let (rows, subjects) = (tx.members_of(root).await?, tx.subjects_of(root).await?);
    let tree = Tree::new(&rows);
    let brought = |subject: &&Subject| subject.own_side && tree.leader(subject.customer) == root;
    let mut audiences: BTreeMap<&str, Audience> = BTreeMap::new();
    let given = current(&rows, root, &subjects);
    for subject in subjects.iter().filter(brought) {
        let Some(given) = given.get(subject.sector.as_str()) else { continue };
        if given.sub == subject.sub {
            tx.subject_restore(&subject.sector, &subject.sub, now).await?;
            continue;
        }
        tx.subject_retire(&subject.sector, &subject.sub, now).await?;
        let audience = audiences.entry(&subject.sector).or_insert_with(|| Audience {
            sector: subject.sector.clone(),
            sub: given.sub.clone(),
            merged_from: Vec::new(),
        });
        audience.merged_from.push(subject.sub.clone());
    }
    Ok(audiences.into_values().collect())
}
