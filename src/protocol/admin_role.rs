//! The roles of those who administer customers: a ladder on which each includes what the ones below it may do.
//!
//! What a role may do is decided elsewhere (`board::role`); here is only the word, as configuration, registrations,
//! database rows and the API carry it. Experience specification, rule 10.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A role, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminRole {
    /// Sees customers and queues.
    Viewer,
    /// Also helps customers with their accounts.
    Support,
    /// Also joins and separates customers.
    Merger,
    /// Also approves what others propose.
    Approver,
    /// Also erases, and gives and takes roles.
    Owner,
}

/// No role has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownRole;

impl fmt::Display for UnknownRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a role is viewer, support, merger, approver or owner")
    }
}

impl std::error::Error for UnknownRole {}

impl AdminRole {
    /// All of them, lowest first.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Support, Self::Merger, Self::Approver, Self::Owner];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Support => "support",
            Self::Merger => "merger",
            Self::Approver => "approver",
            Self::Owner => "owner",
        }
    }
}

impl fmt::Display for AdminRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AdminRole {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}
