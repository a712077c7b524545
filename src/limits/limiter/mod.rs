//! The driver of a rate limit: requests wait here until a [`Policy`] lets them start.
//!
//! While requests wait, a task gives out permits as time passes and permits come back. The task belongs to the runtime of
//! the request that started it, and may end with that runtime at any point; a request of another runtime then starts it
//! anew.
//!
//! Nothing that may run code of others happens under the lock: a runtime that is closing drops a future inside `spawn`, a
//! channel wakes its receiver, and a permit that can't be delivered takes the lock when it is dropped. [`Limiter::change`]
//! is therefore the only place that locks, and the effects of a change are carried out afterwards.

mod driver;
mod permit;
mod place;
mod state;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::permit::Permit;
use self::place::{Place, Waited};
use self::state::{Effects, State};
use super::policy::Policy;
use crate::clock::Clock;
use crate::sync::lock;

/// No permit in time; when the earliest would be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPermit {
    pub(crate) earliest: Duration,
}

/// A rate limit and the queue for it.
#[derive(Debug)]
pub(crate) struct Limiter<P: Policy> {
    state: Mutex<State<P>>,
    /// Wakes the task: something has changed before its time.
    changed: Notify,
    /// Wakes one request in the queue: the task has ended, and another is to be started.
    orphaned: Notify,
    clock: Clock,
}

impl<P: Policy> Limiter<P> {
    pub(super) fn with(policy: P, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(policy)),
            changed: Notify::new(),
            orphaned: Notify::new(),
            clock,
        })
    }

    /// Waits for a permit. Dropping the future leaves the queue.
    pub(crate) async fn permit(self: &Arc<Self>, request: P::Request) -> Result<Permit<P>, NoPermit> {
        let now = self.clock.now();
        let (mut place, patience) = self.join(request, now)?;
        // A permit that is there already takes no timer, and so no runtime.
        if let Ok(permit) = place.permit.try_recv() {
            return Ok(permit);
        }
        let is_over = match place.wait(now + patience).await {
            Waited::Permit(permit) => return Ok(permit),
            Waited::Removed => false,
            Waited::TimeUp => true,
        };
        // A permit may be due at the very end of the wait, and the two timers fire in either order.
        let now = self.clock.now();
        let next_chance = self.change(|state, effects| {
            state.grant(now, effects);
            state.policy.next_chance(request, now)
        });
        // If the queue has already been left, the permit is on its way.
        if is_over
            && !place.leave()
            && let Ok(permit) = (&mut place.permit).await
        {
            return Ok(permit);
        }
        let earliest = next_chance.saturating_duration_since(now).max(Duration::from_secs(1));
        Err(NoPermit { earliest })
    }

    /// Clerk has answered 429 (rule P2). No call starts before the pause is over, and no request waits for its end unless
    /// it is short. Returns how long this answer asks for.
    pub(crate) fn rate_limited(self: &Arc<Self>, retry_after: Option<Duration>) -> Duration {
        let now = self.clock.now();
        self.change(|state, effects| {
            let pause = state.policy.backoff().begin(retry_after, now);
            if state.policy.is_paused(now) {
                state.clear(effects);
            }
            effects.has_changed = true;
            pause
        })
    }

    /// From now on no request gets a permit, nor waits for one.
    pub(crate) fn close(self: &Arc<Self>) {
        self.change(|state, effects| {
            state.is_closed = true;
            state.clear(effects);
            effects.has_changed = true;
        });
    }

    /// How many requests wait.
    pub(crate) fn waiting(self: &Arc<Self>) -> usize {
        self.change(|state, _| state.tickets.len())
    }

    /// Changes or reads the policy's own state. `lets_start`: a request in the queue may be able to start now.
    pub(super) fn change_policy<R>(
        self: &Arc<Self>,
        lets_start: bool,
        change: impl FnOnce(&mut P) -> R,
    ) -> R {
        self.change(|state, effects| {
            effects.has_changed = lets_start;
            change(&mut state.policy)
        })
    }

    /// Changes the state, and then carries out the effects, without the lock.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut State<P>, &mut Effects<P>) -> R) -> R {
        let mut effects = Effects::default();
        let mut state = lock(&self.state);
        let result = change(&mut state, &mut effects);
        drop(state);
        effects.carry_out(self);
        result
    }

    /// Puts a request into the queue. Returns its place, and how long it waits at most.
    fn join(
        self: &Arc<Self>,
        request: P::Request,
        now: Instant,
    ) -> Result<(Place<'_, P>, Duration), NoPermit> {
        let (id, permit, patience) = self.change(|state, effects| {
            let (id, permit) = state.join(request, now, effects)?;
            state.grant(now, effects);
            Ok((id, permit, state.policy.patience(request)))
        })?;
        Ok((Place { limiter: self, id, permit }, patience))
    }
}

#[cfg(test)]
impl<P: Policy> Limiter<P> {
    pub(super) fn is_driven(self: &Arc<Self>) -> bool {
        self.change(|state, _| state.is_driven)
    }
}

#[cfg(test)]
mod tests;
