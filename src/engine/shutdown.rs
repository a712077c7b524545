//! Leaving no sessions behind (rule K10).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Clerk;
use crate::sessions::{EndRequest, Target};

impl Clerk {
    /// Ends all sessions at Clerk, within a deadline, and lets nobody in any more who isn't let in yet. Returns how
    /// many sessions were left: Clerk ends those after their own life, 7 days by default.
    ///
    /// Call it when the server has stopped accepting requests.
    pub async fn shutdown(&self, within: Duration) -> usize {
        let inner = &self.0;
        // A deadline that no clock reaches is as good as a day.
        let deadline = inner.clock.now() + within.min(Duration::from_secs(24 * 60 * 60));
        inner.sign_ins.closed.store(true, Ordering::Release);
        inner.sign_ins.sign_in_limiter.close();
        inner.sign_ins.provider.sign_ins().close();
        // A sign-in that has started brings a session yet, which is then superseded and ended.
        inner.sign_ins.revocations.revoke(Target::All, inner.clock.now());
        let in_use: Vec<_> =
            inner.sign_ins.sessions.drain().iter().map(|session| EndRequest::of(session)).collect();
        let sessions = inner.sign_ins.provider.ended_by_shutdown(in_use).await;
        let left = inner.sign_ins.reaper.end_all(sessions, deadline).await;
        _ = tokio::time::timeout_at(deadline, inner.sign_in_flights.all_finished()).await;
        _ = tokio::time::timeout_at(deadline, inner.openings.all_finished()).await;
        _ = tokio::time::timeout_at(deadline, inner.sign_ins.end_queue.all_done()).await;
        left + inner.sign_ins.end_queue.outstanding()
    }
}
