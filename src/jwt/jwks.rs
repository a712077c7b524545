//! The instance's keys, fetched when they are needed and kept when Clerk is away (rule S9).

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

/// Keys older than this are fetched anew in the background when they are used: the age at which Clerk's own
/// backend SDK refetches (`MAX_CACHE_LAST_UPDATED_AT_SECONDS`).
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);

/// An unknown key id fetches at most this often.
const UNKNOWN_KID_EVERY: Duration = Duration::from_secs(30);

/// How long held keys outlive an outage.
const KEEP_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Brings the key set as Clerk serves it.
pub(crate) type FetchKeys = Box<dyn Fn() -> FetchFuture + Send + Sync>;

/// See [`FetchKeys`].
pub(crate) type FetchFuture = Pin<Box<dyn Future<Output = Result<Bytes, ApiError>> + Send>>;

/// The key set of one instance.
pub(crate) struct Jwks {
    fetch_keys: FetchKeys,
    clock: Clock,
    timeout: Duration,
    held: ArcSwapOption<HeldKeys>,
    /// When an unknown key id last led to a fetch that brought an answer.
    asked_for_unknown: Mutex<Option<Instant>>,
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
            asked_for_unknown: Mutex::new(None),
            fetches: Arc::new(SingleFlight::new(1)),
        }
    }

    /// The keys to verify a token of this key id with. They may lack it: then Clerk doesn't know it either.
    pub(crate) async fn keys_for(self: &Arc<Self>, kid: &str) -> Result<Arc<VerificationKeys>, ApiError> {
        let now = self.clock.now();
        match self.usable(now) {
            Some(held) if held.keys.contains(kid) => {
                if now - held.fetched >= FRESH_FOR {
                    // Nobody waits for it: the waiter is dropped, the flight goes on.
                    let _ = self.fetch();
                }
                return Ok(Arc::clone(&held.keys));
            }
            Some(held) if !self.may_ask_for_unknown(now) => return Ok(Arc::clone(&held.keys)),
            _ => {}
        }
        let held_before = self.held.load_full();
        self.refresh().await?;
        // Only an answer uses the turn up: after a failed fetch the next token may ask again.
        if held_before.is_some() {
            *lock(&self.asked_for_unknown) = Some(now);
        }
        self.usable(self.clock.now())
            .map(|held| Arc::clone(&held.keys))
            .ok_or_else(|| ApiError::unavailable("no_keys"))
    }

    /// Whether another key set is of the same instance; `None` where that can't be told.
    pub(crate) async fn shares_a_key_with(self: &Arc<Self>, jwks: &[u8]) -> Option<bool> {
        let others = VerificationKeys::from_jwks(jwks).ok()?;
        if self.usable(self.clock.now()).is_none() {
            self.refresh().await.ok()?;
        }
        Some(self.usable(self.clock.now())?.keys.shares_a_key_with(&others))
    }

    /// Fetches the keys, or joins who is at it.
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
        self.held.load_full().filter(|held| now - held.fetched < KEEP_FOR)
    }

    fn may_ask_for_unknown(&self, now: Instant) -> bool {
        lock(&self.asked_for_unknown).is_none_or(|at| now - at >= UNKNOWN_KID_EVERY)
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
        if keys.len() == 0 {
            // Not a good answer: an instance has at least one key.
            return Err(ApiError::unavailable("no_usable_key"));
        }
        self.held.store(Some(Arc::new(HeldKeys { keys: Arc::new(keys), fetched: self.clock.now() })));
        Ok(())
    }
}
