//! The settings of a client of the Backend API without an engine, and the one of an engine's client.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::build::{backend_base, backend_rate, between, check_rate, transport_to};
use super::defaults::{BACKEND_URL, SECOND};
use super::{ClerkBuilder, ConfigError};
use crate::backend_client::BackendClient;
use crate::clerk_api::Caller;
use crate::clerk_api::bapi::{Bapi, SecretKey};
use crate::clock::{ClerkTime, Clock};
use crate::counters::Calls;
use crate::engine::backend_client::READ_TIMEOUT;
use crate::jitter::Jitter;
use crate::limits::CallLimiter;
use crate::transport::Transport;

impl ClerkBuilder {
    /// Sets how many of the calls to the Backend API may be reads of [`Clerk::backend`](crate::Clerk::backend): a tenth of
    /// [`backend_rate`](Self::backend_rate) by default. Needs a [`secret_key`](Self::secret_key).
    ///
    /// They start in equal steps, one call at a time. It can be from 1 to 1,000,000 calls in a window of 1 s to 1 h.
    #[cfg_attr(docsrs, doc(cfg(feature = "backend")))]
    pub fn backend_list_rate(mut self, calls: u32, window: Duration) -> Self {
        self.backend_list_rate = Some((calls, window));
        self
    }
}

/// Builds a [`BackendClient`] without an engine. [`BackendClient::builder`] returns one.
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::backend::BackendClient;
///
/// # fn secret_key() -> String { "sk_live_abcdefghijklmnopqrstuvwxyz".to_owned() }
/// let clerk = BackendClient::builder(secret_key()).list_rate(20, Duration::from_secs(10)).build()?;
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct BackendClientBuilder {
    secret_key: Zeroizing<String>,
    backend_url: Option<String>,
    backend_rate: Option<(u32, Duration)>,
    list_rate: Option<(u32, Duration)>,
    upstream_timeout: Duration,
    transport: Option<Arc<dyn Transport>>,
    clock: Clock,
}

impl BackendClient {
    /// Returns a builder for the client of the instance with this secret key (`sk_live_…`, `sk_test_…`).
    ///
    /// **The key opens the whole instance.** It is sent to the Backend API alone, never over plain HTTP except to a loopback
    /// address, and never along a redirect. [`build`](BackendClientBuilder::build) checks its form.
    pub fn builder(secret_key: impl Into<String>) -> BackendClientBuilder {
        BackendClientBuilder {
            secret_key: Zeroizing::new(secret_key.into()),
            backend_url: None,
            backend_rate: None,
            list_rate: None,
            upstream_timeout: READ_TIMEOUT,
            transport: None,
            clock: Clock::system(),
        }
    }
}

impl BackendClientBuilder {
    /// Sets the address of the Backend API: `https://api.clerk.com` by default.
    pub fn backend_url(mut self, url: impl Into<String>) -> Self {
        self.backend_url = Some(url.into());
        self
    }

    /// Sets the calls to the Backend API in any window of this length that the client's rate is a tenth of. By default they
    /// are those of an engine: see [`ClerkBuilder::backend_rate`].
    pub fn backend_rate(mut self, calls: u32, window: Duration) -> Self {
        self.backend_rate = Some((calls, window));
        self
    }

    /// Sets how many reads may start in any window of this length: a tenth of [`backend_rate`](Self::backend_rate) by
    /// default, which is 80 in 10 s with an `sk_live_…` key, and 8 in 10 s with an `sk_test_…` key.
    ///
    /// They start in equal steps, one call at a time. It can be from 1 to 1,000,000 calls in a window of 1 s to 1 h.
    pub fn list_rate(mut self, calls: u32, window: Duration) -> Self {
        self.list_rate = Some((calls, window));
        self
    }

    /// Sets how long one answer may take: 30 s by default, from 100 ms to 10 min. The wait for the call's turn isn't
    /// counted.
    pub fn upstream_timeout(mut self, timeout: Duration) -> Self {
        self.upstream_timeout = timeout;
        self
    }

    /// Sends requests to Clerk by this [`Transport`] instead of the built-in HTTP client.
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transport = Some(Arc::new(transport));
        self
    }

    /// Sets the clock: the system's by default. For tests.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the client. Nothing is sent to Clerk yet.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if the key, the address or a setting is unusable.
    pub fn build(self) -> Result<BackendClient, ConfigError> {
        let key = SecretKey::parse(&self.secret_key).map_err(ConfigError::SecretKey)?;
        let base = backend_base(self.backend_url.as_deref().unwrap_or(BACKEND_URL))?;
        check_rate("backend_rate", self.backend_rate)?;
        check_rate("list_rate", self.list_rate)?;
        between("upstream_timeout", self.upstream_timeout, SECOND / 10, 600 * SECOND)?;
        let transport = transport_to(self.transport.as_ref(), &base)?;
        let rate = self.backend_rate.unwrap_or_else(|| backend_rate(&key));
        let (clock, calls) = (self.clock, Arc::<Calls>::default());
        let caller = Caller::new(base, transport, clock, Arc::new(ClerkTime::new(clock)), calls);
        let bapi = Bapi::new(caller, key, CallLimiter::new(rate, self.list_rate, clock));
        Ok(BackendClient::new(Arc::new(bapi), self.upstream_timeout, Arc::new(Jitter::random())))
    }
}

impl fmt::Debug for BackendClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackendClientBuilder")
            .field("backend_url", &self.backend_url)
            .field("backend_rate", &self.backend_rate)
            .field("list_rate", &self.list_rate)
            .field("upstream_timeout", &self.upstream_timeout)
            .finish_non_exhaustive()
    }
}
