//! The sign-in budget: who may ask Clerk next, and when (rules P1, P2, K8, K13).
//!
//! Clerk allows one address five sign-ins in ten seconds. A permit is taken when a sign-in departs and comes back a
//! window after its answer, so that any window, wherever Clerk begins to count, holds at most as many as allowed; a
//! token bucket would let a full bucket and its refill through together, and earn a 429.
//!
//! Two shares live in the budget. Credentials that Clerk has accepted before go first, and most of the budget is
//! kept for them as soon as there are any. The rest is for all others, turn by turn between sources and, within a
//! source, between identifiers. A sign-in that turns out right counts with the first share from then on, so a cold
//! start of honest users runs at the full budget, and a flood of wrong passwords at what is left to it.

mod turns;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use self::turns::{Turn, Turns};
use crate::clock::Clock;
use crate::key::IdentifierKey;
use crate::sync::lock;

/// Which share of the budget a sign-in draws on (rule K13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Clerk has accepted this very credential before.
    Proven,
    /// Nothing is known of it.
    Unproven,
}

/// How many sign-ins may depart in any window of what length. `None`: as many as come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    pub(crate) sign_ins: Option<(u32, Duration)>,
    /// How long one waits for its turn at most.
    pub(crate) wait: Duration,
    /// How many wait at most.
    pub(crate) queue: usize,
}

/// A sign-in that wants to depart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    pub(crate) share: Share,
    pub(crate) identifier: IdentifierKey,
    /// Who asks, where the layer can tell: a hash of its name.
    pub(crate) source: Option<u64>,
    /// Nobody waits for it: a proof is renewed ahead of its end, and this is how long there is time for it. Such a one
    /// waits longer than a request, and goes after those that are as proven as it is.
    pub(crate) renewal: Option<Duration>,
}

/// There is no turn in time; when the earliest would be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoTurn {
    pub(crate) earliest: Duration,
}

/// The budget and the queue for it.
#[derive(Debug)]
pub(crate) struct Pacing {
    state: Mutex<State>,
    changed: Notify,
    budget: Budget,
    clock: Clock,
}

#[derive(Debug)]
struct State {
    turns: Turns<oneshot::Sender<Permit>>,
    /// Whether a task gives turns as permits come back.
    driven: bool,
    /// Nobody has a turn any more.
    closed: bool,
}

/// A turn: one sign-in may depart.
///
/// Dropped before it departed, it costs nothing; after that, it comes back a window later.
#[derive(Debug)]
pub(crate) struct Permit {
    pacing: Arc<Pacing>,
    id: u64,
    identifier: IdentifierKey,
    departed: bool,
    out: bool,
}

impl Pacing {
    pub(crate) fn new(budget: Budget, clock: Clock) -> Arc<Self> {
        let state = State { turns: Turns::new(budget), driven: false, closed: false };
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new(), budget, clock })
    }

    /// Waits for a turn. Dropping the future leaves the queue.
    pub(crate) async fn turn(self: &Arc<Self>, wish: Wish) -> Result<Permit, NoTurn> {
        let (turn, mut granted) = oneshot::channel();
        let now = self.clock.now();
        let id = {
            let mut state = lock(&self.state);
            if state.closed {
                return Err(NoTurn { earliest: Duration::ZERO });
            }
            let joined = state.turns.join(wish, turn, now);
            let id = joined.map_err(|at| NoTurn { earliest: at.saturating_duration_since(now) })?;
            let unclaimed = self.grant(&mut state, now);
            self.drive(&mut state);
            drop(state);
            drop(unclaimed);
            id
        };
        let _place = Place { pacing: self, id };
        if let Ok(Ok(permit)) = tokio::time::timeout_at(now + wish.patience(self.budget), &mut granted).await
        {
            return Ok(permit);
        }
        // The wait is over, or another was due the place more. A turn may come at the very end of the wait, and the
        // two timers in either order.
        let now = self.clock.now();
        let mut state = lock(&self.state);
        let unclaimed = self.grant(&mut state, now);
        let earliest = state.turns.next_chance(wish, now).saturating_duration_since(now);
        drop(state);
        drop(unclaimed);
        granted.try_recv().map_err(|_| NoTurn { earliest: earliest.max(Duration::from_secs(1)) })
    }

    /// Nobody departs before then: Clerk has said 429 (rule P2). Nor does anybody wait for it, unless it is short.
    pub(crate) fn pause_until(&self, until: Instant) {
        let mut state = lock(&self.state);
        state.turns.pause_until(until);
        let is_long = state.turns.is_paused(self.clock.now());
        let waiting = if is_long { state.turns.clear() } else { Vec::new() };
        drop(state);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Nobody has a turn any more, and nobody waits for one.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let waiting = state.turns.clear();
        drop(state);
        drop(waiting);
        self.changed.notify_one();
    }

    /// How many proven credentials there are.
    pub(crate) fn set_proven(&self, proven: u64) {
        lock(&self.state).turns.set_proven(u32::try_from(proven).unwrap_or(u32::MAX));
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.state).turns.waiting()
    }

    /// Gives turns to all who can have one now. Returns those that nobody took, to be dropped without the lock.
    #[must_use]
    fn grant(self: &Arc<Self>, state: &mut State, now: Instant) -> Vec<Permit> {
        let mut unclaimed = Vec::new();
        while let Some(Turn { id, wish, ticket }) = state.turns.next(now) {
            let identifier = wish.identifier;
            let permit = Permit { pacing: Arc::clone(self), id, identifier, departed: false, out: true };
            unclaimed.extend(ticket.send(permit).err());
        }
        unclaimed
    }

    /// Keeps a task running while somebody waits, which gives turns as permits come back.
    fn drive(self: &Arc<Self>, state: &mut State) {
        if state.driven || state.turns.waiting() == 0 {
            return;
        }
        state.driven = true;
        let mut driving = Driving { pacing: Arc::clone(self), done: false };
        tokio::spawn(async move {
            loop {
                let pacing = &driving.pacing;
                let next = {
                    let now = pacing.clock.now();
                    let mut state = lock(&pacing.state);
                    let unclaimed = pacing.grant(&mut state, now);
                    let is_done = state.turns.waiting() == 0;
                    // Under the same lock as the look: who comes after it starts another.
                    state.driven = !is_done;
                    let next = state.turns.next_change(now);
                    drop(state);
                    drop(unclaimed);
                    if is_done {
                        driving.is_done();
                        return;
                    }
                    next
                };
                match next {
                    Some(at) => _ = tokio::time::timeout_at(at, pacing.changed.notified()).await,
                    None => pacing.changed.notified().await,
                }
            }
        });
    }
}

impl Permit {
    /// The sign-in leaves now; from here on the permit counts.
    pub(crate) fn depart(&mut self) {
        self.departed = true;
    }

    /// Gives it back before its time: what follows needs another one, and there is one at a time.
    pub(crate) fn give_back(&mut self) {
        if std::mem::replace(&mut self.out, false) {
            let back_at = match self.pacing.budget.sign_ins {
                // Clerk counts from when it saw the request, which was before its answer came.
                Some((_, window)) if self.departed => Some(self.pacing.clock.now() + window),
                _ => None,
            };
            lock(&self.pacing.state).turns.put_back(self.id, self.identifier, back_at);
            self.pacing.changed.notify_one();
        }
    }

    /// The credential was right: it counts with the proven from now on.
    pub(crate) fn proved(&self) {
        lock(&self.pacing.state).turns.proved(self.id);
        self.pacing.changed.notify_one();
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// A place in the queue, given up when the wait ends in whatever way.
struct Place<'a> {
    pacing: &'a Pacing,
    id: u64,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let left = lock(&self.pacing.state).turns.leave(self.id);
        if left {
            // The driving task may have nobody left to wait for.
            self.pacing.changed.notify_one();
        }
    }
}

/// The task that gives turns, which may end with its runtime: another one then takes its place.
struct Driving {
    pacing: Arc<Pacing>,
    done: bool,
}

impl Driving {
    fn is_done(&mut self) {
        self.done = true;
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        if !self.done {
            lock(&self.pacing.state).driven = false;
        }
    }
}

#[cfg(test)]
mod tests;
