//! The builder of an instance.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::FakeClock;
use crate::settings::backend::{BackendLimit, GoneSession, InvalidApiKey};
use crate::webhooks::WebhookEndpoint;

/// The version of an instance's [session tokens](https://clerk.com/docs/guides/sessions/session-tokens).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenVersion {
    /// The organization is in `org_id`, `org_slug`, `org_role` and `org_permissions`. Deprecated since April 2025,
    /// but still minted by instances that haven't been upgraded.
    V1,
    /// The organization is in `o`, with its permissions packed into bit masks.
    V2,
}

/// Called with the identifier and the code of each mail.
type CodeHook = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// Configures a [`FakeClerk`](crate::FakeClerk).
///
/// The defaults are those of a new Clerk instance, except that Device Trust is off unless an account asks for it: on
/// an instance with Device Trust for all users, no program can sign in with a password.
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
    pub(crate) api_keys: bool,
    pub(crate) invalid_api_key: InvalidApiKey,
    pub(crate) api_key_seconds: bool,
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
    /// The endpoints to register when the instance starts.
    pub(crate) webhooks: Vec<WebhookEndpoint>,
    pub(crate) sign_in_updates_user: bool,
    pub(crate) webhook_seconds: bool,
}

impl FakeClerkBuilder {
    pub(crate) fn new() -> Self {
        Self {
            clock: FakeClock::system(),
            host: "clerk.fake-clerk.example".to_owned(),
            demo: true,
            token_life: Duration::from_secs(60),
            token_version: TokenVersion::V2,
            // https://clerk.com/docs/guides/how-clerk-works/system-limits
            sign_in_limit: Some((5, Duration::from_secs(10))),
            attempt_limit: Some((3, Duration::from_secs(10))),
            mint_limit: None,
            backend_limit: BackendLimit::OfKey,
            secret_key: None,
            gone_session: GoneSession::NotFound,
            verify_password_counts: false,
            verify_password_time: Duration::ZERO,
            tickets_skip_second_factor: true,
            api_keys: true,
            invalid_api_key: InvalidApiKey::Flagged,
            api_key_seconds: false,
            session_life: Duration::from_secs(7 * 24 * 3600),
            native_api: true,
            browser_mode: false,
            passwords: true,
            single_session_mode: true,
            force_organization_selection: false,
            // The default of instances created since July 2026.
            lockout: Some((10, Duration::from_secs(3600))),
            lockout_warning: true,
            device_trust: false,
            legacy_device_trust: false,
            enumeration_protection: false,
            session_minter: false,
            clock_skew: 0,
            on_code: None,
            webhooks: Vec::new(),
            sign_in_updates_user: true,
            webhook_seconds: false,
        }
    }

    /// Sets the clock that dates tokens and the `Date` header, and measures limits, locks and session lifetimes.
    ///
    /// The default is [`FakeClock::system`].
    pub fn clock(mut self, clock: impl Into<FakeClock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Sets the host of the instance's URL and publishable key.
    ///
    /// Use it to run two instances in one test. The host of the Backend API is the same with `api.` instead of
    /// `clerk.`.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = host.into();
        self
    }

    /// Starts without the demo accounts and organizations.
    pub fn empty(mut self) -> Self {
        self.demo = false;
        self
    }

    /// Sets the lifetime of session tokens. The default is 60 s.
    ///
    /// Tokens from JWT templates have the lifetime of their template.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.token_life = life;
        self
    }

    /// Sets the version of session tokens. The default is version 2.
    pub fn token_version(mut self, version: TokenVersion) -> Self {
        self.token_version = version;
        self
    }

    /// Sets the maximum lifetime of a session. The default is 7 days.
    pub fn session_life(mut self, life: Duration) -> Self {
        self.session_life = life;
        self
    }

    /// Turns the Native API on or off. On by default.
    ///
    /// If off, requests in native mode fail with 400 `native_api_disabled`.
    pub fn native_api(mut self, on: bool) -> Self {
        self.native_api = on;
        self
    }

    /// Sets whether requests without `_is_native` are accepted, with the client token in the `__client` cookie.
    ///
    /// A production instance accepts them. Off by default: they fail with 401 `dev_browser_unauthenticated`, as on a
    /// development instance.
    pub fn browser_mode(mut self, on: bool) -> Self {
        self.browser_mode = on;
        self
    }

    /// Turns sign-in by password on or off. On by default.
    ///
    /// If off, `password` is an unknown parameter.
    pub fn passwords(mut self, on: bool) -> Self {
        self.passwords = on;
        self
    }

    /// Sets whether a client can have only one session. On by default.
    ///
    /// If off, a client can have one session for each of several users.
    pub fn single_session_mode(mut self, on: bool) -> Self {
        self.single_session_mode = on;
        self
    }

    /// Removes the personal account. Off by default.
    ///
    /// If on, new sessions are pending until an organization is chosen, and a touch with an empty organization keeps
    /// the active one.
    pub fn force_organization_selection(mut self, on: bool) -> Self {
        self.force_organization_selection = on;
        self
    }

    /// Turns Device Trust on for all users. Off by default.
    ///
    /// [`FakeUser::device_trust`](crate::FakeUser::device_trust) turns it on for one user.
    pub fn device_trust(mut self, on: bool) -> Self {
        self.device_trust = on;
        self
    }

    /// Reports Device Trust like instances without the latest update. Off by default.
    ///
    /// If on, sign-ins end in `needs_second_factor` instead of `needs_client_trust`, and only `client_trust_state`
    /// tells the two apart.
    pub fn legacy_device_trust(mut self, on: bool) -> Self {
        self.legacy_device_trust = on;
        self
    }

    /// Gives a wrong password and an unknown identifier the same error. Off by default.
    pub fn enumeration_protection(mut self, on: bool) -> Self {
        self.enumeration_protection = on;
        self
    }

    /// Requires the session's previous token for a mint. Off by default.
    ///
    /// If on, a request to `tokens` without `expired_token` in the query or `token` in the form fails with 422
    /// `missing_expired_token`.
    pub fn session_minter(mut self, on: bool) -> Self {
        self.session_minter = on;
        self
    }

    /// Skews the instance's clock by `seconds`: its `Date` header, its tokens and its timestamps. The default is 0.
    pub fn clock_skew(mut self, seconds: i64) -> Self {
        self.clock_skew = seconds;
        self
    }

    /// Calls `hook` with the identifier and the code whenever the instance "mails" one.
    ///
    /// [`FakeClerk::last_code`](crate::FakeClerk::last_code) returns the last code as well.
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
