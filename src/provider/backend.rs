//! The Backend API's road: the secret key finds the user and verifies the password, a ticket opens the session.

use std::sync::Arc;
use std::time::Duration;

use super::open_sessions::OpenSessions;
use super::passwords::Passwords;
use crate::clerk_api::bapi::Bapi;
use crate::clerk_api::fapi::Fapi;
use crate::clock::Clock;
use crate::key::KeySecret;
use crate::limits::{CallKind, SharedBackoff, SignInLimiter};
use crate::sessions::Revocations;

/// What the builder says about this road.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BackendOptions {
    /// Users who have a second factor are let in without it.
    pub(crate) ignore_second_factor: bool,
    /// How long tokens shall live, where that isn't the instance's business.
    pub(crate) token_lifetime: Option<Duration>,
}

/// See the [module's documentation](self).
pub(crate) struct Backend {
    pub(super) passwords: Passwords,
    pub(super) open_sessions: OpenSessions,
    pub(crate) bapi: Arc<Bapi>,
    pub(super) fapi: Arc<Fapi>,
    /// The budget of sign-ins, which on this road only tickets draw on.
    pub(super) sign_ins: Arc<SignInLimiter>,
    pub(super) revocations: Arc<Revocations>,
    /// Of mints by the Frontend API.
    pub(super) frontend_mints: SharedBackoff,
    pub(super) token_lifetime: Option<Duration>,
    pub(super) secret: Arc<KeySecret>,
    pub(super) clock: Clock,
}

impl Backend {
    pub(crate) fn new(
        passwords: Passwords,
        open_sessions: OpenSessions,
        fapi: Arc<Fapi>,
        sign_ins: Arc<SignInLimiter>,
        revocations: Arc<Revocations>,
        token_lifetime: Option<Duration>,
    ) -> Self {
        let (bapi, secret) = (Arc::clone(&passwords.bapi), Arc::clone(&passwords.secret));
        let clock = passwords.clock;
        let frontend_mints = SharedBackoff::new(CallKind::Mint);
        Self {
            passwords,
            open_sessions,
            bapi,
            fapi,
            sign_ins,
            revocations,
            frontend_mints,
            token_lifetime,
            secret,
            clock,
        }
    }
}
