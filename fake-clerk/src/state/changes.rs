//! Changes that Clerk tells its webhook endpoints about.

use crate::state::organizations::Membership;
use crate::state::session::SessionStatus;

/// A change of the instance, named by the ids of what changed.
///
/// An object that is gone is described by what its event says about it.
pub(crate) enum Change {
    UserCreated(String),
    UserUpdated(String),
    UserDeleted(String),
    /// A session that is opened, or that has another status.
    Session(String, SessionStatus),
    OrganizationCreated(String),
    OrganizationUpdated(String),
    OrganizationDeleted {
        id: String,
        slug: String,
    },
    MembershipCreated {
        user: String,
        organization: String,
    },
    MembershipUpdated {
        user: String,
        organization: String,
    },
    MembershipDeleted {
        user: String,
        membership: Membership,
    },
    /// Roles and permissions are named by their keys.
    RoleCreated(String),
    RoleUpdated(String),
    RoleDeleted(String),
    PermissionCreated(String),
    PermissionDeleted(String),
}
