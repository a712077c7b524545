//! Sessions as a test sees them.

use std::fmt;

use tokio::time::Instant;

/// The state of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionStatus {
    /// Signed in.
    Active,
    /// Signed in, with tasks before the user: choose an organization, set up a second factor.
    Pending,
    /// Signed out.
    Ended,
    /// Signed out and taken off its client.
    Removed,
    /// Ended from outside: by an administrator, by a ban.
    Revoked,
    /// Past its life.
    Expired,
}

impl SessionStatus {
    /// Whether tokens can be had for the session.
    #[must_use]
    pub fn is_live(self) -> bool {
        matches!(self, Self::Active | Self::Pending)
    }

    /// The status as Clerk writes it.
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

/// A session of a [`FakeClerk`](crate::FakeClerk), as it was when asked for.
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
    /// The session's id, `sess_…`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of its user, `user_…`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// The client it was opened on, `client_…`.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Its state.
    #[must_use]
    pub fn status(&self) -> SessionStatus {
        self.status
    }

    /// Whether tokens can be had for it.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status.is_live()
    }

    /// The organization chosen by the last touch, `org_…`.
    #[must_use]
    pub fn last_active_organization_id(&self) -> Option<&str> {
        self.last_active_organization_id.as_deref()
    }

    /// The tasks left before a pending session becomes active.
    #[must_use]
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// When it was opened.
    #[must_use]
    pub fn created_at(&self) -> Instant {
        self.created_at
    }

    /// When it ends at the latest.
    #[must_use]
    pub fn expires_at(&self) -> Instant {
        self.expires_at
    }
}
