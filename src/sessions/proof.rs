//! The proof of a password: what a credential is found by, and how long it stands.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::holding::Holding;
use super::once_gate::OnceGate;
use crate::key::CredentialKey;

/// How long a proof of a password stands, and from when it is renewed ahead of its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofLife {
    pub(crate) end: Instant,
    pub(crate) renew: Option<Instant>,
}

/// Whether a credential is let in by its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ProofState {
    Live,
    /// The password may have been changed since. The holding stays for when it has been proven again.
    MustBeProvenAgain,
    Over,
}

/// A credential whose password Clerk has accepted, and the holding that it is served by.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) key: CredentialKey,
    pub(crate) holding: Arc<Holding>,
    /// When the password was first proven. The times below are milliseconds from then on: 49 days at most.
    start: Instant,
    /// When it was last proven.
    proven: AtomicU32,
    end: AtomicU32,
    /// Renewing the proof ahead of its end.
    pub(crate) renewal: OnceGate,
    state: AtomicU8,
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
            proven: AtomicU32::new(0),
            end: AtomicU32::new(millis(end.saturating_duration_since(start))),
            renewal: OnceGate::new(life.renew),
            state: AtomicU8::new(ProofState::Live as u8),
            ended: OnceLock::new(),
        })
    }

    /// Whether the proof still stands. It is the same clock reading that the token is judged by.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        !self.has_ended(now) && self.state() == ProofState::Live
    }

    /// Whether its time is up, or it is over.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        millis(now.saturating_duration_since(self.start)) >= self.end.load(Ordering::Relaxed)
            || self.is_over()
    }

    pub(crate) fn end(&self) -> Instant {
        self.start + Duration::from_millis(self.end.load(Ordering::Relaxed).into())
    }

    pub(crate) fn state(&self) -> ProofState {
        match self.state.load(Ordering::Acquire) {
            0 => ProofState::Live,
            1 => ProofState::MustBeProvenAgain,
            _ => ProofState::Over,
        }
    }

    /// The password has been proven anew at `at`, without a new session.
    pub(crate) fn renew(&self, at: Instant, life: ProofLife) {
        let end = self.holding.session().end.map_or(life.end, |end| end.min(life.end));
        let since_start = |at: Instant| millis(at.saturating_duration_since(self.start));
        self.proven.fetch_max(since_start(at), Ordering::Relaxed);
        self.end.fetch_max(since_start(end), Ordering::Relaxed);
        if let Some(renew) = life.renew {
            self.renewal.open_at(renew);
        }
        self.move_on(ProofState::MustBeProvenAgain, ProofState::Live);
    }

    /// A password that was last proven before then lets nobody in until it is proven again.
    pub(super) fn expire(&self, before: Instant) {
        if self.start + Duration::from_millis(self.proven.load(Ordering::Relaxed).into()) < before {
            self.move_on(ProofState::Live, ProofState::MustBeProvenAgain);
        }
    }

    fn move_on(&self, from: ProofState, to: ProofState) {
        _ = self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Nothing is handed on by it any more, whoever still holds it.
    pub(crate) fn mark_over(&self) {
        self.state.store(ProofState::Over as u8, Ordering::Release);
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
        self.state() == ProofState::Over
    }
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}
