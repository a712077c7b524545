//! A session that has an organization.

use std::ops::Deref;

use crate::organization::Organization;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::ClerkSession;

/// A [`ClerkSession`] that has an organization.
///
/// A handler that takes it can't reach an organization's data without an organization: the personal account, which has
/// none, is answered 403 [`OrganizationForbidden`](RejectionKind::OrganizationForbidden). With the feature `axum` it is an
/// extractor; elsewhere, convert the session:
///
/// ```
/// use tower_clerk::{ClerkSession, OrganizationSession, Rejection};
///
/// fn invoices(session: ClerkSession) -> Result<String, Rejection> {
///     let session = OrganizationSession::try_from(session)?;
///     Ok(format!("the invoices of {}, for {}", session.organization().id(), session.user_id()))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct OrganizationSession(ClerkSession);

impl OrganizationSession {
    /// Returns the organization of the session.
    ///
    /// Store data under its [`id`](Organization::id): admins may change the slug.
    #[must_use]
    pub fn organization(&self) -> &Organization {
        self.0.organization().expect("the session has an organization: `try_from` has checked it")
    }

    /// Returns the session.
    #[must_use]
    pub fn into_session(self) -> ClerkSession {
        self.0
    }
}

impl Deref for OrganizationSession {
    type Target = ClerkSession;

    fn deref(&self) -> &ClerkSession {
        &self.0
    }
}

impl TryFrom<ClerkSession> for OrganizationSession {
    type Error = Rejection;

    /// # Errors
    ///
    /// Returns a rejection if the session is for the user's personal account.
    fn try_from(session: ClerkSession) -> Result<Self, Rejection> {
        if session.organization().is_some() {
            return Ok(Self(session));
        }
        let rejection = Rejection::new(RejectionKind::OrganizationForbidden)
            .detail_of("this needs a session in an organization, not the personal account");
        Err(if session.via().is_none() { rejection.for_bearer_session() } else { rejection })
    }
}
