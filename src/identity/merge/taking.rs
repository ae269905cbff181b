//! What goes along with a link that somebody gives to the restored customer when a merge is undone (spec/identity.md rules
//! 19, 32 and 46).
//!
//! The link was the survivor's until now: refresh tokens of logins by it would go on opening the survivor, and values
//! that came by it, an address first of all, would go on being told as the survivor's. Both go with it.

use std::collections::BTreeSet;

use super::golden::lead;
use crate::clock::Timestamp;
use crate::events::Event;
use crate::identity::address::EmailAddress;
use crate::identity::namespace::Namespace;
use crate::identity::profile::{Attribute, Profile};
use crate::ids::CustomerId;
use crate::store::{self, Link, Member, Tx};

/// What changed of the values of the two.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub left: Option<Event>,
    pub restored: Option<Event>,
}

/// Gives these links, which are other rows' of the root, to the row that is to be restored.
///
/// # Errors
/// If the database fails.
pub(super) async fn take(
    tx: &mut Tx,
    (root, restored): (CustomerId, CustomerId),
    links: &[Link],
    rows: &[Member],
    now: Timestamp,
) -> Result<Taken, store::Error> {
    let mut gone = Profile::default();
    for link in links {
        tx.link_reassign(link.id, restored).await?;
        // Whoever logged in by it was the survivor, and is not from here on.
        tx.grants_revoke_link(root, link.id, "unmerged", now, now).await?;
    }
    let holders: BTreeSet<CustomerId> = links.iter().map(|link| link.customer).collect();
    for row in rows.iter().filter(|row| holders.contains(&row.id)) {
        let mut profile = Profile::from_json(&row.profile);
        let brought = profile.part(|name, value| is_brought(name, value, links));
        if !brought.is_empty() {
            tx.member_profile_set(row.id, &profile.to_json(), now).await?;
            gone.fill(brought, |_| true);
        }
    }
    let left: BTreeSet<String> = gone.iter().map(|(name, _)| name.to_owned()).collect();
    let Some(own) = rows.iter().find(|row| row.id == restored) else { return Ok(Taken::default()) };
    let mut profile = Profile::from_json(&own.profile);
    // What belongs together comes from one side.
    let has: BTreeSet<String> = profile.iter().map(|(name, _)| lead(name).to_owned()).collect();
    let filled = profile.fill(gone, |name| !has.contains(lead(name)));
    if !filled.is_empty() {
        tx.member_profile_set(restored, &profile.to_json(), now).await?;
    }
    Ok(Taken { left: updated(left), restored: updated(filled) })
}

/// Whether a value came by one of these links, or is the address that one of them is.
fn is_brought(name: &str, value: &Attribute, links: &[Link]) -> bool {
    let is_address = |link: &&Link| {
        let shown = value.value.as_str().and_then(|text| EmailAddress::parse(text).ok());
        name == "email"
            && link.namespace == Namespace::Email.to_string()
            && shown.is_some_and(|shown| shown.normalized() == link.external_id)
    };
    links.iter().any(|link| value.from == Some(link.id) || is_address(&link))
}

fn updated(fields: impl IntoIterator<Item = String>) -> Option<Event> {
    let fields: Vec<String> = fields.into_iter().collect();
    (!fields.is_empty()).then_some(Event::ProfileUpdated { fields })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_link_brought_goes_with_its_proof_and_what_stood_beside_it_stays() {
        let (gone, other) = (crate::ids::LinkId::new(at(1)), crate::ids::LinkId::new(at(2)));
        let mut profile = Profile::default();
        profile.set("email", Some("ann@shop.example"), Some(gone), at(1));
        profile.set("email_verified", Some(true), None, at(1));
        profile.set("name", Some("Ann"), Some(gone), at(1));
        profile.keep_beside("name", "Anna".into(), other, at(2));
        profile.set("locale", Some("de"), Some(other), at(2));
        profile.keep_beside("locale", "en".into(), gone, at(3));
        let parted = profile.part(|_, value| value.from == Some(gone));
        let names = |profile: &Profile| profile.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&parted), ["email", "email_verified", "name"]);
        assert_eq!(names(&profile), ["locale", "name"]);
        assert_eq!((profile.text("name").as_deref(), profile.get("name").unwrap().from), (Some("Anna"), Some(other)));
        let mut own = Profile::default();
        own.set("email", Some("bob@shop.example"), None, at(1));
        let filled = own.fill(parted, |name| lead(name) != "email");
        assert_eq!(filled, ["name"]);
        assert_eq!((own.text("email").as_deref(), own.is_true("email_verified")), (Some("bob@shop.example"), false));
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }
}
