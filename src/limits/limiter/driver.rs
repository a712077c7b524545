//! The task that grants permits while requests wait.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::Limiter;
use crate::limits::policy::Policy;

impl<P: Policy> Limiter<P> {
    /// Spawns the task if requests wait and there is none. Returns false if one is needed but could not be spawned.
    pub(super) fn drive(self: &Arc<Self>) -> bool {
        let Ok(runtime) = Handle::try_current() else {
            self.orphaned.notify_one();
            return false;
        };
        let is_needed = self.change(|state, _| {
            let is_needed = !state.is_driven && !state.tickets.is_empty();
            state.is_driven |= is_needed;
            is_needed
        });
        if !is_needed {
            return true;
        }
        let driver = Driver { limiter: Arc::clone(self), is_done: false };
        drop(runtime.spawn(driver.run()));
        self.change(|state, _| state.is_driven || state.tickets.is_empty())
    }
}

/// The task. If it is dropped before it is done, a waiting request spawns another one.
struct Driver<P: Policy> {
    limiter: Arc<Limiter<P>>,
    is_done: bool,
}

impl<P: Policy> Driver<P> {
    async fn run(mut self) {
        loop {
            let now = self.limiter.clock.now();
            let next = self.limiter.change(|state, effects| {
                state.grant(now, effects);
                // Under the same lock as `grant`, so that a request that joins later spawns another task.
                state.is_driven = !state.tickets.is_empty();
                state.is_driven.then(|| state.policy.next_change(now))
            });
            let changed = self.limiter.changed.notified();
            match next {
                Some(Some(at)) => _ = timeout_at(at, changed).await,
                Some(None) => changed.await,
                None => break,
            }
        }
        self.is_done = true;
    }
}

impl<P: Policy> Drop for Driver<P> {
    fn drop(&mut self) {
        if !self.is_done {
            // The runtime is shutting down. A waiting request on another runtime takes over.
            self.limiter.change(|state, _| state.is_driven = false);
            self.limiter.orphaned.notify_one();
        }
    }
}
