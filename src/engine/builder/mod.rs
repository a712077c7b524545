//! The settings of an engine.

#[cfg(feature = "backend")]
mod backend_client;
mod bearer;
mod build;
mod defaults;
mod error;
#[cfg(feature = "federation")]
mod federation;
mod from_env;
mod scope;
pub(crate) mod secret_variable;
#[cfg(any(feature = "sqlite", feature = "redis"))]
mod store;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

#[cfg(feature = "backend")]
pub use self::backend_client::BackendClientBuilder;
pub use self::error::ConfigError;
use crate::clock::Clock;
use crate::provider::BackendOptions;
use crate::settings::Settings;
#[cfg(feature = "sqlite")]
use crate::store::Store;
use crate::transport::Transport;

/// Builds a [`Clerk`](crate::Clerk), the engine. [`Clerk::builder`](crate::Clerk::builder) returns one.
///
/// The instance is the only input that is required. Every setting has a default that is safe for a new Clerk account.
/// Two decisions are worth making on purpose:
///
/// 1. Which API verifies passwords: the Frontend API by default, the Backend API with a
///    [`secret_key`](Self::secret_key).
/// 2. The state that outlives a restart: none by default, all of it with a
///    `SqliteStore` as the store (feature `sqlite`).
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
    #[cfg(feature = "sqlite")]
    store: Option<Store>,
    #[cfg(feature = "redis")]
    redis: Option<Box<crate::store::RedisStore>>,
    secret_key: Option<Zeroizing<String>>,
    backend_url: Option<String>,
    backend_rate: Option<(u32, Duration)>,
    backend_list_rate: Option<(u32, Duration)>,
    backend: BackendOptions,
    #[cfg(feature = "federation")]
    providers: Vec<crate::federation::Provider>,
    credential_secret: Option<Zeroizing<[u8; 32]>>,
    settings: Settings,
    clock: Option<Clock>,
    jitter: Option<u64>,
}

impl ClerkBuilder {
    pub(crate) fn new(instance: String) -> Self {
        Self {
            instance,
            issuer: None,
            transport: None,
            #[cfg(feature = "sqlite")]
            store: None,
            #[cfg(feature = "redis")]
            redis: None,
            secret_key: None,
            backend_url: None,
            backend_rate: None,
            backend_list_rate: None,
            backend: BackendOptions::default(),
            #[cfg(feature = "federation")]
            providers: Vec::new(),
            credential_secret: None,
            settings: defaults::settings(),
            clock: None,
            jitter: None,
        }
    }

    /// Sets how long a proven password is good for before Clerk is asked about it again: 1 h by default, from 1 s to 24
    /// h.
    ///
    /// A changed password keeps working for at most this long. With the Frontend API, this setting also limits how many
    /// users one address can carry: the sign-in budget times this, 1,800 with both defaults. Each proof ends up to a
    /// twentieth earlier, so that proofs that began together don't end together.
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.settings.session_ttl = ttl;
        self
    }

    /// Sets how long a refused credential is answered from memory: 10 s by default, from 1 s to 1 h.
    ///
    /// A credential that is refused again and again is remembered for 1 min, then 10 min, then 1 h.
    pub fn negative_ttl(mut self, ttl: Duration) -> Self {
        self.settings.negative_ttl = ttl;
        self
    }

    /// Sets how long one exchange with Clerk may take, however many calls it needs: 5 s by default, from 100 ms to 60
    /// s.
    ///
    /// The wait for a permit of the sign-in budget is not counted: see [`sign_in_wait`](Self::sign_in_wait).
    pub fn upstream_timeout(mut self, timeout: Duration) -> Self {
        self.settings.upstream_timeout = timeout;
        self
    }

    /// Sets how many credentials are held with their sessions: 10,000 by default, from 1 to 100,000,000. Beyond that,
    /// the least recently used one leaves the cache.
    pub fn max_sessions(mut self, sessions: u64) -> Self {
        self.settings.max_sessions = sessions;
        self
    }

    /// Sets how many sign-ins may start in any window of this length: 5 in 10 s by default, which is what Clerk allows
    /// one address (<https://clerk.com/docs/guides/how-clerk-works/system-limits>).
    ///
    /// The budget is per process: replicas behind one address must divide it. It can be from 1 to 1,000,000 sign-ins in
    /// a window of 1 s to 1 h.
    pub fn sign_in_rate(mut self, sign_ins: u32, window: Duration) -> Self {
        self.settings.sign_in_rate = Some((sign_ins, window));
        self
    }

    /// Sends sign-ins without a budget, for stand-ins and for instances with limits of their own.
    ///
    /// Clerk answers more than five sign-ins in 10 s with 429, and then no user of this address can sign in for a
    /// while.
    pub fn unlimited_sign_ins(mut self) -> Self {
        self.settings.sign_in_rate = None;
        self
    }

    /// Sets how long a request waits for a permit of the sign-in budget: 15 s by default, at most 60 s. A request whose
    /// permit would come later is answered 503 with `Retry-After` at once.
    ///
    /// With the default, an idle server lets in a burst of ten sign-ins, twice Clerk's budget, within eleven seconds.
    /// Lower it where clients give up sooner than that.
    pub fn sign_in_wait(mut self, wait: Duration) -> Self {
        self.settings.sign_in_wait = wait;
        self
    }

    /// Sets whether proofs are renewed in the background before they end, by requests that carry the credential anyway:
    /// on by default. Without it, the first request after a proof's end waits for Clerk.
    ///
    /// With the Frontend API, each renewal is a sign-in at Clerk, with its webhook and, where the instance sends them,
    /// its e-mail. With the Backend API, it is two calls and no sign-in.
    pub fn proof_renewal(mut self, renew: bool) -> Self {
        self.settings.proof_renewal = renew;
        self
    }

    /// Keeps the tokens of a session fresh for this long after their last use: off by default.
    ///
    /// The next request after a pause then doesn't wait for a mint. It costs one call to Clerk per token and token
    /// life. Without it, the token of an idle session is left to expire.
    pub fn keep_warm(mut self, after_last_use: Duration) -> Self {
        self.settings.keep_warm = Some(after_last_use);
        self
    }

    /// Verifies passwords through the Backend API with this secret key (`sk_live_…`, `sk_test_…`).
    ///
    /// Sessions are opened by tickets, once in the life of a Clerk session (7 days by default) instead of once per
    /// [`session_ttl`](Self::session_ttl). A new instance works with its default settings: Device Trust doesn't apply.
    ///
    /// **The key opens the whole instance**, so a program that can do without it should. It is sent to the Backend API
    /// alone, never over plain HTTP except to a loopback address, and never along a redirect. Checks that Clerk makes
    /// at sign-ins don't apply: allow and block lists, compromised passwords, passwords that must be chosen anew, Clerk
    /// Protect.
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

    /// Sets the address of the Backend API: `https://api.clerk.com` by default. Needs a
    /// [`secret_key`](Self::secret_key).
    pub fn backend_url(mut self, url: impl Into<String>) -> Self {
        self.backend_url = Some(url.into());
        self
    }

    /// Sets how many calls may go to the Backend API in any window of this length. Needs a
    /// [`secret_key`](Self::secret_key).
    ///
    /// The default is four fifths of what Clerk allows an instance
    /// (<https://clerk.com/docs/guides/how-clerk-works/system-limits>): 800 in 10 s with an `sk_live_…` key, 80 in 10 s
    /// with an `sk_test_…` key. The rest is for other programs that use the instance's Backend API. Replicas must
    /// divide the rate. Calls are spread evenly over the window. It can be from 1 to 1,000,000 calls in a window of 1 s
    /// to 1 h.
    pub fn backend_rate(mut self, calls: u32, window: Duration) -> Self {
        self.backend_rate = Some((calls, window));
        self
    }

    /// Sets how long tokens that the Backend API mints live: the instance's setting by default (60 s), or from 30 s to
    /// 24 h. Needs a [`secret_key`](Self::secret_key).
    ///
    /// **Tokens that live longer take longer to revoke.** A service that verifies such a token without asking this
    /// engine lets its user in until the token ends, even if the session was revoked, the user was banned, or the
    /// membership was taken away meanwhile. This engine itself notices such a change when it renews the token, or at
    /// once by [`revoke_user`](crate::Clerk::revoke_user) and the other revocations. With a life set, the Backend API
    /// mints all tokens.
    pub fn token_lifetime(mut self, lifetime: Duration) -> Self {
        self.backend.token_lifetime = Some(lifetime);
        self
    }

    /// Lets users in by their password alone though they have a second factor. Needs a
    /// [`secret_key`](Self::secret_key).
    ///
    /// **This removes the protection that the second factor gives**: whoever knows the password is let in. By default
    /// such users are answered 403 [`SecondFactorRequired`](crate::RejectionKind::SecondFactorRequired), and no session
    /// is opened.
    pub fn dangerously_ignore_second_factors(mut self) -> Self {
        self.backend.ignore_second_factor = true;
        self
    }

    /// Sets the `iss` claim that tokens must have: the address of the Frontend API by default. For instances behind a
    /// proxy or a custom domain whose tokens name another address.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the secret that credentials are hashed with: random by default. For processes that must agree on the
    /// hashes.
    pub fn credential_secret(mut self, secret: [u8; 32]) -> Self {
        self.credential_secret = Some(Zeroizing::new(secret));
        self
    }

    /// Sends requests to Clerk by this [`Transport`](crate::transport::Transport) instead of the built-in HTTP client,
    /// for mutual TLS, a service mesh, a proxy, or a stand-in in tests.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sets the clock: the system's by default. For tests, and for a machine whose clock is known to be wrong.
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
