//! Recent revocations, for the flights that started before them (rule K9).
//!
//! A revocation removes what is stored. It can't find the flights that are under way, since a sign-in doesn't know its
//! user before Clerk answers. So each flight carries the generation of its start, and compares its result with the
//! revocations since then before it stores it. Both happen under one lock: a flight either stores its result before a
//! revocation, which then removes it, or sees the revocation.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// Revocations remembered for flights. Beyond that the oldest are dropped, and void every flight that started before
/// them.
const MAX_TOMBSTONES: usize = 1024;

/// The target of a revocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    User(Box<str>),
    Session(Box<str>),
    Organization(Box<str>),
    /// The proofs that a user has given before an instant.
    Proofs(Box<str>, Instant),
    All,
}

/// The number of revocations at some point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// The revocations of one engine.
#[derive(Debug)]
pub(crate) struct Revocations {
    recent: Mutex<Recent>,
    generation: AtomicU64,
    /// The generation of the last revocation of any organization. Each use of an organization's token compares with it.
    organizations: AtomicU64,
    /// How long a flight can take, and so for how long a tombstone is needed.
    flight: Duration,
}

#[derive(Debug, Default)]
struct Recent {
    tombstones: VecDeque<(Generation, Instant, Target)>,
    /// Flights that started before this generation are all void.
    forgotten: u64,
    /// The generation in which each organization was last revoked. It outlives the tombstones, since a token for the
    /// organization may be stored for as long as its session lives.
    organizations: HashMap<Box<str>, u64>,
    /// Tokens of an earlier generation are void for every organization.
    organizations_forgotten: u64,
}

impl Revocations {
    /// `flight` is how long a flight can take.
    pub(crate) fn new(flight: Duration) -> Self {
        Self {
            recent: Mutex::default(),
            generation: AtomicU64::new(0),
            organizations: AtomicU64::new(0),
            flight,
        }
    }

    pub(crate) fn longest_flight(&self) -> Duration {
        self.flight
    }

    /// The generation that a flight starts in.
    pub(crate) fn now(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Adds a tombstone. The caller removes stored sessions and tokens after that, not before.
    pub(crate) fn revoke(&self, target: Target, now: Instant) {
        let mut recent = lock(&self.recent);
        if let Target::Proofs(user, before) = &target
            && recent
                .tombstones
                .iter()
                .any(|(_, _, it)| matches!(it, Target::Proofs(of, b) if of == user && b >= before))
        {
            // A flight that started after that one's tombstone has proven its password after this one's time.
            return;
        }
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        if let Target::Organization(id) = &target {
            if recent.organizations.len() >= MAX_TOMBSTONES {
                recent.organizations.clear();
                recent.organizations_forgotten = generation;
            }
            recent.organizations.insert(id.clone(), generation);
            self.organizations.store(generation, Ordering::Release);
        }
        // A forgotten tombstone voids every flight from before it. If it is older than a flight can take, there is no
        // such flight; otherwise there were too many revocations to be precise.
        while recent.tombstones.len() >= MAX_TOMBSTONES
            || recent.tombstones.front().is_some_and(|(_, at, _)| now - *at > self.flight)
        {
            let Some((Generation(oldest), ..)) = recent.tombstones.pop_front() else { break };
            recent.forgotten = oldest;
        }
        recent.tombstones.push_back((Generation(generation), now, target));
    }

    /// Stores a flight's result, unless a target that it `concerns` was revoked since the flight started.
    pub(crate) fn store_unless_revoked<T>(
        &self,
        since: Generation,
        concerns: impl Fn(&Target) -> bool,
        store: impl FnOnce() -> T,
    ) -> Option<T> {
        let recent = lock(&self.recent);
        let revoked = since.0 < recent.forgotten
            || recent
                .tombstones
                .iter()
                .rev()
                .take_while(|(generation, ..)| *generation > since)
                .any(|(_, _, target)| *target == Target::All || concerns(target));
        // Still under the lock, so that no revocation can happen in between.
        if revoked { None } else { Some(store()) }
    }

    /// Whether this organization was revoked after `since`.
    pub(crate) fn organization_since(&self, id: &str, since: Generation) -> bool {
        let recent = lock(&self.recent);
        let last = recent.organizations.get(id).copied().unwrap_or(recent.organizations_forgotten);
        last.max(recent.organizations_forgotten) > since.0
    }

    /// Whether any organization was revoked after `since`. One relaxed load, for the hot path.
    pub(crate) fn organizations_since(&self, since: Generation) -> bool {
        self.organizations.load(Ordering::Relaxed) > since.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(id: &str) -> Target {
        Target::User(id.into())
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_flight_from_before_a_revocation_stores_nothing() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let before = revocations.now();
        revocations.revoke(user("jane"), Instant::now());
        let of = |name: &'static str| move |target: &Target| *target == user(name);
        assert_eq!(revocations.store_unless_revoked(before, of("jane"), || 1), None);
        assert_eq!(revocations.store_unless_revoked(before, of("bob"), || 1), Some(1));
        assert_eq!(revocations.store_unless_revoked(revocations.now(), of("jane"), || 1), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn k9_more_revocations_than_are_remembered_void_every_earlier_flight() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let before = revocations.now();
        for count in 0..=MAX_TOMBSTONES {
            revocations.revoke(user(&format!("user-{count}")), Instant::now());
        }
        let of_no_user = |_: &Target| false;
        assert_eq!(revocations.store_unless_revoked(before, of_no_user, || 1), None);
        assert_eq!(revocations.store_unless_revoked(revocations.now(), of_no_user, || 1), Some(1));
        assert_eq!(lock(&revocations.recent).tombstones.len(), MAX_TOMBSTONES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tombstone_lasts_as_long_as_a_flight_can_take() {
        let revocations = Revocations::new(Duration::from_secs(5));
        revocations.revoke(user("jane"), Instant::now());
        tokio::time::advance(Duration::from_secs(6)).await;
        revocations.revoke(user("bob"), Instant::now());
        assert_eq!(lock(&revocations.recent).tombstones.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_flight_that_outlives_a_tombstone_stores_nothing() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let before = revocations.now();
        revocations.revoke(user("jane"), Instant::now());
        tokio::time::advance(Duration::from_secs(6)).await;
        let after = revocations.now();
        revocations.revoke(user("bob"), Instant::now());
        let of_jane = |target: &Target| *target == user("jane");
        assert_eq!(revocations.store_unless_revoked(before, of_jane, || 1), None);
        assert_eq!(revocations.store_unless_revoked(after, of_jane, || 1), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn k9_organizations_are_remembered_longer_than_flights() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let before = revocations.now();
        assert!(!revocations.organizations_since(before));
        revocations.revoke(Target::Organization("acme".into()), Instant::now());
        tokio::time::advance(Duration::from_secs(3600)).await;
        revocations.revoke(user("bob"), Instant::now());
        let between = revocations.now();
        assert!(revocations.organizations_since(before));
        assert!(revocations.organization_since("acme", before));
        assert!(!revocations.organization_since("acme", between));
        assert!(!revocations.organization_since("globex", before));
        // With more revocations than are remembered, earlier tokens are void for every organization.
        for count in 0..=MAX_TOMBSTONES {
            revocations.revoke(Target::Organization(format!("org-{count}").into()), Instant::now());
        }
        assert!(revocations.organization_since("globex", between));
        assert!(!revocations.organization_since("globex", revocations.now()));
    }
}
