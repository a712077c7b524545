//! What a failed call means for us, whatever it was that Clerk said (rules S3, S4).

use std::time::Duration;

use http::StatusCode;

use super::codes::class_of;
use crate::counters::Operation;

/// Why Clerk refuses a user. All of these are one answer to the client; inside, they count differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CredentialRefusal {
    /// The password is wrong, of an account that is there: an attempt that Clerk counts.
    Credentials,
    /// There is no such account, or Clerk doesn't tell that from a wrong password (its enumeration protection).
    Unidentified,
    /// The account exists but has no password, or its identifier may not use one.
    NotByPassword,
    /// Clerk has locked the account.
    Locked,
    /// Banned, deactivated or deprovisioned.
    Barred,
}

/// What a failed call means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ErrorClass {
    /// The user is refused.
    Refused(CredentialRefusal),
    /// The password may be right, but the sign-in can't be finished here.
    ActionRequired,
    /// The password is right and a second factor is due.
    SecondFactor,
    /// The password is right, but Clerk doesn't know this device.
    DeviceNotTrusted,
    /// The session, or the client it hangs on, is over.
    SessionGone,
    /// Not a member of the organization, or there is none of that name.
    OrganizationForbidden,
    /// Something of the request wasn't found; which thing depends on what was asked for.
    NotFound,
    /// The mint wants to see the token that has run out.
    MissingExpiredToken,
    /// The client already has a session.
    SessionExists,
    /// Clerk's quota is spent: Clerk has said so.
    RateLimited,
    /// A budget of ours has no room in time.
    NoPermit,
    /// The instance is set up so that this cannot work.
    Misconfigured,
    /// An answer in Clerk's own form that this crate doesn't know, or that it has no way to act on, such as a captcha:
    /// no refusal, but no use repeating either.
    Unknown,
    /// An answer came that can't be relied on.
    Untrusted,
    /// Clerk, or the way to it, is at error.
    Unavailable,
}

impl ErrorClass {
    /// Whether Clerk has judged the user, and said no: nothing that was let in before may serve on.
    pub(crate) fn is_final(self) -> bool {
        matches!(self, Self::Refused(_) | Self::ActionRequired | Self::SecondFactor)
    }
}

/// A failed call: its error class, and what else the answer said that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) class: ErrorClass,
    /// The code that decided, or the sign-in's status; fit for a log.
    pub(crate) code: Option<Box<str>>,
    pub(crate) retry_after: Option<Duration>,
    /// Clerk warned that the account is about to be locked.
    pub(crate) lockout_warning: bool,
    /// The answer was a 4xx.
    pub(crate) client_error: bool,
    /// The sign-in can't be finished here, but its password was right.
    pub(crate) proves_password: bool,
}

impl ApiError {
    pub(crate) fn new(class: ErrorClass) -> Self {
        Self {
            class,
            code: None,
            retry_after: None,
            lockout_warning: false,
            client_error: false,
            proves_password: false,
        }
    }

    /// Whether it is a sign of Clerk being away. A 4xx never is: something answered, and said no (rule P4).
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

/// The error class of an answer that isn't a success, from its status and the codes of *all* its errors.
pub(crate) fn read(operation: Operation, status: StatusCode, codes: &[&str]) -> ApiError {
    let lockout_warning = codes.contains(&"account_lockout_warning");
    // The key set and the environment are no user's: nothing about them refuses anybody or ends a session (S4).
    if operation == Operation::Jwks {
        return ApiError::coded(ErrorClass::Unavailable, first_or(codes, status.as_str()));
    }
    // Clerk's quota and Clerk's own trouble are told by the status alone; a code can't make them a refusal (S4).
    if status == StatusCode::TOO_MANY_REQUESTS {
        return ApiError {
            lockout_warning,
            ..ApiError::coded(ErrorClass::RateLimited, first_or(codes, "429"))
        };
    }
    if !status.is_client_error() || matches!(status.as_u16(), 408 | 425) || codes.is_empty() {
        return ApiError::coded(ErrorClass::Unavailable, first_or(codes, status.as_str()));
    }
    let decided = codes
        .iter()
        .filter_map(|code| class_of(operation, code).map(|class| (weight(class), class, *code)))
        // The first of the heaviest: `max_by_key` would take the last.
        .reduce(|best, next| if next.0 > best.0 { next } else { best });
    match decided {
        Some((_, class, code)) => ApiError { lockout_warning, ..ApiError::coded(class, code) },
        None => ApiError::coded(ErrorClass::Unknown, first_or(codes, "unknown")),
    }
}

fn first_or<'a>(codes: &[&'a str], other: &'a str) -> &'a str {
    codes.first().copied().unwrap_or(other)
}

/// A code as it may stand in a log: what Clerk sends is lower-case words, anything else is dropped.
fn loggable(code: &str) -> Option<Box<str>> {
    let fits = (1..=64).contains(&code.len())
        && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    fits.then(|| code.into())
}

/// Of several errors in one answer the weightiest decides: a lock says more than the wrong password beside it.
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
