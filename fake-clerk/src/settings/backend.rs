//! Types of the Backend API's settings.

use std::time::Duration;

/// The rate limit of the Backend API.
#[derive(Clone, Copy)]
pub(crate) enum BackendLimit {
    /// Clerk's limit for the kind of the secret key.
    OfKey,
    Of(usize, Duration),
    None,
}

/// The Backend API's response to the verification of a revoked or expired API key.
///
/// Clerk doesn't document it: its description has both flags in a 200 and errors, so a program should treat each of
/// these as a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidApiKey {
    /// 200 with `revoked` or `expired`.
    Flagged,
    /// 404 `resource_not_found`, as for a key that never existed.
    NotFound,
    /// 400 `api_key_revoked` or `api_key_expired`.
    BadRequest,
}

/// The Backend API's response to a request for a token of an ended session.
///
/// Clerk doesn't document it, so a program should treat each of these as the end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneSession {
    /// 404 `resource_not_found`, as for a session that never existed.
    NotFound,
    /// 401 `authentication_invalid`.
    AuthenticationInvalid,
    /// 400 `invalid_action_for_session`.
    InvalidAction,
}
