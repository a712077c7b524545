//! Dropping proofs and holdings: which of their sessions are ended at Clerk, and which stay stored (rules K9, K10).

use std::sync::Arc;

use super::{Attempt, SignIns};
use crate::clerk_api::ApiError;
use crate::provider::PAUSED;
use crate::sessions::{EndPolicy, Holding, Proof, SessionState};

impl SignIns {
    /// Removes a proof whose password Clerk has refused.
    ///
    /// Its sessions are ended unless another proof of the user points at them. That proof's own renewal will ask Clerk.
    pub(crate) fn invalidate(&self, proof: &Arc<Proof>) {
        self.records.forget(&proof.key);
        if self.sessions.remove(proof, EndPolicy::Always) {
            proof.holding.sessions().iter().for_each(|session| self.provider.forget(session));
        }
    }

    /// Ends the sessions of a holding that no proof has joined.
    pub(crate) fn end_unstored(&self, holding: &Arc<Holding>) {
        if self.sessions.abandon(holding, EndPolicy::Always) {
            holding.sessions().iter().for_each(|session| self.provider.forget(session));
        }
    }

    /// Drops all proofs on a holding after Clerk has said that one of its sessions is over, so that each password is
    /// proven again (rule K4).
    pub(crate) fn void(&self, holding: &Arc<Holding>) {
        let sessions = holding.sessions();
        // Before the proofs are removed, since the next sign-in must not find the session in a record.
        holding.user.proofs_on(holding).iter().for_each(|proof| self.records.forget(&proof.key));
        sessions.iter().filter(|it| it.state() == SessionState::Gone).for_each(|it| self.provider.forget(it));
        self.sessions.void(holding);
    }

    /// Drops the proof of a credential that Clerk has refused, and ends the sessions that are stored for its user and
    /// not in use. Does nothing for a credential that was never accepted, so guesses end no session.
    pub(super) fn drop_refused(&self, attempt: &Attempt, error: &ApiError) {
        let is_by_clerk = error.class.is_final() && error.code.as_deref() != Some(PAUSED);
        if is_by_clerk && let Some(proof) = self.sessions.find(&attempt.key, self.clock.now()) {
            self.invalidate(&proof);
        }
        if is_by_clerk {
            self.records.forget(&attempt.key);
        }
        let Some(user) = self.trusted.user_of(&attempt.key).filter(|_| is_by_clerk) else { return };
        let Some(taken) = self.provider.take_unused(user) else { return };
        self.reaper.start();
        self.end_queue.push_later(taken);
    }
}
