//! Credentials: what a customer proves itself with.
//!
//! Identity specification, rule 25: a merge joins profiles, not keys. Which of a merged customer's passwords opens an
//! address is the domain's to say (`identity::merge`). Secrets are stored as the credential's own hash; the two types
//! that carry one have no `Debug`.

use serde_json::Value;

use super::customers::CustomerState;
use super::driver::{exec, fetch_all, from_row};
use super::values::word_enum;
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::{CredentialId, CustomerId, LinkId};

word_enum! {
    /// The ways to prove oneself that are stored.
    pub enum CredentialKind {
        Password = "password",
    }
}

word_enum! {
    /// Whether a credential can be used.
    pub enum CredentialState {
        Live = "live",
        Ended = "ended",
    }
}

/// One credential.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: CredentialId,
    /// The customer who made it.
    pub customer: CustomerId,
    /// Who that customer is today.
    pub root: CustomerId,
    pub kind: CredentialKind,
    /// For a password its PHC string.
    pub secret: String,
    pub state: CredentialState,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
}

impl Credential {
    /// A new password, as a PHC string, of a living customer.
    pub fn password(id: CredentialId, customer: CustomerId, phc: &str, now: Timestamp) -> Self {
        Self {
            id,
            customer,
            root: customer,
            kind: CredentialKind::Password,
            secret: phc.to_owned(),
            state: CredentialState::Live,
            created_at: now,
            updated_at: now,
            last_used_at: None,
        }
    }
}

from_row!(Credential { id, customer, root, kind, secret, state, created_at, updated_at, last_used_at });

/// What a password login needs to know, of the address, the password, and who it leads to.
#[derive(Clone, PartialEq)]
pub struct PasswordLogin {
    pub link: LinkId,
    pub credential: CredentialId,
    /// The customer whose address it is.
    pub customer: CustomerId,
    /// The customer whose password it is.
    pub keeper: CustomerId,
    /// Who that is today; the rest is of this one.
    pub root: CustomerId,
    pub root_state: CustomerState,
    pub phc: String,
    pub profile: Value,
    pub version: i64,
}

from_row!(PasswordLogin { link, credential, customer, keeper, root, root_state, phc, profile, version });

pub(super) const PASSWORD_LOGIN: &str = "SELECT l.id AS link, p.id AS credential, l.customer, p.customer AS keeper, l.root, c.state AS root_state, p.secret AS phc, c.profile, \
     c.version FROM links l \
     JOIN credentials p ON p.root = l.root AND p.kind = 'password' AND p.state = 'live' \
     JOIN customers c ON c.id = l.root \
     WHERE l.namespace = 'email' AND l.external_id = $1 AND l.exclusive AND l.state = 'live' \
     ORDER BY p.created_at, p.id LIMIT 1001";

impl Tx {
    /// Adds a credential; `false` if the customer has a live password already and this is another.
    pub async fn credential_insert(&mut self, credential: &Credential) -> Result<bool> {
        let added = exec!(
            self,
            "INSERT INTO credentials (id, customer, root, kind, secret, state, created_at, updated_at, last_used_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (customer, kind) WHERE kind = 'password' AND state = 'live' DO NOTHING",
            credential.id,
            credential.customer,
            credential.root,
            credential.kind,
            &credential.secret,
            credential.state,
            credential.created_at,
            credential.updated_at,
            credential.last_used_at,
        )?;
        Ok(added == 1)
    }

    /// All that a password login by a proved address needs, in one statement: one row, or one for each password of the
    /// rows of a merged customer. The address is in its normal form.
    pub async fn password_logins(&mut self, email: &str) -> Result<Vec<PasswordLogin>> {
        fetch_all!(self, PasswordLogin, PASSWORD_LOGIN, email,)
    }

    /// Notes that a credential was used.
    pub async fn credential_used(&mut self, id: CredentialId, now: Timestamp) -> Result<()> {
        exec!(self, "UPDATE credentials SET last_used_at = $2 WHERE id = $1", id, now)?;
        Ok(())
    }

    /// Replaces a live credential's secret by the same password hashed anew; nothing, if it was changed meanwhile.
    pub async fn credential_rehash(&mut self, id: CredentialId, from: &str, to: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE credentials SET secret = $3, updated_at = $4 WHERE id = $1 AND secret = $2 AND state = 'live'",
            id,
            from,
            to,
            now,
        )?;
        Ok(())
    }

    /// Replaces a live credential's secret by that of a new password.
    pub async fn credential_secret_set(&mut self, id: CredentialId, secret: &str, now: Timestamp) -> Result<()> {
        exec!(
            self,
            "UPDATE credentials SET secret = $2, updated_at = $3 WHERE id = $1 AND state = 'live'",
            id,
            secret,
            now,
        )?;
        Ok(())
    }

    /// Every credential of a root, ended ones too, in the order in which they were made; at most 100.
    pub async fn credentials_of(&mut self, root: CustomerId) -> Result<Vec<Credential>> {
        fetch_all!(
            self,
            Credential,
            "SELECT id, customer, root, kind, secret, state, created_at, updated_at, last_used_at \
             FROM credentials WHERE root = $1 ORDER BY created_at, id LIMIT 100",
            root,
        )
    }
}
