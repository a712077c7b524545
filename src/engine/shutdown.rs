//! Shutdown: ends the sessions of an engine at Clerk (rule K10).

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Clerk;
use crate::bearer::CutoffTarget;
use crate::sessions::Target;

impl Clerk {
    /// Ends all sessions at Clerk within the given time, and returns how many are left.
    ///
    /// Call it when the server has stopped accepting requests. From then on the engine rejects all credentials. The
    /// sessions that are left expire at Clerk,
    /// [after 7 days by default](https://clerk.com/docs/guides/secure/session-options). Sessions that a
    /// store keeps (`ClerkBuilder::store`) are not ended, because the next process continues with them.
    ///
    /// `within` is limited to 24 h.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// # async fn example(clerk: tower_clerk::Clerk, serve: impl Future<Output = ()>) {
    /// serve.await;
    /// let left = clerk.shutdown(Duration::from_secs(10)).await;
    /// if left > 0 {
    ///     eprintln!("{left} sessions were not ended at Clerk");
    /// }
    /// # }
    /// ```
    pub async fn shutdown(&self, within: Duration) -> usize {
        let inner = &self.0;
        // Without a limit, `Duration::MAX` would overflow the `Instant`.
        let deadline = inner.clock.now() + within.min(Duration::from_secs(24 * 60 * 60));
        inner.sign_ins.closed.store(true, Ordering::Release);
        inner.sign_ins.sign_in_limiter.close();
        inner.sign_ins.provider.sign_ins().close();
        // A user whose record is still being written would have to sign in again.
        _ = tokio::time::timeout_at(deadline, inner.sign_ins.records.settled()).await;
        // A sign-in that has started may still open a session. This supersedes the sign-in, so its session is ended.
        inner.sign_ins.revocations.revoke(Target::All, inner.clock.now());
        // Also a verification that is under way is answered like all others from now on.
        inner.revoke_bearer(CutoffTarget::All);
        inner.bearer.verified.clear();
        if let Some(keys) = &inner.api_keys {
            keys.close();
        }
        #[cfg(feature = "federation")]
        if let Some(federation) = &inner.federation {
            federation.close();
        }
        let (in_use, state) = (inner.sign_ins.sessions.drain(), &inner.sign_ins.state);
        let sessions = inner.sign_ins.provider.ended_by_shutdown(state, in_use).await;
        let left = inner.sign_ins.reaper.end_all(sessions, deadline).await;
        _ = tokio::time::timeout_at(deadline, inner.sign_in_flights.all_finished()).await;
        _ = tokio::time::timeout_at(deadline, inner.openings.all_finished()).await;
        #[cfg(feature = "federation")]
        if let Some(federation) = &inner.federation {
            _ = tokio::time::timeout_at(deadline, federation.all_finished()).await;
        }
        _ = tokio::time::timeout_at(deadline, inner.sign_ins.end_queue.all_done()).await;
        _ = tokio::time::timeout_at(deadline, state.flush()).await;
        #[cfg(feature = "redis")]
        if let Some(cluster) = &inner.sign_ins.cluster {
            _ = tokio::time::timeout_at(deadline, cluster.has_delivered()).await;
            _ = tokio::time::timeout_at(deadline, cluster.leave()).await;
        }
        left + inner.sign_ins.end_queue.outstanding()
    }
}
