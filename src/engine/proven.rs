//! Credentials that Clerk has accepted before (rule K13): they go first when they must be asked about again, and an
//! attack on their user doesn't count against them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::sessions::User;

/// Marks per session that can be held.
const MARKS_PER_SESSION: u64 = 4;

/// How long a mark counts: as long as Clerk's sessions live by default.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a mark lets its credential past what protects the user from guessers.
const ONCE_PER: Duration = Duration::from_secs(60);

/// The proven credentials of one engine. No secrets: keys and users.
pub(crate) struct Proven {
    marks: Cache<CredentialKey, Arc<Mark>, PassThrough>,
    start: Instant,
}

#[derive(Debug)]
struct Mark {
    user: Arc<User>,
    /// The user's revocations when the mark was made.
    revocations: u64,
    at: Instant,
    /// When it was last used to get past, or made: in milliseconds after `start`.
    used: AtomicU64,
}

/// What came of a wish to use a mark.
#[derive(Debug)]
pub(crate) enum Claim {
    /// It lets its credential past.
    Granted(Granted),
    /// It was used a moment ago, and rests for so long.
    Resting(Duration),
    /// There is none.
    None,
}

/// A mark in use. It is given back when this is dropped, unless Clerk was asked and has judged.
#[derive(Debug)]
pub(crate) struct Granted {
    mark: Arc<Mark>,
    before: u64,
    stamp: u64,
}

impl Claim {
    /// Clerk has judged the credential.
    pub(crate) fn used(self) {
        if let Self::Granted(mut granted) = self {
            granted.before = granted.stamp;
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        // Unless a proof has come in between, which made the mark anew.
        _ = self.mark.used.compare_exchange(self.stamp, self.before, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Proven {
    pub(crate) fn new(max_sessions: u64, now: Instant) -> Self {
        let marks = Cache::builder()
            .max_capacity(max_sessions.saturating_mul(MARKS_PER_SESSION))
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self { marks, start: now }
    }

    pub(crate) fn mark(&self, key: CredentialKey, user: &Arc<User>, now: Instant) {
        let mark = Mark {
            user: Arc::clone(user),
            revocations: user.revocations(),
            at: now,
            used: AtomicU64::new(self.stamp(now)),
        };
        self.marks.insert(key, Arc::new(mark));
        // The count decides over the budget, so it should be right; sign-ins are rare enough for it.
        self.marks.run_pending_tasks();
    }

    /// Uses the mark, at most once a minute, to let its credential past.
    pub(crate) fn claim(&self, key: &CredentialKey, now: Instant) -> Claim {
        let Some(mark) = self.valid(key, now) else { return Claim::None };
        let (stamp, used) = (self.stamp(now), mark.used.load(Ordering::Relaxed));
        let rested = Duration::from_millis(stamp.saturating_sub(used));
        if rested < ONCE_PER {
            return Claim::Resting(ONCE_PER - rested);
        }
        match mark.used.compare_exchange(used, stamp, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Claim::Granted(Granted { mark, before: used, stamp }),
            Err(_) => Claim::Resting(ONCE_PER),
        }
    }

    /// Whether Clerk has accepted this credential, and nothing has voided that since.
    pub(crate) fn is_marked(&self, key: &CredentialKey, now: Instant) -> bool {
        self.valid(key, now).is_some()
    }

    /// Whose credential it is, as far as it was ever accepted.
    pub(crate) fn user_of(&self, key: &CredentialKey) -> Option<Arc<User>> {
        self.marks.get(key).map(|mark| Arc::clone(&mark.user))
    }

    /// Clerk has refused the credential: it is as good as any other from now on.
    pub(crate) fn forget(&self, key: &CredentialKey) {
        self.marks.invalidate(key);
    }

    pub(crate) fn forget_all(&self) {
        self.marks.invalidate_all();
    }

    pub(crate) fn len(&self) -> u64 {
        self.marks.entry_count()
    }

    fn valid(&self, key: &CredentialKey, now: Instant) -> Option<Arc<Mark>> {
        let mark = self.marks.get(key)?;
        let valid = now - mark.at < LIFE && mark.revocations == mark.user.revocations();
        valid.then_some(mark)
    }

    fn stamp(&self, now: Instant) -> u64 {
        u64::try_from((now - self.start).as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Decoding;
    use crate::key::{KeySecret, Strategy};
    use crate::sessions::Users;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(token: &str) -> CredentialKey {
        KeySecret::from([7; 32]).credential(Strategy::Password, Decoding::Plain, token.as_bytes())
    }

    fn is_granted(claim: &Claim) -> bool {
        matches!(claim, Claim::Granted(_))
    }

    #[tokio::test(start_paused = true)]
    async fn k13_a_mark_is_used_once_a_minute() {
        let (users, proven) = (Users::default(), Proven::new(10, Instant::now()));
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::None));
        proven.mark(key("a"), &users.of("jane"), Instant::now());
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::Resting(MINUTE)));
        tokio::time::advance(MINUTE).await;
        let claim = proven.claim(&key("a"), Instant::now());
        assert!(is_granted(&claim));
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::Resting(_)), "one at a time");
        claim.used();
        tokio::time::advance(MINUTE / 2).await;
        assert!(
            matches!(proven.claim(&key("a"), Instant::now()), Claim::Resting(left) if left == MINUTE / 2)
        );
        tokio::time::advance(MINUTE / 2).await;
        assert!(is_granted(&proven.claim(&key("a"), Instant::now())));
    }

    #[tokio::test(start_paused = true)]
    async fn k13_a_claim_that_clerk_never_judged_is_given_back() {
        let (users, proven) = (Users::default(), Proven::new(10, Instant::now()));
        proven.mark(key("a"), &users.of("jane"), Instant::now());
        tokio::time::advance(MINUTE).await;
        for _ in 0..3 {
            let claim = proven.claim(&key("a"), Instant::now());
            assert!(is_granted(&claim));
            drop(claim);
        }
        // A proof of meanwhile makes the mark anew, whatever becomes of the claim from before.
        let claim = proven.claim(&key("a"), Instant::now());
        tokio::time::advance(MINUTE).await;
        proven.mark(key("a"), &users.of("jane"), Instant::now());
        drop(claim);
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::Resting(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_mark_is_worth_nothing_after_a_revocation_of_its_user() {
        let (users, proven) = (Users::default(), Proven::new(10, Instant::now()));
        proven.mark(key("a"), &users.of("jane"), Instant::now());
        proven.mark(key("b"), &users.of("bob"), Instant::now());
        tokio::time::advance(MINUTE).await;
        users.revoke("jane");
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::None));
        assert!(is_granted(&proven.claim(&key("b"), Instant::now())));
        // A new proof makes a new mark.
        proven.mark(key("a"), &users.of("jane"), Instant::now());
        tokio::time::advance(MINUTE).await;
        assert!(is_granted(&proven.claim(&key("a"), Instant::now())));
        proven.forget(&key("a"));
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::None));
        proven.forget_all();
        assert!(matches!(proven.claim(&key("b"), Instant::now()), Claim::None));
    }

    #[tokio::test(start_paused = true)]
    async fn k13_marks_last_seven_days_and_are_four_per_session() {
        let (users, proven) = (Users::default(), Proven::new(1, Instant::now()));
        for token in ["a", "b", "c", "d", "e"] {
            proven.mark(key(token), &users.of("jane"), Instant::now());
        }
        assert_eq!(proven.len(), MARKS_PER_SESSION);
        tokio::time::advance(LIFE - MINUTE).await;
        assert!(matches!(proven.claim(&key("a"), Instant::now()), Claim::None), "the oldest went");
        assert!(is_granted(&proven.claim(&key("e"), Instant::now())));
        tokio::time::advance(MINUTE).await;
        assert!(matches!(proven.claim(&key("e"), Instant::now()), Claim::None));
    }
}
