//! The instance's key set, fetched when it is needed and used on during an outage (rule S9).

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::time::Instant;

use super::keys::VerificationKeys;
use crate::clerk_api::ApiError;
use crate::clock::Clock;
use crate::flight::{Join, Priority, SingleFlight};
use crate::sync::lock;

/// Older keys are refetched in the background when they are used. Clerk's own backend SDK refetches at the same age
/// (`MAX_CACHE_LAST_UPDATED_AT_SECONDS`).
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);

/// The least time between two fetches for an unknown key id.
const UNKNOWN_KID_EVERY: Duration = Duration::from_secs(30);

/// How long keys are used if they cannot be refetched.
const STALE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Fetches the key set, unparsed.
pub(crate) type FetchKeys = Box<dyn Fn() -> FetchFuture + Send + Sync>;

/// The future of a [`FetchKeys`].
pub(crate) type FetchFuture = Pin<Box<dyn Future<Output = Result<Bytes, ApiError>> + Send>>;

/// The key set of one instance.
pub(crate) struct Jwks {
    fetch_keys: FetchKeys,
    clock: Clock,
    timeout: Duration,
    held: ArcSwapOption<HeldKeys>,
    /// When an unknown key id last led to a successful fetch.
    unknown_kid_fetched: Mutex<Option<Instant>>,
    fetches: Arc<SingleFlight<(), Result<(), ApiError>>>,
}

struct HeldKeys {
    keys: Arc<VerificationKeys>,
    fetched: Instant,
}

impl Jwks {
    pub(crate) fn new(fetch_keys: FetchKeys, clock: Clock, timeout: Duration) -> Self {
        Self {
            fetch_keys,
            clock,
            timeout,
            held: ArcSwapOption::empty(),
            unknown_kid_fetched: Mutex::new(None),
            fetches: Arc::new(SingleFlight::new(1)),
        }
    }

    /// The keys to verify a token with this key id. They may lack the id, if Clerk lacks it too or was asked for an
    /// unknown id less than 30 s ago.
    pub(crate) async fn keys_for(self: &Arc<Self>, kid: &str) -> Result<Arc<VerificationKeys>, ApiError> {
        let now = self.clock.now();
        match self.usable(now) {
            Some(held) if held.keys.contains(kid) => {
                if now - held.fetched >= FRESH_FOR {
                    // The flight runs on without this waiter.
                    let _ = self.fetch();
                }
                return Ok(Arc::clone(&held.keys));
            }
            Some(held) if !self.may_fetch_for_unknown_kid(now) => return Ok(Arc::clone(&held.keys)),
            _ => {}
        }
        let held_before = self.held.load_full();
        self.refresh().await?;
        // Only a successful fetch counts: after a failed one the next token may fetch again.
        if held_before.is_some() {
            *lock(&self.unknown_kid_fetched) = Some(now);
        }
        self.usable(self.clock.now())
            .map(|held| Arc::clone(&held.keys))
            .ok_or_else(|| ApiError::unavailable("no_keys"))
    }

    /// Whether `jwks` shares a key with this key set, and so belongs to the same instance. `None` if `jwks` is invalid
    /// or this key set cannot be fetched.
    pub(crate) async fn shares_a_key_with(self: &Arc<Self>, jwks: &[u8]) -> Option<bool> {
        let others = VerificationKeys::from_jwks(jwks).ok()?;
        if self.usable(self.clock.now()).is_none() {
            self.refresh().await.ok()?;
        }
        Some(self.usable(self.clock.now())?.keys.shares_a_key_with(&others))
    }

    /// Fetches the keys, or joins a fetch in flight.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<(), ApiError> {
        match self.fetch() {
            Join::Waiter(waiter, _) => {
                waiter.outcome().await.unwrap_or_else(|_| Err(ApiError::unavailable("jwks_lost")))
            }
            Join::Ready(outcome) => outcome,
            Join::Full => Err(ApiError::unavailable("jwks_busy")),
        }
    }

    fn usable(&self, now: Instant) -> Option<Arc<HeldKeys>> {
        self.held.load_full().filter(|held| now - held.fetched < STALE_FOR)
    }

    fn may_fetch_for_unknown_kid(&self, now: Instant) -> bool {
        lock(&self.unknown_kid_fetched).is_none_or(|at| now - at >= UNKNOWN_KID_EVERY)
    }

    fn fetch(self: &Arc<Self>) -> Join<Result<(), ApiError>> {
        let jwks = Arc::clone(self);
        self.fetches.join((), Priority::Request, || None, |_| async move { jwks.fetch_now().await })
    }

    async fn fetch_now(&self) -> Result<(), ApiError> {
        let body = tokio::time::timeout(self.timeout, (self.fetch_keys)())
            .await
            .unwrap_or_else(|_| Err(ApiError::unavailable("timeout")))?;
        let keys =
            VerificationKeys::from_jwks(&body).map_err(|_| ApiError::unavailable("unreadable_keys"))?;
        self.held.store(Some(Arc::new(HeldKeys { keys: Arc::new(keys), fetched: self.clock.now() })));
        Ok(())
    }
}
