//! Steps that both APIs have: locks after wrong attempts, and the beginnings and ends of sessions.

pub(crate) mod lockout;
pub(crate) mod session;
