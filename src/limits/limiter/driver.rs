//! The task that gives out permits while requests wait.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::timeout_at;

use super::Limiter;
use crate::limits::policy::Policy;

impl<P: Policy> Limiter<P> {
    /// Keeps a task running while requests wait. Returns whether there is one, or none is needed.
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

/// The task. Dropped before it is done, it leaves its place to another.
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
                // Under the same lock as the look: a request that joins later starts another task.
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
            // The runtime has ended. Another one's request, if there is any in the queue, goes on.
            self.limiter.change(|state, _| state.is_driven = false);
            self.limiter.orphaned.notify_one();
        }
    }
}
