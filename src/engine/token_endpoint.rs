//! The engine's part in a token endpoint: the life of a token, and the documents by which others verify it.

use std::time::Duration;

use bytes::Bytes;

use super::Clerk;
use super::rejections::from_api_error;
use crate::rejection::Rejection;
use crate::session::ClerkSession;

impl Clerk {
    /// How long the session's token is still valid.
    pub(crate) fn token_life_left(&self, session: &ClerkSession) -> Duration {
        session.good_until().saturating_duration_since(self.0.clock.now())
    }

    /// The `iss` of the instance's tokens.
    pub(crate) fn issuer(&self) -> &str {
        &self.0.bearer.issuer
    }

    /// The instance's key set, for services that verify tokens themselves.
    ///
    /// # Errors
    ///
    /// Returns a rejection if no keys are held and Clerk can't be asked for them.
    pub(crate) async fn published_keys(&self) -> Result<Bytes, Rejection> {
        self.0.jwks.published().await.map_err(|error| from_api_error(&error))
    }
}
