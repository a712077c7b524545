//! Events for rejections: at info at most one per kind and second, the others at debug (rule O1).

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::Clerk;
use crate::credentials::MalformedReason;
use crate::rejection::{Rejection, RejectionKind};
use crate::sync::lock;

/// A flood of wrong credentials must not become a flood of log lines.
const INTERVAL: Duration = Duration::from_secs(1);

/// When each kind was last logged at info.
#[derive(Debug, Default)]
pub(crate) struct RejectionLog(Mutex<Vec<Logged>>);

#[derive(Debug)]
struct Logged {
    kind: RejectionKind,
    at: Instant,
    /// Rejections of this kind since then.
    suppressed: u64,
}

impl RejectionLog {
    /// The number of rejections of this kind that were not logged at info since the last one that was. `None` if this
    /// one isn't either.
    fn due(&self, kind: RejectionKind, now: Instant) -> Option<u64> {
        let mut kinds = lock(&self.0);
        let Some(logged) = kinds.iter_mut().find(|logged| logged.kind == kind) else {
            kinds.push(Logged { kind, at: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(logged.at) < INTERVAL {
            logged.suppressed += 1;
            return None;
        }
        logged.at = now;
        Some(std::mem::take(&mut logged.suppressed))
    }
}

impl Clerk {
    /// Logs a rejection: its code, and for malformed credentials the reason, with advice if a setting would help.
    pub(crate) fn log_rejection(&self, rejection: &Rejection) {
        let due = self.0.rejection_log.due(rejection.kind(), self.0.clock.now());
        let (code, upstream_code) = (rejection.code(), rejection.upstream_code());
        let reason = rejection.detail();
        let advice = rejection.malformed_reason().and_then(MalformedReason::advice);
        match due {
            Some(suppressed) => tracing::info!(
                target: "tower_clerk::rejection",
                code, upstream_code, reason, advice, suppressed, "rejected"
            ),
            None => {
                tracing::debug!(
                    target: "tower_clerk::rejection",
                    code, upstream_code, reason, advice, "rejected"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn o1_each_kind_is_logged_once_a_second_with_the_count_of_the_others() {
        let (log, kind) = (RejectionLog::default(), RejectionKind::CredentialsRejected);
        assert_eq!(log.due(kind, Instant::now()), Some(0));
        for _ in 0..3 {
            assert_eq!(log.due(kind, Instant::now()), None);
        }
        assert_eq!(log.due(RejectionKind::Throttled, Instant::now()), Some(0), "another kind");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(log.due(kind, Instant::now()), Some(3));
        assert_eq!(log.due(kind, Instant::now()), None);
    }
}
