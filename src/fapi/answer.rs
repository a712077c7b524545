//! What the calls bring, in our own words.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use zeroize::Zeroizing;

use super::client_token::ClientToken;

/// When an answer's request left, and what Clerk's clock said with the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) left: Instant,
    pub(crate) date: Option<SystemTime>,
}

/// A finished sign-in.
pub(crate) struct SignedIn {
    pub(crate) user_id: Box<str>,
    pub(crate) session_id: Box<str>,
    pub(crate) client_token: ClientToken,
    /// The tasks of a session that is signed in, but must do something first.
    pub(crate) pending: Option<Box<[Box<str>]>>,
    pub(crate) active_organization: Option<Box<str>>,
    pub(crate) token: Option<Minted>,
    pub(crate) memberships: Box<[Membership]>,
    /// What the user can sign in with: addresses, numbers, the user name.
    pub(crate) identifiers: Vec<String>,
    pub(crate) expire_at: Option<SystemTime>,
    pub(crate) timing: Timing,
}

/// A session after a touch.
pub(crate) struct Touched {
    pub(crate) pending: Option<Box<[Box<str>]>>,
    pub(crate) active_organization: Option<Box<str>>,
    pub(crate) token: Option<Minted>,
}

/// A token, not verified yet.
pub(crate) struct Minted {
    pub(crate) jwt: Zeroizing<String>,
    pub(crate) timing: Timing,
}

/// An organization that the user is a member of.
#[derive(Debug)]
pub(crate) struct Membership {
    pub(crate) id: Box<str>,
    pub(crate) slug: Option<Box<str>>,
}

/// How the instance is set up, as far as it says.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) native_api: Option<bool>,
    pub(crate) passwords: Option<bool>,
    pub(crate) single_session_mode: Option<bool>,
    pub(crate) device_attestation: Option<Box<str>>,
    /// Failed attempts until an account is locked, where it ever is.
    pub(crate) lockout_after: Option<u64>,
    pub(crate) maintenance: Option<bool>,
    /// How far our wall clock is from Clerk's.
    pub(crate) clock_off: Option<Duration>,
}
