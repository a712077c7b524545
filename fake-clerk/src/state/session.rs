//! Sessions as a test sees them.

use std::fmt;

use tokio::time::Instant;

/// The status of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStatus {
    /// Signed in.
    Active,
    /// Signed in, but the user has tasks left: choose an organization, set up a second factor.
    Pending,
    /// Signed out.
    Ended,
    /// Signed out and removed from its client.
    Removed,
    /// Ended by an administrator or a ban.
    Revoked,
    /// Past its maximum lifetime.
    Expired,
}

impl SessionStatus {
    /// Whether tokens can be minted for the session: true for `Active` and `Pending`.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Pending)
    }

    /// Returns the status as Clerk spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Pending => "pending",
            Self::Ended => "ended",
            Self::Removed => "removed",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for SessionStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A snapshot of a session of a [`FakeClerk`](crate::FakeClerk).
///
/// Comes from [`FakeClerk::sessions`](crate::FakeClerk::sessions) and doesn't change afterwards.
#[derive(Clone, Debug)]
pub struct FakeSession {
    pub(crate) id: String,
    pub(crate) user_id: String,
    pub(crate) client_id: String,
    pub(crate) status: SessionStatus,
    pub(crate) last_active_organization_id: Option<String>,
    pub(crate) tasks: Vec<String>,
    pub(crate) created_at: Instant,
    pub(crate) expires_at: Instant,
}

impl FakeSession {
    /// Returns the session's id, `sess_…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the user's id, `user_…`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Returns the id of the client that the session was opened on, `client_…`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.status
    }

    /// Whether tokens can be minted for the session.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status.is_live()
    }

    /// Returns the id of the active organization, `org_…`; `None` for the personal account.
    #[must_use]
    pub fn last_active_organization_id(&self) -> Option<&str> {
        self.last_active_organization_id.as_deref()
    }

    /// Returns the tasks that a pending session needs to become active.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// Returns the time at which the session was opened.
    #[must_use]
    pub fn created_at(&self) -> Instant {
        self.created_at
    }

    /// Returns the time at which the session expires.
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }
}
