//! A bounded set of entries, found by name and by user without a scan, and small enough to hold a million.
//!
//! The indexes hold four bytes of a keyed hash and the number of a slot instead of strings; what they find is compared
//! with the text in the slot. Keyed, so that nobody outside can make many names share a hash.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hash, RandomState};

/// What can be an entry.
pub(super) trait Item {
    /// No two entries share it.
    fn name(&self) -> &str;
    fn user(&self) -> &str;
    /// Tells entries of one user apart, where they are looked for by it.
    fn place(&self) -> Option<&str>;
    /// What goes first where there is no room. Among equals, what was put first.
    fn rank(&self) -> u64;
}

pub(super) struct Table<T> {
    slots: Vec<Option<Slot<T>>>,
    free: Vec<u32>,
    by_name: BTreeSet<(u32, u32)>,
    /// User, place, slot.
    by_user: BTreeSet<(u32, u32, u32)>,
    /// Rank and count, slot.
    by_rank: BTreeMap<(u64, u64), u32>,
    hasher: RandomState,
    limit: usize,
    count: u64,
}

struct Slot<T> {
    item: T,
    count: u64,
}

impl<T: Item> Table<T> {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            by_name: BTreeSet::new(),
            by_user: BTreeSet::new(),
            by_rank: BTreeMap::new(),
            hasher: RandomState::new(),
            limit: limit.min(u32::MAX as usize),
            count: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_rank.len()
    }

    /// Takes an entry in, in the place of one of the same name. It is never the one that makes room.
    pub(super) fn insert(&mut self, item: T) {
        if let Some(same) = self.named(item.name()) {
            self.take(same);
        }
        if self.limit == 0 {
            return;
        }
        while self.len() >= self.limit {
            let Some((_, &first)) = self.by_rank.first_key_value() else { break };
            self.take(first);
        }
        let (name, (user, place), rank) = (self.name_of(&item), self.place_of(&item), item.rank());
        let count = self.count;
        self.count += 1;
        let slot = Some(Slot { item, count });
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at as usize] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                // There are no more slots than the limit has let in at once.
                (self.slots.len() - 1) as u32
            }
        };
        self.by_name.insert((name, at));
        self.by_user.insert((user, place, at));
        self.by_rank.insert((rank, count), at);
    }

    pub(super) fn get(&self, at: u32) -> Option<&T> {
        self.slots.get(at as usize)?.as_ref().map(|slot| &slot.item)
    }

    pub(super) fn take(&mut self, at: u32) -> Option<T> {
        let Slot { item, count } = self.slots.get_mut(at as usize)?.take()?;
        let (name, (user, place)) = (self.name_of(&item), self.place_of(&item));
        self.by_name.remove(&(name, at));
        self.by_user.remove(&(user, place, at));
        self.by_rank.remove(&(item.rank(), count));
        self.free.push(at);
        Some(item)
    }

    /// The slot of the entry of this name.
    pub(super) fn named(&self, name: &str) -> Option<u32> {
        let hash = self.hash(name);
        let mut found = self.by_name.range((hash, 0)..=(hash, u32::MAX)).map(|&(_, at)| at);
        found.find(|&at| self.get(at).is_some_and(|item| item.name() == name))
    }

    /// The slot of a user's entry in this place.
    pub(super) fn placed(&self, user: &str, place: Option<&str>) -> Option<u32> {
        let (hash, inner) = (self.hash(user), self.hash(place));
        let mut found = self.by_user.range((hash, inner, 0)..=(hash, inner, u32::MAX)).map(|&(.., at)| at);
        found.find(|&at| self.get(at).is_some_and(|item| item.user() == user && item.place() == place))
    }

    pub(super) fn take_user(&mut self, user: &str) -> Vec<T> {
        let hash = self.hash(user);
        let found = self.by_user.range((hash, 0, 0)..=(hash, u32::MAX, u32::MAX)).map(|&(.., at)| at);
        let of_user = |&at: &u32| self.get(at).is_some_and(|item| item.user() == user);
        let found: Vec<_> = found.filter(of_user).collect();
        found.into_iter().filter_map(|at| self.take(at)).collect()
    }

    pub(super) fn take_all(&mut self) -> Vec<T> {
        let emptied = Self { hasher: self.hasher.clone(), count: self.count, ..Self::new(self.limit) };
        let Self { slots, .. } = std::mem::replace(self, emptied);
        slots.into_iter().flatten().map(|slot| slot.item).collect()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        let ended = |&at: &u32| self.get(at).is_some_and(|item| !keep(item));
        let ended: Vec<_> = self.by_rank.values().copied().filter(ended).collect();
        for at in ended {
            self.take(at);
        }
    }

    /// All of them, in the order in which they would make room.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.by_rank.values().filter_map(|&at| self.get(at))
    }

    fn hash(&self, value: impl Hash) -> u32 {
        // Four of its eight bytes.
        self.hasher.hash_one(value) as u32
    }

    fn name_of(&self, item: &T) -> u32 {
        self.hash(item.name())
    }

    fn place_of(&self, item: &T) -> (u32, u32) {
        (self.hash(item.user()), self.hash(item.place()))
    }
}
