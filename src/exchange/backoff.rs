//! How long Clerk has asked to be left alone after a 429 (rule P2).

use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// The back-off of one kind of call.
#[derive(Debug, Default)]
pub(crate) struct Backoff(Mutex<Option<Instant>>);

impl Backoff {
    /// Calls rest until then, or longer where an earlier answer has said so.
    pub(crate) fn extend(&self, until: Instant) {
        let mut set = lock(&self.0);
        *set = (*set).max(Some(until));
    }

    /// How long calls still have to rest.
    pub(crate) fn left(&self, now: Instant) -> Option<Duration> {
        lock(&self.0).map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn p2_a_shorter_pause_never_cuts_a_longer_one_short() {
        let (backoff, now) = (Backoff::default(), Instant::now());
        assert_eq!(backoff.left(now), None);
        backoff.extend(now + Duration::from_secs(60));
        backoff.extend(now + Duration::from_secs(1));
        assert_eq!(backoff.left(now), Some(Duration::from_secs(60)));
        assert_eq!(backoff.left(now + Duration::from_secs(60)), None);
    }
}
