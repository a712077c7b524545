//! The queue of proofs by when they end.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::proof::Proof;

/// The proofs in the order in which they end.
#[derive(Default)]
pub(super) struct ExpiryQueue(BinaryHeap<Reverse<Entry>>);

/// When a proof ended at the time of the push. The proof may have been renewed since.
struct Entry {
    end: Instant,
    proof: Weak<Proof>,
}

impl ExpiryQueue {
    /// Adds a proof. Returns whether it is the next one to end. `most` is how many proofs the cache may hold.
    pub(super) fn push(&mut self, proof: &Arc<Proof>, most: u64) -> bool {
        let end = proof.end();
        self.0.push(Reverse(Entry { end, proof: Arc::downgrade(proof) }));
        // A proof that was replaced, evicted or revoked leaves its entry behind, so clear those out now and then.
        if self.0.len() as u64 > most.saturating_mul(2).saturating_add(1024) {
            self.0.retain(|Reverse(entry)| entry.proof.upgrade().is_some_and(|proof| !proof.is_over()));
        }
        self.0.peek().is_some_and(|Reverse(entry)| entry.end == end)
    }

    /// Removes the next proof if it is due. Returns `Ok(None)` if that proof has been dropped already.
    ///
    /// # Errors
    ///
    /// Returns when the next entry is due, if none is due yet.
    pub(super) fn pop_due(&mut self, now: Instant) -> Result<Option<Arc<Proof>>, Option<Instant>> {
        match self.0.peek().map(|Reverse(entry)| entry.end) {
            Some(end) if end <= now => Ok(self.0.pop().and_then(|Reverse(entry)| entry.proof.upgrade())),
            next => Err(next),
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.end.cmp(&other.end)
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.end == other.end
    }
}

impl Eq for Entry {}
