//! What the calls bring, in our own words.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clerk_api::{Minted, Timing};
use crate::client_token::ClientSlot;
use crate::membership::Membership;

/// A finished sign-in.
pub(crate) struct SignedIn {
    pub(crate) user_id: Box<str>,
    pub(crate) session_id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
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

/// A sign-in that waits for a second factor.
pub(crate) struct Unfinished {
    pub(crate) id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) factors: Vec<SecondFactor>,
    /// The factors are asked for because Clerk doesn't know the device, not because the user has any.
    pub(crate) device_trust: bool,
}

/// A way to finish a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecondFactor {
    pub(crate) strategy: Box<str>,
    /// Where a code would be sent, as much as Clerk shows of it.
    pub(crate) safe_identifier: Option<Box<str>>,
    pub(crate) address_id: Option<Box<str>>,
}

/// A session after a touch.
pub(crate) struct Touched {
    pub(crate) pending: Option<Box<[Box<str>]>>,
    pub(crate) active_organization: Option<Box<str>>,
    pub(crate) token: Option<Minted>,
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
