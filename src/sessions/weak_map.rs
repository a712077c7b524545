//! A map of objects that others keep alive.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, Weak};

use crate::sync::lock;

/// Finds an object by its key for as long as it is in use elsewhere.
#[derive(Debug)]
pub(super) struct WeakMap<K, T>(Mutex<Inner<K, T>>);

#[derive(Debug)]
struct Inner<K, T> {
    by_key: HashMap<K, Weak<T>>,
    /// The size at which entries of dropped objects are cleared out next.
    clear_at: usize,
}

impl<K, T> Default for WeakMap<K, T> {
    fn default() -> Self {
        Self(Mutex::new(Inner { by_key: HashMap::new(), clear_at: 0 }))
    }
}

impl<K: Eq + Hash, T> WeakMap<K, T> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
    {
        lock(&self.0).by_key.get(key).and_then(Weak::upgrade)
    }

    pub(super) fn get_or_insert(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let mut inner = lock(&self.0);
        if let Some(object) = inner.by_key.get(&key).and_then(Weak::upgrade) {
            return object;
        }
        if inner.by_key.len() >= inner.clear_at {
            inner.by_key.retain(|_, object| object.strong_count() > 0);
            inner.clear_at = 2 * inner.by_key.len() + 1024;
        }
        let object = Arc::new(make());
        inner.by_key.insert(key, Arc::downgrade(&object));
        object
    }

    #[cfg(test)]
    pub(super) fn while_locked<R>(&self, run: impl FnOnce() -> R) -> R {
        let _inner = lock(&self.0);
        run()
    }

    pub(super) fn all(&self) -> Vec<Arc<T>> {
        lock(&self.0).by_key.values().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn k7_dropped_objects_leave_a_bounded_number_of_entries() {
        let map = WeakMap::<u32, u32>::default();
        let kept = map.get_or_insert(0, || 0);
        for key in 1..100_000 {
            assert_eq!(*map.get_or_insert(key, || key), key);
        }
        assert!(lock(&map.0).by_key.len() <= 1024 + 2);
        assert!(Arc::ptr_eq(&map.get_or_insert(0, || 1), &kept));
        assert_eq!((map.get(&0).as_deref(), map.get(&1), map.all().len()), (Some(&0), None, 1));
    }
}
