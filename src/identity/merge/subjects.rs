//! Which subject a sector is given after a merge was undone (spec/identity.md rules 23, 32, 33).
//!
//! Pure. Of a branch it is that of the first row, from the top down and in the order of the merges, that has one: this
//! is what the merges made it, one after the other, so that an undoing leaves what would be there without the merge.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::Tree;
use crate::events::Parted;
use crate::ids::CustomerId;
use crate::store::{Member, Subject};

/// What each sector calls the rows of a branch: sector to subject.
pub(super) fn current<'a>(rows: &[Member], top: CustomerId, subjects: &'a [Subject]) -> BTreeMap<&'a str, &'a Subject> {
    let tree = Tree::new(rows);
    let of_row: BTreeMap<(CustomerId, &str), &Subject> =
        subjects.iter().map(|subject| ((subject.customer, subject.sector.as_str()), subject)).collect();
    let sectors: BTreeSet<&str> = subjects.iter().map(|subject| subject.sector.as_str()).collect();
    let branch = tree.branch(top);
    // What was issued to a side for itself alone is the whole customer's only if that side is the whole.
    let counts = |subject: &Subject| !subject.own_side || tree.leader(subject.customer) == top;
    let first = |sector: &'a str| {
        let mut found = branch.iter().filter_map(|id| of_row.get(&(*id, sector)).copied());
        found.find(|subject| counts(subject)).map(|subject| (sector, subject))
    };
    sectors.into_iter().filter_map(first).collect()
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
