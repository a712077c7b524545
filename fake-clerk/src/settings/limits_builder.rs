//! The limits that the stand-in keeps to: of calls, and of wrong passwords.

use std::time::Duration;

use crate::settings::backend::BackendLimit;
use crate::settings::builder::FakeClerkBuilder;

impl FakeClerkBuilder {
    /// Sets the rate limit of sign-ins from one address.
    ///
    /// More than `count` sign-ins in any `window` get 429. The default is
    /// [Clerk's](https://clerk.com/docs/guides/how-clerk-works/system-limits): 5 in 10 s.
    pub fn sign_in_limit(mut self, count: usize, window: Duration) -> Self {
        self.sign_in_limit = Some((count, window));
        self
    }

    /// Sets the rate limit of attempts at a factor from one address.
    ///
    /// More than `count` attempts in any `window` get 429. The default is
    /// [Clerk's](https://clerk.com/docs/guides/how-clerk-works/system-limits): 3 in 10 s.
    pub fn attempt_limit(mut self, count: usize, window: Duration) -> Self {
        self.attempt_limit = Some((count, window));
        self
    }

    /// Sets the rate limit of mints from one address.
    ///
    /// `touch`, `tokens` and tokens from templates count together. There is no limit by default; Clerk has one, but
    /// doesn't document it.
    pub fn mint_limit(mut self, count: usize, window: Duration) -> Self {
        self.mint_limit = Some((count, window));
        self
    }

    /// Removes the limits of sign-ins, attempts, mints and requests to the Backend API.
    ///
    /// Use it for tests with many sign-ins, which otherwise wait or fail with 429.
    pub fn no_rate_limit(mut self) -> Self {
        self.sign_in_limit = None;
        self.attempt_limit = None;
        self.mint_limit = None;
        self.backend_limit = BackendLimit::None;
        self
    }

    /// Sets the lockout: `max_attempts` failed attempts lock a user for `duration`.
    ///
    /// The default is 10 attempts and 1 h.
    pub fn lockout(mut self, max_attempts: u32, duration: Duration) -> Self {
        self.lockout = Some((max_attempts, duration));
        self
    }

    /// Turns the lockout off.
    pub fn no_lockout(mut self) -> Self {
        self.lockout = None;
        self
    }

    /// Sets whether a failed attempt carries `account_lockout_warning` when two, one or no attempts are left. On by
    /// default.
    pub fn lockout_warning(mut self, on: bool) -> Self {
        self.lockout_warning = on;
        self
    }
}
