//! The one source of randomness that isn't secret: it spreads lives and waits, so that what began together doesn't
//! end together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// SplitMix64. Not for secrets; a seed makes a test's run repeatable.
#[derive(Debug)]
pub(crate) struct Jitter(AtomicU64);

impl Jitter {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub(crate) fn random() -> Self {
        let mut seed = [0; 8];
        // Without randomness the spread is the same at each start, which is still a spread.
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
        // 53 bits are what a double holds.
        (z >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The duration, or up to `part` of it less: jitter of a life is only ever earlier.
    pub(crate) fn earlier(&self, duration: Duration, part: f64) -> Duration {
        duration.mul_f64(1.0 - part * self.fraction())
    }

    /// One of them, each as likely as the others.
    pub(crate) fn one_of<'a, T>(&self, all: &'a [T]) -> Option<&'a T> {
        all.get((self.fraction() * all.len() as f64) as usize)
    }

    /// The duration, or up to `part` of it more: who is told to come back shouldn't come back with all others.
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
