//! The ids that a scan has seen.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

/// A set of ids, as keyed hashes of 128 bits: some 40 MB for a million, a third of what the ids take.
///
/// Two ids with the same hash, which nobody can arrange without the key, would hide a row that isn't at Clerk any more, until
/// the next run. They never delete one.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: [RandomState; 2],
    hashes: HashSet<u128>,
}

impl Seen {
    /// Adds an id. `false` if it was there.
    pub(super) fn insert(&mut self, id: &str) -> bool {
        let hash = self.hash(id);
        self.hashes.insert(hash)
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.hashes.contains(&self.hash(id))
    }

    pub(super) fn count(&self) -> u64 {
        u64::try_from(self.hashes.len()).unwrap_or(u64::MAX)
    }

    fn hash(&self, id: &str) -> u128 {
        let [high, low] = &self.keys;
        u128::from(high.hash_one(id)) << 64 | u128::from(low.hash_one(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_seen_once_it_was_inserted() {
        let mut seen = Seen::default();
        assert!(seen.insert("user_1") && !seen.insert("user_1") && seen.insert("user_2"));
        assert!(seen.contains("user_2") && !seen.contains("user_3"));
        assert_eq!(seen.count(), 2);
    }
}
