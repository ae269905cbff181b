//! Whose customer somebody is, where a company keeps the customers of its brands apart (spec/identity.md rule 30).
//!
//! A brand is that very row's, so that it parts again with its row. A walled brand stands beside no other one within a
//! customer: a merge that would do so is refused, and so is a brand. The caller commits.

use std::collections::BTreeSet;

use super::merge::Refusal;
use crate::clock::Timestamp;
use crate::config::MergeConfig;
use crate::events::{self, Actor, Event};
use crate::ids::CustomerId;
use crate::store::{self, CustomerState, Tx};

/// The longest name.
const MAX_NAME: usize = 64;

/// The name of a brand, as the configuration writes it: printable ASCII, at most 64 characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrandName(String);

impl BrandName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for BrandName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let sound = (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if sound { Ok(Self(text.to_owned())) } else { Err("a brand is 1 to 64 printable ASCII characters, no spaces") }
    }
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Branded {
    /// The row's brand is this from now on.
    Done {
        customer: CustomerId,
    },
    /// It was: nothing happened.
    Already {
        customer: CustomerId,
    },
    /// A wall would go through this customer, or they are under a legal hold.
    Refused(Refusal),
    Erased {
        customer: CustomerId,
    },
    /// Nobody ever had this ID.
    Unknown,
}

/// Says which brand's customer the row of an ID is; `None`: no brand's in particular.
///
/// # Errors
/// If the database fails.
pub async fn set(
    tx: &mut Tx,
    config: &MergeConfig,
    id: CustomerId,
    brand: Option<&BrandName>,
    (by, reason): (Actor, &str),
    now: Timestamp,
) -> Result<Branded, store::Error> {
    let Some(root) = tx.customer_lock(id).await? else { return Ok(Branded::Unknown) };
    if root.state == CustomerState::Erased {
        return Ok(Branded::Erased { customer: id });
    }
    let brand = brand.map(BrandName::as_str);
    let rows = tx.members_of(root.id).await?;
    if rows.iter().any(|row| row.id == id && row.brand.as_deref() == brand) {
        return Ok(Branded::Already { customer: id });
    }
    if let Some(held) = rows.iter().find(|row| row.legal_hold.is_some()) {
        return Ok(Branded::Refused(Refusal::LegalHold { customer: held.id }));
    }
    let others = rows.iter().filter(|row| row.id != id).filter_map(|row| row.brand.as_deref());
    if let Some(refusal) = walls(config, others.chain(brand)) {
        return Ok(Branded::Refused(refusal));
    }
    tx.member_brand_set(id, brand, now).await?;
    let event = Event::BrandSet { row: id, brand: brand.map(str::to_owned), reason: reason.to_owned() };
    events::record(tx, root.id, by, event, now).await?;
    Ok(Branded::Done { customer: id })
}

/// The wall that would go through one customer of these brands.
pub(super) fn walls<'a>(config: &MergeConfig, brands: impl Iterator<Item = &'a str>) -> Option<Refusal> {
    let brands: BTreeSet<&str> = brands.collect();
    let walled = brands.iter().any(|brand| config.walled_brands.iter().any(|walled| walled == brand));
    let apart = walled && brands.len() > 1;
    apart.then(|| Refusal::WalledBrands { brands: brands.into_iter().map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_a_short_word() {
        assert_eq!("bank".parse::<BrandName>().unwrap().as_str(), "bank");
        for bad in ["", " ", "a b", "a\n", &"x".repeat(65)] {
            assert!(bad.parse::<BrandName>().is_err(), "{bad:?}");
        }
    }
}
