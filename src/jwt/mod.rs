//! Verifies session tokens, signed with RS256 only.
//!
//! The signature is checked before the claims are read. Verification does no I/O: the caller brings the time and the
//! keys, which come from `jwks.rs`.

use std::error::Error as StdError;
use std::fmt;

mod jwks;
mod keys;
mod verify;

pub(crate) use jwks::{FetchFuture, Jwks, TokenSource};
pub(crate) use keys::VerificationKeys;
pub(crate) use verify::{Category, Expected, header, verify};

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
    /// The token is not a JWT, or lacks a part that every Clerk token has.
    Malformed,
    /// The token is not signed with RS256.
    UnsupportedAlgorithm,
    /// The token is of another class: a machine's, or an OAuth access token.
    WrongCategory,
    /// The key set has no key with the token's key id. A newer key set may have it.
    UnknownKey,
    /// The signature does not match.
    BadSignature,
    /// The token is from another instance.
    WrongIssuer,
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
    /// No key in the set can have signed a session token.
    NoUsableKey,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "Clerk's answer is not a key set",
            Self::NoUsableKey => "Clerk's key set has no RSA key of 2048 to 8192 bits for RS256",
        })
    }
}

impl StdError for JwksError {}
