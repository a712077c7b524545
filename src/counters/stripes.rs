//! Counters that threads do not contend for.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sync::{STRIPES, stripe};

/// A row of counters, counted in stripes. Each thread has a stripe of cache lines of its own, because a counter shared
/// by two threads makes a hit eight times as expensive.
#[derive(Debug)]
pub(super) struct Stripes<const N: usize>([Stripe<N>; STRIPES]);

#[derive(Debug)]
#[repr(align(128))]
struct Stripe<const N: usize>([AtomicU64; N]);

impl<const N: usize> Stripes<N> {
    pub(super) fn count(&self, at: usize) {
        self.count_on(stripe(), at);
    }

    pub(super) fn count_on(&self, stripe: usize, at: usize) {
        self.0[stripe].0[at].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn total(&self, at: usize) -> u64 {
        self.0.iter().map(|stripe| stripe.0[at].load(Ordering::Relaxed)).sum()
    }
}

impl<const N: usize> Default for Stripes<N> {
    fn default() -> Self {
        Self(array::from_fn(|_| Stripe(array::from_fn(|_| AtomicU64::new(0)))))
    }
}
