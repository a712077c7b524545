//! Why an assertion is refused.

use crate::jwt::JwtErrorKind;

/// Tolerated difference between the provider's clock and this engine's, in seconds.
pub(crate) const LEEWAY: u64 = 60;

/// An assertion that is refused for what it is, whoever its subject is. It holds no part of the assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AssertionRefusal {
    /// For the client, whose own assertion it is.
    pub(crate) reason: &'static str,
    pub(crate) is_expired: bool,
}

impl AssertionRefusal {
    pub(crate) const EXPIRED: Self = Self { reason: "the assertion has expired", is_expired: true };
    pub(crate) const UNTRUSTED: Self = Self::other("the assertion is from no provider that is trusted here");
    pub(crate) const USED: Self = Self::other("the assertion was used before");

    pub(crate) const fn other(reason: &'static str) -> Self {
        Self { reason, is_expired: false }
    }
}

impl From<JwtErrorKind> for AssertionRefusal {
    fn from(kind: JwtErrorKind) -> Self {
        Self::other(match kind {
            JwtErrorKind::Expired => return Self::EXPIRED,
            JwtErrorKind::UnsupportedAlgorithm => {
                "the assertion is not signed with an algorithm of its provider"
            }
            JwtErrorKind::WrongCategory => "the assertion is a JWT of another type",
            JwtErrorKind::UnknownKey => "the provider has no key with the assertion's key id",
            JwtErrorKind::BadSignature => "the assertion's signature is wrong",
            JwtErrorKind::WrongIssuer => return Self::UNTRUSTED,
            JwtErrorKind::WrongAudience => "the assertion was issued for another audience",
            JwtErrorKind::NotYetValid => "the assertion is not valid yet",
            _ => "the assertion is not a JWT of its provider's",
        })
    }
}
