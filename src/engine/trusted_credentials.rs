//! Credentials that Clerk has accepted before (rule K13). They come first in the sign-in queue, and an attack on their
//! user does not lock them out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::sessions::User;

/// Trust records per session that the engine can hold.
const RECORDS_PER_SESSION: u64 = 4;

/// How long a record is valid: the default lifetime of a Clerk session,
/// <https://clerk.com/docs/guides/secure/session-options>.
pub(super) const LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The minimum time between two bypasses of the guess protection by one record.
const BYPASS_INTERVAL: Duration = Duration::from_secs(60);

/// The trusted credentials of one engine. They hold credential keys and users, and no secrets.
pub(crate) struct TrustedCredentials {
    records: Cache<CredentialKey, Arc<TrustRecord>, PassThrough>,
    start: Instant,
}

#[derive(Debug)]
struct TrustRecord {
    user: Arc<User>,
    /// The user's count of revocations when the record was made. A later revocation voids the record.
    revocations: u64,
    at: Instant,
    /// When the record was made or last used for a bypass, in milliseconds after `start`.
    used: AtomicU64,
}

/// The answer to a request for a bypass.
#[derive(Debug)]
pub(crate) enum Bypass {
    /// The credential may bypass the guess protection.
    Granted(BypassGuard),
    /// The last bypass was too recent; the next one is granted after this time.
    Resting(Duration),
    /// The credential has no valid record.
    None,
}

/// A bypass in use. On drop the record gets its bypass back, unless Clerk's answer decided about the password.
#[derive(Debug)]
pub(crate) struct BypassGuard {
    record: Arc<TrustRecord>,
    before: u64,
    stamp: u64,
}

impl Bypass {
    /// Spends the bypass, because Clerk has accepted or refused the credential.
    pub(crate) fn used(self) {
        if let Self::Granted(mut guard) = self {
            guard.before = guard.stamp;
        }
    }
}

impl Drop for BypassGuard {
    fn drop(&mut self) {
        // Fails if the record was used by another bypass since, and then there is nothing to give back.
        _ = self.record.used.compare_exchange(self.stamp, self.before, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl TrustedCredentials {
    pub(crate) fn new(max_sessions: u64, now: Instant) -> Self {
        let records = Cache::builder()
            .max_capacity(max_sessions.saturating_mul(RECORDS_PER_SESSION))
            .eviction_policy(EvictionPolicy::lru())
            .build_with_hasher(PassThrough::default());
        // A credential from a login record may have rested before this process has begun.
        Self { records, start: now.checked_sub(BYPASS_INTERVAL).unwrap_or(now) }
    }

    /// Trusts a credential that Clerk has accepted at `at`.
    pub(crate) fn trust(&self, key: CredentialKey, user: &Arc<User>, at: Instant) {
        let record = TrustRecord {
            user: Arc::clone(user),
            revocations: user.revocations(),
            at,
            used: AtomicU64::new(self.stamp(at)),
        };
        self.records.insert(key, Arc::new(record));
        // The number of records sets the trusted share of the sign-in budget, so moka's lazy count must be up to date.
        // Sign-ins are rare enough to afford this.
        self.records.run_pending_tasks();
    }

    /// Requests a bypass of the guess protection for a credential, granted at most once a minute.
    pub(crate) fn bypass(&self, key: &CredentialKey, now: Instant) -> Bypass {
        let Some(record) = self.valid(key, now) else { return Bypass::None };
        let (stamp, used) = (self.stamp(now), record.used.load(Ordering::Relaxed));
        let rested = Duration::from_millis(stamp.saturating_sub(used));
        if rested < BYPASS_INTERVAL {
            return Bypass::Resting(BYPASS_INTERVAL - rested);
        }
        match record.used.compare_exchange(used, stamp, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Bypass::Granted(BypassGuard { record, before: used, stamp }),
            Err(_) => Bypass::Resting(BYPASS_INTERVAL),
        }
    }

    /// Whether the credential has a valid record.
    pub(crate) fn is_trusted(&self, key: &CredentialKey, now: Instant) -> bool {
        self.valid(key, now).is_some()
    }

    /// The user of the credential, also if the record is no longer valid.
    pub(crate) fn user_of(&self, key: &CredentialKey) -> Option<Arc<User>> {
        self.records.get(key).map(|record| Arc::clone(&record.user))
    }

    /// Removes the record, because Clerk has refused the credential.
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
        KeySecret::from([7; 32]).credential(Strategy::Password, Decoding::PLAIN, token.as_bytes())
    }

    fn is_granted(bypass: &Bypass) -> bool {
        matches!(bypass, Bypass::Granted(_))
    }

    #[tokio::test(start_paused = true)]
    async fn k13_a_trust_record_grants_one_bypass_a_minute() {
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
    async fn k13_a_bypass_without_a_decision_of_clerk_is_given_back() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(10, Instant::now()));
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        tokio::time::advance(MINUTE).await;
        for _ in 0..3 {
            let bypass = trusted.bypass(&key("a"), Instant::now());
            assert!(is_granted(&bypass));
            drop(bypass);
        }
        // Dropping the guard of an older record does not change a record that was made in the meantime.
        let bypass = trusted.bypass(&key("a"), Instant::now());
        tokio::time::advance(MINUTE).await;
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        drop(bypass);
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::Resting(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn k9_a_revocation_of_the_user_voids_a_trust_record() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(10, Instant::now()));
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        trusted.trust(key("b"), &users.of("bob"), Instant::now());
        tokio::time::advance(MINUTE).await;
        users.revoke("jane");
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None));
        assert!(is_granted(&trusted.bypass(&key("b"), Instant::now())));
        // A new proof makes a new record, which grants its first bypass a minute later.
        trusted.trust(key("a"), &users.of("jane"), Instant::now());
        tokio::time::advance(MINUTE).await;
        assert!(is_granted(&trusted.bypass(&key("a"), Instant::now())));
        trusted.forget(&key("a"));
        assert!(matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None));
        trusted.forget_all();
        assert!(matches!(trusted.bypass(&key("b"), Instant::now()), Bypass::None));
    }

    #[tokio::test(start_paused = true)]
    async fn k13_trust_records_last_seven_days_and_are_four_per_session() {
        let (users, trusted) = (Users::default(), TrustedCredentials::new(1, Instant::now()));
        for token in ["a", "b", "c", "d", "e"] {
            trusted.trust(key(token), &users.of("jane"), Instant::now());
        }
        assert_eq!(trusted.len(), RECORDS_PER_SESSION);
        tokio::time::advance(LIFE - MINUTE).await;
        assert!(
            matches!(trusted.bypass(&key("a"), Instant::now()), Bypass::None),
            "the oldest record was evicted"
        );
        assert!(is_granted(&trusted.bypass(&key("e"), Instant::now())));
        tokio::time::advance(MINUTE).await;
        assert!(matches!(trusted.bypass(&key("e"), Instant::now()), Bypass::None));
    }
}
