//! How an instance is set up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::FakeClock;
use crate::settings::backend::{BackendLimit, GoneSession};

/// The version of session tokens that an instance mints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenVersion {
    /// The organization in `org_id`, `org_slug`, `org_role`, `org_permissions`. Deprecated since April 2025, and
    /// still minted by instances that were never upgraded.
    V1,
    /// The organization in `o`, its permissions packed into bit masks.
    V2,
}

/// Called with the identifier and the code whenever the instance mails one.
type CodeHook = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Sets a [`FakeClerk`](crate::FakeClerk) up.
///
/// The defaults are those of a new Clerk instance, except Device Trust, which is off unless an account asks for it: on
/// an instance where it is on for all, no program signs in with a password.
///
/// ```
/// use std::time::Duration;
/// use fake_clerk::FakeClerk;
///
/// let clerk = FakeClerk::builder().token_life(Duration::from_secs(5)).no_rate_limit().build();
/// ```
#[derive(Clone)]
#[must_use]
pub struct FakeClerkBuilder {
    pub(crate) clock: FakeClock,
    pub(crate) host: String,
    pub(crate) demo: bool,
    pub(crate) token_life: Duration,
    pub(crate) token_version: TokenVersion,
    pub(crate) sign_in_limit: Option<(usize, Duration)>,
    pub(crate) attempt_limit: Option<(usize, Duration)>,
    pub(crate) mint_limit: Option<(usize, Duration)>,
    pub(crate) backend_limit: BackendLimit,
    pub(crate) secret_key: Option<String>,
    pub(crate) gone_session: GoneSession,
    pub(crate) verify_password_counts: bool,
    pub(crate) verify_password_time: Duration,
    pub(crate) tickets_skip_second_factor: bool,
    pub(crate) session_life: Duration,
    pub(crate) native_api: bool,
    pub(crate) browser_mode: bool,
    pub(crate) passwords: bool,
    pub(crate) single_session_mode: bool,
    pub(crate) force_organization_selection: bool,
    pub(crate) lockout: Option<(u32, Duration)>,
    pub(crate) lockout_warning: bool,
    pub(crate) device_trust: bool,
    pub(crate) legacy_device_trust: bool,
    pub(crate) enumeration_protection: bool,
    pub(crate) session_minter: bool,
    pub(crate) clock_skew: i64,
    pub(crate) on_code: Option<CodeHook>,
}

impl FakeClerkBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clock: FakeClock::system(),
            host: "clerk.fake-clerk.example".to_owned(),
            demo: true,
            token_life: Duration::from_secs(60),
            token_version: TokenVersion::V2,
            // Clerk's system limits: 5 sign-ins and 3 attempts in 10 seconds for one address.
            sign_in_limit: Some((5, Duration::from_secs(10))),
            attempt_limit: Some((3, Duration::from_secs(10))),
            mint_limit: None,
            backend_limit: BackendLimit::OfKey,
            secret_key: None,
            gone_session: GoneSession::NotFound,
            verify_password_counts: false,
            verify_password_time: Duration::ZERO,
            tickets_skip_second_factor: true,
            session_life: Duration::from_secs(7 * 24 * 3600),
            native_api: true,
            browser_mode: false,
            passwords: true,
            single_session_mode: true,
            force_organization_selection: false,
            // New instances since July 2026.
            lockout: Some((10, Duration::from_secs(3600))),
            lockout_warning: true,
            device_trust: false,
            legacy_device_trust: false,
            enumeration_protection: false,
            session_minter: false,
            clock_skew: 0,
            on_code: None,
        }
    }

    /// Tells the time by this clock: tokens, the `Date` header, limits, locks and lives of sessions.
    ///
    /// Accepts anything that converts into a clock.
    pub fn clock(mut self, clock: impl Into<FakeClock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the host of the instance's address and publishable key, to tell two instances in one test apart. The
    /// Backend API's is the same with `api.` in the place of `clerk.`.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Starts without the demo accounts and organizations.
    pub fn empty(mut self) -> Self {
        self.demo = false;
        self
    }

    /// Sets how long session tokens live (60 s). Tokens of templates have lives of their own.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// Sets the version of session tokens (2).
    pub fn token_version(mut self, version: TokenVersion) -> Self {
        self.token_version = version;
        self
    }

    /// Allows `count` sign-ins from one address in any `window` (5 in 10 s); more are answered 429.
    pub fn sign_in_limit(mut self, count: usize, window: Duration) -> Self {
        self.sign_in_limit = Some((count, window));
        self
    }

    /// Allows `count` attempts at a factor from one address in any `window` (3 in 10 s).
    pub fn attempt_limit(mut self, count: usize, window: Duration) -> Self {
        self.attempt_limit = Some((count, window));
        self
    }

    /// Allows `count` mints from one address in any `window` (no limit): `touch`, `tokens` and tokens of templates
    /// together. Clerk has such a limit and doesn't say which.
    pub fn mint_limit(mut self, count: usize, window: Duration) -> Self {
        self.mint_limit = Some((count, window));
        self
    }

    /// Allows any number of sign-ins, attempts, mints and requests to the Backend API.
    pub fn no_rate_limit(mut self) -> Self {
        self.sign_in_limit = None;
        self.attempt_limit = None;
        self.mint_limit = None;
        self.backend_limit = BackendLimit::None;
        self
    }

    /// Sets how long a session lives at most (7 days).
    pub fn session_life(mut self, life: Duration) -> Self {
        self.session_life = life;
        self
    }

    /// Turns the Native API on or off; off, requests in native mode are answered `native_api_disabled`.
    pub fn native_api(mut self, on: bool) -> Self {
        self.native_api = on;
        self
    }

    /// Lets requests without `_is_native` in, with the client token in the `__client` cookie, as a production
    /// instance does (off). Off, they are answered `dev_browser_unauthenticated`, as by a development instance.
    pub fn browser_mode(mut self, on: bool) -> Self {
        self.browser_mode = on;
        self
    }

    /// Turns sign-in by password on or off; off, `password` is an unknown parameter.
    pub fn passwords(mut self, on: bool) -> Self {
        self.passwords = on;
        self
    }

    /// Allows one session on a client, or one for each of several users (one).
    pub fn single_session_mode(mut self, on: bool) -> Self {
        self.single_session_mode = on;
        self
    }

    /// Takes the personal account away: new sessions are pending until an organization is chosen, and an empty
    /// organization keeps the one before (off).
    pub fn force_organization_selection(mut self, on: bool) -> Self {
        self.force_organization_selection = on;
        self
    }

    /// Locks a user for `duration` after `max_attempts` wrong attempts (10, 1 h).
    pub fn lockout(mut self, max_attempts: u32, duration: Duration) -> Self {
        self.lockout = Some((max_attempts, duration));
        self
    }

    /// Never locks a user.
    pub fn no_lockout(mut self) -> Self {
        self.lockout = None;
        self
    }

    /// Adds `account_lockout_warning` to the answer when two, one or no attempts are left (on).
    pub fn lockout_warning(mut self, on: bool) -> Self {
        self.lockout_warning = on;
        self
    }

    /// Turns Device Trust on for all users (off: only where the account says so).
    pub fn device_trust(mut self, on: bool) -> Self {
        self.device_trust = on;
        self
    }

    /// Shows Device Trust as instances do that didn't take the update: `needs_second_factor` instead of
    /// `needs_client_trust`, told apart by `client_trust_state` (off).
    pub fn legacy_device_trust(mut self, on: bool) -> Self {
        self.legacy_device_trust = on;
        self
    }

    /// Gives one answer to a wrong password and to an unknown identifier (off).
    pub fn enumeration_protection(mut self, on: bool) -> Self {
        self.enumeration_protection = on;
        self
    }

    /// Mints only in exchange for the session's token before: without `expired_token` in the query or `token` in
    /// the form, `tokens` is answered 422 `missing_expired_token` (off).
    pub fn session_minter(mut self, on: bool) -> Self {
        self.session_minter = on;
        self
    }

    /// Skews the instance's clock by `seconds`: its `Date`, its tokens, its timestamps.
    pub fn clock_skew(mut self, seconds: i64) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// Calls `hook` with the identifier and the code whenever the instance "mails" one.
    pub fn on_code(mut self, hook: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        self.on_code = Some(Arc::new(hook));
        self
    }
}

impl Default for FakeClerkBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for FakeClerkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeClerkBuilder")
            .field("host", &self.host)
            .field("token_life", &self.token_life)
            .field("token_version", &self.token_version)
            .field("sign_in_limit", &self.sign_in_limit)
            .field("session_life", &self.session_life)
            .finish_non_exhaustive()
    }
}
