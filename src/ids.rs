//! Identifiers: one type per kind of thing, so that a customer ID can never be taken for a link ID.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{self, Timestamp};
use crate::secret;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one, ordered by time (UUIDv7).
            pub fn new(now: Timestamp) -> Self {
                Self(clock::uuid_v7(now))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// The federated customer ID. Never reused, never changed.
    CustomerId
);
uuid_id!(
    /// One row of the ID mapping table.
    LinkId
);
uuid_id!(
    /// One stored way to prove oneself, such as a password.
    CredentialId
);
uuid_id!(
    /// One merge of two customers.
    MergeId
);
uuid_id!(
    /// One merge that somebody proposed and others approve.
    ProposalId
);
uuid_id!(
    /// One event, the same in the outbox and in the audit log.
    EventId
);

/// One authorization grant: what one authorization code gave. It is also the refresh-token family's key.
///
/// It is derived from the code, so that whoever replays the code can name what it produced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GrantId(pub Uuid);

impl GrantId {
    /// The grant that redeeming this code makes.
    pub fn of_code(code: &str) -> Self {
        let digest = secret::sha256(&[b"grant", code.as_bytes()]);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(digest.first_chunk::<16>().unwrap_or(&[0; 16]));
        Self(uuid::Builder::from_custom_bytes(bytes).into_uuid())
    }
}

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(f)
    }
}

impl FromStr for GrantId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self)
    }
}

/// An SSO session as relying parties know it (`sid`, OpenID Connect Front-Channel Logout §3): 128 random bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sid(String);

impl Sid {
    /// A new random one.
    pub fn random() -> Self {
        Self(secret::base64url(&clock::random::<16>()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<String> for Sid {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text has the form of a subject that we issue. A client's ID may not: it is the `sub` of the client's own
/// tokens, and no resource server may take a client for a customer (RFC 9068 §5).
pub fn is_subject_like(text: &str) -> bool {
    let customer_id = || text.len() == 36 && text.parse::<CustomerId>().is_ok_and(|id| id.0.get_version_num() == 7);
    let pairwise = || text.len() == 43 && secret::from_base64url(text).is_some();
    customer_id() || pairwise()
}
