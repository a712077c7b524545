//! Randomness that isn't secret: it spreads lifetimes and waits, so that work that started together doesn't end
//! together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>). Not for secrets. A fixed seed makes a test repeatable.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn random() -> Self {
        let mut seed = [0; 8];
        // If this fails, the seed is zero: the spread is then the same in each process, which is acceptable.
        let _ = aws_lc_rs::rand::fill(&mut seed);
        Self::seeded(u64::from_le_bytes(seed))
    }

    /// A fraction in `0.0..1.0`.
    fn fraction(&self) -> f64 {
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // An `f64` has 53 bits of precision.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Shortens a duration by up to `part` of it. A lifetime must never get longer by jitter.
    pub(crate) fn earlier(&self, duration: Duration, part: f64) -> Duration {
        duration.mul_f64(1.0 - part * self.fraction())
    }

    /// Chooses one of `all` uniformly. Returns `None` if there is none.
    pub(crate) fn one_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        all.get((self.fraction() * all.len() as f64) as usize)
    }

    /// Lengthens a duration by up to `part` of it, so that rejected clients don't all retry at the same moment.
    pub(crate) fn later(&self, duration: Duration, part: f64) -> Duration {
        duration.mul_f64(1.0 + part * self.fraction())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_in_its_bounds_and_spreads() {
        let jitter = Jitter::seeded(1);
        let second = Duration::from_secs(1);
        let all: Vec<_> = (0..1000).map(|_| jitter.earlier(second, 0.1)).collect();
        assert!(all.iter().all(|life| *life <= second && *life >= Duration::from_millis(900)));
        let middle = all.iter().filter(|life| **life < Duration::from_millis(950)).count();
        assert!((400..600).contains(&middle), "{middle}");
        assert!((0..1000).all(|_| (second..=2 * second).contains(&jitter.later(second, 1.0))));
    }
}
