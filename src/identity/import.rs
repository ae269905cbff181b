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
//! What a provider no longer says stays as it was last said. A verified birth date gives way to a verified one only:
//! no other takes its place, whatever is configured. It must not know the database.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::profile::Profile;
use crate::clock::Timestamp;
use crate::config::{BirthdateTrust, ImportAction, ImportConfig, ImportUpdate, Importable, OnConflict};
use crate::connector::{UpstreamIdentity, claims};
use crate::ids::LinkId;

/// One claim as a provider delivered it, and how it is pressed on the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    pub claim: Importable,
    pub value: String,
    /// `None`: it is only suggested.
    pub forced: Option<OnConflict>,
    /// Whether the provider has verified it, and is believed.
    #[serde(default)]
    pub verified: bool,
}

impl Offer {
    /// Makes it the customer's own value.
    pub fn write(&self, profile: &mut Profile, link: LinkId, now: Timestamp) {
        profile.set(self.claim.as_str(), Some(self.value.as_str()), Some(link), now);
        if let Some(mark) = self.mark() {
            profile.set(mark, Some(self.verified), Some(link), now);
        }
    }

    /// The value that says whether this one is verified.
    const fn mark(&self) -> Option<&'static str> {
        match self.claim {
            Importable::Birthdate => Some("birthdate_verified"),
            _ => None,
        }
    }

    /// Whether the customer has it verified.
    fn is_proved(&self, profile: &Profile) -> bool {
        self.mark().is_some_and(|mark| profile.is_true(mark))
    }
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
pub fn first_offers(config: &ImportConfig, births: BirthdateTrust, upstream: &UpstreamIdentity) -> Vec<Offer> {
    let offer = |claim: Importable| {
        let rule = config.rule(claim);
        let (value, verified) = match claim {
            Importable::Birthdate => birthdate(births, upstream)?,
            _ => (delivered(upstream, claim)?, false),
        };
        let is_wanted = rule.action != ImportAction::Ignore;
        is_wanted.then(|| Offer { claim, value: value.to_owned(), forced: rule.forced(), verified })
    };
    Importable::ALL.into_iter().filter_map(offer).collect()
}

/// What is offered at a later one.
pub fn later_offers(config: &ImportConfig, births: BirthdateTrust, upstream: &UpstreamIdentity) -> Vec<Offer> {
    if config.update == ImportUpdate::Never {
        return Vec::new();
    }
    let mut offers = first_offers(config, births, upstream);
    offers.retain(|offer| offer.forced.is_some());
    offers
}

/// The profile as delivered, without what is to be ignored.
pub fn kept(config: &ImportConfig, raw: &Value) -> Value {
    let mut kept = raw.clone();
    if let Some(said) = kept.as_object_mut() {
        for claim in Importable::ALL {
            if config.rule(claim).action == ImportAction::Ignore {
                claims::forget(said, claim.as_str());
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
        offer.write(profile, link, now);
        return Ok(true);
    };
    let is_proved = offer.is_proved(profile);
    if own.value == value && offer.verified && !is_proved {
        // Whoever said it first, it is from now on what this provider has verified.
        offer.write(profile, link, now);
        profile.forget_beside(name, link);
        return Ok(true);
    }
    let Some(on_conflict) = offer.forced else { return Ok(false) };
    if own.value == value {
        return Ok(profile.forget_beside(name, link));
    }
    if own.from == Some(link) || on_conflict == OnConflict::Replace {
        let gives_way = offer.verified || !is_proved;
        if gives_way {
            offer.write(profile, link, now);
            profile.forget_beside(name, link);
        }
        return Ok(gives_way);
    }
    match on_conflict {
        OnConflict::Fail => Err(Differs(offer.claim)),
        OnConflict::Add => Ok(profile.keep_beside(name, value, link, now)),
        OnConflict::Set | OnConflict::Replace => Ok(false),
    }
}

fn delivered(upstream: &UpstreamIdentity, claim: Importable) -> Option<&str> {
    match claim {
        Importable::Name => upstream.name.as_deref(),
        Importable::GivenName => upstream.given_name.as_deref(),
        Importable::FamilyName => upstream.family_name.as_deref(),
        Importable::PreferredUsername => upstream.preferred_username.as_deref(),
        Importable::Picture => upstream.picture.as_deref(),
        Importable::Locale => upstream.locale.as_deref(),
        Importable::Birthdate => upstream.birthdate.as_deref().or(upstream.assured_birthdate.as_deref()),
    }
}

/// The birth date, and whether it counts as verified.
fn birthdate(trust: BirthdateTrust, upstream: &UpstreamIdentity) -> Option<(&str, bool)> {
    let assured = upstream.assured_birthdate.as_deref().map(|day| (day, true));
    match trust {
        BirthdateTrust::VerifiedClaims if assured.is_some() => assured,
        trust => Some((delivered(upstream, Importable::Birthdate)?, trust == BirthdateTrust::Verified)),
    }
}

#[cfg(test)]
mod tests;
