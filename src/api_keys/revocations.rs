//! Revocations as they concern API keys: nothing that was verified before one is accepted (rule T6).

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::settings::LONGEST_TTL;
use crate::recent::{Event, Recent};
use crate::sync::lock;

/// The revocations of ids: of keys, users and organizations, whose prefixes differ.
///
/// A verification carries the generation of its start, so a revocation also reaches those that are under way. Of the
/// [kept](crate::recent::MOST) ones the oldest is dropped, and every key from before it has to be verified again.
pub(crate) struct KeyRevocations {
    /// Grows with each revocation.
    generation: AtomicU64,
    /// The last revocation of each id, and with the id `None` that of all.
    recent: Mutex<Recent<Option<Box<str>>>>,
}

impl KeyRevocations {
    /// `longest_flight` is how long a verification can take.
    pub(crate) fn new(longest_flight: Duration) -> Self {
        let recent = Mutex::new(Recent::new(LONGEST_TTL + longest_flight));
        Self { generation: AtomicU64::new(0), recent }
    }

    /// The number of revocations so far. One load.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    pub(crate) fn revoke(&self, id: &str, now: Instant) {
        self.put(Some(id.into()), now);
    }

    pub(crate) fn revoke_all(&self, now: Instant) {
        self.put(None, now);
    }

    fn put(&self, id: Option<Box<str>>, now: Instant) {
        let mut recent = lock(&self.recent);
        let generation = self.generation.load(Ordering::Relaxed) + 1;
        recent.put(id, Event { generation, at: now, value: () }, drop);
        // Last, and under the lock: a check that sees this generation finds the revocation.
        self.generation.store(generation, Ordering::Release);
    }

    /// Whether one of these ids was revoked after a verification that started in the generation `since`.
    pub(crate) fn void<'a>(&self, since: u64, mut ids: impl Iterator<Item = &'a str>) -> bool {
        let recent = lock(&self.recent);
        recent.is_after(&None, since) || ids.any(|id| recent.is_after(&Some(id.into()), since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recent::MOST;

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
        revocations.revoke_all(Instant::now());
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
        // Old ones are dropped, and void nothing that is held.
        tokio::time::advance(LONGEST_TTL + 2 * SECOND).await;
        revocations.revoke("later", Instant::now());
        assert_eq!(lock(&revocations.recent).len(), 1);
        assert!(!revocations.void(revocations.generation() - 1, ["stranger"].into_iter()));
    }
}
