//! The mark of a request that passed without a session.

use crate::rejection::Challenge;

/// Marks a request that the layer let pass without a session.
///
/// The layer inserts it into the extensions of a request without credentials if it is
/// [optional](crate::ClerkBasicAuthLayer::optional), of an [exempt](crate::ClerkBasicAuthLayer::exempt) request, and of
/// a CORS preflight that it [lets pass](crate::ClerkBasicAuthLayer::pass_preflight). A request with neither an
/// `Anonymous` nor a [`ClerkSession`](crate::ClerkSession) has not been through the layer.
///
/// It carries the layer's challenge, so that a handler can ask for credentials in the same way as the layer does:
///
/// ```
/// use http::{Request, Response};
/// use tower_clerk::layer::{ProblemJson, respond};
/// use tower_clerk::{Anonymous, Rejection, RejectionKind};
///
/// fn unauthorized(request: &Request<()>, anonymous: &Anonymous) -> Response<String> {
///     let rejection = Rejection::new(RejectionKind::CredentialsMissing);
///     respond(rejection, &ProblemJson::default(), anonymous.challenge(), request.headers())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    challenge: Challenge,
}

impl Anonymous {
    pub(crate) fn new(challenge: Challenge) -> Self {
        Self { challenge }
    }

    /// Returns the challenge of the layer, for the `WWW-Authenticate` fields of a 401 response.
    #[must_use]
    pub fn challenge(&self) -> &Challenge {
        &self.challenge
    }
}
