//! The reason of a rejection, as far as it is a Bearer token.

use super::{Rejection, RejectionKind};

/// Why a token that a client presented as `Bearer` was refused.
///
/// [`Rejection::bearer_refusal`] returns it, for services that answer these cases apart. [`Rejection::detail`] has the
/// reason in words.
///
/// ```
/// use http::Response;
/// use tower_clerk::{BearerRefusal, Rejection};
///
/// /// For a layer outside that counts tokens which were used after a revocation.
/// fn is_revoked(response: &Response<String>) -> bool {
///     let rejection = response.extensions().get::<Rejection>();
///     rejection.and_then(Rejection::bearer_refusal) == Some(BearerRefusal::Revoked)
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BearerRefusal {
    /// The token has expired. A client gets a new one from Clerk.
    Expired,
    /// The token's session, user or organization was revoked here after the token was issued.
    Revoked,
    /// The token is malformed, not signed by the instance, or not one that this layer accepts.
    Other,
}

/// The part that a Bearer token has in a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BearerPart {
    /// The client's token was refused.
    Refused(BearerRefusal),
    /// The client's token was accepted, but its session may not do this.
    Insufficient,
}

impl Rejection {
    /// The rejection of a Bearer token.
    pub(crate) fn of_bearer(refusal: BearerRefusal, detail: &'static str) -> Self {
        let mut rejection = Self::new(RejectionKind::CredentialsRejected).detail_of(detail);
        rejection.bearer = Some(BearerPart::Refused(refusal));
        rejection
    }

    /// The rejection of a request whose session came by a Bearer token: a 403 then has the challenge
    /// `Bearer …, error="insufficient_scope"`. For guards, where [`ClerkSession::via`](crate::ClerkSession::via) is `None`.
    pub(crate) fn for_bearer_session(mut self) -> Self {
        self.bearer = Some(BearerPart::Insufficient);
        self
    }

    pub(crate) fn bearer_part(&self) -> Option<BearerPart> {
        self.bearer
    }

    /// Returns why a Bearer token was refused, or `None` if the rejection is about something else.
    #[must_use]
    pub fn bearer_refusal(&self) -> Option<BearerRefusal> {
        match self.bearer {
            Some(BearerPart::Refused(refusal)) => Some(refusal),
            Some(BearerPart::Insufficient) | None => None,
        }
    }
}
