//! Builder methods for the Backend API.

use std::time::Duration;

use crate::ids;
use crate::settings::backend::{BackendLimit, GoneSession, InvalidApiKey};
use crate::settings::builder::FakeClerkBuilder;

/// The prefix of a production instance's key.
const LIVE: &str = "sk_live_";

/// The Backend API.
impl FakeClerkBuilder {
    /// Sets the secret key of the Backend API.
    ///
    /// The default is `sk_test_` and 42 characters derived from the host. A key that starts with `sk_live_` makes it
    /// a production instance: with the larger rate limit, with a `pk_live_` key, and without `POST /v1/sessions`,
    /// which Clerk allows in development only.
    pub fn secret_key(mut self, key: impl Into<String>) -> Self {
        self.secret_key = Some(key.into());
        self
    }

    /// Sets the rate limit of the Backend API.
    ///
    /// More than `count` requests in any `window` get 429; key sets don't count. The default is
    /// [Clerk's](https://clerk.com/docs/guides/how-clerk-works/system-limits): 100 requests in 10 s, or 1,000 in 10 s
    /// for a production instance.
    pub fn backend_limit(mut self, count: usize, window: Duration) -> Self {
        self.backend_limit = BackendLimit::Of(count, window);
        self
    }

    /// Sets the response to a request for a token of an ended session.
    ///
    /// The default is 404 `resource_not_found`. Clerk doesn't document it.
    pub fn gone_session(mut self, answer: GoneSession) -> Self {
        self.gone_session = answer;
        self
    }

    /// Sets whether wrong passwords at `verify_password` count towards the lockout.
    ///
    /// If on, `verify_password` also answers 403 `user_locked` for locked users. Off by default; Clerk doesn't
    /// document whether they count.
    pub fn verify_password_counts(mut self, on: bool) -> Self {
        self.verify_password_counts = on;
        self
    }

    /// Sets the time that `verify_password` takes for a user with a password.
    ///
    /// Clerk hashes passwords slowly on purpose, so the response time reveals whether the user has one; use this to
    /// test that a program doesn't pass the difference on. The default is zero.
    pub fn verify_password_time(mut self, time: Duration) -> Self {
        self.verify_password_time = time;
        self
    }

    /// Sets whether a sign-in by ticket skips the second factor.
    ///
    /// If off, it ends in `needs_second_factor` for users with a second factor. On by default; Clerk doesn't document
    /// which is right.
    pub fn tickets_skip_second_factor(mut self, on: bool) -> Self {
        self.tickets_skip_second_factor = on;
        self
    }

    /// Turns API keys on or off. On by default.
    ///
    /// If off, everything about them fails with 422 `api_keys_not_enabled`, and no key is revoked by that.
    pub fn api_keys(mut self, on: bool) -> Self {
        self.api_keys = on;
        self
    }

    /// Sets the response to the verification of a revoked or expired API key.
    ///
    /// The default is a 200 with flags. Clerk doesn't document it.
    pub fn invalid_api_key(mut self, answer: InvalidApiKey) -> Self {
        self.invalid_api_key = answer;
        self
    }

    /// Sets whether the `expiration` of an API key is in seconds. Off by default.
    ///
    /// Clerk's description says milliseconds. A program that also understands seconds can't take a key for valid that
    /// expired long ago, or the other way round.
    pub fn api_key_expiration_in_seconds(mut self, on: bool) -> Self {
        self.api_key_seconds = on;
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

    /// Returns `development` or `production`.
    pub(crate) fn environment_type(&self) -> &'static str {
        if self.is_production() { "production" } else { "development" }
    }
}
