//! A read that failed.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use crate::clerk_api::{ApiError, ErrorClass, OVERSIZED, UNREADABLE};

/// A read of the Backend API that failed, after the client's own repeats.
///
/// Its message says what to do. It shows no key and nothing of an answer but Clerk's code.
#[derive(Clone, PartialEq, Eq)]
pub struct BackendError {
    kind: BackendErrorKind,
    code: Option<Box<str>>,
    retry_after: Option<Duration>,
}

/// The kinds of [`BackendError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BackendErrorKind {
    /// Clerk doesn't accept the secret key. A repeat won't help.
    Misconfigured,
    /// Clerk's quota was spent again and again, though each pause was waited for.
    RateLimited,
    /// Clerk, or the network on the way to it, failed.
    Unavailable,
    /// The answer isn't what Clerk describes, has no `Date`, or is too large even for a single entry.
    Unreadable,
    /// There is no such organization.
    NotFound,
    /// The query can't be asked, or Clerk refuses it.
    Invalid,
}

impl BackendError {
    /// A query that can't be asked.
    pub(super) fn invalid(code: &str) -> Self {
        Self { kind: BackendErrorKind::Invalid, code: Some(code.into()), retry_after: None }
    }

    /// The kind of the error, for a program to act on.
    #[must_use]
    pub fn kind(&self) -> BackendErrorKind {
        self.kind
    }

    /// The code that Clerk answered with, or this crate's own reason. Safe to log.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// How long Clerk asked to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl From<ApiError> for BackendError {
    fn from(error: ApiError) -> Self {
        let kind = match error.class {
            ErrorClass::Misconfigured => BackendErrorKind::Misconfigured,
            ErrorClass::RateLimited | ErrorClass::NoPermit => BackendErrorKind::RateLimited,
            ErrorClass::NotFound => BackendErrorKind::NotFound,
            ErrorClass::Unavailable => match error.code.as_deref() {
                Some(OVERSIZED | UNREADABLE) => BackendErrorKind::Unreadable,
                _ => BackendErrorKind::Unavailable,
            },
            _ => BackendErrorKind::Invalid,
        };
        Self { kind, code: error.code, retry_after: error.retry_after }
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            BackendErrorKind::Misconfigured => {
                "Clerk's Backend API doesn't accept the secret key: take the instance's from the API keys page of Clerk's \
                 dashboard"
            }
            BackendErrorKind::RateLimited => {
                "Clerk's quota of calls to the Backend API is spent: lower the rate, or try again later"
            }
            BackendErrorKind::Unavailable => "Clerk's Backend API didn't answer: try again later",
            BackendErrorKind::Unreadable => {
                "Clerk's Backend API sent an answer that can't be read: check what stands between this program and Clerk"
            }
            BackendErrorKind::NotFound => "Clerk has no such organization",
            BackendErrorKind::Invalid => "the query can't be asked of Clerk's Backend API: correct it",
        })?;
        match &self.code {
            Some(code) => write!(f, " ({code})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendError").field("kind", &self.kind).field("code", &self.code).finish()
    }
}

impl StdError for BackendError {}
