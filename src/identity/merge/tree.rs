//! The tree of open merges of one customer, and what each of its rows may see (spec/identity.md rules 22 and 25).
//!
//! A merge hangs a root under another one. A row's *leader* is the topmost row that its ways in open: joining profiles
//! is not joining keys. What a leader sees is its branch, which is what it saw before somebody else's merge absorbed
//! it. Pure: no database, no clock.

use std::collections::BTreeMap;

use crate::ids::CustomerId;
use crate::store::Member;

/// The rows of one customer, told apart.
#[derive(Debug)]
pub struct Tree<'a> {
    members: BTreeMap<CustomerId, &'a Member>,
    /// In the order in which they were absorbed.
    children: BTreeMap<CustomerId, Vec<CustomerId>>,
}

impl<'a> Tree<'a> {
    /// Of all the rows of one customer.
    pub fn new(members: impl IntoIterator<Item = &'a Member>) -> Self {
        let members: BTreeMap<CustomerId, &Member> = members.into_iter().map(|member| (member.id, member)).collect();
        let mut children: BTreeMap<CustomerId, Vec<CustomerId>> = BTreeMap::new();
        for member in members.values() {
            if let Some(parent) = member.absorbed_by {
                children.entry(parent).or_default().push(member.id);
            }
        }
        let seq = |id: &CustomerId| members.get(id).and_then(|member| member.absorbed_seq);
        for ids in children.values_mut() {
            ids.sort_by_key(|id| (seq(id), *id));
        }
        Self { members, children }
    }

    /// One of the rows.
    pub fn get(&self, id: CustomerId) -> Option<&'a Member> {
        self.members.get(&id).copied()
    }

    /// The topmost row whose keys the keys of this row are.
    pub fn leader(&self, id: CustomerId) -> CustomerId {
        let mut top = id;
        // Each step goes up; the rows bound it should the table hold a ring, which it must not.
        for _ in 0..self.members.len() {
            match self.get(top).and_then(|member| member.absorbed_by.filter(|_| member.keys_joined)) {
                Some(parent) => top = parent,
                None => break,
            }
        }
        top
    }

    /// A row and everyone below it, itself first, then each child with its own branch, first absorbed first.
    pub fn branch(&self, top: CustomerId) -> Vec<CustomerId> {
        let mut branch = Vec::new();
        let mut waiting = vec![top];
        while let Some(id) = waiting.pop() {
            if branch.len() >= self.members.len() {
                break;
            }
            if self.members.contains_key(&id) {
                branch.push(id);
            }
            if let Some(children) = self.children.get(&id) {
                waiting.extend(children.iter().rev());
            }
        }
        branch
    }

    /// The rows of a branch.
    pub fn branch_rows(&self, top: CustomerId) -> Vec<&'a Member> {
        self.branch(top).into_iter().filter_map(|id| self.get(id)).collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::Timestamp;
    use crate::store::CustomerState;

    pub(in super::super) fn id(number: u128) -> CustomerId {
        CustomerId(uuid::Uuid::from_u128(number))
    }

    /// A row absorbed by another as the nth of its children; number 1 is the root.
    pub(in super::super) fn member(number: u128, under: Option<(u128, i64, bool)>) -> Member {
        Member {
            id: id(number),
            canonical: id(1),
            state: if under.is_some() { CustomerState::Merged } else { CustomerState::Active },
            version: 1,
            event_seq: 1,
            profile: json!({}),
            created_at: Timestamp::from_seconds(0),
            absorbed_by: under.map(|(parent, ..)| id(parent)),
            absorbed_seq: under.map(|(_, seq, _)| seq),
            keys_joined: under.is_some_and(|(.., joined)| joined),
            choices: None,
            sessions_from: None,
            legal_hold: None,
            brand: None,
        }
    }

    #[test]
    fn keys_lead_as_far_up_as_they_were_joined() {
        // 4 was joined to 3 by its customer, 3 to 2 by an admin, 2 to 1 by its customer.
        let rows = [
            member(1, None),
            member(2, Some((1, 5, true))),
            member(3, Some((2, 7, false))),
            member(4, Some((3, 9, true))),
        ];
        let tree = Tree::new(&rows);
        let leaders: Vec<CustomerId> = (1..=4).map(|number| tree.leader(id(number))).collect();
        assert_eq!(leaders, [id(1), id(1), id(3), id(3)]);
        assert_eq!(tree.branch(id(3)), [id(3), id(4)]);
        assert_eq!(tree.branch(id(1)), [id(1), id(2), id(3), id(4)]);
        assert_eq!(tree.branch(id(9)), []);
    }

    #[test]
    fn a_branch_goes_down_in_the_order_of_the_merges() {
        let rows = [
            member(1, None),
            member(2, Some((1, 9, true))),
            member(3, Some((1, 5, true))),
            member(4, Some((3, 2, true))),
        ];
        assert_eq!(Tree::new(&rows).branch(id(1)), [id(1), id(3), id(4), id(2)]);
    }

    #[test]
    fn a_ring_in_the_table_is_no_endless_loop() {
        let rows = [member(1, Some((2, 1, true))), member(2, Some((1, 1, true)))];
        let tree = Tree::new(&rows);
        assert!(tree.branch(id(1)).len() <= 2);
        tree.leader(id(1));
    }
}
