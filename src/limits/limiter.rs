//! The driver of a rate limit: it lets requests wait for what a [`Policy`] decides.
//!
//! While requests wait, a task gives out permits as time passes and permits come back. The task belongs to the runtime of
//! the request that started it, and may end with that runtime at any point; a request of another runtime then starts it
//! anew.
//!
//! Nothing that may run code of others happens under the lock: a runtime that is closing drops a future inside `spawn`, a
//! channel wakes its receiver, and a permit that can't be delivered takes the lock when it is dropped. [`Limiter::change`]
//! is therefore the only place that locks, and what a change brings about is an [`Effects`], carried out afterwards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout_at};

use super::policy::{Policy, RequestId};
use crate::clock::Clock;
use crate::sync::{Either, either, lock};

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

#[derive(Debug)]
struct State<P: Policy> {
    policy: P,
    /// The way to each request in the queue.
    tickets: HashMap<RequestId, Ticket<P>>,
    last_id: RequestId,
    /// A task gives out permits.
    is_driven: bool,
    /// No request gets a permit any more.
    is_closed: bool,
}

type Ticket<P> = oneshot::Sender<Permit<P>>;

/// What a change of the state brings about.
struct Effects<P: Policy> {
    permits: Vec<(RequestId, Ticket<P>)>,
    /// Requests that wait no longer, told so by the end of their channels.
    ended: Vec<Ticket<P>>,
    /// The task has to look again.
    has_changed: bool,
}

/// Leave to make one call.
///
/// Dropped before its call has started, it costs nothing.
#[derive(Debug)]
pub(crate) struct Permit<P: Policy> {
    limiter: Arc<Limiter<P>>,
    id: RequestId,
    has_started: bool,
    is_out: bool,
}

/// How a wait for a permit ended.
enum Waited<P: Policy> {
    Permit(Permit<P>),
    /// The request was removed from the queue.
    Removed,
    TimeUp,
}

impl<P: Policy> Limiter<P> {
    pub(super) fn with(policy: P, clock: Clock) -> Arc<Self> {
        let state = State { policy, tickets: HashMap::new(), last_id: 0, is_driven: false, is_closed: false };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), orphaned: Notify::new(), clock })
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

    /// Changes or reads what is the policy's own. `lets_start`: a request that waits may be able to start now.
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

    /// Changes the state, and then carries out what comes of it, without the lock.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut State<P>, &mut Effects<P>) -> R) -> R {
        let mut effects = Effects { permits: Vec::new(), ended: Vec::new(), has_changed: false };
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

    /// Keeps a task running while requests wait. Returns whether there is one, or none is needed.
    fn drive(self: &Arc<Self>) -> bool {
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

impl<P: Policy> State<P> {
    fn join(
        &mut self,
        request: P::Request,
        now: Instant,
        effects: &mut Effects<P>,
    ) -> Result<(RequestId, oneshot::Receiver<Permit<P>>), NoPermit> {
        if self.is_closed {
            return Err(NoPermit { earliest: Duration::ZERO });
        }
        self.last_id += 1;
        let removed = self
            .policy
            .join(self.last_id, request, now)
            .map_err(|at| NoPermit { earliest: at.saturating_duration_since(now) })?;
        effects.ended.extend(removed.and_then(|id| self.tickets.remove(&id)));
        let (ticket, permit) = oneshot::channel();
        self.tickets.insert(self.last_id, ticket);
        Ok((self.last_id, permit))
    }

    /// Gives permits to all requests that may start now.
    fn grant(&mut self, now: Instant, effects: &mut Effects<P>) {
        while let Some(id) = self.policy.next(now) {
            match self.tickets.remove(&id) {
                Some(ticket) => effects.permits.push((id, ticket)),
                None => self.policy.put_back(id, false, now),
            }
        }
    }

    fn clear(&mut self, effects: &mut Effects<P>) {
        self.policy.clear();
        effects.ended.extend(self.tickets.drain().map(|(_, ticket)| ticket));
    }
}

impl<P: Policy> Effects<P> {
    fn carry_out(self, limiter: &Arc<Limiter<P>>) {
        // All permits are made before the first is sent, so that none is lost if a waker panics.
        let new = |id| Permit { limiter: Arc::clone(limiter), id, has_started: false, is_out: true };
        let permits: Vec<_> = self.permits.into_iter().map(|(id, ticket)| (ticket, new(id))).collect();
        for (ticket, permit) in permits {
            // A request that has gone away meanwhile returns its permit by dropping it.
            drop(ticket.send(permit));
        }
        drop(self.ended);
        if self.has_changed {
            limiter.changed.notify_one();
        }
    }
}

impl<P: Policy> Permit<P> {
    /// The call starts now; from here on the permit counts.
    pub(crate) fn start(&mut self) {
        self.has_started = true;
    }

    /// Gives it back before its time: the call that follows needs another one, and there is one at a time.
    pub(crate) fn give_back(&mut self) {
        if std::mem::replace(&mut self.is_out, false) {
            let (id, has_started, now) = (self.id, self.has_started, self.limiter.clock.now());
            self.limiter.change_policy(true, |policy| policy.put_back(id, has_started, now));
        }
    }

    /// Changes what the policy holds of this permit.
    pub(super) fn change_policy(&self, change: impl FnOnce(&mut P, RequestId)) {
        self.limiter.change_policy(true, |policy| change(policy, self.id));
    }
}

impl<P: Policy> Drop for Permit<P> {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A place in the queue, given up when the wait ends in whatever way.
struct Place<'a, P: Policy> {
    limiter: &'a Arc<Limiter<P>>,
    id: RequestId,
    permit: oneshot::Receiver<Permit<P>>,
}

impl<P: Policy> Place<'_, P> {
    async fn wait(&mut self, until: Instant) -> Waited<P> {
        // A runtime that takes no task is about to drop this request: to try again would be to spin.
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
    fn leave(&self) -> bool {
        self.limiter.change(|state, effects| {
            let Some(ticket) = state.tickets.remove(&self.id) else { return false };
            state.policy.leave(self.id);
            effects.ended.push(ticket);
            // The task may have no request left to wait for.
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

/// The task that gives out permits.
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

#[cfg(test)]
impl<P: Policy> Limiter<P> {
    pub(super) fn is_driven(self: &Arc<Self>) -> bool {
        self.change(|state, _| state.is_driven)
    }
}

#[cfg(test)]
mod tests;
