//! What tokens and userinfo say of a customer, each read in one statement.
//!
//! Identity specification, rule 24: any ID or subject ever issued answers with the customer it means today.

use serde_json::Value;

use super::customers::CustomerState;
use super::driver::{fetch_optional, from_row};
use super::{Result, Tx};
use crate::ids::CustomerId;

/// A living customer as one sector sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct SubjectView {
    pub root: CustomerId,
    pub state: CustomerState,
    pub version: i64,
    pub profile: Value,
    /// What the sector calls this customer now; `None` before the first issue.
    pub sub: Option<String>,
}

from_row!(SubjectView { root, state, version, profile, sub });

pub(super) const SUBJECT_VIEW: &str = "SELECT r.id AS root, r.state, r.version, r.profile, s.sub \
     FROM customers c JOIN customers r ON r.id = c.canonical \
     LEFT JOIN subjects s ON s.sector = $1 AND s.root = r.id AND s.current WHERE c.id = $2";

pub(super) const SUBJECT_VIEW_BY_SUB: &str = "SELECT r.id AS root, r.state, r.version, r.profile, s.sub \
     FROM subjects k JOIN customers r ON r.id = k.root \
     LEFT JOIN subjects s ON s.sector = k.sector AND s.root = k.root AND s.current \
     WHERE k.sector = $1 AND k.sub = $2";

impl Tx {
    /// The customer whom an ID means today, as a sector sees it.
    pub async fn subject_view(&mut self, sector: &str, customer: CustomerId) -> Result<Option<SubjectView>> {
        fetch_optional!(self, SubjectView, SUBJECT_VIEW, sector, customer,)
    }

    /// The customer whom a sector means by a subject, with the subject it is given now: another one after a merge.
    pub async fn subject_view_by_sub(&mut self, sector: &str, sub: &str) -> Result<Option<SubjectView>> {
        fetch_optional!(self, SubjectView, SUBJECT_VIEW_BY_SUB, sector, sub,)
    }
}
