//! Who is meant where a request names several identifiers (spec/identity.md rules 1 and 20).
//!
//! Each leads to a customer by itself or to nobody. Where they disagree, the namespace with the highest priority has the
//! last word, and the disagreement is told: it is never settled by linking one to the other's customer. A proof that is
//! too old leads nowhere, and neither does a hint.

use super::namespace::{Namespace, Rules, is_stale};
use crate::ids::{CustomerId, LinkId};
use crate::store::{self, Tx};

/// An external ID in its normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifier {
    pub namespace: Namespace,
    pub external_id: String,
}

/// Where one identifier leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lead {
    pub identifier: Identifier,
    pub link: LinkId,
    /// The living customer.
    pub customer: CustomerId,
    /// What its namespace declares.
    pub priority: u32,
}

/// Who is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    pub customer: CustomerId,
    /// What decided: the leads with the highest priority that lead to this customer.
    pub by: Vec<Lead>,
    /// Leads to other customers.
    pub against: Vec<Lead>,
}

/// Decides who is meant; `None` if nothing leads anywhere. Neither the order of the leads nor a repetition matters: of
/// one priority, more identifiers outweigh fewer, and then the customer who was there first counts.
pub fn decide(leads: &[Lead]) -> Option<Resolution> {
    let mut distinct: Vec<&Lead> = Vec::new();
    for lead in leads {
        if !distinct.iter().any(|known| known.identifier == lead.identifier) {
            distinct.push(lead);
        }
    }
    let highest = distinct.iter().map(|lead| lead.priority).max()?;
    let weight = |customer: CustomerId| {
        distinct.iter().filter(|lead| lead.priority == highest && lead.customer == customer).count()
    };
    let customers = distinct.iter().filter(|lead| lead.priority == highest).map(|lead| lead.customer);
    let customer = customers.max_by_key(|customer| (weight(*customer), std::cmp::Reverse(*customer)))?;
    let is_by = |lead: &&&Lead| lead.customer == customer && lead.priority == highest;
    Some(Resolution {
        customer,
        by: distinct.iter().filter(is_by).map(|lead| Lead::clone(lead)).collect(),
        against: distinct.iter().filter(|lead| lead.customer != customer).map(|lead| Lead::clone(lead)).collect(),
    })
}

/// Where each of several identifiers leads, and who is meant by all of them.
///
/// # Errors
/// If the database fails.
pub async fn resolve(
    tx: &mut Tx,
    identifiers: &[Identifier],
    rules: Rules<'_>,
) -> Result<Option<Resolution>, store::Error> {
    let mut leads = Vec::new();
    for identifier in identifiers {
        leads.extend(lead(tx, identifier, rules).await?);
    }
    Ok(decide(&leads))
}

/// Where one identifier leads.
async fn lead(tx: &mut Tx, identifier: &Identifier, rules: Rules<'_>) -> Result<Option<Lead>, store::Error> {
    let name = identifier.namespace.to_string();
    let Some(found) = tx.link_login(&name, &identifier.external_id).await? else { return Ok(None) };
    let policy = rules.namespaces.policy(&name);
    if is_stale(policy, found.verified_at, rules.now) {
        return Ok(None);
    }
    let (identifier, priority) = (identifier.clone(), policy.priority);
    Ok(Some(Lead { identifier, link: found.link, customer: found.root, priority }))
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn customer(number: u128) -> CustomerId {
        CustomerId(Uuid::from_u128(number))
    }

    fn lead(namespace: &str, external_id: &str, priority: u32, of: u128) -> Lead {
        let namespace = Namespace::parse(namespace).unwrap();
        let identifier = Identifier { namespace, external_id: external_id.to_owned() };
        Lead { identifier, link: LinkId(Uuid::nil()), customer: customer(of), priority }
    }

    fn meant(leads: &[Lead]) -> Option<(u128, usize, usize)> {
        let forth = decide(leads);
        let mut turned: Vec<Lead> = leads.to_vec();
        turned.reverse();
        let back = decide(&turned);
        assert_eq!(forth.as_ref().map(|it| it.customer), back.as_ref().map(|it| it.customer), "the order matters");
        forth.map(|it| (it.customer.0.as_u128(), it.by.len(), it.against.len()))
    }

    #[test]
    fn the_namespace_with_the_highest_priority_has_the_last_word() {
        let (app, crm) = (lead("app:shop", "17", 100, 1), lead("ext:crm", "c", 90, 2));
        let (email, phone) = (lead("email", "a@b.example", 60, 2), lead("phone", "+491", 40, 2));
        assert_eq!(meant(&[]), None);
        assert_eq!(meant(&[phone.clone()]), Some((2, 1, 0)));
        assert_eq!(meant(&[crm.clone(), email.clone(), phone.clone()]), Some((2, 1, 0)), "they agree");
        assert_eq!(meant(&[crm, email, phone, app]), Some((1, 1, 3)), "one of a higher priority outweighs all others");
    }

    #[test]
    fn of_one_priority_more_identifiers_count_and_then_who_was_there_first() {
        let (one, two) = (lead("ext:crm", "1", 90, 1), lead("ext:crm", "2", 90, 2));
        let three = lead("ext:loyalty", "3", 90, 2);
        assert_eq!(meant(&[one.clone(), two.clone()]), Some((1, 1, 1)));
        assert_eq!(meant(&[one.clone(), two.clone(), three]), Some((2, 2, 1)));
        assert_eq!(meant(&[one.clone(), two.clone(), two.clone(), two]), Some((1, 1, 1)), "said again is said once");
    }
}
