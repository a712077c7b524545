//! Credentials that were refused a moment ago, so that asking again costs nothing (rule K11).

use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::rejection::Rejection;

/// Refused credentials remembered (rule K7).
pub(crate) const MAX_DENIALS: u64 = 10_000;

/// After the first refusal a credential rests for `negative_ttl`; after further ones, for these.
const LATER_RESTS: [Duration; 3] =
    [Duration::from_secs(60), Duration::from_secs(10 * 60), Duration::from_secs(60 * 60)];

/// How long a refusal is remembered, to tell a further one from the first. On moka's clock, so only a ceiling.
const MEMORY: Duration = Duration::from_secs(2 * 60 * 60);

/// Whether a repeated refusal makes the rest longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    Lengthen,
    Same,
}

/// The refused credentials of one engine.
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

    /// The last refusal of this credential, while it rests.
    pub(crate) fn get(&self, key: &CredentialKey, now: Instant) -> Option<Rejection> {
        self.cache.get(key).filter(|denial| now < denial.until).map(|denial| denial.rejection)
    }

    pub(crate) fn remember(&self, key: CredentialKey, rejection: Rejection, repeats: Repeats, now: Instant) {
        let times = match repeats {
            Repeats::Lengthen => self.cache.get(&key).map_or(1, |denial| denial.times + 1),
            Repeats::Same => 1,
        };
        let rest = match times {
            0 | 1 => self.negative_ttl,
            again => LATER_RESTS[(again - 2).min(LATER_RESTS.len() - 1)].max(self.negative_ttl),
        };
        self.cache.insert(key, Denial { rejection, until: now + rest, times });
    }

    pub(crate) fn forget(&self, key: &CredentialKey) {
        self.cache.invalidate(key);
    }

    /// How many are remembered, about.
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

    /// How long the denial stands from now on, to a second.
    async fn stands(denials: &Denials) -> u64 {
        let start = Instant::now();
        while denials.get(&key("a"), Instant::now()).is_some() {
            tokio::time::advance(SECOND).await;
        }
        start.elapsed().as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn k11_each_refusal_lengthens_the_rest_up_to_an_hour() {
        let denials = Denials::new(10 * SECOND);
        for rest in [10, 60, 600, 3600, 3600] {
            refuse(&denials, Repeats::Lengthen);
            assert_eq!(stands(&denials).await, rest);
        }
        denials.forget(&key("a"));
        refuse(&denials, Repeats::Lengthen);
        assert_eq!(stands(&denials).await, 10, "a success begins anew");
        refuse(&denials, Repeats::Same);
        assert_eq!(stands(&denials).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn k11_no_rest_is_shorter_than_negative_ttl() {
        let denials = Denials::new(100 * SECOND);
        for rest in [100, 100, 600] {
            refuse(&denials, Repeats::Lengthen);
            assert_eq!(stands(&denials).await, rest);
        }
    }

    #[test]
    fn k7_a_million_refusals_are_ten_thousand() {
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
