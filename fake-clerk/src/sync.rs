//! Locks that a panic elsewhere doesn't poison.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks a mutex whose owner may have panicked: a failed assertion in one task shouldn't become ten in others.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
