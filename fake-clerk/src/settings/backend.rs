//! Values of an instance's settings for the Backend API.

use std::time::Duration;

/// How many requests the Backend API takes.
#[derive(Clone, Copy)]
pub(crate) enum BackendLimit {
    /// As many as Clerk takes with a key of the kind.
    OfKey,
    Of(usize, Duration),
    None,
}

/// The Backend API's answer to a request of a token for a session that is over.
///
/// Clerk doesn't say. A program that mints there should take all of these for the end of the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneSession {
    /// 404 `resource_not_found`, as for one that never was.
    NotFound,
    /// 401 `authentication_invalid`.
    AuthenticationInvalid,
    /// 400 `invalid_action_for_session`.
    InvalidAction,
}
