//! The removals that have not reached the session store yet. The store may be on another machine, and until it has
//! carried them out, it would still return a session that was revoked.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::sync::lock;

/// The removals under way at one store.
#[derive(Debug, Default)]
pub(crate) struct Removals {
    state: Mutex<State>,
    done: Notify,
}

#[derive(Debug, Default)]
struct State {
    begun: u64,
    under_way: BTreeSet<u64>,
}

/// One removal. Dropping it marks the removal as finished.
#[derive(Debug)]
pub(crate) struct Removal {
    removals: Arc<Removals>,
    number: u64,
}

impl Removals {
    pub(crate) fn begin(self: &Arc<Self>) -> Removal {
        let mut state = lock(&self.state);
        let number = state.begun;
        state.begun += 1;
        state.under_way.insert(number);
        Removal { removals: Arc::clone(self), number }
    }

    /// Waits until all removals that have begun before this call are finished.
    pub(crate) async fn finished(&self) {
        let begun = lock(&self.state).begun;
        loop {
            // Enabled before the check, so that no notification in between is missed.
            let mut done = std::pin::pin!(self.done.notified());
            done.as_mut().enable();
            if lock(&self.state).under_way.first().is_none_or(|first| *first >= begun) {
                return;
            }
            done.await;
        }
    }
}

impl Drop for Removal {
    fn drop(&mut self) {
        lock(&self.removals.state).under_way.remove(&self.number);
        self.removals.done.notify_waiters();
    }
}
