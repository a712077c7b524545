//! What about an instance's Backend API can be set.

use std::time::Duration;

/// How many requests the Backend API takes.
#[derive(Clone, Copy)]
pub(crate) enum BackendLimit {
    /// As many as Clerk takes with a key of the kind.
    OfKey,
    Of(usize, Duration),
    None,
}

/// What the Backend API answers when it is to mint a token for a session that is over.
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
