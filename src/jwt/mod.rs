//! Session tokens: RS256, and nothing else.
//!
//! A token is genuine if its signature is; only then is it worth asking what it says. Verifying does no I/O: who
//! calls brings the keys and the time. The keys come from `jwks.rs`.

use std::error::Error as StdError;
use std::fmt;

mod jwks;
mod keys;
mod verify;

pub(crate) use jwks::{FetchFuture, Jwks};
pub(crate) use keys::VerificationKeys;
pub(crate) use verify::{Expected, kid, verify};

use crate::claims::ClaimsError;

/// A token that isn't accepted. It shows nothing of the token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwtError {
    kind: JwtErrorKind,
    source: Option<ClaimsError>,
}

/// Why a token isn't accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwtErrorKind {
    /// Not a JWT, or without what each of Clerk's has.
    Malformed,
    /// Signed in another way than RS256, or not a session's token at all.
    UnsupportedAlgorithm,
    /// The key set has no key of this name. A newer one may have it.
    UnknownKey,
    /// The signature isn't this key's over this token.
    BadSignature,
    /// Another instance's token.
    WrongIssuer,
    /// Another user's token, or a machine's.
    WrongSubject,
    /// Another session's token.
    WrongSession,
    /// Its time is over.
    Expired,
    /// Its time is yet to come.
    NotYetValid,
    /// The session's user has yet to do something.
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
        f.write_str(match self.kind {
            JwtErrorKind::Malformed => "the token is no JWT of Clerk's",
            JwtErrorKind::UnsupportedAlgorithm => {
                "the token is not signed as a session's token is, with RS256"
            }
            JwtErrorKind::UnknownKey => "the instance has no key of the name that the token gives",
            JwtErrorKind::BadSignature => "the token's signature is wrong",
            JwtErrorKind::WrongIssuer => "the token is from another issuer",
            JwtErrorKind::WrongSubject => "the token is not this user's",
            JwtErrorKind::WrongSession => "the token is not this session's",
            JwtErrorKind::Expired => "the token is past its end",
            JwtErrorKind::NotYetValid => "the token is not valid yet",
            JwtErrorKind::Pending => "the token's session is pending",
        })
    }
}

impl StdError for JwtError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// A key set that is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JwksError {
    /// Not JSON, or without a list of keys.
    NotAKeySet,
    /// No key in it could have signed a session's token.
    NoUsableKey,
}

impl fmt::Display for JwksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKeySet => "Clerk's answer is no key set",
            Self::NoUsableKey => "Clerk's key set has no RSA key of 2048 to 8192 bits for RS256",
        })
    }
}

impl StdError for JwksError {}
