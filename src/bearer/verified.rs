//! The verified Bearer tokens: a moka cache apart from the sessions, so that neither pushes the other out (rule B3).

use std::cmp::{Ordering as Compared, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::cutoffs::Cutoffs;
use crate::key::{BearerKey, PassThrough};
use crate::session::ClerkSession;
use crate::sync::lock;

/// The class of a verified token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TokenClass {
    Session,
    /// A token of a JWT template, with its `aud`.
    Template {
        audiences: Box<[Box<str>]>,
    },
}

/// A verified token.
#[derive(Debug)]
pub(crate) struct VerifiedBearer {
    pub(crate) session: ClerkSession,
    pub(crate) class: TokenClass,
    /// The generation of the revocations that it was last compared with.
    checked: AtomicU64,
}

impl VerifiedBearer {
    /// A token that has been compared with no revocation yet.
    pub(crate) fn new(session: ClerkSession, class: TokenClass) -> Self {
        // No generation is that large.
        Self { session, class, checked: AtomicU64::new(u64::MAX) }
    }

    /// Whether a revocation concerns this token. One atomic load, unless there was a revocation since the last call.
    pub(crate) fn is_revoked(&self, cutoffs: &Cutoffs) -> bool {
        // Read before the comparison: a revocation that comes in between has a later generation.
        let generation = cutoffs.generation();
        if self.checked.load(Ordering::Relaxed) == generation {
            return false;
        }
        let is_revoked = cutoffs.refuse(self.session.claims());
        if !is_revoked {
            self.checked.store(generation, Ordering::Relaxed);
        }
        is_revoked
    }
}

/// The verified tokens of one engine. Only verified ones get in, so no made-up token pushes one out.
pub(crate) struct VerifiedTokens {
    cache: Cache<BearerKey, Arc<VerifiedBearer>, PassThrough>,
    /// The tokens by when they expire. moka's own expiry would read the clock again on each hit.
    expiry: Mutex<BinaryHeap<Reverse<Expiry>>>,
    most: u64,
}

struct Expiry {
    at: Instant,
    key: BearerKey,
}

impl VerifiedTokens {
    pub(crate) fn new(most: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(most)
            // As for the sessions: with moka's default policy, a warm full cache throws each new entry out at once.
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self { cache, expiry: Mutex::default(), most }
    }

    /// The verified token that is the same as `token`, and has not expired.
    pub(crate) fn get(&self, key: &BearerKey, token: &[u8], now: Instant) -> Option<Arc<VerifiedBearer>> {
        let verified = self.cache.get(key)?;
        // The key is of a part of the token only. In constant time, though a client that guesses at the rest has to know
        // the signature.
        verify_slices_are_equal(verified.session.token().as_bytes(), token).ok()?;
        (now < verified.session.good_until()).then_some(verified)
    }

    /// Inserts a verified token, and drops those that have expired.
    pub(crate) fn insert(&self, key: BearerKey, verified: Arc<VerifiedBearer>, now: Instant) {
        let at = verified.session.good_until();
        if at <= now {
            return;
        }
        self.cache.insert(key, verified);
        let mut expiry = lock(&self.expiry);
        expiry.push(Reverse(Expiry { at, key }));
        // Evicted and revoked tokens leave their entries behind, so clear those out now and then. A revoked token can come
        // again and again, so its key may be in the cache and have many entries: only one of each is kept.
        if expiry.len() as u64 > self.most.saturating_mul(2).saturating_add(1024) {
            self.cache.run_pending_tasks();
            let held = self.cache.iter();
            *expiry = held
                .map(|(key, held)| Reverse(Expiry { at: held.session.good_until(), key: *key }))
                .collect();
        }
        while expiry.peek().is_some_and(|Reverse(entry)| entry.at <= now)
            && let Some(Reverse(entry)) = expiry.pop()
        {
            self.cache.invalidate(&entry.key);
        }
    }

    pub(crate) fn remove(&self, key: &BearerKey) {
        self.cache.invalidate(key);
    }

    pub(crate) fn clear(&self) {
        self.cache.invalidate_all();
        lock(&self.expiry).clear();
    }

    pub(crate) fn len(&self) -> u64 {
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }
}

impl PartialEq for Expiry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Expiry {}

impl PartialOrd for Expiry {
    fn partial_cmp(&self, other: &Self) -> Option<Compared> {
        Some(self.cmp(other))
    }
}

impl Ord for Expiry {
    fn cmp(&self, other: &Self) -> Compared {
        self.at.cmp(&other.at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::claims::Claims;
    use crate::key::KeySecret;
    use crate::token::VerifiedToken;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Bench {
        tokens: VerifiedTokens,
        secret: KeySecret,
    }

    impl Bench {
        fn new(most: u64) -> Self {
            Self { tokens: VerifiedTokens::new(most), secret: KeySecret::random() }
        }

        fn key(&self, token: &str) -> BearerKey {
            self.secret.bearer(token.as_bytes().last_chunk().unwrap())
        }

        fn insert(&self, token: &str, life: Duration) {
            let claims = json!({"iss": "x", "sub": "user_1", "iat": 1, "exp": 2}).to_string();
            let token = VerifiedToken::new(token, Claims::from_payload(claims.as_bytes()).unwrap());
            let (key, now) = (self.key(token.jwt()), Instant::now());
            let session = ClerkSession::new("sess_1", None, token, now + life, None);
            let verified = VerifiedBearer::new(session, TokenClass::Session);
            self.tokens.insert(key, Arc::new(verified), now);
        }

        fn has(&self, token: &str) -> bool {
            self.tokens.get(&self.key(token), token.as_bytes(), Instant::now()).is_some()
        }
    }

    fn token(number: usize) -> String {
        format!("header.payload.{number:064}")
    }

    #[tokio::test(start_paused = true)]
    async fn b3_a_verified_token_is_found_until_it_expires_and_then_dropped() {
        let bench = Bench::new(10);
        bench.insert(&token(1), MINUTE);
        bench.insert(&token(2), 2 * MINUTE);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert!(bench.has(&token(1)));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!bench.has(&token(1)) && bench.has(&token(2)));
        assert_eq!(bench.tokens.len(), 2);
        bench.insert(&token(3), MINUTE);
        assert_eq!(bench.tokens.len(), 2, "the next one that comes in drops it");
        bench.insert(&token(4), Duration::ZERO);
        assert_eq!(bench.tokens.len(), 2, "an expired one doesn't get in");
    }

    /// A revoked token is dropped after each verification, and a client can send it again until it expires.
    #[tokio::test(start_paused = true)]
    async fn k7_a_token_that_is_dropped_and_comes_again_leaves_a_bounded_number_of_expiries() {
        let bench = Bench::new(10);
        bench.insert(&token(2), MINUTE);
        for _ in 0..5_000 {
            bench.insert(&token(1), MINUTE);
            bench.tokens.remove(&bench.key(&token(1)));
        }
        let expiries = lock(&bench.tokens.expiry).len();
        assert!(expiries <= 2 * 10 + 1024 + 1, "{expiries}");
        assert!(bench.has(&token(2)));
        tokio::time::advance(MINUTE).await;
        bench.insert(&token(3), MINUTE);
        assert_eq!(bench.tokens.len(), 1, "the others have expired");
    }

    #[tokio::test(start_paused = true)]
    async fn b3_a_token_with_the_same_signature_and_another_content_is_not_found() {
        let bench = Bench::new(10);
        bench.insert(&token(1), MINUTE);
        for other in [token(1).replace("payload", "forgery"), token(1) + " ", format!("x{}", token(1))] {
            let found = bench.tokens.get(&bench.key(&token(1)), other.as_bytes(), Instant::now());
            assert!(found.is_none(), "{other}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k7_verified_tokens_and_their_expiries_are_bounded_and_the_least_recently_used_go() {
        let bench = Bench::new(10);
        for number in 0..5_000 {
            bench.insert(&token(number), MINUTE);
            bench.tokens.len();
            assert!(bench.has(&token(0)), "it is in use: {number}");
        }
        assert_eq!(bench.tokens.len(), 10);
        assert!(bench.has(&token(4_999)) && !bench.has(&token(1)));
        assert!(lock(&bench.tokens.expiry).len() <= 2 * 10 + 1024 + 1);
        bench.tokens.clear();
        assert_eq!((bench.tokens.len(), bench.has(&token(0))), (0, false));
    }
}
