//! Makes every refusal take as long as the refusal of a wrong password.
//!
//! Clerk hashes a password only if there is one to compare it with. So the refusal of an unknown identifier would come
//! sooner, and its timing would tell which identifiers have an account.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::jitter::Jitter;
use crate::sync::lock;

/// Number of comparisons whose duration is remembered.
const TIMES: usize = 64;

/// The assumed duration before the first comparison: a strong hash and the round trip.
const FIRST: Duration = Duration::from_millis(250);

/// The durations of Clerk's latest password comparisons.
pub(crate) struct TimingEqualizer {
    times: Mutex<VecDeque<Duration>>,
    /// The longest delay of a refusal, so that its request does not time out.
    longest: Duration,
    clock: Clock,
    jitter: Arc<Jitter>,
}

impl TimingEqualizer {
    pub(crate) fn new(longest: Duration, clock: Clock, jitter: Arc<Jitter>) -> Self {
        Self { times: Mutex::default(), longest, clock, jitter }
    }

    /// Records the duration of a comparison.
    pub(super) fn record(&self, time: Duration) {
        let mut times = lock(&self.times);
        if times.len() >= TIMES {
            times.pop_front();
        }
        times.push_back(time);
    }

    /// Waits until a refusal that began at `since` has taken as long as one of the latest comparisons, chosen at
    /// random.
    pub(super) async fn equalize(&self, since: Instant) {
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
        let equalized = async || {
            let began = Instant::now();
            timing.equalize(began).await;
            began.elapsed()
        };
        assert!((FIRST..FIRST.mul_f64(1.3)).contains(&equalized().await));
        let times = [100, 150, 200, 250].map(Duration::from_millis);
        // Newer durations replace the older ones.
        (0..TIMES).for_each(|_| timing.record(Duration::from_secs(1)));
        (0..TIMES).for_each(|at| timing.record(times[at % 4]));
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            seen.insert(equalized().await);
        }
        assert_eq!(seen.len(), 4, "{seen:?}");
        assert!(seen.iter().all(|time| times.iter().any(|it| time.abs_diff(*it) < Duration::from_millis(2))));
        (0..TIMES).for_each(|_| timing.record(Duration::from_secs(60)));
        assert!(equalized().await <= Duration::from_millis(2_002), "no refusal becomes a timeout");
    }
}
