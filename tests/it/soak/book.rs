//! What the test itself remembers: every ID token that it saw, with who had signed in by which account, and between
//! which moments. It is held against the database when nothing happens any more.

use std::collections::{BTreeMap, BTreeSet};

use samesake::clock::Timestamp;
use samesake::ids::{CustomerId, MergeId};

use super::world::Account;
use crate::harness::invariants::{Graph, LinkRow, MergeRow};
use crate::identity::merge::hex;

/// One ID token.
#[derive(Clone, Debug)]
pub struct Sighting {
    pub sector: String,
    pub sub: String,
    /// By which of the accounts its customer had signed in.
    pub account: usize,
    /// It was made between these.
    pub from: Timestamp,
    pub to: Timestamp,
}

#[derive(Debug, Default)]
pub struct Book {
    pub sightings: Vec<Sighting>,
    /// Whom somebody asked to be erased, with the family.
    pub erased: Vec<(usize, CustomerId)>,
    /// When it was known that a merge was undone: until then it may have been seen.
    pub undone: BTreeMap<String, Timestamp>,
}

impl Book {
    pub fn undone(&mut self, merge: MergeId, at: Timestamp) {
        self.undone.entry(merge.0.simple().to_string()).or_insert(at);
    }

    /// Rules 23, 43 and 44: each `sub` was the person's who had signed in, as they were by the merges of that moment.
    pub fn check(&self, graph: &Graph, accounts: &[Account]) {
        let families = self.families(graph, accounts);
        for sighting in &self.sightings {
            let mut owners =
                graph.subjects.iter().filter(|row| (&row.sector, &row.sub) == (&sighting.sector, &sighting.sub));
            let owner = owners.next().unwrap_or_else(|| panic!("rule 43: nobody is {sighting:?}"));
            let account = &accounts[sighting.account];
            assert_eq!(families[&owner.customer], account.family, "rule 23: another person's: {sighting:?} {owner:?}");
            let key = account.key();
            // Of the erased it is not known any more which of the family's accounts it was.
            let was_its = |link: &LinkRow| link.external_id == "erased" && families[&link.customer] == account.family;
            let is_its = |link: &&LinkRow| {
                link.namespace == key.0
                    && (link.external_id == key.1 || was_its(link))
                    && link.first_seen <= sighting.to.micros()
            };
            let rows: BTreeSet<&str> = graph.links.iter().filter(is_its).map(|link| link.customer.as_str()).collect();
            let one = self.one_with(graph, &owner.customer, sighting);
            assert!(
                rows.iter().any(|row| one.contains(row)),
                "rule 44: no merge explains {sighting:?}: it is {owner:?}, and the account was of {rows:?}"
            );
        }
    }

    /// Which family each customer ever made belongs to: that of the accounts they ever had.
    fn families(&self, graph: &Graph, accounts: &[Account]) -> BTreeMap<String, usize> {
        let by_key: BTreeMap<_, _> = accounts.iter().map(|account| (account.key(), account.family)).collect();
        let mut families = BTreeMap::new();
        for link in &graph.links {
            let Some(family) = by_key.get(&(link.namespace.clone(), link.external_id.clone())) else { continue };
            let before = families.insert(link.customer.clone(), *family);
            assert!(before.is_none_or(|before| before == *family), "two families in one: {link:?}");
        }
        for (family, customer) in &self.erased {
            let root = &graph.customers[&hex(*customer)].canonical;
            for (id, _) in graph.customers.iter().filter(|(_, row)| row.canonical == *root) {
                let before = families.insert(id.clone(), *family);
                assert!(before.is_none_or(|before| before == *family), "two families in one: {id}");
            }
        }
        for id in graph.customers.keys() {
            assert!(families.contains_key(id), "nobody made {id}");
        }
        families
    }

    /// Everybody who was one with a customer at some time of a sighting, by the merges on record.
    fn one_with<'g>(&self, graph: &'g Graph, customer: &'g str, sighting: &Sighting) -> BTreeSet<&'g str> {
        let was_open = |merge: &&MergeRow| {
            // What was undone in a power cut may have been seen until nobody knows when.
            let until = merge.undone_at.and_then(|_| self.undone.get(&merge.id));
            merge.merged_at <= sighting.to.micros() && until.is_none_or(|until| *until >= sighting.from)
        };
        let open: Vec<(&str, &str)> = graph
            .merges
            .iter()
            .filter(was_open)
            .map(|merge| (merge.survivor.as_str(), merge.absorbed.as_str()))
            .collect();
        let mut one = BTreeSet::from([customer]);
        loop {
            let more: Vec<&str> =
                open.iter().filter(|(a, b)| one.contains(a) != one.contains(b)).flat_map(|(a, b)| [*a, *b]).collect();
            if more.is_empty() {
                return one;
            }
            one.extend(more);
        }
    }
}
