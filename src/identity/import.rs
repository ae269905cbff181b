//! Which of a provider's claims become the customer's own values: pure decisions (spec/identity.md rules 5 and 13).
//!
//! A claim is suggested or forced. A suggestion fills a gap at the login that makes the link, and never again. A forced
//! one is taken over then and, where `update` says so, at each later login:
//!
//! - the customer has no such value, or has it from this very link: it is taken over;
//! - the customer has the same value from elsewhere: nothing happens;
//! - the customer has another value from another source, which is a conflict: `set` leaves it, `add` leaves it and
//!   keeps the provider's beside it, `replace` overwrites it, `fail` refuses the login.
//!
//! What a provider no longer says stays as it was last said. It must not know the database.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::profile::Profile;
use crate::clock::Timestamp;
use crate::config::{ImportAction, ImportConfig, ImportUpdate, Importable, OnConflict};
use crate::connector::UpstreamIdentity;
use crate::ids::LinkId;

/// One claim as a provider delivered it, and how it is pressed on the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub claim: Importable,
    pub value: String,
    /// `None`: it is only suggested.
    pub forced: Option<OnConflict>,
}

/// A claim that may not be another than the customer's own value, and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Differs(pub Importable);

/// A profile after a login, and what is new in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Imported {
    pub profile: Profile,
    pub changed: Vec<Importable>,
}

/// The claims without which there is no login.
pub fn missing(config: &ImportConfig, upstream: &UpstreamIdentity) -> Vec<Importable> {
    let is_missing = |claim: &Importable| {
        config.rule(*claim).action == ImportAction::Require && delivered(upstream, *claim).is_none()
    };
    Importable::ALL.into_iter().filter(is_missing).collect()
}

/// What is offered at the login that makes the link.
pub fn first_offers(config: &ImportConfig, upstream: &UpstreamIdentity) -> Vec<Offer> {
    let offer = |claim: Importable| {
        let rule = config.rule(claim);
        let value = delivered(upstream, claim).filter(|_| rule.action != ImportAction::Ignore)?;
        Some(Offer { claim, value: value.to_owned(), forced: rule.forced() })
    };
    Importable::ALL.into_iter().filter_map(offer).collect()
}

/// What is offered at a later one.
pub fn later_offers(config: &ImportConfig, upstream: &UpstreamIdentity) -> Vec<Offer> {
    if config.update == ImportUpdate::Never {
        return Vec::new();
    }
    let mut offers = first_offers(config, upstream);
    offers.retain(|offer| offer.forced.is_some());
    offers
}

/// The profile as delivered, without what is to be ignored.
pub fn kept(config: &ImportConfig, raw: &Value) -> Value {
    let mut kept = raw.clone();
    if let Some(claims) = kept.as_object_mut() {
        for claim in Importable::ALL {
            if config.rule(claim).action == ImportAction::Ignore {
                claims.remove(claim.as_str());
            }
        }
    }
    kept
}

/// The profile once the offers of a link have been taken over; `None` if that changes nothing.
///
/// # Errors
/// The first claim whose conflict refuses the login; then nothing is taken over.
pub fn import(profile: &Profile, offers: &[Offer], link: LinkId, now: Timestamp) -> Result<Option<Imported>, Differs> {
    let mut imported = Imported { profile: profile.clone(), changed: Vec::new() };
    for offer in offers {
        if take(&mut imported.profile, offer, link, now)? {
            imported.changed.push(offer.claim);
        }
    }
    Ok(Some(imported).filter(|imported| !imported.changed.is_empty()))
}

/// Whether anything has changed.
fn take(profile: &mut Profile, offer: &Offer, link: LinkId, now: Timestamp) -> Result<bool, Differs> {
    let name = offer.claim.as_str();
    let value = Value::from(offer.value.as_str());
    let Some(own) = profile.get(name) else {
        profile.set(name, Some(value), Some(link), now);
        return Ok(true);
    };
    let Some(on_conflict) = offer.forced else { return Ok(false) };
    if own.value == value {
        return Ok(profile.forget_beside(name, link));
    }
    let from_here = own.from == Some(link);
    match on_conflict {
        OnConflict::Replace => profile.set(name, Some(value), Some(link), now),
        _ if from_here => profile.set(name, Some(value), Some(link), now),
        OnConflict::Fail => return Err(Differs(offer.claim)),
        OnConflict::Add => return Ok(profile.keep_beside(name, value, link, now)),
        OnConflict::Set => return Ok(false),
    }
    profile.forget_beside(name, link);
    Ok(true)
}

fn delivered(upstream: &UpstreamIdentity, claim: Importable) -> Option<&str> {
    match claim {
        Importable::Name => upstream.name.as_deref(),
        Importable::GivenName => upstream.given_name.as_deref(),
        Importable::FamilyName => upstream.family_name.as_deref(),
        Importable::PreferredUsername => upstream.preferred_username.as_deref(),
        Importable::Picture => upstream.picture.as_deref(),
        Importable::Locale => upstream.locale.as_deref(),
    }
}

#[cfg(test)]
mod tests;
