//! How an instance's Backend API is set up.

use std::time::Duration;

use crate::ids;
use crate::settings::backend::{BackendLimit, GoneSession};
use crate::settings::builder::FakeClerkBuilder;

/// The prefix of a production instance's key.
const LIVE: &str = "sk_live_";

/// The Backend API.
impl FakeClerkBuilder {
    /// Sets the key that the Backend API asks for (`sk_test_` and 42 characters that belong to the host).
    ///
    /// One that begins with `sk_live_` makes it a production instance: with its larger limit, a `pk_live_` key, and
    /// without the making of sessions, which is for development.
    pub fn secret_key(mut self, key: impl Into<String>) -> Self {
        self.secret_key = Some(key.into());
        self
    }

    /// Allows `count` requests to the Backend API in any `window`, key sets not counted (100 in 10 s, in production
    /// 1000); more are answered 429.
    pub fn backend_limit(mut self, count: usize, window: Duration) -> Self {
        self.backend_limit = BackendLimit::Of(count, window);
        self
    }

    /// Sets the answer to a request of a token for a session that is over (404 `resource_not_found`).
    pub fn gone_session(mut self, answer: GoneSession) -> Self {
        self.gone_session = answer;
        self
    }

    /// Lets wrong passwords at `verify_password` count towards the lock of the user, and answers it 403 `user_locked`
    /// for those who are locked (off). Clerk doesn't say whether they do.
    pub fn verify_password_counts(mut self, on: bool) -> Self {
        self.verify_password_counts = on;
        self
    }

    /// Sets how long `verify_password` takes for a user who has a password, right or wrong (no time): Clerk's
    /// hashing is slow on purpose, so the wait tells users apart.
    pub fn verify_password_time(mut self, time: Duration) -> Self {
        self.verify_password_time = time;
        self
    }

    /// Lets a sign-in by ticket do without the second factor (on). Clerk doesn't say whether it does; off, it ends
    /// in `needs_second_factor` for users who have one.
    pub fn tickets_skip_second_factor(mut self, on: bool) -> Self {
        self.tickets_skip_second_factor = on;
        self
    }

    pub(crate) fn backend_host(&self) -> String {
        format!("api.{}", self.host.strip_prefix("clerk.").unwrap_or(&self.host))
    }

    pub(crate) fn backend_key(&self) -> String {
        let own = || format!("sk_test_{}", ids::derived_text(42, &format!("sk_test/{}", self.host)));
        self.secret_key.clone().unwrap_or_else(own)
    }

    pub(crate) fn backend_window(&self) -> Option<(usize, Duration)> {
        match self.backend_limit {
            BackendLimit::OfKey if self.is_production() => Some((1000, Duration::from_secs(10))),
            BackendLimit::OfKey => Some((100, Duration::from_secs(10))),
            BackendLimit::Of(count, window) => Some((count, window)),
            BackendLimit::None => None,
        }
    }

    pub(crate) fn is_production(&self) -> bool {
        self.secret_key.as_ref().is_some_and(|key| key.starts_with(LIVE))
    }

    /// The instance's kind as Clerk writes it.
    pub(crate) fn environment_type(&self) -> &'static str {
        if self.is_production() { "production" } else { "development" }
    }
}
