//! A rate limiter: requests wait here until a [`Policy`] lets them start.
//!
//! While requests wait, a task grants permits as time passes and permits come back. The task runs on the runtime of the
//! request that spawned it, and may be dropped with that runtime at any time; a request on another runtime then spawns
//! a new one.
//!
//! No foreign code may run under the lock, or it could deadlock: a runtime that is shutting down drops a future inside
//! `spawn`, a channel wakes its receiver, and dropping an undelivered permit takes the lock. [`Limiter::change`] is
//! therefore the only place that locks, and it carries out the effects of a change after unlocking.

mod driver;
mod permit;
mod place;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use self::permit::Permit;
use self::place::{Place, Waited};
use self::state::{Effects, State};
use super::policy::Policy;
use super::shared::Gate;
use crate::clock::Clock;
use crate::sync::lock;

/// There was no permit in time. `earliest` is how long until there could be one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoPermit {
    pub(crate) earliest: Duration,
}

/// A rate limit and the queue for it.
#[derive(Debug)]
pub(crate) struct Limiter<P: Policy> {
    state: Mutex<State<P>>,
    /// Wakes the task before the policy's next change is due.
    changed: Notify,
    /// Wakes one waiting request to spawn a new task, because the old one was dropped with its runtime.
    orphaned: Notify,
    clock: Clock,
    on_start: OnStart,
    /// The budget of all processes behind this one.
    pub(in crate::limits) gate: OnceLock<Arc<dyn Gate>>,
}

/// Called whenever a call starts.
#[derive(Default)]
struct OnStart(OnceLock<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for OnStart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnStart")
    }
}

impl<P: Policy> Limiter<P> {
    pub(super) fn with(policy: P, clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State::new(policy)),
            changed: Notify::new(),
            orphaned: Notify::new(),
            clock,
            on_start: OnStart::default(),
            gate: OnceLock::new(),
        })
    }

    /// Sets a callback for the starts of calls. It must not block. Only the first call has an effect.
    pub(crate) fn on_start(&self, on_start: impl Fn() + Send + Sync + 'static) {
        _ = self.on_start.0.set(Box::new(on_start));
    }

    /// Waits for a permit of this process. Dropping the future removes the request from the queue.
    pub(in crate::limits) async fn own_permit(
        self: &Arc<Self>,
        request: P::Request,
    ) -> Result<Permit<P>, NoPermit> {
        let now = self.clock.now();
        let (mut place, patience) = self.join(request, now)?;
        // A permit that was granted at once needs no timer, and so no runtime.
        if let Ok(permit) = place.permit.try_recv() {
            return Ok(permit);
        }
        let is_over = match place.wait(now + patience).await {
            Waited::Permit(permit) => return Ok(permit),
            Waited::Removed => false,
            Waited::TimeUp => true,
        };
        // A permit may be due at the very end of the wait, and the timers of the task and the wait fire in either
        // order.
        let now = self.clock.now();
        let next_chance = self.change(|state, effects| {
            state.grant(now, effects);
            state.policy.next_chance(request, now)
        });
        // If the request was no longer in the queue, its permit is about to arrive.
        if is_over
            && !place.leave()
            && let Ok(permit) = (&mut place.permit).await
        {
            return Ok(permit);
        }
        let earliest = next_chance.saturating_duration_since(now).max(Duration::from_secs(1));
        Err(NoPermit { earliest })
    }

    /// Pauses all calls after a 429 (rule P2). Waiting requests get an error unless the pause is short. Returns the
    /// pause that this answer alone asks for.
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

    /// Rejects all waiting and future requests.
    pub(crate) fn close(self: &Arc<Self>) {
        self.change(|state, effects| {
            state.is_closed = true;
            state.clear(effects);
            effects.has_changed = true;
        });
    }

    /// Whether there will be no permit any more.
    pub(crate) fn is_closed(self: &Arc<Self>) -> bool {
        self.change(|state, _| state.is_closed)
    }

    /// The number of waiting requests.
    pub(crate) fn waiting(self: &Arc<Self>) -> usize {
        self.change(|state, _| state.tickets.len())
    }

    /// Changes or reads the policy's state. `lets_start` tells whether the change may let a waiting request start.
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

    /// Changes the state under the lock, and then carries out the effects without it.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut State<P>, &mut Effects<P>) -> R) -> R {
        let mut effects = Effects::default();
        let mut state = lock(&self.state);
        let result = change(&mut state, &mut effects);
        drop(state);
        effects.carry_out(self);
        result
    }

    /// Adds a request to the queue. Returns its place, and the longest time that it may wait.
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
