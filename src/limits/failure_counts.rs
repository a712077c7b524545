//! Failed attempts: calls stop before Clerk locks the account (rule P3).
//!
//! There are two separate counts. Failures that *reached* Clerk decide whether Clerk is called. They are counted per
//! user if the user is known, since Clerk locks users. Those *seen here* with an identifier decide the rejection, whatever
//! Clerk knows of it, so that known, unknown, locked and banned accounts get the same answers.

mod of_all;

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::failure_count::Count;
use super::forgiven::{Epoch, Forgiven};
use super::grounds::Ground;
use super::shared::{Lift, SharedFailures};
use crate::key::{IdentifierKey, PassThrough};
use crate::sync::lock;

/// How many users and identifiers have their failures at Clerk remembered (rule K7): this many that Clerk has
/// confirmed, and as many that may be made up.
const MAX_REACHED: u64 = 100_000;

/// How many identifiers have their attempts counted for the rejection (rule K7).
const MAX_SEEN: u64 = 10_000;

/// How much a refusal says about the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The account may not exist.
    Unconfirmed,
    /// The account exists.
    Confirmed,
    /// The account exists, and Clerk has locked it.
    Locked,
    /// The account exists, and its user is banned.
    Banned,
}

/// The rejection of an attempt that must not reach Clerk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Reject as if Clerk had refused the credentials, since the identifier has free attempts left. The ground is that of
    /// the pause: [`Locked`](Ground::Locked) if there is none but for Clerk's lock.
    Rejected(Ground),
    /// Reject with 429 for this long.
    Throttled(Duration),
}

/// The failures of one engine.
///
/// Failures that reached Clerk are counted in two caches with separate bounds, so that made-up identifiers never evict
/// the count of an existing account.
pub(crate) struct FailureCounts {
    /// Failures of users, and of identifiers that Clerk has confirmed.
    confirmed: Counts,
    /// Failures of identifiers that may be made up.
    unconfirmed: Counts,
    /// FailureCounts seen here, whether or not they reached Clerk.
    seen: Counts,
    /// The user of an identifier, once a sign-in or a look-up has told it.
    users: Cache<IdentifierKey, IdentifierKey, PassThrough>,
    forgiven: Arc<Forgiven>,
    /// The failures of all processes.
    shared: OnceLock<Arc<dyn SharedFailures>>,
}

type Counts = Cache<IdentifierKey, Arc<Mutex<Count>>, PassThrough>;

impl FailureCounts {
    pub(crate) fn new(forgiven: Arc<Forgiven>) -> Self {
        let counts = |most| {
            Cache::builder()
                .max_capacity(most)
                .eviction_policy(EvictionPolicy::lru())
                .build_with_hasher(PassThrough::default())
        };
        let users = Cache::builder()
            .max_capacity(MAX_REACHED)
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self {
            confirmed: counts(MAX_REACHED),
            unconfirmed: counts(MAX_REACHED),
            seen: counts(MAX_SEEN),
            users,
            forgiven,
            shared: OnceLock::new(),
        }
    }

    /// Whether this identifier may be sent to Clerk. Callers check before they join the queue, and again before the
    /// call.
    ///
    /// # Errors
    ///
    /// Returns the rejection if the identifier is paused. This counts as an attempt seen here, unless the rejection is
    /// a 429.
    pub(crate) fn may_ask(&self, identifier: IdentifierKey, now: Instant) -> Result<(), Pause> {
        if let Some((left, _)) = self.left(&self.seen, identifier, now) {
            return Err(Pause::Throttled(left));
        }
        if let Some((_, ground)) = self.reached_left(self.subject(identifier), now) {
            self.refused_unasked(identifier, self.forgiven.now(), now);
            return Err(Pause::Rejected(ground));
        }
        Ok(())
    }

    /// Whether [`may_ask`](Self::may_ask) would return an error. Counts nothing.
    pub(crate) fn is_paused(&self, identifier: IdentifierKey, now: Instant) -> bool {
        self.left(&self.seen, identifier, now).is_some()
            || self.reached_left(self.subject(identifier), now).is_some()
    }

    /// Records the user of an identifier. Returns whether that user's failures forbid a further call with a password.
    pub(crate) fn is_of(&self, identifier: IdentifierKey, user: IdentifierKey, now: Instant) -> bool {
        if let Some(shared) = self.shared.get()
            && self.users.get(&identifier) != Some(user)
        {
            shared.found(identifier, user);
        }
        self.users.insert(identifier, user);
        self.reached_left(user, now).is_some()
    }

    /// Counts an attempt that was rejected without a call to Clerk, from a sign-in that began at `since`.
    pub(crate) fn refused_unasked(&self, identifier: IdentifierKey, since: Epoch, now: Instant) {
        self.see(identifier, self.is_lifted(identifier, since), now);
    }

    /// Counts an attempt seen here.
    fn see(&self, identifier: IdentifierKey, is_lifted: bool, now: Instant) {
        let count = self.seen.get_with(identifier, Arc::default);
        let mut count = lock(&count);
        if is_lifted { count.fail_without_pause() } else { count.fail(now) }
    }

    /// Counts a refusal of a sign-in that began at `since`. `warned` tells whether Clerk has warned that it is about to
    /// lock the account.
    pub(crate) fn failed(
        &self,
        identifier: IdentifierKey,
        failure: Failure,
        warned: bool,
        since: Epoch,
        now: Instant,
    ) {
        let keys = [identifier, self.subject(identifier)];
        let has_lifted = |ground| keys.iter().any(|key| self.forgiven.has_lifted(*key, ground, since));
        let reached = self.reached(identifier, failure != Failure::Unconfirmed);
        // `lift` marks the identifier before it takes this lock, so either the mark is seen here, or `lift` finds the
        // pause that is set here.
        let mut reached = lock(&reached);
        let is_lifted =
            self.is_lifted(identifier, since) || (failure == Failure::Banned && has_lifted(Ground::Banned));
        self.see(identifier, is_lifted, now);
        if is_lifted {
            reached.fail_without_pause();
        } else {
            reached.refused(failure, warned, now);
            if failure == Failure::Locked && has_lifted(Ground::Locked) {
                reached.lift_lock();
            }
        }
        if let Some(shared) = self.shared.get() {
            shared.failed(self.subject(identifier), failure, warned, reached.failures());
        }
    }

    /// Whether the pauses of an identifier, or of its user, were lifted after `since`.
    fn is_lifted(&self, identifier: IdentifierKey, since: Epoch) -> bool {
        self.forgiven.is_void(identifier, since) || self.forgiven.is_void(self.subject(identifier), since)
    }

    /// Lifts the pause at hand of an identifier and of its user, and voids the denials of the identifier (rule K11). The
    /// counts stay, both of them, so that the answers to the next failures are those of any other identifier with as
    /// many attempts.
    pub(crate) fn lift(&self, identifier: IdentifierKey) {
        let subject = self.subject(identifier);
        self.lift_shared([identifier, subject], Lift::All);
        self.forgiven.forgive([identifier, subject]);
        for (counts, of) in [
            (&self.seen, identifier),
            (&self.confirmed, identifier),
            (&self.confirmed, subject),
            (&self.unconfirmed, identifier),
            (&self.unconfirmed, subject),
        ] {
            if let Some(count) = counts.get(&of) {
                let mut count = lock(&count);
                count.lift_pause();
                count.lift_lock();
            }
        }
    }

    /// Lifts the pause for Clerk's lock of a user, by the keys of the user and of the user's identifiers, and voids the
    /// denials for the lock. Pauses that failures have begun stay, and so do the counts.
    pub(crate) fn lift_lock(&self, keys: impl IntoIterator<Item = IdentifierKey>, now: Instant) {
        for key in keys {
            self.lift_shared([key], Lift::Lock);
            self.forgiven.lift(key, Ground::Locked, now);
            if let Some(count) = self.confirmed.get(&key) {
                lock(&count).lift_lock();
            }
        }
    }

    /// Lifts the pauses that refusals because of a ban have begun, by the keys of the user's identifiers, and voids the
    /// denials because of it. The counts stay. If the last refusal was that of a password, nothing is lifted: no guess is
    /// gained, as Clerk has judged none of those that met the ban.
    pub(crate) fn lift_ban(&self, identifiers: &[IdentifierKey], now: Instant) {
        let mut was_banned = false;
        for identifier in identifiers {
            self.lift_shared([*identifier, self.subject(*identifier)], Lift::Ban);
            self.forgiven.lift(*identifier, Ground::Banned, now);
            for key in [*identifier, self.subject(*identifier)] {
                was_banned |= self.confirmed.get(&key).is_some_and(|count| lock(&count).lift_ban());
            }
        }
        for count in identifiers.iter().filter(|_| was_banned).filter_map(|key| self.seen.get(key)) {
            lock(&count).lift_pause();
        }
    }

    /// Clears the failures of a user after a successful sign-in, under this identifier and the `others` of the user.
    pub(crate) fn succeeded(
        &self,
        identifier: IdentifierKey,
        user: IdentifierKey,
        others: impl IntoIterator<Item = IdentifierKey>,
    ) {
        self.seen.invalidate(&identifier);
        let mut own = Vec::new();
        self.forget(user);
        // The identifier of this sign-in is certainly this user's. Another user may have signed in with one of the
        // others.
        self.forget(identifier);
        self.users.insert(identifier, user);
        for identifier in others {
            if self.users.get(&identifier).is_none_or(|known| known == user) {
                self.forget(identifier);
                self.users.insert(identifier, user);
                own.push(identifier);
            }
        }
        if let Some(shared) = self.shared.get() {
            shared.succeeded(identifier, user, &own);
        }
    }

    /// The approximate number of identifiers and users with failures.
    pub(crate) fn len(&self) -> u64 {
        self.confirmed.entry_count() + self.unconfirmed.entry_count()
    }

    /// The user of an identifier if known, otherwise the identifier itself.
    pub(crate) fn subject(&self, identifier: IdentifierKey) -> IdentifierKey {
        self.users.get(&identifier).unwrap_or(identifier)
    }

    /// The count of the failures at Clerk of an identifier's user, or of the identifier itself. `confirmed` tells
    /// whether Clerk has just confirmed that the account exists.
    fn reached(&self, identifier: IdentifierKey, confirmed: bool) -> Arc<Mutex<Count>> {
        let subject = self.subject(identifier);
        let is_user = subject != identifier;
        if !confirmed && !is_user && !self.confirmed.contains_key(&subject) {
            return self.unconfirmed.get_with(subject, Arc::default);
        }
        self.confirmed.get_with(subject, || self.unconfirmed.remove(&subject).unwrap_or_default())
    }

    /// The pause after failures at Clerk, if there is one.
    fn reached_left(&self, subject: IdentifierKey, now: Instant) -> Option<(Duration, Ground)> {
        let confirmed = self.left(&self.confirmed, subject, now);
        confirmed.or_else(|| self.left(&self.unconfirmed, subject, now))
    }

    fn forget(&self, subject: IdentifierKey) {
        self.confirmed.invalidate(&subject);
        self.unconfirmed.invalidate(&subject);
    }

    fn left(&self, counts: &Counts, of: IdentifierKey, now: Instant) -> Option<(Duration, Ground)> {
        lock(&*counts.get(&of)?).pause_left(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySecret;

    const MINUTE: Duration = Duration::from_secs(60);

    impl FailureCounts {
        /// moka updates its entry count lazily.
        fn run_pending_tasks(&self) {
            self.confirmed.run_pending_tasks();
            self.unconfirmed.run_pending_tasks();
        }
    }

    fn counts() -> FailureCounts {
        FailureCounts::new(Arc::new(Forgiven::new(MINUTE)))
    }

    fn id(name: &str) -> IdentifierKey {
        KeySecret::from([7; 32]).identifier(name)
    }

    fn wrong(attempts: &FailureCounts, name: &str) -> Result<(), Pause> {
        let now = Instant::now();
        attempts
            .may_ask(id(name), now)
            .inspect(|()| attempts.failed(id(name), Failure::Confirmed, false, attempts.forgiven.now(), now))
    }

    #[tokio::test(start_paused = true)]
    async fn k11_a_lifted_pause_is_over_and_the_next_failure_pauses_for_longer() {
        let attempts = counts();
        for minutes in [10, 20] {
            while wrong(&attempts, "jane").is_ok() {}
            assert_eq!(wrong(&attempts, "jane"), Err(Pause::Throttled(minutes * MINUTE)));
            assert!(attempts.is_paused(id("jane"), Instant::now()));
            attempts.lift(id("jane"));
            assert!(!attempts.is_paused(id("jane"), Instant::now()));
        }
        // A failure of a sign-in from before the lift counts, without a pause.
        let since = attempts.forgiven.now();
        attempts.lift(id("jane"));
        attempts.failed(id("jane"), Failure::Locked, true, since, Instant::now());
        assert!(!attempts.is_paused(id("jane"), Instant::now()));
        assert_eq!(wrong(&attempts, "jane"), Ok(()));
        assert_eq!(wrong(&attempts, "jane"), Err(Pause::Throttled(80 * MINUTE)));
    }

    #[tokio::test(start_paused = true)]
    async fn k11_a_lift_of_one_identifier_ends_the_pause_of_its_user() {
        let attempts = counts();
        attempts.is_of(id("jane"), id("user"), Instant::now());
        attempts.is_of(id("jane@example.com"), id("user"), Instant::now());
        while wrong(&attempts, "jane").is_ok() {}
        assert_eq!(
            attempts.may_ask(id("jane@example.com"), Instant::now()),
            Err(Pause::Rejected(Ground::Other))
        );
        attempts.lift(id("jane@example.com"));
        assert_eq!(attempts.may_ask(id("jane@example.com"), Instant::now()), Ok(()));
        let own = attempts.may_ask(id("jane"), Instant::now());
        assert!(matches!(own, Err(Pause::Throttled(_))), "its own attempts stay paused");
        // A sign-in that was under way by another identifier of the user begins no pause either.
        let since = attempts.forgiven.now();
        attempts.lift(id("jane"));
        attempts.failed(id("jane@example.com"), Failure::Locked, true, since, Instant::now());
        assert_eq!(attempts.may_ask(id("jane@example.com"), Instant::now()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn p3_three_are_free_and_each_further_one_doubles_the_pause() {
        let attempts = counts();
        for _ in 0..4 {
            assert_eq!(wrong(&attempts, "jane"), Ok(()));
        }
        for minutes in [10, 20, 40, 80] {
            assert_eq!(wrong(&attempts, "jane"), Err(Pause::Throttled(minutes * MINUTE)));
            tokio::time::advance(minutes * MINUTE).await;
            assert_eq!(wrong(&attempts, "jane"), Ok(()), "after {minutes} min");
        }
        // That was the eighth failure: two are left until Clerk locks the account.
        tokio::time::advance(160 * MINUTE).await;
        assert_eq!(
            wrong(&attempts, "jane"),
            Err(Pause::Rejected(Ground::Other)),
            "Clerk is no longer called, and the answer is the same"
        );
        assert_eq!(wrong(&attempts, "bob"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn p3_a_user_has_one_count_under_all_identifiers() {
        let attempts = counts();
        attempts.succeeded(id("jane"), id("user"), [id("jane@example.com")]);
        for name in ["jane", "jane@example.com", "jane", "jane@example.com"] {
            assert_eq!(wrong(&attempts, name), Ok(()));
        }
        assert_eq!(wrong(&attempts, "jane"), Err(Pause::Rejected(Ground::Other)));
        assert_eq!(wrong(&attempts, "jane@example.com"), Err(Pause::Rejected(Ground::Other)));
        attempts.succeeded(id("jane"), id("user"), []);
        assert_eq!(wrong(&attempts, "jane"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn p3_known_unknown_locked_and_banned_answer_alike() {
        let failures = [Failure::Unconfirmed, Failure::Confirmed, Failure::Locked];
        let histories: Vec<Vec<_>> = failures
            .into_iter()
            .map(|failure| {
                let attempts = counts();
                (0..8)
                    .map(|_| {
                        let now = Instant::now();
                        match attempts.may_ask(id("x"), now) {
                            Ok(()) => {
                                attempts.failed(id("x"), failure, true, Epoch::default(), now);
                                None
                            }
                            Err(Pause::Rejected(_)) => None,
                            Err(Pause::Throttled(left)) => Some(left),
                        }
                    })
                    .collect()
            })
            .collect();
        assert!(histories.iter().all(|history| *history == histories[0]), "{histories:?}");
        assert_eq!(histories[0].iter().filter(|answer| answer.is_none()).count(), 4);
    }

    /// Identifiers that Clerk doesn't know are counted in a separate bounded cache.
    #[tokio::test(start_paused = true)]
    async fn p3_made_up_identifiers_evict_no_count_of_an_existing_account() {
        let attempts = counts();
        attempts.succeeded(id("user name"), id("user"), [id("address")]);
        let now = Instant::now();
        for (name, failure) in [
            ("jane", Failure::Confirmed),
            ("locked", Failure::Locked),
            // With enumeration protection Clerk doesn't confirm it, but a success has linked the identifier to its
            // user.
            ("address", Failure::Unconfirmed),
        ] {
            (0..4).for_each(|_| attempts.failed(id(name), failure, false, Epoch::default(), now));
        }
        for at in 0..=2 * MAX_REACHED {
            attempts.failed(id(&format!("made up {at}")), Failure::Unconfirmed, false, Epoch::default(), now);
        }
        attempts.run_pending_tasks();
        for name in ["jane", "locked", "address", "user name"] {
            assert!(attempts.reached_left(attempts.subject(id(name)), now).is_some(), "{name}");
        }
        assert_eq!(attempts.reached_left(id("made up 0"), now), None);
        assert!((3..=3 + MAX_REACHED).contains(&attempts.len()), "K7: {}", attempts.len());
    }

    #[tokio::test(start_paused = true)]
    async fn p3_counting_continues_when_an_identifier_is_confirmed_and_when_it_no_longer_is() {
        let attempts = counts();
        let failures = [Failure::Unconfirmed, Failure::Unconfirmed, Failure::Confirmed, Failure::Unconfirmed];
        for failure in failures {
            assert_eq!(attempts.reached_left(id("jane"), Instant::now()), None);
            attempts.failed(id("jane"), failure, false, Epoch::default(), Instant::now());
        }
        assert_eq!(attempts.reached_left(id("jane"), Instant::now()), Some((10 * MINUTE, Ground::Other)));
        attempts.run_pending_tasks();
        assert_eq!(attempts.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn p3_an_identifier_belongs_to_the_user_who_has_signed_in_with_it() {
        let attempts = counts();
        attempts.succeeded(id("bob@example.com"), id("bob"), []);
        (0..4).for_each(|_| {
            attempts.failed(
                id("bob@example.com"),
                Failure::Confirmed,
                false,
                Epoch::default(),
                Instant::now(),
            );
        });
        // Clerk lists the address for jane as well, but jane has never signed in with it.
        attempts.succeeded(id("jane"), id("user of jane"), [id("bob@example.com"), id("jane@example.com")]);
        assert_eq!(attempts.subject(id("bob@example.com")), id("bob"));
        assert!(attempts.is_paused(id("bob@example.com"), Instant::now()), "its failures stay");
        assert_eq!(attempts.subject(id("jane@example.com")), id("user of jane"));
        // A sign-in of its own user clears them.
        attempts.succeeded(id("bob"), id("bob"), [id("bob@example.com")]);
        assert!(attempts.may_ask(id("bob"), Instant::now()).is_ok());
        assert_eq!(attempts.reached_left(attempts.subject(id("bob@example.com")), Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn o2_users_and_identifiers_with_failures_are_counted() {
        let attempts = counts();
        for (name, failure) in
            [("a", Failure::Confirmed), ("b", Failure::Unconfirmed), ("c", Failure::Unconfirmed)]
        {
            attempts.failed(id(name), failure, false, Epoch::default(), Instant::now());
            attempts.failed(id(name), failure, false, Epoch::default(), Instant::now());
        }
        attempts.run_pending_tasks();
        assert_eq!(attempts.len(), 3);
        attempts.succeeded(id("a"), id("user"), [id("b")]);
        attempts.run_pending_tasks();
        assert_eq!(attempts.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn k7_the_identifiers_whose_attempts_were_seen_are_bounded() {
        let attempts = counts();
        for at in 0..2 * MAX_SEEN {
            attempts.refused_unasked(id(&format!("made up {at}")), Epoch::default(), Instant::now());
        }
        attempts.seen.run_pending_tasks();
        assert!(attempts.seen.entry_count() <= MAX_SEEN, "{}", attempts.seen.entry_count());
    }

    #[tokio::test(start_paused = true)]
    async fn p3_a_lockout_warning_sets_the_longest_pause() {
        let attempts = counts();
        attempts.failed(id("jane"), Failure::Confirmed, true, Epoch::default(), Instant::now());
        tokio::time::advance(23 * 60 * MINUTE).await;
        assert_eq!(wrong(&attempts, "jane"), Err(Pause::Rejected(Ground::Other)));
        tokio::time::advance(60 * MINUTE).await;
        assert_eq!(wrong(&attempts, "jane"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn w5_a_lifted_lock_ends_its_own_pause_and_none_that_failures_have_begun() {
        let attempts = counts();
        let (jane, user) = (id("jane"), KeySecret::from([7; 32]).user("user_jane"));
        let fail = |failure| attempts.failed(jane, failure, false, attempts.forgiven.now(), Instant::now());
        attempts.succeeded(jane, user, []);
        fail(Failure::Locked);
        assert_eq!(attempts.may_ask(jane, Instant::now()), Err(Pause::Rejected(Ground::Locked)));
        attempts.lift_lock([id("bob"), KeySecret::from([7; 32]).user("user_bob")], Instant::now());
        assert!(attempts.is_paused(jane, Instant::now()), "the lock of another user");
        attempts.lift_lock([user, jane], Instant::now());
        assert_eq!(attempts.may_ask(jane, Instant::now()), Ok(()));
        // A failure that was under way is counted, and doesn't pause for the lock.
        let since = attempts.forgiven.now();
        attempts.lift_lock([user], Instant::now());
        attempts.failed(jane, Failure::Locked, false, since, Instant::now());
        assert!(attempts.reached_left(user, Instant::now()).is_none());
        fail(Failure::Confirmed);
        fail(Failure::Locked);
        // Four failures: their own pause is under way beside the lock's.
        let (left, ground) = attempts.reached_left(user, Instant::now()).unwrap();
        assert_eq!((left, ground), (60 * MINUTE, Ground::Other));
        attempts.lift_lock([user, jane], Instant::now());
        assert_eq!(attempts.reached_left(user, Instant::now()), Some((10 * MINUTE, Ground::Other)));
        attempts.lift(jane);
        assert_eq!(attempts.reached_left(user, Instant::now()), None);
    }
}
