//! Admin roles: which customers may use the admin API, and as what.
//!
//! Experience specification, rule 10. A role is one customer row's own: it does not follow a merge, so that nobody comes
//! to rights by being joined with an admin (identity specification, rules 25 and 30).

use super::customers::CustomerState;
use super::driver::{exec, fetch_all, fetch_optional, from_row};
use super::{Result, Tx};
use crate::clock::Timestamp;
use crate::ids::CustomerId;
use crate::protocol::admin_role::AdminRole;

/// One role as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminRow {
    pub customer: CustomerId,
    pub role: AdminRole,
    pub granted_by: String,
    pub granted_at: Timestamp,
}

from_row!(AdminRow { customer, role, granted_by, granted_at });

/// Who is behind a subject, and what they may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdminView {
    pub customer: CustomerId,
    pub state: CustomerState,
    /// Logins before this time no longer count.
    pub sessions_from: Option<Timestamp>,
    pub role: Option<AdminRole>,
}

from_row!(AdminView { customer, state, sessions_from, role });

/// The customer for whom the subject was issued, not whom it means today: one who was absorbed holds no role.
pub(super) const ADMIN_VIEW_BY_SUB: &str = "SELECT c.id AS customer, c.state, c.sessions_from, a.role \
     FROM subjects s JOIN customers c ON c.id = s.customer LEFT JOIN admin_roles a ON a.customer = c.id \
     WHERE s.sector = $1 AND s.sub = $2";

impl Tx {
    /// This very customer, with their role. `None` if the ID was never issued.
    pub async fn admin_view(&mut self, customer: CustomerId) -> Result<Option<AdminView>> {
        fetch_optional!(
            self,
            AdminView,
            "SELECT c.id AS customer, c.state, c.sessions_from, a.role FROM customers c \
             LEFT JOIN admin_roles a ON a.customer = c.id WHERE c.id = $1",
            customer,
        )
    }

    /// Whom a sector means by a subject, with their role.
    pub async fn admin_view_by_sub(&mut self, sector: &str, sub: &str) -> Result<Option<AdminView>> {
        fetch_optional!(self, AdminView, ADMIN_VIEW_BY_SUB, sector, sub,)
    }

    /// The role of this very customer.
    pub async fn admin_find(&mut self, customer: CustomerId) -> Result<Option<AdminRow>> {
        fetch_optional!(
            self,
            AdminRow,
            "SELECT customer, role, granted_by, granted_at FROM admin_roles WHERE customer = $1",
            customer,
        )
    }

    /// Everybody with a role, in the order in which they got it; at most 1000.
    pub async fn admins(&mut self) -> Result<Vec<AdminRow>> {
        fetch_all!(
            self,
            AdminRow,
            "SELECT customer, role, granted_by, granted_at FROM admin_roles ORDER BY granted_at, customer LIMIT 1000",
        )
    }

    /// Whose rows among those of two customers have a role.
    pub async fn admins_among(&mut self, one: CustomerId, other: CustomerId) -> Result<Vec<CustomerId>> {
        let found: Vec<(CustomerId,)> = fetch_all!(
            self,
            (CustomerId,),
            "SELECT a.customer FROM customers m JOIN admin_roles a ON a.customer = m.id \
             WHERE m.canonical IN ($1, $2) ORDER BY a.customer",
            one,
            other,
        )?;
        Ok(found.into_iter().map(|(customer,)| customer).collect())
    }

    /// Gives a customer a role in the place of any other; `false` if it is the one they have.
    pub async fn admin_grant(&mut self, admin: &AdminRow) -> Result<bool> {
        let changed = exec!(
            self,
            "INSERT INTO admin_roles (customer, role, granted_by, granted_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (customer) DO UPDATE SET role = excluded.role, granted_by = excluded.granted_by, \
             granted_at = excluded.granted_at WHERE admin_roles.role <> excluded.role",
            admin.customer,
            admin.role,
            &admin.granted_by,
            admin.granted_at,
        )?;
        Ok(changed == 1)
    }

    /// Takes the role of this very customer away; `false` if there was none.
    pub async fn admin_revoke(&mut self, customer: CustomerId) -> Result<bool> {
        Ok(exec!(self, "DELETE FROM admin_roles WHERE customer = $1", customer)? == 1)
    }
}
