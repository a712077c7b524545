//! Recent revocations, for the flights that started before them, and the marks that held tokens compare with (rule K9).
//!
//! A revocation removes what is stored. It can't find the flights that are under way, since a sign-in doesn't know its
//! user before Clerk answers. So each flight carries the generation of its start, and compares its result with the
//! revocations since then before it stores it. Both happen under one lock: a flight either stores its result before a
//! revocation, which then finds it, or sees the revocation's tombstone.
//!
//! A revocation of an organization or of a membership can't remove all that is stored without a search. So each token
//! for an organization shares a mark with the others of its organization and of its membership, and the revocation sets
//! the mark. A use of a token loads its own marks: revocations of others cost it nothing, and it takes no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::weak_map::WeakMap;
use crate::recent::{Event, Recent};
use crate::sync::lock;

/// The slugs that are noted of one organization. More than one is a change of the slug already.
const MAX_SLUGS: usize = 2;

/// The target of a revocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    User(Arc<str>),
    Session(Arc<str>),
    /// A session's tokens, where the session itself stays.
    TokensOf(Arc<str>),
    Organization(Arc<str>),
    /// A user's tokens for an organization.
    Membership(Arc<str>, Arc<str>),
    /// The refusals of organizations to a user.
    Refusals(Arc<str>),
    /// The proofs that a user has given before an instant.
    Proofs(Arc<str>),
    /// The tokens for an organization or of a template that live longer than Clerk's default.
    LongLived,
    All,
}

/// The number of revocations at some point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Generation(u64);

/// The last revocation of a target that tokens are held for.
#[derive(Debug, Default)]
pub(crate) struct Mark {
    generation: AtomicU64,
    /// Of an organization: the slugs in the tokens that were minted since that revocation. There are two only while the
    /// organization is being renamed.
    slugs: Mutex<Vec<Box<str>>>,
}

impl Mark {
    /// Whether its target was revoked after `since`. One relaxed load, for the hot path.
    pub(crate) fn is_after(&self, since: Generation) -> bool {
        self.generation.load(Ordering::Relaxed) > since.0
    }

    /// Notes the slug in a new token of the organization.
    pub(crate) fn note_slug(&self, slug: &str) {
        let mut slugs = lock(&self.slugs);
        if slugs.len() < MAX_SLUGS && !slugs.iter().any(|known| **known == *slug) {
            slugs.push(slug.into());
        }
    }
}

/// The targets that a flight's result concerns.
pub(crate) struct Concerned {
    targets: Vec<Target>,
    /// A user's proof, by the instant of the password's comparison.
    proof: Option<(Target, Instant)>,
}

impl Concerned {
    pub(crate) fn user(id: &str) -> Self {
        Self { targets: vec![Target::All, Target::User(id.into())], proof: None }
    }

    pub(crate) fn and(mut self, target: Target) -> Self {
        self.targets.push(target);
        self
    }

    /// The proof that the user gave at `at`.
    pub(crate) fn and_proof(mut self, user: &str, at: Instant) -> Self {
        self.proof = Some((Target::Proofs(user.into()), at));
        self
    }
}

/// A change of a user that voids earlier proofs.
#[derive(Clone, Copy, Debug)]
struct Expiry {
    /// By Clerk's clock.
    changed: SystemTime,
    /// Proofs from before this instant are void.
    before: Instant,
}

/// The revocations of one engine.
#[derive(Debug)]
pub(crate) struct Revocations {
    /// The tombstones. Of proofs, with the change that voids them.
    recent: Mutex<Recent<Target, Option<Expiry>>>,
    generation: AtomicU64,
    /// The marks of targets that tokens are held for.
    marks: WeakMap<Target, Mark>,
    /// How long a flight can take, and so for how long a tombstone is needed.
    flight: Duration,
}

impl Revocations {
    /// `flight` is how long a flight can take.
    pub(crate) fn new(flight: Duration) -> Self {
        Self {
            recent: Mutex::new(Recent::new(flight)),
            generation: AtomicU64::new(0),
            marks: WeakMap::default(),
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

    /// The mark of a target, for a token to compare with.
    pub(crate) fn mark(&self, target: Target) -> Arc<Mark> {
        self.marks.get_or_insert(target, Mark::default)
    }

    /// Adds a tombstone, and sets the target's mark. The caller removes stored sessions and tokens after that, not
    /// before.
    pub(crate) fn revoke(&self, target: Target, now: Instant) {
        self.revoke_stored(target, now, || ());
    }

    /// Adds a tombstone like [`revoke`](Self::revoke), and has `remove` ask a store for the removal of what it keeps of the
    /// target.
    ///
    /// The store is asked first, so that a flight that begins after the tombstone finds nothing there, and both happen
    /// under the lock, so that no flight hands the store a record in between.
    pub(crate) fn revoke_stored<T>(&self, target: Target, now: Instant, remove: impl FnOnce() -> T) -> T {
        let mut recent = lock(&self.recent);
        let removed = remove();
        self.add(&mut recent, target, None, now);
        removed
    }

    /// Whether a change of a user from this time, or from a later one, has voided the user's proofs already. All proofs since
    /// then are of passwords that Clerk has compared after the change.
    pub(crate) fn knows_change(&self, user: &str, changed: SystemTime) -> bool {
        let recent = lock(&self.recent);
        let known = recent.get(&Target::Proofs(user.into())).and_then(|event| event.value);
        known.is_some_and(|known| changed <= known.changed)
    }

    /// Adds a tombstone for the proofs that a user has given before `before`, because of a change at `changed`. A store is
    /// asked to `remove` its own, as in [`revoke_stored`](Self::revoke_stored).
    pub(crate) fn expire_proofs<T>(
        &self,
        user: &str,
        changed: SystemTime,
        before: Instant,
        now: Instant,
        remove: impl FnOnce() -> T,
    ) -> T {
        let target = Target::Proofs(user.into());
        let mut recent = lock(&self.recent);
        let removed = remove();
        let known = recent.get(&target).and_then(|event| event.value);
        let before = known.map_or(before, |known| known.before.max(before));
        self.add(&mut recent, target, Some(Expiry { changed, before }), now);
        removed
    }

    fn add(
        &self,
        recent: &mut Recent<Target, Option<Expiry>>,
        target: Target,
        expiry: Option<Expiry>,
        now: Instant,
    ) {
        let generation = self.generation.fetch_add(1, Ordering::AcqRel) + 1;
        if let Some(mark) = self.marks.get(&target) {
            lock(&mark.slugs).clear();
            mark.generation.store(generation, Ordering::Release);
        }
        recent.put(target, Event { generation, at: now, value: expiry }, drop);
    }

    /// Whether a token is held for this organization that names it by another slug.
    pub(crate) fn knows_another_slug(&self, organization: &str, slug: Option<&str>) -> bool {
        let mark = self.marks.get(&Target::Organization(organization.into()));
        mark.is_some_and(|mark| lock(&mark.slugs).iter().any(|known| Some(&**known) != slug))
    }

    /// Stores a flight's result, unless a target that it concerns was revoked since the flight started.
    pub(crate) fn store_unless_revoked<T>(
        &self,
        since: Generation,
        concerned: &Concerned,
        store: impl FnOnce() -> T,
    ) -> Option<T> {
        let recent = lock(&self.recent);
        let since = since.0;
        let has_expired = |(target, at): &(Target, Instant)| {
            let expired = recent.get(target).filter(|event| event.generation > since);
            expired.and_then(|event| event.value).is_some_and(|expiry| *at < expiry.before)
        };
        let is_revoked = recent.has_forgotten_since(since)
            || concerned.targets.iter().any(|target| recent.is_after(target, since))
            || concerned.proof.as_ref().is_some_and(has_expired);
        // Still under the lock, so that no revocation can happen in between.
        if is_revoked { None } else { Some(store()) }
    }

    #[cfg(test)]
    pub(super) fn while_locked<T>(&self, run: impl FnOnce() -> T) -> T {
        let _recent = lock(&self.recent);
        self.marks.while_locked(run)
    }

    /// Whether a target was revoked since the flight started.
    pub(crate) fn is_revoked(&self, since: Generation, concerned: &Concerned) -> bool {
        self.store_unless_revoked(since, concerned, || ()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recent::MOST;

    fn user(id: &str) -> Target {
        Target::User(id.into())
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_flight_from_before_a_revocation_stores_nothing() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let before = revocations.now();
        revocations.revoke(user("jane"), Instant::now());
        let stored = |since, of: &str| revocations.store_unless_revoked(since, &Concerned::user(of), || 1);
        assert_eq!(stored(before, "jane"), None);
        assert_eq!(stored(before, "bob"), Some(1));
        assert_eq!(stored(revocations.now(), "jane"), Some(1));
        revocations.revoke(Target::All, Instant::now());
        assert_eq!(stored(before, "bob"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn k9_each_target_concerns_its_own_flights() {
        let target = |kind: usize, id: &str| match kind {
            0 => Target::User(id.into()),
            1 => Target::Session(id.into()),
            2 => Target::TokensOf(id.into()),
            3 => Target::Organization(id.into()),
            4 => Target::Membership(id.into(), "acme".into()),
            5 => Target::Membership("user".into(), id.into()),
            _ => Target::Refusals(id.into()),
        };
        for revoked in 0..7 {
            let revocations = Revocations::new(Duration::from_secs(5));
            let before = revocations.now();
            revocations.revoke(target(revoked, "id"), Instant::now());
            for asked in 0..7 {
                for id in ["id", "other"] {
                    let concerned = Concerned::user("nobody").and(target(asked, id));
                    let is_it = (asked, id) == (revoked, "id");
                    assert_eq!(revocations.is_revoked(before, &concerned), is_it, "{revoked} {asked} {id}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn w6_as_many_revocations_of_strangers_as_are_remembered_void_no_flight() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let (before, bob) = (revocations.now(), Concerned::user("bob"));
        let revoke = |count: usize| revocations.revoke(user(&format!("user-{count}")), Instant::now());
        (0..MOST).for_each(revoke);
        assert!(!revocations.is_revoked(before, &bob));
        // The first one that is forgotten might have been Bob's.
        revoke(MOST);
        assert!(revocations.is_revoked(before, &bob));
        assert!(!revocations.is_revoked(revocations.now(), &bob));
        assert_eq!(lock(&revocations.recent).len(), MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_tombstone_lasts_as_long_as_a_flight_can_take() {
        let revocations = Revocations::new(Duration::from_secs(5));
        revocations.revoke(user("jane"), Instant::now());
        tokio::time::advance(Duration::from_secs(6)).await;
        revocations.revoke(user("bob"), Instant::now());
        assert_eq!(lock(&revocations.recent).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_flight_that_outlives_a_tombstone_stores_nothing() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let (before, jane) = (revocations.now(), Concerned::user("jane"));
        revocations.revoke(user("jane"), Instant::now());
        tokio::time::advance(Duration::from_secs(6)).await;
        let after = revocations.now();
        revocations.revoke(user("bob"), Instant::now());
        assert!(revocations.is_revoked(before, &jane));
        assert!(!revocations.is_revoked(after, &jane));
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_tombstone_of_proofs_concerns_those_given_before_its_time() {
        let revocations = Revocations::new(Duration::from_secs(60));
        let (start, since) = (Instant::now(), revocations.now());
        let second = Duration::from_secs(1);
        tokio::time::advance(10 * second).await;
        let has_expired = |at: u32| {
            let proof = Concerned::user("jane").and_proof("jane", start + at * second);
            revocations.is_revoked(since, &proof)
        };
        let wall = |at: u32| SystemTime::UNIX_EPOCH + at * second;
        let expire = |before: u32| {
            if !revocations.knows_change("jane", wall(before)) {
                revocations.expire_proofs(
                    "jane",
                    wall(before),
                    start + before * second,
                    Instant::now(),
                    || (),
                );
            }
        };
        expire(4);
        assert!(has_expired(3) && !has_expired(4));
        // Known already.
        let known = revocations.now();
        expire(4);
        expire(2);
        assert_eq!(revocations.now(), known);
        assert!(has_expired(3) && !has_expired(4));
        expire(7);
        assert!(has_expired(6) && !has_expired(7));
        let bobs = Concerned::user("bob").and_proof("bob", start);
        assert!(!revocations.is_revoked(since, &bobs));
    }

    /// A flight that began before the tombstone is superseded, and one that begins after it comes after the removal.
    #[tokio::test(start_paused = true)]
    async fn k9_a_store_is_asked_for_a_removal_before_the_tombstone_and_under_its_lock() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let (before, jane) = (revocations.now(), Concerned::user("jane"));
        let is_free = || revocations.recent.try_lock().is_ok();
        let removal = || (revocations.now(), is_free());
        assert_eq!(revocations.revoke_stored(user("jane"), Instant::now(), removal), (before, false));
        assert!(is_free() && revocations.is_revoked(before, &jane));
        let (before, wall) = (revocations.now(), SystemTime::UNIX_EPOCH);
        let removal = || (revocations.now(), is_free());
        let (proof, now) = (jane.and_proof("jane", Instant::now()), Instant::now() + Duration::from_secs(1));
        assert_eq!(revocations.expire_proofs("jane", wall, now, now, removal), (before, false));
        assert!(is_free() && revocations.is_revoked(before, &proof));
    }

    /// Tokens are held for longer than tombstones.
    #[tokio::test(start_paused = true)]
    async fn k9_a_mark_outlives_the_tombstone_and_is_one_for_all_tokens_of_its_target() {
        let revocations = Revocations::new(Duration::from_secs(5));
        let acme = || revocations.mark(Target::Organization("acme".into()));
        let globex = revocations.mark(Target::Organization("globex".into()));
        let (mark, before) = (acme(), revocations.now());
        assert!(!mark.is_after(before));
        revocations.revoke(Target::Organization("acme".into()), Instant::now());
        tokio::time::advance(Duration::from_secs(3600)).await;
        (0..3 * MOST).for_each(|at| revocations.revoke(user(&at.to_string()), Instant::now()));
        let between = revocations.now();
        assert!(mark.is_after(before) && !mark.is_after(between) && Arc::ptr_eq(&mark, &acme()));
        assert!(!globex.is_after(before));
    }
}
