//! A session that was given for an assertion of a provider.

use std::sync::Arc;

use super::{ClerkSession, ProvenAt};
use crate::assurance::Assurance;

impl ClerkSession {
    /// The same session, for a request with an assertion of a provider.
    pub(crate) fn assured(mut self, assurance: Arc<Assurance>) -> Self {
        // An old assertion that is shown for the first time is no fresh proof.
        self.proven_at = assurance.authenticated.map(|start| ProvenAt { start, after: 0 });
        self.assurance = Some(assurance);
        self
    }

    /// Returns what the provider says of its subject, if the session was given for an assertion
    /// ([`Clerk::exchange`](crate::Clerk::exchange)); `None` for a password and for a session token.
    #[cfg_attr(docsrs, doc(cfg(feature = "federation")))]
    #[must_use]
    pub fn assurance(&self) -> Option<&Assurance> {
        self.assurance.as_deref()
    }
}
