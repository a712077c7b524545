//! Steps that both APIs share: lockout, and the start and end of sessions.

pub(crate) mod lockout;
pub(crate) mod session;

/// Minimum length of a new password.
pub(crate) const MIN_PASSWORD: usize = 8;
