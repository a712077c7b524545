//! The proof of a credential: which one it is for, and how long it is valid.

use std::pin::pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering, fence};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::holding::Holding;
use super::once_gate::OnceGate;
#[cfg(feature = "federation")]
use crate::assurance::Assurance;
use crate::key::CredentialKey;
use crate::session::{ClerkSession, ProvenAt};

/// When a proof ends, and from when on it is renewed before that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProofLife {
    pub(crate) end: Instant,
    pub(crate) renew: Option<Instant>,
}

/// Whether a proof lets requests in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ProofState {
    Live,
    /// The password may have been changed. The holding stays for when the password has been proven again.
    MustBeProvenAgain,
    Over,
}

/// A credential that was accepted, by Clerk or by a provider that is trusted, and the holding that serves it.
#[derive(Debug)]
pub(crate) struct Proof {
    pub(crate) key: CredentialKey,
    pub(crate) holding: Arc<Holding>,
    /// The words of a provider about the subject of an assertion. `None` for a password.
    #[cfg(feature = "federation")]
    assurance: Option<Arc<Assurance>>,
    /// When the password was first proven. The times below are milliseconds from then on, which fit for 49 days.
    start: Instant,
    /// When the password was last proven.
    last_proven: AtomicU32,
    end: AtomicU32,
    /// Opens when the proof is due to be renewed.
    pub(crate) renewal: OnceGate,
    state: AtomicU8,
    /// Wakes a waiting renewal. Most proofs never have one, so it is allocated on first use.
    ended: OnceLock<Box<Notify>>,
}

impl Proof {
    /// A proof from `start` on. It never outlives its session.
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
            #[cfg(feature = "federation")]
            assurance: None,
            start,
            last_proven: AtomicU32::new(0),
            end: AtomicU32::new(millis(end.saturating_duration_since(start))),
            renewal: OnceGate::new(life.renew),
            state: AtomicU8::new(ProofState::Live as u8),
            ended: OnceLock::new(),
        })
    }

    /// The proof of an assertion, which is never renewed.
    #[cfg(feature = "federation")]
    pub(crate) fn of_assertion(
        key: CredentialKey,
        holding: Arc<Holding>,
        start: Instant,
        end: Instant,
        session_end: Option<Instant>,
        assurance: Arc<Assurance>,
    ) -> Arc<Self> {
        let life = ProofLife { end, renew: None };
        let mut proof = Self::new(key, holding, start, life, session_end);
        // No other thread has it yet.
        if let Some(proof) = Arc::get_mut(&mut proof) {
            proof.assurance = Some(assurance);
        }
        proof
    }

    /// The words of a provider about the subject of an assertion.
    #[cfg(feature = "federation")]
    pub(crate) fn assurance(&self) -> Option<&Arc<Assurance>> {
        self.assurance.as_ref()
    }

    /// The session for a request with this credential.
    pub(crate) fn vouch_for(&self, session: ClerkSession) -> ClerkSession {
        #[cfg(feature = "federation")]
        if let Some(assurance) = &self.assurance {
            return session.assured(Arc::clone(assurance));
        }
        session.proven(self.proven_at())
    }

    /// Whether the proof lets requests in. Callers pass the same `now` as for the token, so that both agree.
    pub(crate) fn is_live(&self, now: Instant) -> bool {
        !self.has_ended(now) && self.state() == ProofState::Live
    }

    /// Whether the proof has expired, or was marked as over.
    pub(super) fn has_ended(&self, now: Instant) -> bool {
        millis(now.saturating_duration_since(self.start)) >= self.end.load(Ordering::Relaxed)
            || self.is_over()
    }

    pub(crate) fn end(&self) -> Instant {
        self.start + Duration::from_millis(self.end.load(Ordering::Relaxed).into())
    }

    /// When Clerk last accepted the password.
    pub(crate) fn proven_at(&self) -> ProvenAt {
        ProvenAt { start: self.start, after: self.last_proven.load(Ordering::Relaxed) }
    }

    pub(crate) fn state(&self) -> ProofState {
        match self.state.load(Ordering::Acquire) {
            0 => ProofState::Live,
            1 => ProofState::MustBeProvenAgain,
            _ => ProofState::Over,
        }
    }

    /// Records that the password was proven again at `at`, without a new session.
    pub(crate) fn renew(&self, at: Instant, life: ProofLife) {
        let end = self.holding.session().end.map_or(life.end, |end| end.min(life.end));
        let since_start = |at: Instant| millis(at.saturating_duration_since(self.start));
        self.last_proven.fetch_max(since_start(at), Ordering::Relaxed);
        self.end.fetch_max(since_start(end), Ordering::Relaxed);
        if let Some(renew) = life.renew {
            self.renewal.open_at(renew);
        }
        self.transition(ProofState::MustBeProvenAgain, ProofState::Live);
    }

    /// Lets no request in until the password is proven again, if it was last proven before `before`.
    pub(super) fn expire(&self, before: Instant) {
        if self.proven_at().instant() < before {
            self.transition(ProofState::Live, ProofState::MustBeProvenAgain);
        }
    }

    fn transition(&self, from: ProofState, to: ProofState) {
        _ = self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Ends the proof for all who still hold a reference to it.
    pub(crate) fn mark_over(&self) {
        self.state.store(ProofState::Over as u8, Ordering::Release);
        // Pairs with the fence in `ended`: either the renewal sees the store, or this load sees the renewal.
        fence(Ordering::SeqCst);
        if let Some(ended) = self.ended.get() {
            ended.notify_waiters();
        }
    }

    /// Waits until the proof is over.
    pub(crate) async fn ended(&self) {
        let mut ended = pin!(self.ended.get_or_init(Box::default).notified());
        // Listen before the check, so that the notification isn't missed in between.
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
