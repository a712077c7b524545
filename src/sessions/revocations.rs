//! What was revoked a moment ago, for the flights that started before it (rule K9).
//!
//! A revocation removes what is stored. What is under way can't be found by then, since a sign-in doesn't know its
//! user before it is answered; so each flight carries the generation of its start, and before its result is stored it
//! is held against what was revoked since. Both happen under one lock: a flight either stores before a revocation,
//! which then finds it, or sees it.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// Revocations remembered for flights. Over that, the oldest concern every flight that started before them.
const MAX_TOMBSTONES: usize = 1024;

/// What a revocation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    User(Box<str>),
    Session(Box<str>),
    Organization(Box<str>),
    /// What a user has proven before an instant.
    Proofs(Box<str>, Instant),
    All,
}

/// The count of revocations at some point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// The revocations of one engine.
#[derive(Debug)]
pub(crate) struct Revocations {
    recent: Mutex<Recent>,
    generation: AtomicU64,
    /// The generation of the last revocation of an organization: what tokens for organizations are held against on
    /// each use.
    organizations: AtomicU64,
    /// How long a flight can take, and so how long a tombstone must stand.
    flight: Duration,
}

#[derive(Debug, Default)]
struct Recent {
    tombstones: VecDeque<(Generation, Instant, Target)>,
    /// Flights that started before this generation are all concerned.
    forgotten: u64,
    /// When an organization was last revoked. Tokens for it live on elsewhere for as long as a session does, so
    /// this outlives the tombstones.
    organizations: HashMap<Box<str>, u64>,
    /// Tokens for any organization from before this generation are void.
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

    /// The generation that a flight starts in.
    pub(crate) fn now(&self) -> Generation {
        Generation(self.generation.load(Ordering::Acquire))
    }

    /// Puts a tombstone up. What is stored is removed after that, by who revokes.
    pub(crate) fn revoke(&self, target: Target, now: Instant) {
        let mut recent = lock(&self.recent);
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        if let Target::Organization(id) = &target {
            if recent.organizations.len() >= MAX_TOMBSTONES {
                recent.organizations.clear();
                recent.organizations_forgotten = generation;
            }
            recent.organizations.insert(id.clone(), generation);
            self.organizations.store(generation, Ordering::Release);
        }
        // What is forgotten concerns every flight from before it: of those there are none left where it stood as long as
        // a flight can take, or else too many revocations for a closer look.
        while recent.tombstones.len() >= MAX_TOMBSTONES
            || recent.tombstones.front().is_some_and(|(_, at, _)| now - *at > self.flight)
        {
            let Some((Generation(oldest), ..)) = recent.tombstones.pop_front() else { break };
            recent.forgotten = oldest;
        }
        recent.tombstones.push_back((Generation(generation), now, target));
    }

    /// Stores a flight's result, unless something that it `concerns` was revoked since its start.
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
        // Still under the lock: no revocation can come in between.
        if revoked { None } else { Some(store()) }
    }

    /// Whether this organization was revoked since.
    pub(crate) fn organization_since(&self, id: &str, since: Generation) -> bool {
        let recent = lock(&self.recent);
        let last = recent.organizations.get(id).copied().unwrap_or(recent.organizations_forgotten);
        last.max(recent.organizations_forgotten) > since.0
    }

    /// Whether any organization was revoked since; one relaxed look.
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
    async fn k9_more_revocations_than_are_kept_concern_every_flight_from_before_them() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let before = revocations.now();
        for count in 0..=MAX_TOMBSTONES {
            revocations.revoke(user(&format!("user-{count}")), Instant::now());
        }
        let of_nobody = |_: &Target| false;
        assert_eq!(revocations.store_unless_revoked(before, of_nobody, || 1), None);
        assert_eq!(revocations.store_unless_revoked(revocations.now(), of_nobody, || 1), Some(1));
        assert_eq!(lock(&revocations.recent).tombstones.len(), MAX_TOMBSTONES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tombstone_stands_for_one_flight() {
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
        // More of them than are kept: tokens of any organization from before are void.
        for count in 0..=MAX_TOMBSTONES {
            revocations.revoke(Target::Organization(format!("org-{count}").into()), Instant::now());
        }
        assert!(revocations.organization_since("globex", between));
        assert!(!revocations.organization_since("globex", revocations.now()));
    }
}
