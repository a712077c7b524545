//! Sessions that go: which of them are ended at Clerk, and which are kept for later (rules K9, K10).

use std::sync::Arc;

use super::{Attempt, SignIns};
use crate::api::Fault;
use crate::exchange::road::PAUSED;
use crate::store::{LiveSession, Parting};
use crate::sync::now_or_later;

impl SignIns {
    /// Drops a session whose password Clerk has refused, and ends it; unless another credential of the same user has
    /// been proven for it, whose own time will come.
    pub(crate) fn expel(&self, live: &Arc<LiveSession>) {
        if self.sessions.is_shared(live) {
            self.sessions.remove(live);
            return;
        }
        self.discard_siblings(live);
        self.forget_kept(live);
        self.sessions.remove_and_end(live);
    }

    /// Ends what was opened beside a session that goes.
    pub(crate) fn discard_siblings(&self, live: &Arc<LiveSession>) {
        for sibling in live.siblings() {
            self.discard_sibling(&sibling, live);
        }
    }

    /// Ends a session that is in nobody's hands.
    pub(crate) fn discard(&self, live: &Arc<LiveSession>) {
        self.forget_kept(live);
        self.leavers.end(live);
    }

    /// The same of what was opened beside a session that goes, unless another one uses it.
    fn discard_sibling(&self, sibling: &Arc<LiveSession>, of: &Arc<LiveSession>) {
        let users = self.sessions.by_id(&sibling.session_id);
        if !users.iter().any(|user| !Arc::ptr_eq(user, of) && !user.is_over()) {
            self.discard(sibling);
        }
    }

    /// Clerk has refused a credential that it had accepted before: what is kept for its user, and nobody uses, is ended.
    /// Guesses end nothing.
    pub(super) fn end_idle(&self, attempt: &Attempt, fault: &Fault) {
        let is_clerks = fault.meaning.is_verdict() && fault.code.as_deref() != Some(PAUSED);
        let Some(road) = self.road.backend().filter(|_| is_clerks) else { return };
        let Some(user) = self.proven.user_of(&attempt.key) else { return };
        let (kept, sessions) = (Arc::clone(&road.sessions), Arc::clone(&self.sessions));
        let leavers = Arc::clone(&self.leavers);
        let removal = road.removals.begin();
        self.ender.start();
        now_or_later(async move {
            for session in kept.take_user(&user.id).await {
                if sessions.by_id(session.session_id()).is_empty() {
                    leavers.part(Parting::kept(&session));
                } else {
                    kept.put(session).await;
                }
            }
            drop(removal);
        });
    }

    /// Sees to it that no later sign-in goes on with this session.
    pub(crate) fn forget_kept(&self, live: &Arc<LiveSession>) {
        let Some(road) = self.road.backend() else { return };
        let (road, live) = (Arc::clone(road), Arc::clone(live));
        let removal = road.removals.begin();
        now_or_later(async move {
            road.forget(&live).await;
            drop(removal);
        });
    }
}
