//! Remembered refusals of credentials, so that a retry of the same credential costs no call (rule K11).

use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::rejection::Rejection;

/// How many denials are remembered (rule K7).
pub(crate) const MAX_DENIALS: u64 = 10_000;

/// How long a denial lasts after the second and later refusals. After the first one it lasts for `negative_ttl`.
const LATER_TTLS: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(10 * 60), Duration::from_secs(60 * 60)];

/// How long the number of refusals is remembered. This is measured by moka's clock, and the TTLs by ours.
const MEMORY: Duration = Duration::from_secs(2 * 60 * 60);

/// Whether a repeated refusal makes the denial last longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    Lengthen,
    Same,
}

/// The denials of one engine.
pub(crate) struct Denials {
    cache: Cache<CredentialKey, Denial, PassThrough>,
    negative_ttl: Duration,
}

#[derive(Clone)]
struct Denial {
    rejection: Rejection,
    until: Instant,
    times: usize,
}

impl Denials {
    pub(crate) fn new(negative_ttl: Duration) -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_DENIALS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(MEMORY)
            .build_with_hasher(PassThrough::default());
        Self { cache, negative_ttl }
    }

    /// The rejection of this credential, while its denial lasts.
    pub(crate) fn get(&self, key: &CredentialKey, now: Instant) -> Option<Rejection> {
        self.cache.get(key).filter(|denial| now < denial.until).map(|denial| denial.rejection)
    }

    pub(crate) fn remember(&self, key: CredentialKey, rejection: Rejection, repeats: Repeats, now: Instant) {
        let times = match repeats {
            Repeats::Lengthen => self.cache.get(&key).map_or(1, |denial| denial.times + 1),
            Repeats::Same => 1,
        };
        let ttl = match times {
            0 | 1 => self.negative_ttl,
            again => LATER_TTLS[(again - 2).min(LATER_TTLS.len() - 1)].max(self.negative_ttl),
        };
        self.cache.insert(key, Denial { rejection, until: now + ttl, times });
    }

    pub(crate) fn forget(&self, key: &CredentialKey) {
        self.cache.invalidate(key);
    }

    /// The approximate number of denials.
    pub(crate) fn len(&self) -> u64 {
        self.cache.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Decoding;
    use crate::key::{KeySecret, Strategy};
    use crate::rejection::RejectionKind;

    const SECOND: Duration = Duration::from_secs(1);

    fn key(token: impl std::fmt::Display) -> CredentialKey {
        let token = token.to_string();
        KeySecret::from([7; 32]).credential(Strategy::Password, Decoding::Plain, token.as_bytes())
    }

    fn refuse(denials: &Denials, repeats: Repeats) {
        let rejection = Rejection::new(RejectionKind::CredentialsRejected);
        denials.remember(key("a"), rejection, repeats, Instant::now());
    }

    /// How long the denial lasts from now on, in seconds.
    async fn ttl(denials: &Denials) -> u64 {
        let start = Instant::now();
        while denials.get(&key("a"), Instant::now()).is_some() {
            tokio::time::advance(SECOND).await;
        }
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn k11_each_refusal_lengthens_the_denial_up_to_an_hour() {
        let denials = Denials::new(10 * SECOND);
        for expected in [10, 60, 600, 3600, 3600] {
            refuse(&denials, Repeats::Lengthen);
            assert_eq!(ttl(&denials).await, expected);
        }
        denials.forget(&key("a"));
        refuse(&denials, Repeats::Lengthen);
        assert_eq!(ttl(&denials).await, 10, "a success resets the count");
        refuse(&denials, Repeats::Same);
        assert_eq!(ttl(&denials).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn k11_no_denial_is_shorter_than_negative_ttl() {
        let denials = Denials::new(100 * SECOND);
        for expected in [100, 100, 600] {
            refuse(&denials, Repeats::Lengthen);
            assert_eq!(ttl(&denials).await, expected);
        }
    }

    #[test]
    fn k7_denials_are_bounded() {
        let (denials, now) = (Denials::new(10 * SECOND), Instant::now());
        for at in 0..100_000 {
            let rejection = Rejection::new(RejectionKind::CredentialsRejected);
            denials.remember(key(at), rejection, Repeats::Lengthen, now);
        }
        denials.cache.run_pending_tasks();
        assert!(denials.len() <= MAX_DENIALS);
        assert!(denials.get(&key(99_999), now).is_some());
    }
}
