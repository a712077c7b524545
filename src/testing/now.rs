//! The time by the instance's clock.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;

/// One moment, read once for each request, so that everything in an answer agrees.
#[derive(Clone, Copy)]
pub(super) struct Now {
    pub(super) instant: Instant,
    /// Unix time in milliseconds by the instance's clock, wrong by its skew.
    pub(super) ms: i64,
}

impl Now {
    pub(super) fn read(clock: &Clock, skew: i64) -> Self {
        let instant = clock.now();
        let since = clock.wall_at(instant).duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { instant, ms: millis(since) + skew * 1000 }
    }

    pub(super) fn unix(self) -> i64 {
        self.ms.div_euclid(1000)
    }

    /// The instance's Unix time in milliseconds at another moment.
    pub(super) fn ms_at(self, instant: Instant) -> i64 {
        match instant.checked_duration_since(self.instant) {
            Some(ahead) => self.ms + millis(ahead),
            None => self.ms - millis(self.instant.duration_since(instant)),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}
