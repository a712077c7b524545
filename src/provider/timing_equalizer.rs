//! How long a refusal takes: as long as one that took a look at a password. Clerk hashes a password only where there
//! is one to compare with, so that "nobody of that name" comes back sooner than "wrong password", and tells who has
//! an account.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::jitter::Jitter;
use crate::sync::lock;

/// Times that are remembered.
const TIMES: usize = 64;

/// What is taken for them before there are any: a hash of some strength, and the way there and back.
const FIRST: Duration = Duration::from_millis(250);

/// The times that Clerk took to verify passwords lately.
pub(crate) struct TimingEqualizer {
    times: Mutex<VecDeque<Duration>>,
    /// No refusal is held back longer, or it would be no refusal any more but a timeout.
    longest: Duration,
    clock: Clock,
    jitter: Arc<Jitter>,
}

impl TimingEqualizer {
    pub(crate) fn new(longest: Duration, clock: Clock, jitter: Arc<Jitter>) -> Self {
        Self { times: Mutex::default(), longest, clock, jitter }
    }

    /// Clerk has compared a password.
    pub(super) fn took(&self, time: Duration) {
        let mut times = lock(&self.times);
        if times.len() >= TIMES {
            times.pop_front();
        }
        times.push_back(time);
    }

    /// Waits until a comparison that began at `since` would have taken as long as one of the last ones did.
    pub(super) async fn pad(&self, since: Instant) {
        let time = {
            let mut times = lock(&self.times);
            self.jitter
                .one_of(times.make_contiguous())
                .copied()
                .unwrap_or_else(|| self.jitter.later(FIRST, 0.2))
        };
        let passed = self.clock.now() - since;
        tokio::time::sleep(time.min(self.longest).saturating_sub(passed)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_refusal_takes_as_long_as_a_comparison_did_lately() {
        let timing =
            TimingEqualizer::new(Duration::from_secs(2), Clock::system(), Arc::new(Jitter::seeded(7)));
        let padded = async || {
            let began = Instant::now();
            timing.pad(began).await;
            began.elapsed()
        };
        assert!((FIRST..FIRST.mul_f64(1.3)).contains(&padded().await));
        let times = [100, 150, 200, 250].map(Duration::from_millis);
        // Whatever was before is forgotten in time.
        (0..TIMES).for_each(|_| timing.took(Duration::from_secs(1)));
        (0..TIMES).for_each(|at| timing.took(times[at % 4]));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            seen.insert(padded().await);
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.iter().all(|time| times.iter().any(|it| time.abs_diff(*it) < Duration::from_millis(2))));
        (0..TIMES).for_each(|_| timing.took(Duration::from_secs(60)));
        assert!(padded().await <= Duration::from_millis(2_002), "no refusal becomes a timeout");
    }
}
