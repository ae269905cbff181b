//! What is around every page of the desk, and the small forms that values take on all of them.

use std::fmt;

use super::access::Desk;
use super::{done, words};
use crate::board::role::Act;
use crate::clock::Timestamp;
use crate::http::error::Failure;
use crate::http::pages::{Brand, DESK, asset_url};
use crate::identity::profile::Profile;
use crate::ids::CustomerId;
use crate::store::Customer;

/// Which part of the desk a page belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    Queue,
    Proposals,
    Audit,
    Roles,
    Elsewhere,
}

/// The bar at the top: brand, where one is, who one is.
pub struct Frame<'a> {
    pub brand: &'a Brand,
    /// The admin, as they call themselves.
    pub me: String,
    pub role: &'static str,
    /// Stands in every form.
    pub token: String,
    pub here: Here,
    /// Whether they may read the audit log, and change roles.
    pub audit: bool,
    pub roles: bool,
    /// What was searched for last.
    pub query: String,
    /// What was done a moment ago, if this page is to say it.
    pub done: Option<&'static str>,
}

impl<'a> Frame<'a> {
    /// The frame of a page for this admin.
    pub async fn of(desk: &'a Desk, here: Here) -> Result<Self, Failure> {
        let me = desk.app.store().begin_read().await?.customer_find(desk.session.customer).await?;
        Ok(Self {
            brand: &desk.app.brand,
            me: me.map(|customer| words::called(&Profile::from_json(&customer.profile))).unwrap_or_default(),
            role: desk.admin.role.as_str(),
            token: desk.token(),
            here,
            audit: desk.admin.may(Act::SeeAudit),
            roles: desk.admin.may(Act::SeeAdmins),
            query: String::new(),
            done: done::read(desk).await?,
        })
    }

    pub fn stylesheet(&self) -> String {
        asset_url(DESK)
    }

    pub fn is_queue(&self) -> bool {
        self.here == Here::Queue
    }

    pub fn is_proposals(&self) -> bool {
        self.here == Here::Proposals
    }

    pub fn is_audit(&self) -> bool {
        self.here == Here::Audit
    }

    pub fn is_roles(&self) -> bool {
        self.here == Here::Roles
    }
}

/// What the admin may do, for pages that offer it.
#[derive(Clone, Copy, Debug)]
pub struct Rights {
    pub preview: bool,
    /// Proposing, merging, undoing, marking: one role may all of them.
    pub merge: bool,
    pub approve: bool,
    /// Taking links away, and letting them log in again.
    pub links: bool,
    /// Ending sessions.
    pub sessions: bool,
    pub brand: bool,
    pub hold: bool,
    pub erase: bool,
    pub audit: bool,
}

impl From<&Desk> for Rights {
    fn from(desk: &Desk) -> Self {
        let may = |act| desk.admin.may(act);
        Self {
            preview: may(Act::PreviewMerge),
            merge: may(Act::Merge),
            approve: may(Act::Approve),
            links: may(Act::Unlink),
            sessions: may(Act::EndSessions),
            brand: may(Act::SetBrand),
            hold: may(Act::Hold),
            erase: may(Act::Erase),
            audit: may(Act::SeeAudit),
        }
    }
}

/// A point in time.
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub Timestamp);

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl Moment {
    /// For programs.
    pub fn iso(&self) -> String {
        self.0.to_string()
    }

    pub fn day(&self) -> String {
        self.iso().chars().take(10).collect()
    }
}

impl fmt::Display for Moment {
    /// To the minute, in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let iso = self.iso();
        write!(f, "{} {}", iso.get(..10).unwrap_or_default(), iso.get(11..16).unwrap_or_default())
    }
}

/// A customer as a line or a heading names them.
#[derive(Clone, Debug)]
pub struct Person {
    pub id: CustomerId,
    pub name: String,
    pub email: String,
    /// What became of them; empty for somebody who is as they should be.
    pub state: &'static str,
}

impl Person {
    /// Of the values that count for them.
    pub fn new(customer: &Customer, profile: &Profile) -> Self {
        Self { state: words::state(customer.state), ..Self::named(customer.id, profile) }
    }

    /// Of one row's own values.
    pub fn named(id: CustomerId, profile: &Profile) -> Self {
        let (name, email) = (words::called(profile), profile.text("email").unwrap_or_default());
        Self { id, name, email, state: "" }
    }

    pub fn short(&self) -> String {
        short(self.id)
    }

    pub fn initial(&self) -> String {
        crate::http::pages::initial(&self.name)
    }

    pub fn tone(&self) -> u32 {
        crate::http::pages::tone(&self.id.to_string())
    }
}

impl From<&Customer> for Person {
    fn from(customer: &Customer) -> Self {
        Self::new(customer, &Profile::from_json(&customer.profile))
    }
}

/// An ID as a person tells it from others: its beginning is a time, its end is random.
pub fn short(id: CustomerId) -> String {
    let text = id.to_string();
    let end = text.get(text.len().saturating_sub(6)..).unwrap_or_default();
    format!("{}…{end}", text.get(..8).unwrap_or_default())
}
