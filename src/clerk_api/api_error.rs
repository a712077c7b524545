//! Classifies failed calls to Clerk (rules S3, S4).

use std::time::{Duration, SystemTime};

use http::StatusCode;

use super::codes::class_of;
use crate::counters::Operation;

/// Why Clerk refuses a credential. The client gets the same answer for all reasons, but they count differently as
/// failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CredentialRefusal {
    /// The account exists and the password is wrong. Clerk counts this as a failed attempt.
    Credentials,
    /// The account doesn't exist, or Clerk's enumeration protection hides whether it does.
    Unidentified,
    /// The account has no password, or its identifier cannot be used with one.
    NotByPassword,
    /// Clerk has locked the account.
    Locked,
    /// The account is banned, deactivated or deprovisioned.
    Barred,
}

/// The class of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErrorClass {
    /// Clerk refuses the credential.
    Refused(CredentialRefusal),
    /// The password may be right, but this crate cannot finish the sign-in.
    ActionRequired,
    /// The password is right, and the account needs a second factor.
    SecondFactor,
    /// The password is right, but Clerk doesn't know this device.
    DeviceNotTrusted,
    /// The session, or the client it belongs to, has ended.
    SessionGone,
    /// The user is not a member of the organization, or the organization doesn't exist.
    OrganizationForbidden,
    /// Clerk has no such resource. The operation tells which resource is meant.
    NotFound,
    /// The instance mints a token only if the request shows the session's expired one.
    MissingExpiredToken,
    /// The client already has a session.
    SessionExists,
    /// Clerk answered that its quota is spent.
    RateLimited,
    /// The local call budget has no permit in time.
    NoPermit,
    /// The call cannot work with the configuration of the instance or of this crate.
    Misconfigured,
    /// A well-formed error of Clerk's that this crate doesn't know, or cannot act on (such as a captcha). It is not a
    /// refusal, and repeating the call would not help.
    Unknown,
    /// The answer cannot be trusted, for example because its token fails verification.
    Untrusted,
    /// Clerk, or the network on the way to it, failed.
    Unavailable,
}

impl ErrorClass {
    /// Whether Clerk decided against the credential. Sessions that it opened earlier must then no longer serve.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Refused(_) | Self::ActionRequired | Self::SecondFactor)
    }
}

/// A failed call: its class, and the details that callers act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) class: ErrorClass,
    /// The code that decided the class, or the sign-in's status. Safe to log.
    pub(crate) code: Option<Box<str>>,
    pub(crate) retry_after: Option<Duration>,
    /// The `Date` of the answer.
    pub(crate) date: Option<SystemTime>,
    /// Clerk warned that the account is about to be locked.
    pub(crate) lockout_warning: bool,
    /// The answer had a 4xx status.
    pub(crate) client_error: bool,
    /// This crate cannot finish the sign-in, but the password was right.
    pub(crate) proves_password: bool,
}

impl ApiError {
    pub(crate) fn new(class: ErrorClass) -> Self {
        Self {
            class,
            code: None,
            retry_after: None,
            date: None,
            lockout_warning: false,
            client_error: false,
            proves_password: false,
        }
    }

    /// Whether the error is a sign of an outage. A 4xx never is, because something answered (rule P4).
    pub(crate) fn is_outage(&self) -> bool {
        self.class == ErrorClass::Unavailable && !self.client_error
    }

    pub(crate) fn unavailable(why: &str) -> Self {
        Self { code: loggable(why), ..Self::new(ErrorClass::Unavailable) }
    }

    pub(crate) fn coded(class: ErrorClass, code: &str) -> Self {
        Self { code: loggable(code), ..Self::new(class) }
    }
}

/// Classifies an unsuccessful answer by its status and the codes of *all* its errors.
pub(crate) fn classify(operation: Operation, status: StatusCode, codes: &[&str]) -> ApiError {
    let lockout_warning = codes.contains(&"account_lockout_warning");
    // The key set belongs to no user, so an error about it never refuses a user or ends a session (rule S4).
    if operation == Operation::Jwks {
        return ApiError::coded(ErrorClass::Unavailable, first_or(codes, status.as_str()));
    }
    // For a spent quota and for errors of Clerk's own, the status alone decides: no code makes them a refusal
    // (rule S4).
    if status == StatusCode::TOO_MANY_REQUESTS {
        return ApiError {
            lockout_warning,
            ..ApiError::coded(ErrorClass::RateLimited, first_or(codes, "429"))
        };
    }
    if !status.is_client_error() || matches!(status.as_u16(), 408 | 425) || codes.is_empty() {
        return ApiError::coded(ErrorClass::Unavailable, first_or(codes, status.as_str()));
    }
    // For an API key these two statuses decide, as in Clerk's own SDKs, since their codes are not documented:
    // <https://github.com/clerk/javascript/blob/main/packages/backend/src/tokens/verify.ts>.
    if operation == Operation::VerifyApiKey {
        let class = match status {
            StatusCode::NOT_FOUND => Some(ErrorClass::Refused(CredentialRefusal::Unidentified)),
            StatusCode::UNAUTHORIZED => Some(ErrorClass::Misconfigured),
            _ => None,
        };
        if let Some(class) = class {
            return ApiError::coded(class, first_or(codes, status.as_str()));
        }
    }
    // A list is of no user, so these two are about the key, whatever their code.
    if operation.is_list() && matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        return ApiError::coded(ErrorClass::Misconfigured, first_or(codes, status.as_str()));
    }
    let decided = codes
        .iter()
        .filter_map(|code| class_of(operation, code).map(|class| (weight(class), class, *code)))
        // Takes the first of equal weights; `max_by_key` would take the last.
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    match decided {
        Some((_, class, code)) => ApiError { lockout_warning, ..ApiError::coded(class, code) },
        None => ApiError::coded(ErrorClass::Unknown, first_or(codes, "unknown")),
    }
}

fn first_or<'a>(codes: &[&'a str], other: &'a str) -> &'a str {
    codes.first().copied().unwrap_or(other)
}

/// Drops everything that doesn't look like one of Clerk's codes, so that no other text of an answer reaches a log.
fn loggable(code: &str) -> Option<Box<str>> {
    let fits = (1..=64).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    fits.then(|| code.into())
}

/// The heaviest error of an answer decides: a lock says more than the wrong password reported with it.
fn weight(class: ErrorClass) -> u8 {
    match class {
        ErrorClass::RateLimited => 9,
        ErrorClass::Misconfigured => 8,
        ErrorClass::Refused(CredentialRefusal::Locked | CredentialRefusal::Barred) => 7,
        ErrorClass::Refused(CredentialRefusal::NotByPassword) => 6,
        ErrorClass::Refused(CredentialRefusal::Credentials | CredentialRefusal::Unidentified) => 5,
        ErrorClass::OrganizationForbidden => 4,
        _ => 3,
    }
}
