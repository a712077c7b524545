//! Remembered refusals of credentials, so that a retry of the same credential costs no call (rule K11).

use std::sync::Arc;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::time::Instant;

use super::forgiven::{Epoch, Forgiven};
use super::grounds::Ground;
use crate::key::{CredentialKey, IdentifierKey, PassThrough};
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
    forgiven: Arc<Forgiven>,
}

/// A refusal of a credential.
#[derive(Clone)]
pub(crate) struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) identifier: IdentifierKey,
    pub(crate) ground: Ground,
    /// The start of the sign-in that was refused.
    pub(crate) since: Epoch,
}

#[derive(Clone)]
struct Denial {
    refusal: Refusal,
    until: Instant,
    times: usize,
}

impl Denials {
    pub(crate) fn new(negative_ttl: Duration, forgiven: Arc<Forgiven>) -> Self {
        let cache = Cache::builder()
            .max_capacity(MAX_DENIALS)
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(MEMORY)
            .build_with_hasher(PassThrough::default());
        Self { cache, negative_ttl, forgiven }
    }

    /// The rejection of this credential, while its denial lasts.
    pub(crate) fn get(&self, key: &CredentialKey, now: Instant) -> Option<Rejection> {
        self.find(key).filter(|denial| now < denial.until).map(|denial| denial.refusal.rejection)
    }

    fn find(&self, key: &CredentialKey) -> Option<Denial> {
        let denial = self.cache.get(key)?;
        let Refusal { identifier, ground, since, .. } = denial.refusal;
        (!self.forgiven.is_refusal_void(identifier, ground, since)).then_some(denial)
    }

    pub(crate) fn remember(&self, key: CredentialKey, refusal: Refusal, repeats: Repeats, now: Instant) {
        if !self.forgiven.remember(refusal.identifier, refusal.ground, refusal.since) {
            return;
        }
        let times = match repeats {
            Repeats::Lengthen => self.find(&key).map_or(1, |denial| denial.times + 1),
            Repeats::Same => 1,
        };
        let ttl = match times {
            0 | 1 => self.negative_ttl,
            again => LATER_TTLS[(again - 2).min(LATER_TTLS.len() - 1)].max(self.negative_ttl),
        };
        self.cache.insert(key, Denial { refusal, until: now + ttl, times });
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
        KeySecret::from([7; 32]).credential(Strategy::Password, Decoding::PLAIN, token.as_bytes())
    }

    fn refusal(denials: &Denials) -> Refusal {
        let rejection = Rejection::new(RejectionKind::CredentialsRejected);
        Refusal { rejection, identifier: ada(), ground: Ground::Other, since: denials.forgiven.now() }
    }

    fn forgiven() -> Arc<Forgiven> {
        Arc::new(Forgiven::new(60 * SECOND))
    }

    fn ada() -> IdentifierKey {
        KeySecret::from([7; 32]).identifier("ada")
    }

    fn refuse(denials: &Denials, repeats: Repeats) {
        denials.remember(key("a"), refusal(denials), repeats, Instant::now());
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
        let denials = Denials::new(10 * SECOND, forgiven());
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
        let denials = Denials::new(100 * SECOND, forgiven());
        for expected in [100, 100, 600] {
            refuse(&denials, Repeats::Lengthen);
            assert_eq!(ttl(&denials).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k11_a_lifted_denial_is_over_and_the_next_one_is_short_again() {
        let denials = Denials::new(10 * SECOND, forgiven());
        for _ in 0..3 {
            refuse(&denials, Repeats::Lengthen);
        }
        let late = refusal(&denials);
        denials.forgiven.forgive([ada()]);
        assert_eq!(ttl(&denials).await, 0);
        denials.remember(key("a"), late, Repeats::Lengthen, Instant::now());
        assert_eq!(ttl(&denials).await, 0, "a refusal of a sign-in from before");
        refuse(&denials, Repeats::Lengthen);
        assert_eq!(ttl(&denials).await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn w5_a_lift_voids_the_denials_on_its_ground_and_no_others() {
        const GROUNDS: [Ground; 5] =
            [Ground::Banned, Ground::Locked, Ground::Unknown, Ground::CreatorLeft, Ground::Other];
        for lifted in [Ground::Banned, Ground::Locked, Ground::Unknown, Ground::CreatorLeft] {
            let (denials, now) = (Denials::new(10 * SECOND, forgiven()), Instant::now());
            let of = |ground| Refusal { ground, ..refusal(&denials) };
            let remember =
                |ground, refusal| denials.remember(key(format!("{ground:?}")), refusal, Repeats::Same, now);
            let is_denied = |ground: Ground| denials.get(&key(format!("{ground:?}")), now).is_some();
            GROUNDS.iter().for_each(|ground| remember(*ground, of(*ground)));
            let under_way = of(lifted);
            denials.forgiven.lift(KeySecret::from([7; 32]).identifier("bob"), lifted, now);
            assert!(GROUNDS.into_iter().all(is_denied), "another identifier");
            denials.forgiven.lift(ada(), lifted, now);
            GROUNDS.into_iter().for_each(|ground| assert_eq!(is_denied(ground), ground != lifted));
            remember(lifted, under_way);
            assert!(!is_denied(lifted), "the refusal was under way");
            remember(lifted, of(lifted));
            assert!(is_denied(lifted), "a later refusal");
        }
    }

    #[test]
    fn k7_denials_are_bounded() {
        let (denials, now) = (Denials::new(10 * SECOND, forgiven()), Instant::now());
        for at in 0..100_000 {
            denials.remember(key(at), refusal(&denials), Repeats::Lengthen, now);
        }
        denials.cache.run_pending_tasks();
        assert!(denials.len() <= MAX_DENIALS);
        assert!(denials.get(&key(99_999), now).is_some());
    }
}
