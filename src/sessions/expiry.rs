//! When proofs end, in order.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use super::proof::Proof;

/// The ends of all proofs, the next one first.
#[derive(Default)]
pub(super) struct ExpiryQueue(BinaryHeap<Reverse<Entry>>);

/// When a proof ends, as far as is known: it may have been renewed since.
struct Entry {
    end: Instant,
    proof: Weak<Proof>,
}

impl ExpiryQueue {
    /// Adds a proof's end. Whether it is the next one. `most` is how many proofs there can be.
    pub(super) fn push(&mut self, proof: &Arc<Proof>, most: u64) -> bool {
        let end = proof.end();
        self.0.push(Reverse(Entry { end, proof: Arc::downgrade(proof) }));
        // A proof that was replaced, evicted or revoked leaves its entry behind; so many of them are not worth keeping.
        if self.0.len() as u64 > most.saturating_mul(2).saturating_add(1024) {
            self.0.retain(|Reverse(entry)| entry.proof.upgrade().is_some_and(|proof| !proof.is_over()));
        }
        self.0.peek().is_some_and(|Reverse(entry)| entry.end == end)
    }

    /// Takes the next one out if its end has come; `Ok(None)` where the proof is gone already.
    ///
    /// # Errors
    ///
    /// None is due; when the next one is.
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
