//! Failed attempts: calls stop before Clerk locks the account (rule P3).
//!
//! Two counts, apart on purpose. Failures that *reached* Clerk decide whether Clerk is asked. They are counted per user
//! where the user is known, since Clerk locks users. Attempts *seen here* with an identifier decide the answer, whatever
//! Clerk knows of it: so an account that is known, unknown, locked or banned answers alike.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{IdentifierKey, PassThrough};
use crate::sync::lock;

/// Failures without a pause.
const FREE: u32 = 3;

/// The pause after the first failure that isn't free; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// Failures at which the pause is the longest: Clerk locks new instances' accounts at ten, and warns at two left.
const NEAR_THE_LOCK: u32 = 8;

/// How long Clerk locks an account by default.
const CLERKS_LOCK: Duration = Duration::from_secs(60 * 60);

/// Users and identifiers whose failures at Clerk are remembered: this many that Clerk has confirmed, and as many that may
/// be made up.
const MAX_REACHED: u64 = 100_000;

/// Identifiers whose attempts are counted for the answer (rule K7).
const MAX_SEEN: u64 = 10_000;

/// A refusal of Clerk's, by what it says about the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There may be no such account.
    Unconfirmed,
    /// The account is there.
    Confirmed,
    /// The account is there, and Clerk has locked it.
    Locked,
}

/// Clerk is not asked. This is the answer instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// As if the credentials were wrong: the allowance isn't spent yet.
    Rejected,
    /// 429, until then.
    Throttled(Duration),
}

/// The failures of one engine.
///
/// Failures that reached Clerk are counted in two places, each with a bound of its own, so that made-up identifiers never
/// push out the count of an account that is there.
pub(crate) struct Attempts {
    /// Of users, and of identifiers that Clerk has confirmed.
    confirmed: Counts,
    /// Of identifiers that may be made up.
    unconfirmed: Counts,
    seen: Counts,
    /// The user behind an identifier, once a sign-in has told.
    users: Cache<IdentifierKey, IdentifierKey, PassThrough>,
}

type Counts = Cache<IdentifierKey, Arc<Mutex<Count>>, PassThrough>;

#[derive(Debug, Default)]
struct Count {
    failures: u32,
    paused_until: Option<Instant>,
}

impl Count {
    fn pause_left(&self, now: Instant) -> Option<Duration> {
        self.paused_until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Counts a failure, with the pause that follows.
    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        if let Some(doublings) = self.failures.checked_sub(FREE + 1) {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            self.pause(FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE), now);
        }
    }

    fn pause(&mut self, pause: Duration, now: Instant) {
        let until = now + pause;
        self.paused_until = Some(self.paused_until.map_or(until, |set| set.max(until)));
    }
}

impl Attempts {
    pub(crate) fn new() -> Self {
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
        }
    }

    /// Whether Clerk may be asked about this identifier: checked before the queue, and again before the call.
    pub(crate) fn may_ask(&self, identifier: IdentifierKey, now: Instant) -> Result<(), Pause> {
        if let Some(left) = self.left(&self.seen, identifier, now) {
            return Err(Pause::Throttled(left));
        }
        if self.reached_left(self.subject(identifier), now).is_some() {
            self.refused_unasked(identifier, now);
            return Err(Pause::Rejected);
        }
        Ok(())
    }

    /// Whether `may_ask` would say no. Nothing is counted.
    pub(crate) fn is_paused(&self, identifier: IdentifierKey, now: Instant) -> bool {
        self.left(&self.seen, identifier, now).is_some()
            || self.reached_left(self.subject(identifier), now).is_some()
    }

    /// A look-up has told whose identifier it is. Returns whether that user's failures forbid to ask about a password.
    pub(crate) fn is_of(&self, identifier: IdentifierKey, user: IdentifierKey, now: Instant) -> bool {
        self.users.insert(identifier, user);
        self.reached_left(user, now).is_some()
    }

    /// A refusal that Clerk wasn't asked for.
    pub(crate) fn refused_unasked(&self, identifier: IdentifierKey, now: Instant) {
        lock(&self.count(&self.seen, identifier)).fail(now);
    }

    /// Clerk has refused; `warned` that the account is about to be locked.
    pub(crate) fn failed(&self, identifier: IdentifierKey, failure: Failure, warned: bool, now: Instant) {
        lock(&self.count(&self.seen, identifier)).fail(now);
        let reached = self.reached(identifier, failure != Failure::Unconfirmed);
        let mut reached = lock(&reached);
        reached.fail(now);
        if warned || reached.failures >= NEAR_THE_LOCK {
            reached.pause(LONGEST_PAUSE, now);
        }
        if failure == Failure::Locked {
            reached.pause(CLERKS_LOCK, now);
        }
    }

    /// Clerk has let the user in, under this identifier and whatever others the user has: all begin anew.
    pub(crate) fn succeeded(
        &self,
        identifier: IdentifierKey,
        user: IdentifierKey,
        others: impl IntoIterator<Item = IdentifierKey>,
    ) {
        self.seen.invalidate(&identifier);
        self.forget(user);
        // The identifier at hand is this user's. So are the others, unless another user has signed in with one.
        self.forget(identifier);
        self.users.insert(identifier, user);
        for identifier in others {
            if self.users.get(&identifier).is_none_or(|known| known == user) {
                self.forget(identifier);
                self.users.insert(identifier, user);
            }
        }
    }

    /// How many identifiers and users have failures to their name, about.
    pub(crate) fn len(&self) -> u64 {
        self.confirmed.entry_count() + self.unconfirmed.entry_count()
    }

    /// The user behind an identifier where that is known, otherwise the identifier.
    pub(crate) fn subject(&self, identifier: IdentifierKey) -> IdentifierKey {
        self.users.get(&identifier).unwrap_or(identifier)
    }

    /// The count of an identifier's failures at Clerk, or of its user's. `confirmed`: Clerk has just said that the account
    /// is there.
    fn reached(&self, identifier: IdentifierKey, confirmed: bool) -> Arc<Mutex<Count>> {
        let subject = self.subject(identifier);
        let is_user = subject != identifier;
        if !confirmed && !is_user && !self.confirmed.contains_key(&subject) {
            return self.count(&self.unconfirmed, subject);
        }
        self.confirmed.get_with(subject, || self.unconfirmed.remove(&subject).unwrap_or_default())
    }

    fn reached_left(&self, subject: IdentifierKey, now: Instant) -> Option<Duration> {
        self.left(&self.confirmed, subject, now).max(self.left(&self.unconfirmed, subject, now))
    }

    fn forget(&self, subject: IdentifierKey) {
        self.confirmed.invalidate(&subject);
        self.unconfirmed.invalidate(&subject);
    }

    fn left(&self, counts: &Counts, of: IdentifierKey, now: Instant) -> Option<Duration> {
        lock(&*counts.get(&of)?).pause_left(now)
    }

    fn count(&self, counts: &Counts, of: IdentifierKey) -> Arc<Mutex<Count>> {
        counts.get_with(of, Arc::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeySecret;

    const MINUTE: Duration = Duration::from_secs(60);

    impl Attempts {
        /// moka counts what it holds now and then.
        fn run_pending_tasks(&self) {
            self.confirmed.run_pending_tasks();
            self.unconfirmed.run_pending_tasks();
        }
    }

    fn id(name: &str) -> IdentifierKey {
        KeySecret::from([7; 32]).identifier(name)
    }

    fn wrong(attempts: &Attempts, name: &str) -> Result<(), Pause> {
        let now = Instant::now();
        attempts
            .may_ask(id(name), now)
            .inspect(|()| attempts.failed(id(name), Failure::Confirmed, false, now))
    }

    #[tokio::test(start_paused = true)]
    async fn p3_three_are_free_and_each_further_one_doubles_the_pause() {
        let attempts = Attempts::new();
        for _ in 0..4 {
            assert_eq!(wrong(&attempts, "jane"), Ok(()));
        }
        for minutes in [10, 20, 40, 80] {
            assert_eq!(wrong(&attempts, "jane"), Err(Pause::Throttled(minutes * MINUTE)));
            tokio::time::advance(minutes * MINUTE).await;
            assert_eq!(wrong(&attempts, "jane"), Ok(()), "after {minutes} min");
        }
        // The eighth: two are left until Clerk locks.
        tokio::time::advance(160 * MINUTE).await;
        assert_eq!(
            wrong(&attempts, "jane"),
            Err(Pause::Rejected),
            "Clerk is asked no more, and the answer is the same"
        );
        assert_eq!(wrong(&attempts, "bob"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn p3_a_user_has_one_count_under_all_identifiers() {
        let attempts = Attempts::new();
        attempts.succeeded(id("jane"), id("user"), [id("jane@example.com")]);
        for name in ["jane", "jane@example.com", "jane", "jane@example.com"] {
            assert_eq!(wrong(&attempts, name), Ok(()));
        }
        assert_eq!(wrong(&attempts, "jane"), Err(Pause::Rejected));
        assert_eq!(wrong(&attempts, "jane@example.com"), Err(Pause::Rejected));
        attempts.succeeded(id("jane"), id("user"), []);
        assert_eq!(wrong(&attempts, "jane"), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn p3_known_unknown_locked_and_banned_answer_alike() {
        let failures = [Failure::Unconfirmed, Failure::Confirmed, Failure::Locked];
        let histories: Vec<Vec<_>> = failures
            .into_iter()
            .map(|failure| {
                let attempts = Attempts::new();
                (0..8)
                    .map(|_| {
                        let now = Instant::now();
                        match attempts.may_ask(id("x"), now) {
                            Ok(()) => {
                                attempts.failed(id("x"), failure, true, now);
                                None
                            }
                            Err(Pause::Rejected) => None,
                            Err(Pause::Throttled(left)) => Some(left),
                        }
                    })
                    .collect()
            })
            .collect();
        assert!(histories.iter().all(|history| *history == histories[0]), "{histories:?}");
        assert_eq!(histories[0].iter().filter(|answer| answer.is_none()).count(), 4);
    }

    /// Identifiers that Clerk knows nothing of are counted in a bounded place of their own.
    #[tokio::test(start_paused = true)]
    async fn p3_made_up_identifiers_push_out_no_count_of_an_account_that_is_there() {
        let attempts = Attempts::new();
        attempts.succeeded(id("user name"), id("user"), [id("address")]);
        let now = Instant::now();
        for (name, failure) in [
            ("jane", Failure::Confirmed),
            ("locked", Failure::Locked),
            // Where enumeration protection hides it: a success has linked the identifier to its user.
            ("address", Failure::Unconfirmed),
        ] {
            (0..4).for_each(|_| attempts.failed(id(name), failure, false, now));
        }
        for at in 0..=2 * MAX_REACHED {
            attempts.failed(id(&format!("made up {at}")), Failure::Unconfirmed, false, now);
        }
        attempts.run_pending_tasks();
        for name in ["jane", "locked", "address", "user name"] {
            assert!(attempts.reached_left(attempts.subject(id(name)), now).is_some(), "{name}");
        }
        assert_eq!(attempts.reached_left(id("made up 0"), now), None);
        assert!((3..=3 + MAX_REACHED).contains(&attempts.len()), "K7: {}", attempts.len());
    }

    #[tokio::test(start_paused = true)]
    async fn p3_failures_are_counted_on_where_an_identifier_is_confirmed_and_where_it_no_longer_is() {
        let attempts = Attempts::new();
        let failures = [Failure::Unconfirmed, Failure::Unconfirmed, Failure::Confirmed, Failure::Unconfirmed];
        for failure in failures {
            assert_eq!(attempts.reached_left(id("jane"), Instant::now()), None);
            attempts.failed(id("jane"), failure, false, Instant::now());
        }
        assert_eq!(attempts.reached_left(id("jane"), Instant::now()), Some(10 * MINUTE));
        attempts.run_pending_tasks();
        assert_eq!(attempts.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn p3_an_identifier_that_another_user_has_used_is_that_users() {
        let attempts = Attempts::new();
        attempts.succeeded(id("bob@example.com"), id("bob"), []);
        (0..4).for_each(|_| {
            attempts.failed(id("bob@example.com"), Failure::Confirmed, false, Instant::now());
        });
        // Clerk lists the address for jane as well, who has never signed in with it.
        attempts.succeeded(id("jane"), id("user of jane"), [id("bob@example.com"), id("jane@example.com")]);
        assert_eq!(attempts.subject(id("bob@example.com")), id("bob"));
        assert!(attempts.is_paused(id("bob@example.com"), Instant::now()), "and what it has failed stays");
        assert_eq!(attempts.subject(id("jane@example.com")), id("user of jane"));
        // Of one's own it is cleared.
        attempts.succeeded(id("bob"), id("bob"), [id("bob@example.com")]);
        assert!(attempts.may_ask(id("bob"), Instant::now()).is_ok());
        assert_eq!(attempts.reached_left(attempts.subject(id("bob@example.com")), Instant::now()), None);
    }

    #[tokio::test(start_paused = true)]
    async fn o2_users_and_identifiers_with_failures_are_counted() {
        let attempts = Attempts::new();
        for (name, failure) in
            [("a", Failure::Confirmed), ("b", Failure::Unconfirmed), ("c", Failure::Unconfirmed)]
        {
            attempts.failed(id(name), failure, false, Instant::now());
            attempts.failed(id(name), failure, false, Instant::now());
        }
        attempts.run_pending_tasks();
        assert_eq!(attempts.len(), 3);
        attempts.succeeded(id("a"), id("user"), [id("b")]);
        attempts.run_pending_tasks();
        assert_eq!(attempts.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn k7_the_identifiers_whose_attempts_were_seen_are_bounded() {
        let attempts = Attempts::new();
        for at in 0..2 * MAX_SEEN {
            attempts.refused_unasked(id(&format!("made up {at}")), Instant::now());
        }
        attempts.seen.run_pending_tasks();
        assert!(attempts.seen.entry_count() <= MAX_SEEN, "{}", attempts.seen.entry_count());
    }

    #[tokio::test(start_paused = true)]
    async fn p3_a_warning_of_clerks_sets_the_longest_pause() {
        let attempts = Attempts::new();
        attempts.failed(id("jane"), Failure::Confirmed, true, Instant::now());
        tokio::time::advance(23 * 60 * MINUTE).await;
        assert_eq!(wrong(&attempts, "jane"), Err(Pause::Rejected));
        tokio::time::advance(60 * MINUTE).await;
        assert_eq!(wrong(&attempts, "jane"), Ok(()));
    }
}
