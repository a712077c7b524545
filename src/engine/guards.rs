//! The times and the log of the guards behind a layer.

use std::time::{Duration, SystemTime};

use http::Request;

use super::Clerk;
use crate::original_uri::original_uri;
use crate::session::ClerkSession;

/// The subject of the warning about a missing layer.
const NO_LAYER: &str = "guard_without_layer";

impl Clerk {
    /// The time since Clerk issued the session's token, by Clerk's clock. It is zero if the clocks disagree.
    pub(crate) fn token_age(&self, session: &ClerkSession) -> Duration {
        let issued_at = Duration::from_secs(session.claims().issued_at());
        let issued_at = SystemTime::UNIX_EPOCH.checked_add(issued_at);
        let age = issued_at.and_then(|at| self.0.sign_ins.time.now().duration_since(at).ok());
        age.unwrap_or_default()
    }

    /// The time since Clerk last accepted the password of the session's request, if it carried one.
    pub(crate) fn proof_age(&self, session: &ClerkSession) -> Option<Duration> {
        Some(self.0.clock.now().saturating_duration_since(session.proven_at()?))
    }

    /// Tells the operator, at most once a minute, that a guard got a request that no layer has seen (rule G2).
    pub(crate) fn log_missing_layer<B>(&self, request: &Request<B>) {
        if self.0.sign_ins.warnings.is_due(NO_LAYER, self.0.clock.now()) {
            tracing::error!(
                method = %request.method(),
                // Without the query, which may hold a secret.
                path = original_uri(request.extensions(), request.uri()).path(),
                "a guard got a request that has been through no ClerkBasicAuthLayer and answered it 500: put the layer \
                 outside of the guard, that is before it in a tuple (`.layer((layer, guard))`) and in a ServiceBuilder of \
                 tower, and after it in a Router of axum (`.layer(guard).layer(layer)`)"
            );
        }
    }
}
