//! The assertions that were exchanged, so that none is exchanged twice.

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;

use tokio::time::Instant;

use crate::key::{CredentialKey, PassThrough};
use crate::sync::lock;

/// Assertions that are remembered. One more is not accepted: forgetting one of them would let it be used again.
const MOST: usize = 100_000;

/// The assertions that may be used once and were, by their keys, each until it is refused for its age.
///
/// Only verified assertions get in, so a provider would have to issue this many within minutes to fill it.
#[derive(Debug, Default)]
pub(crate) struct UsedAssertions(Mutex<Used>);

#[derive(Debug, Default)]
struct Used {
    until: HashMap<CredentialKey, Instant, PassThrough>,
    order: BTreeSet<(Instant, CredentialKey)>,
}

/// The answer to an attempt to use an assertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    First,
    Again,
    /// Too many are remembered.
    Full,
}

impl UsedAssertions {
    /// Marks an assertion as used, unless it is. Of several callers with the same one, exactly one gets [`Use::First`].
    pub(crate) fn take(&self, key: CredentialKey, until: Instant, now: Instant) -> Use {
        let mut used = lock(&self.0);
        used.forget_before(now);
        if used.until.contains_key(&key) {
            return Use::Again;
        }
        if used.until.len() >= MOST {
            return Use::Full;
        }
        used.until.insert(key, until);
        used.order.insert((until, key));
        Use::First
    }

    /// Takes a mark back, since the exchange has failed without a decision and no session came of it.
    pub(crate) fn give_back(&self, key: CredentialKey) {
        let mut used = lock(&self.0);
        if let Some(until) = used.until.remove(&key) {
            used.order.remove(&(until, key));
        }
    }
}

impl Used {
    fn forget_before(&mut self, now: Instant) {
        while let Some((until, key)) = self.order.first().copied()
            && until <= now
        {
            self.order.pop_first();
            self.until.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::key::KeySecret;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(name: impl std::fmt::Display) -> CredentialKey {
        KeySecret::from([7; 32]).assertion(name.to_string().as_bytes())
    }

    #[tokio::test(start_paused = true)]
    async fn x1_an_assertion_is_used_once_until_it_is_too_old_anyway() {
        let (used, now) = (UsedAssertions::default(), Instant::now());
        assert_eq!(used.take(key("a"), now + MINUTE, now), Use::First);
        assert_eq!(used.take(key("a"), now + MINUTE, now), Use::Again);
        assert_eq!(used.take(key("b"), now + MINUTE, now), Use::First);
        used.give_back(key("a"));
        assert_eq!(used.take(key("a"), now + 2 * MINUTE, now), Use::First);
        assert_eq!(
            used.take(key("b"), now + MINUTE, now + MINUTE),
            Use::First,
            "it would be refused for its age"
        );
        assert_eq!(used.take(key("a"), now + MINUTE, now + MINUTE), Use::Again);
    }

    #[tokio::test(start_paused = true)]
    async fn x1_used_assertions_are_bounded_and_none_is_forgotten() {
        let (used, now) = (UsedAssertions::default(), Instant::now());
        for number in 0..MOST {
            assert_eq!(used.take(key(number), now + MINUTE, now), Use::First);
        }
        assert_eq!(used.take(key("one more"), now + MINUTE, now), Use::Full);
        assert_eq!(used.take(key(0), now + MINUTE, now), Use::Again);
        assert_eq!(used.take(key("one more"), now + 2 * MINUTE, now + MINUTE), Use::First);
        assert_eq!(lock(&used.0).until.len(), 1);
    }
}
