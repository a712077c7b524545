//! How long a refusal takes: as long as one that took a look at a password. Clerk hashes a password only where there
//! is one to compare with, so that "nobody of that name" comes back sooner than "wrong password", and tells who has
//! an account.

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
pub(super) struct Padding {
    times: Mutex<Vec<Duration>>,
    next: Mutex<usize>,
    /// No refusal is held back longer, or it would be no refusal any more but a timeout.
    longest: Duration,
    clock: Clock,
    jitter: Arc<Jitter>,
}

impl Padding {
    pub(super) fn new(longest: Duration, clock: Clock, jitter: Arc<Jitter>) -> Self {
        Self { times: Mutex::default(), next: Mutex::new(0), longest, clock, jitter }
    }

    /// Clerk has compared a password.
    pub(super) fn took(&self, time: Duration) {
        let mut times = lock(&self.times);
        if times.len() < TIMES {
            times.push(time);
            return;
        }
        let mut next = lock(&self.next);
        times[*next % TIMES] = time;
        *next = (*next + 1) % TIMES;
    }

    /// Waits until a comparison that began at `since` would have taken as long as one of the last ones did.
    pub(super) async fn pad(&self, since: Instant) {
        let time = {
            let times = lock(&self.times);
            self.jitter.one_of(&times).copied().unwrap_or_else(|| self.jitter.later(FIRST, 0.2))
        };
        let passed = self.clock.now() - since;
        tokio::time::sleep(time.min(self.longest).saturating_sub(passed)).await;
    }
}
