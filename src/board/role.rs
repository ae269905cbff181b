//! What each role may do: one table, which the API and the desk ask and nobody else repeats.
//!
//! Roles are a ladder, so the table names for each act the lowest role that may do it. Experience specification, rule 10.

use crate::protocol::admin_role::AdminRole;

/// Something an admin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Find customers and see what is known of them.
    SeeCustomers,
    /// Ask whose an identifier is.
    SeeLinks,
    /// See what waits for a decision: candidates, requests, proposals; and what was decided.
    SeeQueue,
    /// See what a merge or its undoing would do.
    PreviewMerge,
    /// Read what was done by whom, to whom.
    SeeAudit,
    /// Disconnect a link of a customer.
    Unlink,
    /// Let a link log in again that its provider spoke against.
    EnableLink,
    /// End a customer's sessions.
    EndSessions,
    /// Say that an app's or a system's ID, a number or a browser is a customer's.
    AssertLink,
    /// Say that two customers are not the same person, or take it back.
    MarkNotSame,
    /// Take a candidate, a request or a conflict off the queue.
    Dismiss,
    /// Propose a merge for others to approve.
    ProposeMerge,
    /// Join two customers.
    Merge,
    /// Separate them again.
    Unmerge,
    /// Approve what somebody else proposed.
    Approve,
    /// Keep a customer from being merged or erased, and let them go.
    Hold,
    /// Say whose brand's a customer is.
    SetBrand,
    /// Erase a customer for good.
    Erase,
    /// See how far receivers of events have got, and what was put aside for them.
    SeeDeliveries,
    /// Have events delivered again.
    Redeliver,
    /// See who has which role.
    SeeAdmins,
    /// Give and take roles.
    ChangeAdmins,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::SeeCustomers,
        Self::SeeLinks,
        Self::SeeQueue,
        Self::PreviewMerge,
        Self::SeeAudit,
        Self::Unlink,
        Self::EnableLink,
        Self::EndSessions,
        Self::AssertLink,
        Self::MarkNotSame,
        Self::Dismiss,
        Self::ProposeMerge,
        Self::Merge,
        Self::Unmerge,
        Self::Approve,
        Self::Hold,
        Self::SetBrand,
        Self::Erase,
        Self::SeeDeliveries,
        Self::Redeliver,
        Self::SeeAdmins,
        Self::ChangeAdmins,
    ];

    /// The lowest role that may do it.
    pub const fn needs(self) -> AdminRole {
        match self {
            Self::SeeCustomers | Self::SeeLinks | Self::SeeQueue => AdminRole::Viewer,
            Self::PreviewMerge
            | Self::SeeAudit
            | Self::SeeDeliveries
            | Self::Unlink
            | Self::EnableLink
            | Self::EndSessions => AdminRole::Support,
            Self::SetBrand
            | Self::AssertLink
            | Self::MarkNotSame
            | Self::Dismiss
            | Self::ProposeMerge
            | Self::Merge
            | Self::Unmerge => AdminRole::Merger,
            Self::Approve => AdminRole::Approver,
            Self::Hold | Self::Erase | Self::Redeliver | Self::SeeAdmins | Self::ChangeAdmins => AdminRole::Owner,
        }
    }

    /// Whether it wants a login of the last half hour: it cannot be taken back by a click, or hands one customer's
    /// things to another.
    pub const fn needs_fresh_login(self) -> bool {
        matches!(
            self,
            Self::Unlink
                | Self::EnableLink
                | Self::EndSessions
                | Self::AssertLink
                | Self::Merge
                | Self::Unmerge
                | Self::Approve
                | Self::Hold
                | Self::Erase
                | Self::ChangeAdmins
        )
    }
}

/// Whether a role may do something.
pub fn may(role: AdminRole, act: Act) -> bool {
    role >= act.needs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_what_the_ones_below_may_and_more() {
        let allowed = |role| Act::ALL.iter().filter(|act| may(role, **act)).count();
        let counts: Vec<usize> = AdminRole::ALL.into_iter().map(allowed).collect();
        assert_eq!(counts, [3, 9, 16, 17, 22]);
        for pair in AdminRole::ALL.windows(2) {
            assert!(Act::ALL.iter().all(|act| !may(pair[0], *act) || may(pair[1], *act)));
        }
    }

    #[test]
    fn a_viewer_changes_nothing() {
        let harmless = [Act::SeeCustomers, Act::SeeLinks, Act::SeeQueue];
        assert!(Act::ALL.iter().all(|act| may(AdminRole::Viewer, *act) == harmless.contains(act)));
    }
}
