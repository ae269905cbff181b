//! What a merge is planned from: everything of both customers, read while their roots are locked.
//!
//! Reads only what belongs to the two; the cost is that of their own rows.

use crate::ids::CustomerId;
use crate::store::{self, Consent, CredentialKind, CredentialState, Link, Member, NotSame, Subject, Tx};

/// One of the two.
#[derive(Clone, Debug)]
pub(super) struct Side {
    pub root: CustomerId,
    pub rows: Vec<Member>,
    /// Live ones.
    pub links: Vec<Link>,
    pub subjects: Vec<Subject>,
    pub consents: Vec<Consent>,
    /// Whose live passwords there are.
    pub passwords: Vec<CustomerId>,
}

impl Side {
    pub(super) async fn read(tx: &mut Tx, root: CustomerId) -> Result<Self, store::Error> {
        let credentials = tx.credentials_of(root).await?.into_iter();
        let live = credentials.filter(|credential| {
            credential.kind == CredentialKind::Password && credential.state == CredentialState::Live
        });
        Ok(Self {
            root,
            rows: tx.members_of(root).await?,
            links: tx.links_live(root).await?,
            subjects: tx.subjects_of(root).await?,
            consents: tx.consents_of(root).await?,
            passwords: live.map(|credential| credential.customer).collect(),
        })
    }

    /// The version of the root.
    pub(super) fn version(&self) -> i64 {
        self.rows.iter().find(|row| row.id == self.root).map_or(0, |row| row.version)
    }
}

/// Both.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub survivor: Side,
    pub absorbed: Side,
    /// Pairs of their rows that are known not to be the same person.
    pub not_same: Vec<NotSame>,
    /// Those of their rows with rights of administration: nobody but the operator merges one of them (rule 30).
    pub staff: Vec<CustomerId>,
}

impl Facts {
    pub(super) async fn read(tx: &mut Tx, survivor: CustomerId, absorbed: CustomerId) -> Result<Self, store::Error> {
        Ok(Self {
            survivor: Side::read(tx, survivor).await?,
            absorbed: Side::read(tx, absorbed).await?,
            not_same: tx.not_same_between(survivor, absorbed).await?,
            staff: tx.admins_among(survivor, absorbed).await?,
        })
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Member> {
        self.survivor.rows.iter().chain(&self.absorbed.rows)
    }
}
