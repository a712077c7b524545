//! How an engine is set up.

mod build;
mod error;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

pub use self::error::ConfigError;
use crate::clerk_api::bapi::SecretKey;
use crate::clock::Clock;
use crate::instance::Instance;
use crate::jitter::Jitter;
use crate::key::KeySecret;
use crate::limits::Budget;
use crate::provider::BackendOptions;
use crate::settings::Settings;
use crate::store::{DeviceStore, SessionStore};
use crate::transport::Transport;

/// How long a proof of a password stands: then the password goes to Clerk again.
pub(crate) const DEFAULT_SESSION_TTL: Duration = Duration::from_secs(60 * 60);
/// How long a refused credential is answered without asking Clerk again.
pub(crate) const DEFAULT_NEGATIVE_TTL: Duration = Duration::from_secs(10);
/// How long an exchange with Clerk may take, however many calls it needs.
pub(crate) const DEFAULT_UPSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// How many sessions are held.
pub(crate) const DEFAULT_MAX_SESSIONS: u64 = 10_000;
/// What Clerk allows one address: <https://clerk.com/docs/guides/how-clerk-works/system-limits>.
pub(crate) const DEFAULT_SIGN_IN_RATE: (u32, Duration) = (5, Duration::from_secs(10));
/// How long a sign-in waits for its turn: longer than Clerk's window by the time that answers take, so that an idle server
/// lets in a burst of twice the budget.
pub(crate) const DEFAULT_SIGN_IN_WAIT: Duration = Duration::from_secs(15);
/// How many sign-ins wait for their turn.
pub(crate) const SIGN_IN_QUEUE: usize = 1024;
/// Where Clerk's Backend API is.
const DEFAULT_BACKEND_URL: &str = "https://api.clerk.com";
/// Four fifths of what Clerk allows a production and a development instance:
/// <https://clerk.com/docs/guides/how-clerk-works/system-limits>.
const PRODUCTION_BACKEND_RATE: (u32, Duration) = (800, Duration::from_secs(10));
const DEVELOPMENT_BACKEND_RATE: (u32, Duration) = (80, Duration::from_secs(10));
/// The least life of a token that the Backend API mints: `expires_in_seconds` of its OpenAPI file.
const LEAST_TOKEN_LIFETIME: Duration = Duration::from_secs(30);
/// More sessions than a machine's memory holds are a mistake, and so are more sign-ins than anybody allows.
pub(crate) const MOST_SESSIONS: u64 = 100_000_000;
pub(crate) const MOST_SIGN_INS: u64 = 1_000_000;
/// No proof of a password stands longer.
pub(crate) const LONGEST_SESSION_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Sets an engine up. Made by [`Clerk::builder`](crate::Clerk::builder).
///
/// Everything but the instance has a default that is safe for a new Clerk account.
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::Clerk;
///
/// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk")
///     .session_ttl(Duration::from_secs(15 * 60))
///     .build()?;
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct ClerkBuilder {
    instance: String,
    issuer: Option<String>,
    transport: Option<Arc<dyn Transport>>,
    devices: Option<Arc<dyn DeviceStore>>,
    secret_key: Option<Zeroizing<String>>,
    backend_url: Option<String>,
    backend_rate: Option<(u32, Duration)>,
    sessions: Option<Arc<dyn SessionStore>>,
    backend: BackendOptions,
    credential_secret: Option<Zeroizing<[u8; 32]>>,
    settings: Settings,
    clock: Option<Clock>,
    jitter: Option<u64>,
}

/// What an engine is made of, checked.
pub(crate) struct Setup {
    pub(crate) instance: Instance,
    pub(crate) issuer: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) secret: KeySecret,
    pub(crate) settings: Settings,
    pub(crate) budget: Budget,
    pub(crate) devices: Arc<dyn DeviceStore>,
    pub(crate) backend: Option<BackendSetup>,
    pub(crate) clock: Clock,
    pub(crate) jitter: Jitter,
}

/// What the Backend API is made of, checked.
pub(crate) struct BackendSetup {
    pub(crate) base: Instance,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) key: SecretKey,
    pub(crate) rate: (u32, Duration),
    pub(crate) sessions: Arc<dyn SessionStore>,
    pub(crate) options: BackendOptions,
}

impl ClerkBuilder {
    pub(crate) fn new(instance: String) -> Self {
        Self {
            instance,
            issuer: None,
            transport: None,
            devices: None,
            secret_key: None,
            backend_url: None,
            backend_rate: None,
            sessions: None,
            backend: BackendOptions::default(),
            credential_secret: None,
            settings: Settings {
                session_ttl: DEFAULT_SESSION_TTL,
                negative_ttl: DEFAULT_NEGATIVE_TTL,
                upstream_timeout: DEFAULT_UPSTREAM_TIMEOUT,
                max_sessions: DEFAULT_MAX_SESSIONS,
                sign_in_rate: Some(DEFAULT_SIGN_IN_RATE),
                sign_in_wait: DEFAULT_SIGN_IN_WAIT,
                proof_renewal: true,
                keep_warm: None,
            },
            clock: None,
            jitter: None,
        }
    }

    /// How long a proof of a password stands before the password goes to Clerk again: 1 h by default, 1 s to 24 h,
    /// spread by up to a twentieth, only ever
    /// earlier.
    ///
    /// It bounds how long a changed password keeps working. It also decides how many users one address can
    /// carry by the Frontend API: at most the sign-in budget times this, 1,800 with both defaults.
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.settings.session_ttl = ttl;
        self
    }

    /// How long a refused credential is answered without asking Clerk again: 10 s by default, at least 1 s.
    ///
    /// One that is refused again and again rests for 1 min, 10 min, 1 h.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.settings.negative_ttl = ttl;
        self
    }

    /// How long an exchange with Clerk may take, however many calls it needs: 5 s by default, at least 100 ms.
    /// Waiting for a turn in the sign-in budget isn't part of it.
    pub fn upstream_timeout(mut self, timeout: Duration) -> Self {
        self.settings.upstream_timeout = timeout;
        self
    }

    /// How many sessions are held: 10,000 by default, at least 1. Over that the least recently used go.
    pub fn max_sessions(mut self, sessions: u64) -> Self {
        self.settings.max_sessions = sessions;
        self
    }

    /// How many sign-ins may depart in any window of the given length: 5 in 10 s by default, which is what Clerk
    /// allows one address. Replicas behind one address divide it.
    pub fn sign_in_rate(mut self, sign_ins: u32, window: Duration) -> Self {
        self.settings.sign_in_rate = Some((sign_ins, window));
        self
    }

    /// Sends sign-ins as they come. Clerk will answer 429 to more than five in 10 s, and then nobody signs in: for
    /// stand-ins and for instances with limits of their own.
    pub fn unlimited_sign_ins(mut self) -> Self {
        self.settings.sign_in_rate = None;
        self
    }

    /// How long a request waits for its turn in the sign-in budget: 15 s by default. One whose turn is later is
    /// answered 503 with `Retry-After` at once.
    ///
    /// With the default an idle server lets in a burst of ten sign-ins, twice Clerk's budget, within eleven seconds. Set it
    /// lower where clients give up sooner than that.
    pub fn sign_in_wait(mut self, wait: Duration) -> Self {
        self.settings.sign_in_wait = wait;
        self
    }

    /// Whether proofs are renewed ahead of their end, in the background, by requests that carry the credential
    /// anyway: on by default.
    ///
    /// Each renewal is a sign-in at Clerk, with its webhook and, where the instance sends them, its e-mail; on the
    /// Backend API's road it is two calls, and no sign-in. Off, the first request after a proof's end waits for one.
    pub fn proof_renewal(mut self, renew: bool) -> Self {
        self.settings.proof_renewal = renew;
        self
    }

    /// Keeps the tokens of a session fresh for this long after their last use, so that the next request after a
    /// silence doesn't wait for a mint: off by default, then an idle session's token runs out.
    ///
    /// Costs a call to Clerk per token and token life.
    pub fn keep_warm(mut self, after_last_use: Duration) -> Self {
        self.settings.keep_warm = Some(after_last_use);
        self
    }

    /// Takes the Backend API: passwords are verified with this secret key (`sk_live_…`, `sk_test_…`), and
    /// sessions are opened by tickets, once in the life of a Clerk session (7 days by default) instead of once per
    /// [`session_ttl`](Self::session_ttl).
    ///
    /// A new instance with its default settings just works then: Device Trust has no say, and a restart costs no
    /// sign-ins with a [`session_store`](Self::session_store) that outlives it. The key opens the whole instance,
    /// though: a program that doesn't need it shouldn't have it. It is sent to the Backend API alone, never over plain
    /// http but to a loopback address, and never to where a redirect leads.
    ///
    /// What Clerk enforces at sign-ins alone isn't enforced on this road: allow and block lists, compromised
    /// passwords, passwords that must be chosen anew, Clerk Protect.
    ///
    /// ```
    /// use tower_clerk::Clerk;
    ///
    /// # fn secret_key() -> String { "sk_live_abcdefghijklmnopqrstuvwxyz".to_owned() }
    /// let clerk = Clerk::builder("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k").secret_key(secret_key()).build()?;
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn secret_key(mut self, key: impl Into<String>) -> Self {
        self.secret_key = Some(Zeroizing::new(key.into()));
        self
    }

    /// Where the Backend API is: `https://api.clerk.com` by default.
    pub fn backend_url(mut self, url: impl Into<String>) -> Self {
        self.backend_url = Some(url.into());
        self
    }

    /// How many calls may go to the Backend API in any window of the given length: by default 800 in 10 s with a
    /// `sk_live_…` key and 80 in 10 s with a `sk_test_…` key, four fifths of what Clerk allows an instance
    /// (<https://clerk.com/docs/guides/how-clerk-works/system-limits>). Whatever else uses the instance's Backend API
    /// has the rest; replicas divide it. They are sent evenly, not all at once.
    pub fn backend_rate(mut self, calls: u32, window: Duration) -> Self {
        self.backend_rate = Some((calls, window));
        self
    }

    /// Where the ids of the Clerk sessions are kept that were opened by the Backend API: in memory by default,
    /// a million of them. With a [`SessionFile`](crate::store::SessionFile) a restart costs no sign-ins.
    pub fn session_store(mut self, store: impl SessionStore) -> Self {
        self.sessions = Some(Arc::new(store));
        self
    }

    /// How long tokens live that are minted by the Backend API: the instance's setting by default (60 s), or
    /// from 30 s up to a day.
    ///
    /// **A longer life is a later revocation:** whoever verifies such a token without asking this engine lets its user in
    /// until it ends, though the session was revoked, the user banned, or the membership taken away meanwhile. This
    /// engine itself notices such a change at the token's next renewal, or at once by
    /// [`revoke_user`](crate::Clerk::revoke_user) and its kin. With a life set, all tokens are minted by the Backend API.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.backend.token_lifetime = Some(lifetime);
        self
    }

    /// Lets users in by their password alone on the Backend API, though they have a second factor.
    ///
    /// **This takes away what the second factor is for:** whoever has the password is in. By default such users are
    /// answered 403 [`SecondFactorRequired`](crate::RejectionKind::SecondFactorRequired), and no session is opened.
    pub fn dangerously_ignore_second_factors(mut self) -> Self {
        self.backend.ignore_second_factor = true;
        self
    }

    /// Where the client tokens of known devices are kept by the Frontend API: in memory by default, 10,000 of
    /// them. With a [`DeviceFile`](crate::store::DeviceFile) a restart doesn't look like a new device to Clerk's Device Trust.
    /// See [`Clerk::enroll`](crate::Clerk::enroll).
    pub fn device_store(mut self, store: impl DeviceStore) -> Self {
        self.devices = Some(Arc::new(store));
        self
    }

    /// The `iss` that tokens must have, where it isn't the address of the Frontend API.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// The secret that credentials are hashed with, where it must be the same in several processes. Random
    /// otherwise.
    pub fn credential_secret(mut self, secret: [u8; 32]) -> Self {
        self.credential_secret = Some(Zeroizing::new(secret));
        self
    }

    /// Sends requests to Clerk by a transport of your own in place of the built-in HTTP client.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// The clock to tell the time by: the system's by default. For tests, and for a machine whose clock is known to be
    /// wrong.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Makes the spread of lives and waits repeatable, for tests.
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub fn jitter_seed(mut self, seed: u64) -> Self {
        self.jitter = Some(seed);
        self
    }
}

impl fmt::Debug for ClerkBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The instance may be a secret key given by mistake.
        f.debug_struct("ClerkBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}
