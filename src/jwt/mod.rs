//! Verifies JWTs: Clerk's own, signed with RS256 only, and the assertions of configured providers.
//!
//! The signature is checked before the claims are read. Verification does no I/O: the caller brings the time and the
//! keys, which come from `jwks.rs`.

use std::error::Error as StdError;
use std::fmt;

mod algorithm;
mod compact;
mod expected;
#[cfg(feature = "federation")]
mod foreign;
mod jwks;
mod keys;
mod verify;

#[cfg_attr(
    not(feature = "federation"),
    allow(unreachable_pub, reason = "public with the feature alone")
)]
pub use algorithm::Algorithm;
pub(crate) use expected::Expected;
#[cfg(feature = "federation")]
pub(crate) use expected::RegisteredClaims;
#[cfg(feature = "federation")]
pub(crate) use foreign::{claimed_issuer, key_id, signed_part, verified_payload};
pub(crate) use jwks::{FetchFuture, Jwks, TokenSource};
pub(crate) use keys::VerificationKeys;
pub(crate) use verify::{CLERK_ALGORITHMS, Category, ExpectedSession, header, verify};

use crate::claims::ClaimsError;

/// A token that was not accepted. The error shows nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwtError {
    kind: JwtErrorKind,
    source: Option<ClaimsError>,
}

/// Why a token was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtErrorKind {
    /// The token is not a JWT, or lacks a part that every token of its issuer has.
    Malformed,
    /// The token is not signed with an algorithm of its issuer's.
    UnsupportedAlgorithm,
    /// The token is of another class: a machine's, or an OAuth access token.
    WrongCategory,
    /// The key set has no key with the token's key id. A newer key set may have it.
    UnknownKey,
    /// The signature does not match.
    BadSignature,
    /// The token is from another instance or another provider.
    WrongIssuer,
    /// The token was issued for others.
    WrongAudience,
    /// The token is another user's or a machine's.
    WrongSubject,
    /// The token belongs to another session.
    WrongSession,
    /// The token has expired.
    Expired,
    /// The token is not valid yet.
    NotYetValid,
    /// The token was issued for a longer life than the caller accepts.
    LivesTooLong,
    /// The session is pending: its user has a task to complete.
    Pending,
}

impl JwtError {
    pub(crate) fn kind(&self) -> JwtErrorKind {
        self.kind
    }
}

impl From<JwtErrorKind> for JwtError {
    fn from(kind: JwtErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<ClaimsError> for JwtError {
    fn from(source: ClaimsError) -> Self {
        Self { kind: JwtErrorKind::Malformed, source: Some(source) }
    }
}

impl fmt::Display for JwtError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_str())
    }
}

impl JwtErrorKind {
    /// Why, in words that show nothing of the token.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "the token is not a JWT of Clerk's",
            Self::UnsupportedAlgorithm => "the token is not signed with RS256",
            Self::WrongCategory => "the token is not a session token",
            Self::UnknownKey => "the instance has no key with the token's key id",
            Self::BadSignature => "the token's signature is wrong",
            Self::WrongIssuer => "the token is from another issuer",
            Self::WrongAudience => "the token was issued for another audience",
            Self::WrongSubject => "the token is not this user's",
            Self::WrongSession => "the token is not this session's",
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::LivesTooLong => "the token was issued for too long a life",
            Self::Pending => "the token's session is pending",
        }
    }
}

impl StdError for JwtError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A key set that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwksError {
    /// The answer is not JSON, or has no list of keys.
    NotAKeySet,
    /// No key in the set can have signed with an algorithm of the issuer's.
    NoUsableKey,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "this is not a key set",
            Self::NoUsableKey => "the key set has no key for the algorithms of its issuer",
        })
    }
}

impl StdError for JwksError {}
