//! The proof of a password: what a credential is found by, and how long it stands.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::holding::Holding;
use super::turnstile::Turnstile;
use crate::key::CredentialKey;

/// How long a proof of a password stands, and from when it is renewed ahead of its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofLife {
    pub(crate) end: Instant,
    pub(crate) renew: Option<Instant>,
}

/// A credential whose password Clerk has accepted, and the holding that it is served by.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) key: CredentialKey,
    pub(crate) holding: Arc<Holding>,
    /// What the times below are counted from.
    start: Instant,
    /// Nanoseconds.
    end: AtomicU64,
    /// Renewing the proof ahead of its end.
    pub(crate) renewal: Turnstile,
    over: AtomicBool,
    /// For a renewal that waits. Most proofs never have one, so it takes no room before.
    ended: OnceLock<Box<Notify>>,
}

impl Proof {
    /// A proof that counts from `start`. It never outlives its session.
    pub(crate) fn new(
        key: CredentialKey,
        holding: Arc<Holding>,
        start: Instant,
        life: ProofLife,
        session_end: Option<Instant>,
    ) -> Arc<Self> {
        let end = session_end.map_or(life.end, |end| end.min(life.end));
        Arc::new(Self {
            key,
            holding,
            start,
            end: AtomicU64::new(nanos(end.saturating_duration_since(start))),
            renewal: Turnstile::new(life.renew),
            over: AtomicBool::new(false),
            ended: OnceLock::new(),
        })
    }

    /// Whether the proof still stands. It is the same clock reading that the token is judged by.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        nanos(now.saturating_duration_since(self.start)) < self.end.load(Ordering::Relaxed) && !self.is_over()
    }

    pub(crate) fn end(&self) -> Instant {
        self.start + Duration::from_nanos(self.end.load(Ordering::Relaxed))
    }

    /// The password has been proven anew, without a new session.
    pub(crate) fn renew(&self, life: ProofLife) {
        let end = self.holding.session().end.map_or(life.end, |end| end.min(life.end));
        self.end.fetch_max(nanos(end.saturating_duration_since(self.start)), Ordering::Relaxed);
        if let Some(renew) = life.renew {
            self.renewal.open_at(renew);
        }
    }

    /// Nothing is handed on by it any more, whoever still holds it.
    pub(crate) fn mark_over(&self) {
        self.over.store(true, Ordering::Release);
        // Either a renewal sees the store, or this sees the renewal.
        fence(Ordering::SeqCst);
        if let Some(ended) = self.ended.get() {
            ended.notify_waiters();
        }
    }

    /// Waits until nothing is handed on by it any more.
    pub(crate) async fn ended(&self) {
        let mut ended = pin!(self.ended.get_or_init(Box::default).notified());
        // Listening begins before the look, so that no end is missed in between.
        ended.as_mut().enable();
        fence(Ordering::SeqCst);
        if !self.is_over() {
            ended.await;
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX - 1)
}
