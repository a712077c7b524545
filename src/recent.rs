//! The last event of each key, for as long as it can matter and within a bound.

use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// Events that are kept. Beyond that the oldest is forgotten.
pub(crate) const MOST: usize = 65_536;

/// The last event of each key. An event costs a look-up, however many there are.
///
/// A forgotten event counts as one of every key, since the reader of a key can't know that it wasn't one of its own. As
/// long as only events are forgotten that are older than `life`, no reader is that old.
#[derive(Debug)]
pub(crate) struct Recent<K, V = ()> {
    by_key: HashMap<K, Event<V>>,
    /// The keys by the generations of their events, so that the oldest is found.
    order: BTreeMap<u64, K>,
    /// The generation of the last forgotten event.
    forgotten: u64,
    life: Duration,
}

/// The last event of a key.
#[derive(Clone, Debug)]
pub(crate) struct Event<V> {
    /// Grows from event to event, of whatever key.
    pub(crate) generation: u64,
    pub(crate) at: Instant,
    pub(crate) value: V,
}

impl<K: Clone + Eq + Hash, V> Recent<K, V> {
    /// `life` is how long an event can matter.
    pub(crate) fn new(life: Duration) -> Self {
        Self { by_key: HashMap::new(), order: BTreeMap::new(), forgotten: 0, life }
    }

    /// Replaces the last event of a key. Its generation must be larger than that of any event before. Hands on each
    /// event that is forgotten for it.
    pub(crate) fn put(&mut self, key: K, event: Event<V>, mut forget: impl FnMut(Event<V>)) {
        let (generation, now) = (event.generation, event.at);
        if let Some(before) = self.by_key.insert(key.clone(), event) {
            self.order.remove(&before.generation);
        }
        self.order.insert(generation, key);
        while let Some(oldest) = self.order.first_entry() {
            let is_needed =
                self.by_key.get(oldest.get()).is_some_and(|it| now.duration_since(it.at) <= self.life);
            if is_needed && self.by_key.len() <= MOST {
                return;
            }
            let (generation, key) = oldest.remove_entry();
            self.by_key.remove(&key).into_iter().for_each(&mut forget);
            self.forgotten = generation;
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<&Event<V>> {
        self.by_key.get(key)
    }

    /// Whether events after this generation have been forgotten.
    pub(crate) fn has_forgotten_since(&self, generation: u64) -> bool {
        generation < self.forgotten
    }

    /// Whether an event of this key came after this generation. Also if it may have, and is forgotten.
    pub(crate) fn is_after(&self, key: &K, generation: u64) -> bool {
        self.has_forgotten_since(generation) || self.get(key).is_some_and(|it| it.generation > generation)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        assert_eq!(self.by_key.len(), self.order.len());
        self.by_key.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    const LIFE: Duration = Duration::from_secs(30);

    fn event(generation: u64, at: Instant) -> Event<()> {
        Event { generation, at, value: () }
    }

    proptest! {
        /// Against a list of all events, without a bound.
        #[test]
        fn k9_no_event_within_its_life_is_missed_and_none_is_made_up(
            events in proptest::collection::vec((0_u8..8, 0_u64..20), 1..30),
        ) {
            let (mut recent, mut all) = (Recent::new(LIFE), Vec::new());
            let mut now = Instant::now();
            for (generation, (key, pause)) in (1..).zip(events) {
                now += Duration::from_secs(pause);
                recent.put(key, event(generation, now), drop);
                all.push((generation, key, now));
                for key in 0..8 {
                    for since in 0..=generation {
                        let missed: Vec<_> = all.iter().filter(|it| it.0 > since).collect();
                        let has_event = missed.iter().any(|it| it.1 == key);
                        let may_be_forgotten = missed.iter().any(|it| now - it.2 > LIFE);
                        let said = recent.is_after(&key, since);
                        prop_assert!(said || !has_event, "an event is missed");
                        prop_assert!(!said || has_event || may_be_forgotten, "an event is made up");
                    }
                }
                prop_assert_eq!(recent.len(), recent.by_key.len());
                prop_assert!(recent.by_key.values().all(|it| now - it.at <= LIFE));
            }
        }
    }

    #[test]
    fn k7_events_are_bounded_and_a_forgotten_one_counts_for_every_key() {
        let (mut recent, now) = (Recent::new(LIFE), Instant::now());
        for generation in 1..=MOST as u64 {
            recent.put(generation, event(generation, now), drop);
        }
        assert!(!recent.is_after(&0, 0) && recent.is_after(&1, 0), "all are known");
        // A key takes no more room for having many events.
        for generation in 1..=3 * MOST as u64 {
            recent.put(MOST as u64, event(MOST as u64 + generation, now), drop);
        }
        assert!(!recent.is_after(&0, 0) && recent.is_after(&1, 0) && recent.len() == MOST);
        let last = 5 * MOST as u64;
        recent.put(0, event(last, now), drop);
        assert!(recent.is_after(&1, 0) && recent.is_after(&u64::MAX, 0), "the price of the bound");
        assert!(
            !recent.is_after(&u64::MAX, 1) && recent.is_after(&0, last - 1) && !recent.is_after(&0, last)
        );
        assert_eq!(recent.len(), MOST);
    }
}
