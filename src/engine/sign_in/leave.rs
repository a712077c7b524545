//! Sessions that are given up: which of them are ended at Clerk, and which are kept for later (rules K9, K10).

use std::sync::Arc;

use super::{Attempt, SignIns};
use crate::clerk_api::ApiError;
use crate::provider::PAUSED;
use crate::sessions::{EndPolicy, EndRequest, Holding, Proof, SessionState};
use crate::sync::now_or_later;

impl SignIns {
    /// Drops a proof whose password Clerk has refused. Its sessions are ended with it, unless another credential of the
    /// same user has been proven for them, whose own time will come.
    pub(crate) fn invalidate(&self, proof: &Arc<Proof>) {
        if self.sessions.remove(proof, EndPolicy::Always) {
            proof.holding.sessions().iter().for_each(|session| self.provider.forget(session));
        }
    }

    /// Ends the sessions of a holding that no proof points at.
    pub(crate) fn end_unstored(&self, holding: &Arc<Holding>) {
        if self.sessions.abandon(holding) {
            holding.sessions().iter().for_each(|session| self.provider.forget(session));
        }
    }

    /// Clerk has said that a session of this holding is over: each password that it was proven by is asked for again
    /// (rule K4).
    pub(crate) fn void(&self, holding: &Arc<Holding>) {
        let sessions = holding.sessions();
        sessions.iter().filter(|it| it.state() == SessionState::Gone).for_each(|it| self.provider.forget(it));
        self.sessions.void(holding);
    }

    /// Clerk has refused a credential that it had accepted before: its proof is dropped, and what is kept for its user,
    /// and is not in use, is ended. Guesses end nothing.
    pub(super) fn end_idle(&self, attempt: &Attempt, error: &ApiError) {
        let is_clerks = error.class.is_final() && error.code.as_deref() != Some(PAUSED);
        if is_clerks && let Some(proof) = self.sessions.find(&attempt.key, self.clock.now()) {
            self.invalidate(&proof);
        }
        let Some(user) = self.trusted.user_of(&attempt.key).filter(|_| is_clerks) else { return };
        let Some(taken) = self.provider.take_unused(user) else { return };
        let end_queue = Arc::clone(&self.end_queue);
        self.reaper.start();
        now_or_later(async move {
            taken.await.into_iter().for_each(|id| end_queue.push(EndRequest::by_id(id)));
        });
    }
}
