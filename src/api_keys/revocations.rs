//! Revocations as they concern API keys: nothing that was verified before one is accepted (rule T6).

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::settings::LONGEST_TTL;
use crate::sync::lock;

/// Revocations that are kept. Beyond that the oldest is dropped, and every key from before it has to be verified again.
const MOST: usize = 65_536;

/// The revocations of ids: of keys, users and organizations, whose prefixes differ.
///
/// A verification carries the generation of its start, so a revocation also reaches those that are under way.
pub(crate) struct KeyRevocations {
    /// Grows with each revocation.
    generation: AtomicU64,
    recent: Mutex<Recent>,
    /// For how long after a revocation a key that was verified before can be held.
    needed_for: Duration,
}

#[derive(Default)]
struct Recent {
    /// The generation in which each id was last revoked.
    of: HashMap<Box<str>, u64>,
    /// In the order of the revocations. Of an id that was revoked again, the older entry is void.
    order: VecDeque<(Box<str>, u64, Instant)>,
    /// Verifications from before this generation are void.
    floor: u64,
}

impl KeyRevocations {
    /// `longest_flight` is how long a verification can take.
    pub(crate) fn new(longest_flight: Duration) -> Self {
        let needed_for = LONGEST_TTL + longest_flight;
        Self { generation: AtomicU64::new(0), recent: Mutex::default(), needed_for }
    }

    /// The number of revocations so far. One load.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn revoke(&self, id: &str, now: Instant) {
        self.change(|recent, generation| {
            while let Some((oldest, of, at)) = recent.order.front() {
                let is_old = now.saturating_duration_since(*at) > self.needed_for;
                if !is_old && recent.order.len() < MOST {
                    break;
                }
                if recent.of.get(oldest) == Some(of) {
                    // If it is old, no verification from before it is held any more.
                    recent.floor = if is_old { recent.floor } else { *of };
                    recent.of.remove(oldest);
                }
                recent.order.pop_front();
            }
            recent.of.insert(id.into(), generation);
            recent.order.push_back((id.into(), generation, now));
        });
    }

    pub(crate) fn revoke_all(&self) {
        self.change(|recent, generation| {
            *recent = Recent { floor: generation, ..Recent::default() };
        });
    }

    fn change(&self, change: impl FnOnce(&mut Recent, u64)) {
        let mut recent = lock(&self.recent);
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        change(&mut recent, generation);
        // Last, and under the lock: a check that sees this generation finds the revocation.
        self.generation.store(generation, Ordering::Release);
    }

    /// Whether one of these ids was revoked after a verification that started in the generation `since`.
    pub(crate) fn void<'a>(&self, since: u64, mut ids: impl Iterator<Item = &'a str>) -> bool {
        let recent = lock(&self.recent);
        since < recent.floor || ids.any(|id| recent.of.get(id).is_some_and(|revoked| *revoked > since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn t6_a_revocation_voids_what_was_verified_before_it_and_nothing_else() {
        let revocations = KeyRevocations::new(SECOND);
        let since = revocations.generation();
        revocations.revoke("user_1", Instant::now());
        assert!(revocations.void(since, ["ak_1", "user_1"].into_iter()));
        assert!(!revocations.void(since, ["ak_2", "user_2"].into_iter()));
        let since = revocations.generation();
        assert!(!revocations.void(since, ["user_1"].into_iter()), "verified after it");
        revocations.revoke_all();
        assert!(revocations.void(since, std::iter::empty()));
        assert!(!revocations.void(revocations.generation(), ["user_1"].into_iter()));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_revocations_are_bounded_and_one_too_many_voids_all_from_before_the_oldest() {
        let revocations = KeyRevocations::new(SECOND);
        let since = revocations.generation();
        for number in 0..MOST {
            revocations.revoke(&number.to_string(), Instant::now());
        }
        let stranger = || revocations.void(since, ["stranger"].into_iter());
        assert!(!stranger(), "all are kept");
        revocations.revoke("one too many", Instant::now());
        assert!(stranger());
        // Old ones are dropped, and void nothing.
        let since = revocations.generation();
        tokio::time::advance(LONGEST_TTL + 2 * SECOND).await;
        revocations.revoke("later", Instant::now());
        let recent = lock(&revocations.recent);
        assert_eq!((recent.of.len(), recent.order.len()), (1, 1));
        assert!(recent.floor <= since);
    }
}
