//! A request's wait in the queue.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use super::{Limiter, Permit};
use crate::limits::policy::{Policy, RequestId};
use crate::sync::{Either, either};

/// A place in the queue. Dropping it leaves the queue.
pub(super) struct Place<'a, P: Policy> {
    pub(super) limiter: &'a Arc<Limiter<P>>,
    pub(super) id: RequestId,
    pub(super) permit: oneshot::Receiver<Permit<P>>,
}

impl<P: Policy> Place<'_, P> {
    pub(super) async fn wait(&mut self, until: Instant) -> Waited<P> {
        // A runtime that refuses tasks is about to drop this request, so don't retry: that would spin.
        while self.limiter.drive() {
            match timeout_at(until, either(&mut self.permit, self.limiter.orphaned.notified())).await {
                Ok(Either::First(Ok(permit))) => return Waited::Permit(permit),
                Ok(Either::First(Err(_))) => return Waited::Removed,
                Ok(Either::Second(())) => {}
                Err(_) => return Waited::TimeUp,
            }
        }
        Waited::TimeUp
    }

    /// Leaves the queue. Returns whether the request was still in it.
    pub(super) fn leave(&self) -> bool {
        self.limiter.change(|state, effects| {
            let Some(ticket) = state.tickets.remove(&self.id) else { return false };
            state.policy.leave(self.id);
            effects.ended.push(ticket);
            // The task may have no waiting request left, and then ends.
            effects.has_changed = true;
            true
        })
    }
}

impl<P: Policy> Drop for Place<'_, P> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// How a wait for a permit ended.
pub(super) enum Waited<P: Policy> {
    Permit(Permit<P>),
    /// The request was removed from the queue.
    Removed,
    TimeUp,
}
