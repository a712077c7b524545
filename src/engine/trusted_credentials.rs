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
const RECORDS_PER_SESSION: u64 = 4;

/// How long a record counts: as long as Clerk's sessions live by default.
const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a record lets its credential past what protects the user from guessers.
const ONCE_PER: Duration = Duration::from_secs(60);

/// The trusted credentials of one engine. No secrets: keys and users.
pub(crate) struct TrustedCredentials {
    records: Cache<CredentialKey, Arc<TrustRecord>, PassThrough>,
    start: Instant,
}

#[derive(Debug)]
struct TrustRecord {
    user: Arc<User>,
    /// The user's revocations when the record was made.
    revocations: u64,
    at: Instant,
    /// When it was last used to get past, or made: in milliseconds after `start`.
    used: AtomicU64,
}

/// What came of a request to use a record.
#[derive(Debug)]
pub(crate) enum Bypass {
    /// It lets its credential past.
    Granted(BypassGuard),
    /// It was used a moment ago, and rests for so long.
    Resting(Duration),
    /// There is none.
    None,
}

/// A record in use. It is given back when this is dropped, unless Clerk was asked and has judged.
#[derive(Debug)]
pub(crate) struct BypassGuard {
    record: Arc<TrustRecord>,
    before: u64,
    stamp: u64,
}

impl Bypass {
    /// Clerk has judged the credential.
    pub(crate) fn used(self) {
        if let Self::Granted(mut guard) = self {
            guard.before = guard.stamp;
        }
    }
}

impl Drop for BypassGuard {
    fn drop(&mut self) {
        // Unless a proof has come in between, which made the record anew.
        _ = self.record.used.compare_exchange(self.stamp, self.before, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl TrustedCredentials {
    pub(crate) fn new(max_sessions: u64, now: Instant) -> Self {
        let records = Cache::builder()
            .max_capacity(max_sessions.saturating_mul(RECORDS_PER_SESSION))
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        Self { records, start: now }
    }

    pub(crate) fn trust(&self, key: CredentialKey, user: &Arc<User>, now: Instant) {
        let record = TrustRecord {
            user: Arc::clone(user),
            revocations: user.revocations(),
            at: now,
            used: AtomicU64::new(self.stamp(now)),
        };
        self.records.insert(key, Arc::new(record));
        // The count decides over the budget, so it should be right; sign-ins are rare enough for it.
        self.records.run_pending_tasks();
    }

    /// Uses the record, at most once a minute, to let its credential past.
    pub(crate) fn bypass(&self, key: &CredentialKey, now: Instant) -> Bypass {
        let Some(record) = self.valid(key, now) else { return Bypass::None };
        let (stamp, used) = (self.stamp(now), record.used.load(Ordering::Relaxed));
        let rested = Duration::from_millis(stamp.saturating_sub(used));
        if rested < ONCE_PER {
            return Bypass::Resting(ONCE_PER - rested);
        }
        match record.used.compare_exchange(used, stamp, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Bypass::Granted(BypassGuard { record, before: used, stamp }),
            Err(_) => Bypass::Resting(ONCE_PER),
        }
    }

    /// Whether Clerk has accepted this credential, and nothing has voided that since.
    pub(crate) fn is_trusted(&self, key: &CredentialKey, now: Instant) -> bool {
        self.valid(key, now).is_some()
    }

    /// Whose credential it is, as far as it was ever accepted.
    pub(crate) fn user_of(&self, key: &CredentialKey) -> Option<Arc<User>> {
        self.records.get(key).map(|record| Arc::clone(&record.user))
    }

    /// Clerk has refused the credential: it is as good as any other from now on.
    pub(crate) fn forget(&self, key: &CredentialKey) {
        self.records.invalidate(key);
    }

    pub(crate) fn forget_all(&self) {
        self.records.invalidate_all();
    }

    pub(crate) fn len(&self) -> u64 {
        self.records.entry_count()
    }

    fn valid(&self, key: &CredentialKey, now: Instant) -> Option<Arc<TrustRecord>> {
        let record = self.records.get(key)?;
        let valid = now - record.at < LIFE && record.revocations == record.user.revocations();
        valid.then_some(record)
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

    fn is_granted(bypass: &Bypass) -> bool {
        matches!(bypass, Bypass::Granted(_))
    }

    #[tokio::test(start_paused = true)]
    async fn k13_a_mark_is_used_once_a_minute() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(10, Instant::now()));
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None));
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::Resting(MINUTE)));
        tokio::time::advance(MINUTE).await;
        let bypass = trusted.bypass(&key("a"), Instant::now());
        assert!(is_granted(&bypass));
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::Resting(_)), "one at a time");
        bypass.used();
        tokio::time::advance(MINUTE / 2).await;
        assert!(
            matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::Resting(left) if left == MINUTE / 2)
        );
        tokio::time::advance(MINUTE / 2).await;
        assert!(is_granted(&trusted.bypass(&key("a"), Instant::now())));
    }

    #[tokio::test(start_paused = true)]
    async fn k13_a_claim_that_clerk_never_judged_is_given_back() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(10, Instant::now()));
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        tokio::time::advance(MINUTE).await;
        for _ in 0..3 {
            let bypass = trusted.bypass(&key("a"), Instant::now());
            assert!(is_granted(&bypass));
            drop(bypass);
        }
        // A proof of meanwhile makes the record anew, whatever becomes of the bypass from before.
        let bypass = trusted.bypass(&key("a"), Instant::now());
        tokio::time::advance(MINUTE).await;
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        drop(bypass);
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::Resting(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_mark_is_worth_nothing_after_a_revocation_of_its_user() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(10, Instant::now()));
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        trusted.trust(key("b"), &users.of("bob"), Instant::now());
        tokio::time::advance(MINUTE).await;
        users.revoke("jane");
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None));
        assert!(is_granted(&trusted.bypass(&key("b"), Instant::now())));
        // A new proof makes a new record.
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        tokio::time::advance(MINUTE).await;
        assert!(is_granted(&trusted.bypass(&key("a"), Instant::now())));
        trusted.forget(&key("a"));
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None));
        trusted.forget_all();
        assert!(matches!(trusted.bypass(&key("b"), Instant::now()), Bypass::None));
    }

    #[tokio::test(start_paused = true)]
    async fn k13_marks_last_seven_days_and_are_four_per_session() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(1, Instant::now()));
        for token in ["a", "b", "c", "d", "e"] {
            trusted.trust(key(token), &users.of("jane"), Instant::now());
        }
        assert_eq!(trusted.len(), RECORDS_PER_SESSION);
        tokio::time::advance(LIFE - MINUTE).await;
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None), "the oldest went");
        assert!(is_granted(&trusted.bypass(&key("e"), Instant::now())));
        tokio::time::advance(MINUTE).await;
        assert!(matches!(trusted.bypass(&key("e"), Instant::now()), Bypass::None));
    }
}
