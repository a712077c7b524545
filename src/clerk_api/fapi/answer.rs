//! The results of Frontend API calls, independent of Clerk's wire format.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::clerk_api::{Minted, Timing};
use crate::client_token::ClientSlot;
use crate::membership::Membership;

/// A live session: the result of a finished sign-in, or a session that its client already had.
pub(crate) struct SignedIn {
    pub(crate) user_id: Box<str>,
    pub(crate) session_id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    /// The tasks of the session, if it is pending.
    pub(crate) pending: Option<Box<[Box<str>]>>,
    pub(crate) active_organization: Option<Box<str>>,
    pub(crate) token: Option<Minted>,
    pub(crate) memberships: Box<[Membership]>,
    /// The user's verified addresses and numbers, and the user name.
    pub(crate) identifiers: Vec<String>,
    pub(crate) expire_at: Option<SystemTime>,
    pub(crate) timing: Timing,
}

/// A sign-in that needs a second factor.
pub(crate) struct Unfinished {
    pub(crate) id: Box<str>,
    pub(crate) client: Arc<ClientSlot>,
    pub(crate) factors: Vec<SecondFactor>,
    /// Clerk asks for a factor because it doesn't know the device, not because the user has set one up.
    pub(crate) device_trust: bool,
}

/// A factor that can finish a sign-in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecondFactor {
    pub(crate) strategy: Box<str>,
    /// The address or number that a code would be sent to, masked by Clerk.
    pub(crate) safe_identifier: Option<Box<str>>,
    pub(crate) address_id: Option<Box<str>>,
}

/// A session after a touch.
pub(crate) struct Touched {
    pub(crate) pending: Option<Box<[Box<str>]>>,
    pub(crate) active_organization: Option<Box<str>>,
    pub(crate) token: Option<Minted>,
}

/// The settings of the instance. `None` for a setting that Clerk does not report.
#[derive(Debug)]
pub(crate) struct Environment {
    pub(crate) native_api: Option<bool>,
    pub(crate) passwords: Option<bool>,
    pub(crate) single_session_mode: Option<bool>,
    pub(crate) device_attestation: Option<Box<str>>,
    /// Failed attempts until Clerk locks an account. `None` also if it never does.
    pub(crate) lockout_after: Option<u64>,
    pub(crate) maintenance: Option<bool>,
    /// The difference between the local wall clock and Clerk's.
    pub(crate) clock_off: Option<Duration>,
}
