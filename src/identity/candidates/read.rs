//! From rows to records: what of a customer is compared, and what speaks against joining two.
//!
//! A customer is compared by the values that count today, of all rows that were merged into one (rule 22).

use serde_json::Value;
use uuid::Uuid;

use super::{Rules, ScanError};
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::identity::duplicates::rules::Limits;
use crate::identity::duplicates::{Claim, Person, Records};
use crate::identity::merge::side;
use crate::identity::namespace::{Namespace, is_stale};
use crate::ids::CustomerId;
use crate::secret;
use crate::store::{Compared, CustomerState, LiveIdentifier, Member, Store};

/// Customers read at once.
pub(super) const PAGE: i64 = 2_000;

/// Customers in memory.
#[derive(Debug, Default)]
pub struct Loaded {
    pub records: Records,
    pub limits: Limits,
    namespaces: Vec<String>,
    /// Names the customers and what is known of them.
    pub(super) digest: Vec<u8>,
    /// The last event when the first of them was read: who changed after it may be another by now.
    pub(super) as_of: i64,
}

/// Reads all living customers, a page at a time; `progress` hears how many there are so far.
///
/// # Errors
/// The database, or more customers than memory has room for.
pub async fn load(
    store: &Store,
    rules: &Rules,
    now: Timestamp,
    mut progress: impl FnMut(usize),
) -> Result<Loaded, ScanError> {
    let as_of = store.begin_read().await?.duplicate_follower().await?.last;
    let mut loaded = Loaded { as_of, ..Loaded::default() };
    let mut after = CustomerId(Uuid::nil());
    while let Some(page) = Page::read(store, after, PAGE).await? {
        after = page.last;
        page.push_into(&mut loaded, &rules.merge, now)?;
        progress(loaded.records.len());
    }
    let apart = store.begin_read().await?.not_same_roots().await?;
    loaded.keep_apart(&apart);
    Ok(loaded)
}

/// Some customers' rows, in the order of the customers.
#[derive(Debug)]
pub(super) struct Page {
    /// The last customer of it.
    pub last: CustomerId,
    members: Vec<Member>,
    identifiers: Vec<LiveIdentifier>,
}

impl Page {
    /// The next living customers after one; `None` after the last.
    pub(super) async fn read(store: &Store, after: CustomerId, limit: i64) -> Result<Option<Self>, ScanError> {
        let mut tx = store.begin_read().await?;
        let roots = tx.customers_living_after(after, limit).await?;
        let (Some(first), Some(last)) = (roots.first().copied(), roots.last().copied()) else { return Ok(None) };
        let members = tx.members_between(first, last).await?;
        Ok(Some(Self { last, members, identifiers: tx.identifiers_between(first, last).await? }))
    }

    /// Of rows that were read together.
    pub(super) fn new(rows: Vec<Compared>) -> Self {
        let last = rows.last().map_or(CustomerId(Uuid::nil()), |row| row.member.canonical);
        let (members, identifiers): (Vec<_>, Vec<_>) =
            rows.into_iter().map(|row| (row.member, row.identifiers)).unzip();
        Self { last, members, identifiers: identifiers.into_iter().flatten().collect() }
    }

    /// Adds those who live.
    pub(super) fn push_into(&self, to: &mut Loaded, merge: &MergeConfig, now: Timestamp) -> Result<(), ScanError> {
        for rows in self.members.chunk_by(|one, other| one.canonical == other.canonical) {
            let Some(root) = rows.iter().find(|row| row.id == row.canonical) else { continue };
            if root.state != CustomerState::Active {
                continue;
            }
            let begin = self.identifiers.partition_point(|identifier| identifier.root < root.id);
            let own = self.identifiers.get(begin..).unwrap_or_default();
            let end = own.partition_point(|identifier| identifier.root == root.id);
            let own = own.get(..end).unwrap_or_default();
            match rows {
                [alone] => to.push(alone.id, &alone.profile, own, merge, now)?,
                _ => to.push(root.id, &side::profile(rows, root.id, merge).unwrap_or_default(), own, merge, now)?,
            }
        }
        Ok(())
    }
}

impl Loaded {
    /// The customer at a place.
    pub fn customer(&self, index: u32) -> CustomerId {
        CustomerId(Uuid::from_u128(self.records.key(index)))
    }

    /// Remembers who is known not to be whom.
    pub(super) fn keep_apart(&mut self, pairs: &[(CustomerId, CustomerId)]) {
        for (a, b) in pairs {
            self.limits.not_same(a.0.as_u128(), b.0.as_u128());
        }
    }

    fn push(
        &mut self,
        id: CustomerId,
        profile: &Value,
        own: &[LiveIdentifier],
        merge: &MergeConfig,
        now: Timestamp,
    ) -> Result<(), ScanError> {
        let (mut emails, mut phones, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for identifier in own {
            let value = identifier.external_id.as_str();
            let Some(namespace) = Namespace::parse(&identifier.namespace) else { continue };
            let policy = merge.namespaces.policy(&identifier.namespace);
            // Rule 1: a proof that has aged does not match, not even as a claim: the number may be another person's.
            if policy.matches && !is_stale(policy, identifier.verified_at, now) {
                let proved = identifier.verified_at.is_some();
                match namespace {
                    Namespace::Email | Namespace::UnprovedEmail => emails.push(Claim { value, proved }),
                    Namespace::Phone => phones.push(Claim { value, proved }),
                    _ => {}
                }
            }
            if let Some(limit) = limit(&namespace, identifier, own, merge) {
                ids.push((self.namespace(&identifier.namespace, limit), value));
            }
        }
        let text = |pointer: &str| profile.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let is_true = |pointer: &str| profile.pointer(pointer) == Some(&Value::Bool(true));
        let phone_at = profile.pointer("/phone_number_verified/at").and_then(Value::as_i64).map(Timestamp::from_micros);
        let email = Claim { value: text("/email/value"), proved: is_true("/email_verified/value") };
        let fresh = |at| !is_stale(merge.namespaces.policy("phone"), Some(at), now);
        let proved = is_true("/phone_number_verified/value") && phone_at.is_some_and(fresh);
        let phone = Claim { value: text("/phone_number/value"), proved };
        for (list, claimed) in [(&mut emails, email), (&mut phones, phone)] {
            if !claimed.value.is_empty() && !list.iter().any(|known| known.value == claimed.value && known.proved) {
                list.push(claimed);
            }
        }
        let person = Person {
            key: id.0.as_u128(),
            given: text("/given_name/value"),
            family: text("/family_name/value"),
            name: text("/name/value"),
            birth: text("/birthdate/value"),
            birth_verified: is_true("/birthdate_verified/value"),
            gender: text("/gender/value"),
            emails: &emails,
            phones: &phones,
            street: text("/address/value/street_address"),
            locality: text("/address/value/locality"),
            postcode: text("/address/value/postal_code"),
            region: text("/address/value/region"),
            country: text("/address/value/country"),
            ids: &ids,
            ..Person::default()
        };
        self.records.push(&person)?;
        self.note(id, profile, own);
        Ok(())
    }

    /// Makes the customer part of what names them all.
    fn note(&mut self, id: CustomerId, profile: &Value, own: &[LiveIdentifier]) {
        let profile = profile.to_string();
        let mut parts = vec![self.digest.as_slice(), id.0.as_bytes(), profile.as_bytes()];
        parts.extend(own.iter().flat_map(|one| [one.namespace.as_bytes(), one.external_id.as_bytes()]));
        self.digest = secret::sha256(&parts).to_vec();
    }

    fn namespace(&mut self, name: &str, limit: u32) -> u16 {
        let known = self.namespaces.iter().position(|known| known == name);
        let number = known.unwrap_or_else(|| {
            self.namespaces.push(name.to_owned());
            self.namespaces.len() - 1
        });
        // There are as many namespaces as connectors, apps and systems are configured.
        let number = u16::try_from(number).unwrap_or(u16::MAX);
        self.limits.limit(number, limit);
        number
    }
}

/// How many of its kind one person may have, if two customers could have more together: an ID that no other person ever
/// gets, or one of so many that half of what is allowed is exceeded.
fn limit(
    namespace: &Namespace,
    identifier: &LiveIdentifier,
    own: &[LiveIdentifier],
    merge: &MergeConfig,
) -> Option<u32> {
    let policy = merge.namespaces.policy(&identifier.namespace);
    if matches!(namespace, Namespace::Visitor(_)) {
        return None;
    }
    if policy.exclusive && merge.is_one_per_person(&identifier.namespace) {
        return Some(1);
    }
    let count = own.iter().filter(|other| other.namespace == identifier.namespace).count();
    let is_many = u32::try_from(count).is_ok_and(|count| 2 * count > policy.live);
    (policy.exclusive && (policy.immutable || is_many)).then_some(policy.live)
}
