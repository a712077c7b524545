//! The key set of an issuer, fetched when it is needed and used on during an outage (rule S9).

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use tokio::time::Instant;

use super::algorithm::Algorithm;
use super::keys::VerificationKeys;
use crate::clerk_api::ApiError;
use crate::clock::Clock;
use crate::flight::{Join, Priority, SingleFlight};
use crate::sync::lock;

/// Older keys are refetched in the background when they are used. Clerk's own backend SDK refetches at the same age
/// (`MAX_CACHE_LAST_UPDATED_AT_SECONDS`).
const FRESH_FOR: Duration = Duration::from_secs(5 * 60);

/// The least time between two fetches for an unknown key id, of each source of tokens.
const UNKNOWN_KID_EVERY: Duration = Duration::from_secs(30);

/// The least time between two fetches that a client's tokens cause while fetches fail.
const CLIENT_RETRY: Duration = Duration::from_secs(2);

/// How long keys are used if they cannot be refetched.
const STALE_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Fetches the key set, unparsed.
pub(crate) type FetchKeys = Box<dyn Fn() -> FetchFuture + Send + Sync>;

/// The future of a [`FetchKeys`].
pub(crate) type FetchFuture = Pin<Box<dyn Future<Output = Result<Bytes, ApiError>> + Send>>;

/// The key set of one issuer.
pub(crate) struct Jwks {
    fetch_keys: FetchKeys,
    /// Keys for other algorithms are skipped.
    algorithms: Box<[Algorithm]>,
    clock: Clock,
    timeout: Duration,
    held: ArcSwapOption<HeldKeys>,
    slots: Mutex<Slots>,
    fetches: Arc<SingleFlight<(), Result<(), ApiError>>>,
}

/// Where a token comes from. Each source has a slot of its own for fetches, so that a client's made-up key ids can't keep
/// the engine from a rotated key (rule B3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenSource {
    /// From Clerk, as the answer to a mint.
    Clerk,
    /// From a client, as `Bearer`. It can be anything.
    Client,
}

/// When the next fetch of each kind may start. `None` is at once.
#[derive(Default)]
struct Slots {
    unknown_from_clerk: Option<Instant>,
    unknown_from_client: Option<Instant>,
    /// The background fetch for a client's token with a known key id.
    refresh_for_client: Option<Instant>,
    /// The last fetch failed, so an unknown key id may be one of Clerk's.
    has_failed: bool,
}

fn is_free(slot: Option<Instant>, now: Instant) -> bool {
    slot.is_none_or(|at| now >= at)
}

struct HeldKeys {
    keys: Arc<VerificationKeys>,
    fetched: Instant,
}

impl Jwks {
    pub(crate) fn new(
        fetch_keys: FetchKeys,
        algorithms: &[Algorithm],
        clock: Clock,
        timeout: Duration,
    ) -> Self {
        Self {
            fetch_keys,
            algorithms: algorithms.into(),
            clock,
            timeout,
            held: ArcSwapOption::empty(),
            slots: Mutex::default(),
            fetches: Arc::new(SingleFlight::new(1)),
        }
    }

    /// The keys to verify a token with this key id. They may lack the id, if Clerk lacks it too or was asked for an
    /// unknown id of this source less than 30 s ago.
    pub(crate) async fn keys_for(
        self: &Arc<Self>,
        kid: &str,
        source: TokenSource,
    ) -> Result<Arc<VerificationKeys>, ApiError> {
        let now = self.clock.now();
        let held = self.usable(now);
        if let Some(held) = held.as_ref().filter(|held| held.keys.contains(kid)) {
            if now - held.fetched >= FRESH_FOR && self.may_refresh(source, now) {
                // The flight runs on without this waiter.
                let _ = self.fetch();
            }
            return Ok(Arc::clone(&held.keys));
        }
        match source {
            TokenSource::Clerk => self.fetch_for_clerk(kid, held, now).await?,
            TokenSource::Client => self.fetch_for_client(kid, held.is_some(), now).await?,
        }
        self.usable(self.clock.now())
            .map(|held| Arc::clone(&held.keys))
            .ok_or_else(|| ApiError::unavailable("no_keys"))
    }

    async fn fetch_for_clerk(
        self: &Arc<Self>,
        kid: &str,
        held: Option<Arc<HeldKeys>>,
        now: Instant,
    ) -> Result<(), ApiError> {
        if held.is_some() && !is_free(lock(&self.slots).unknown_from_clerk, now) {
            return Ok(());
        }
        let is_since = self.fetched_since_arrival(self.fetch(), kid).await?;
        // Only a successful fetch counts: after a failed one the next token may fetch again. Nor does one count that was
        // under way already, be it for a client's token, as it says nothing about a key that is newer.
        if held.is_some() && is_since {
            lock(&self.slots).unknown_from_clerk = Some(now + UNKNOWN_KID_EVERY);
        }
        Ok(())
    }

    /// The first fetch of all costs nothing. A failed one counts as well, if for a shorter time: a client can repeat the
    /// request at will.
    async fn fetch_for_client(
        self: &Arc<Self>,
        kid: &str,
        has_keys: bool,
        now: Instant,
    ) -> Result<(), ApiError> {
        let (join, has_slot) = {
            let mut slots = lock(&self.slots);
            let has_slot = is_free(slots.unknown_from_client, now);
            if has_slot {
                slots.unknown_from_client = Some(now + UNKNOWN_KID_EVERY);
            } else if self.fetches.len() == 0 {
                // An outage must not pass for a refusal (rule S4).
                let is_refusal = has_keys && !slots.has_failed;
                return if is_refusal { Ok(()) } else { Err(ApiError::unavailable("no_keys")) };
            }
            // Under the lock, so that a request without the slot finds the flight of the one that has it.
            (self.fetch(), has_slot)
        };
        if !has_slot {
            // The flight may bring the key. No other follows from it, or one would follow from another for as long as a
            // client sends made-up key ids.
            return outcome(join).await;
        }
        let fetched = self.fetched_since_arrival(join, kid).await;
        if fetched.is_ok() && !has_keys {
            lock(&self.slots).unknown_from_client = None;
        }
        fetched.map(drop)
    }

    /// Waits for a fetch for a token that has arrived. A flight that was under way by then may have left before the key
    /// was there: if it doesn't bring the key, another fetch follows. Returns whether a fetch has begun since the arrival.
    async fn fetched_since_arrival(
        self: &Arc<Self>,
        join: Join<Result<(), ApiError>>,
        kid: &str,
    ) -> Result<bool, ApiError> {
        let is_own = matches!(join, Join::Waiter(_, true));
        let fetched = outcome(join).await;
        let has_key = || self.usable(self.clock.now()).is_some_and(|held| held.keys.contains(kid));
        if is_own || (fetched.is_ok() && has_key()) {
            return fetched.map(|()| is_own);
        }
        self.refresh().await.map(|()| true)
    }

    /// Whether a token with a known key id may start a fetch in the background. If fetches fail, a client's tokens
    /// start one only every 30 s.
    fn may_refresh(&self, source: TokenSource, now: Instant) -> bool {
        if source == TokenSource::Clerk {
            return true;
        }
        let mut slots = lock(&self.slots);
        let is_free = is_free(slots.refresh_for_client, now);
        if is_free {
            slots.refresh_for_client = Some(now + UNKNOWN_KID_EVERY);
        }
        is_free
    }

    /// The keys for others, who verify tokens themselves. Waits for a fetch only if no keys are held.
    #[cfg(feature = "token-endpoint")]
    pub(crate) async fn published(self: &Arc<Self>) -> Result<Bytes, ApiError> {
        let now = self.clock.now();
        if let Some(held) = self.usable(now) {
            if now - held.fetched >= FRESH_FOR && self.may_refresh(TokenSource::Client, now) {
                // The flight runs on without this waiter.
                let _ = self.fetch();
            }
            return Ok(held.keys.published());
        }
        // After a failed fetch, the slot keeps clients from causing the next one at once.
        let may_fetch = is_free(lock(&self.slots).unknown_from_client, now) || self.fetches.len() > 0;
        if may_fetch {
            self.refresh().await?;
        }
        self.usable(self.clock.now())
            .map(|held| held.keys.published())
            .ok_or_else(|| ApiError::unavailable("no_keys"))
    }

    /// Whether `jwks` shares a key with this key set, and so belongs to the same instance. `None` if `jwks` is invalid
    /// or this key set cannot be fetched.
    pub(crate) async fn shares_a_key_with(self: &Arc<Self>, jwks: &[u8]) -> Option<bool> {
        let others = VerificationKeys::from_jwks(jwks, &self.algorithms).ok()?;
        if self.usable(self.clock.now()).is_none() {
            self.refresh().await.ok()?;
        }
        Some(self.usable(self.clock.now())?.keys.shares_a_key_with(&others))
    }

    /// Fetches the keys, or joins a fetch in flight.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<(), ApiError> {
        outcome(self.fetch()).await
    }

    fn usable(&self, now: Instant) -> Option<Arc<HeldKeys>> {
        self.held.load_full().filter(|held| now - held.fetched < STALE_FOR)
    }

    fn fetch(self: &Arc<Self>) -> Join<Result<(), ApiError>> {
        let jwks = Arc::clone(self);
        self.fetches.join((), Priority::Request, || None, |_| async move { jwks.fetch_now().await })
    }

    async fn fetch_now(&self) -> Result<(), ApiError> {
        let fetched = self.fetch_once().await;
        let mut slots = lock(&self.slots);
        slots.has_failed = fetched.is_err();
        // Here and not in the request that has the slot, since a client may have hung up meanwhile.
        if fetched.is_err() {
            slots.unknown_from_client = Some(self.clock.now() + CLIENT_RETRY);
        }
        fetched
    }

    async fn fetch_once(&self) -> Result<(), ApiError> {
        let body = tokio::time::timeout(self.timeout, (self.fetch_keys)())
            .await
            .unwrap_or_else(|_| Err(ApiError::unavailable("timeout")))?;
        let keys = VerificationKeys::from_jwks(&body, &self.algorithms)
            .map_err(|_| ApiError::unavailable("unreadable_keys"))?;
        self.held.store(Some(Arc::new(HeldKeys { keys: Arc::new(keys), fetched: self.clock.now() })));
        Ok(())
    }
}

async fn outcome(join: Join<Result<(), ApiError>>) -> Result<(), ApiError> {
    match join {
        Join::Waiter(waiter, _) => {
            waiter.outcome().await.unwrap_or_else(|_| Err(ApiError::unavailable("jwks_lost")))
        }
        Join::Ready(outcome) => outcome,
        Join::Full => Err(ApiError::unavailable("jwks_busy")),
    }
}
