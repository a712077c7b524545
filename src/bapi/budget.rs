//! The budget of calls to the Backend API: smooth, and for what is most urgent first (rule P1 on this side).
//!
//! Clerk allows an instance so many calls in any ten seconds. They are sent at a tenth of that in any second, so that
//! a burst doesn't keep a renewal waiting for ten seconds, and the tenths never add up to more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::api::{Fault, Meaning};
use crate::clock::Clock;
use crate::sync::lock;

/// Parts that the window is cut into.
const PARTS: u32 = 10;

/// Nobody waits longer: who is further down the queue is told so at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// A turn that comes with the last moment of it is taken all the same.
const SLACK: Duration = Duration::from_millis(100);

/// Calls that wait, of each urgency (rule K7).
const QUEUE: usize = 1024;

/// What a call is for: the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// A live session goes on.
    Token,
    /// Somebody wants in.
    Proof,
    /// Something is cleared away.
    End,
}

const URGENCIES: usize = 3;

/// The budget and the queues for it.
#[derive(Debug)]
pub(crate) struct CallBudget {
    state: Mutex<State>,
    /// So many calls in any window of this length.
    rate: (usize, Duration),
    clock: Clock,
}

#[derive(Debug)]
struct State {
    /// When those left that count still, the oldest first.
    departures: VecDeque<Instant>,
    waiting: [VecDeque<oneshot::Sender<()>>; URGENCIES],
    paused_until: Instant,
    /// Whether a task gives turns as the window moves on.
    driven: bool,
}

impl CallBudget {
    /// At most so many calls in any window of this length, which must be one at least.
    pub(crate) fn new((calls, window): (u32, Duration), clock: Clock) -> Arc<Self> {
        let parts = if calls >= PARTS { PARTS } else { 1 };
        let rate = ((calls / parts).max(1) as usize, window / parts);
        let state = State {
            departures: VecDeque::new(),
            waiting: Default::default(),
            paused_until: clock.now(),
            driven: false,
        };
        Arc::new(Self { state: Mutex::new(state), rate, clock })
    }

    /// Waits for a turn. From then on the call counts.
    ///
    /// # Errors
    ///
    /// [`Meaning::NoTurn`], with when to come back, where the turn would be too late.
    pub(crate) async fn turn(self: &Arc<Self>, urgency: Urgency) -> Result<(), Fault> {
        let now = self.clock.now();
        let Some(turn) = self.join(urgency, now)? else { return Ok(()) };
        match tokio::time::timeout_at(now + PATIENCE + SLACK, turn).await {
            Ok(Ok(())) => Ok(()),
            // More urgent ones came in between, or the runtime that gave the turns has ended.
            _ => Err(later(Duration::from_secs(1))),
        }
    }

    /// Joins the queue; `None` where a turn can be had at once.
    fn join(
        self: &Arc<Self>,
        urgency: Urgency,
        now: Instant,
    ) -> Result<Option<oneshot::Receiver<()>>, Fault> {
        let mut state = lock(&self.state);
        let paused = state.paused_until.saturating_duration_since(now);
        let (calls, window) = self.rate;
        let ahead: usize = state.waiting[..=urgency as usize].iter().map(VecDeque::len).sum();
        if ahead == 0 && paused.is_zero() && state.depart(now, calls, window) {
            return Ok(None);
        }
        let windows = u32::try_from(ahead / calls).unwrap_or(u32::MAX);
        // In a pause the window has moved on by its end.
        let windows = if paused.is_zero() { windows.saturating_add(1) } else { windows };
        let wait = paused + window.saturating_mul(windows);
        if wait > PATIENCE || state.waiting[urgency as usize].len() >= QUEUE {
            return Err(later(wait));
        }
        let (sender, turn) = oneshot::channel();
        state.waiting[urgency as usize].push_back(sender);
        self.drive(&mut state);
        Ok(Some(turn))
    }

    /// No call before then: Clerk has said 429 (rule P2).
    pub(crate) fn pause(&self, pause: Duration) {
        let mut state = lock(&self.state);
        let until = self.clock.now() + pause;
        state.paused_until = state.paused_until.max(until);
        if pause > PATIENCE {
            // Told so by the end of their channels.
            state.waiting.iter_mut().for_each(VecDeque::clear);
        }
    }

    /// Keeps a task running while somebody waits. It ends with the budget.
    fn drive(self: &Arc<Self>, state: &mut State) {
        if std::mem::replace(&mut state.driven, true) {
            return;
        }
        let driving = Driving(Arc::downgrade(self));
        let clock = self.clock;
        tokio::spawn(async move {
            loop {
                let next = match driving.0.upgrade() {
                    Some(budget) => budget.grant(clock.now()),
                    None => return,
                };
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => return,
                }
            }
        });
    }

    /// Gives turns to all who can have one, and says when to look again; `None` where nobody waits.
    fn grant(&self, now: Instant) -> Option<Instant> {
        let (calls, window) = self.rate;
        let mut state = lock(&self.state);
        loop {
            let Some(queue) = state.waiting.iter().position(|queue| !queue.is_empty()) else {
                state.driven = false;
                return None;
            };
            if state.paused_until > now {
                return Some(state.paused_until);
            }
            if !state.depart(now, calls, window) {
                return state.departures.front().map(|oldest| *oldest + window);
            }
            let turn = state.waiting[queue].pop_front();
            // Who has gone away meanwhile has had no turn.
            if turn.is_some_and(|turn| turn.send(()).is_err()) {
                state.departures.pop_back();
            }
        }
    }
}

impl State {
    fn depart(&mut self, now: Instant, calls: usize, window: Duration) -> bool {
        while self.departures.front().is_some_and(|left| now.saturating_duration_since(*left) >= window) {
            self.departures.pop_front();
        }
        let free = self.departures.len() < calls;
        if free {
            self.departures.push_back(now);
        }
        free
    }
}

/// The task that gives turns, which may end with its runtime: another one then takes its place.
struct Driving(Weak<CallBudget>);

impl Drop for Driving {
    fn drop(&mut self) {
        if let Some(budget) = self.0.upgrade() {
            lock(&budget.state).driven = false;
        }
    }
}

fn later(wait: Duration) -> Fault {
    Fault { retry_after: Some(wait), ..Fault::coded(Meaning::NoTurn, "backend_budget") }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// After what is due at the same instant.
    const TICK: Duration = Duration::from_millis(10);

    fn budget(calls: u32) -> Arc<CallBudget> {
        CallBudget::new((calls, 10 * SECOND), Clock::system())
    }

    /// Asks for a turn in a task of its own, and counts it when it has come.
    fn ask(budget: &Arc<CallBudget>, urgency: Urgency, had: &Arc<AtomicUsize>) {
        let (budget, had) = (Arc::clone(budget), Arc::clone(had));
        tokio::spawn(async move {
            if budget.turn(urgency).await.is_ok() {
                had.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p1_the_tenth_of_the_budget_departs_in_each_second_and_never_more() {
        let (budget, had) = (budget(50), Arc::default());
        (0..12).for_each(|_| ask(&budget, Urgency::Proof, &had));
        settle().await;
        for expected in [5, 10, 12] {
            assert_eq!(had.load(Ordering::Relaxed), expected);
            tokio::time::sleep(SECOND + TICK).await;
            settle().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_more_urgent_goes_first() {
        let budget = budget(10);
        let [tokens, proofs, ends]: [Arc<AtomicUsize>; 3] = Default::default();
        budget.turn(Urgency::End).await.unwrap();
        ask(&budget, Urgency::End, &ends);
        settle().await;
        ask(&budget, Urgency::Proof, &proofs);
        settle().await;
        ask(&budget, Urgency::Token, &tokens);
        settle().await;
        tokio::time::sleep(SECOND + TICK).await;
        settle().await;
        let counts = || [&tokens, &proofs, &ends].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts(), [1, 0, 0]);
        tokio::time::sleep(SECOND + TICK).await;
        settle().await;
        assert_eq!(counts(), [1, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_wait_too_long_is_told_so_at_once() {
        let (budget, had) = (budget(10), Arc::default());
        (0..3).for_each(|_| ask(&budget, Urgency::Proof, &had));
        settle().await;
        let fault = budget.turn(Urgency::Proof).await.unwrap_err();
        assert_eq!((fault.meaning, fault.retry_after), (Meaning::NoTurn, Some(3 * SECOND)));
        // What is more urgent doesn't stand behind those.
        let began = Instant::now();
        budget.turn(Urgency::Token).await.unwrap();
        assert!(began.elapsed() <= SECOND + TICK);
    }

    #[tokio::test(start_paused = true)]
    async fn p2_nobody_departs_in_a_pause_nor_waits_through_a_long_one() {
        let (budget, had) = (budget(50), Arc::default());
        budget.pause(SECOND);
        ask(&budget, Urgency::Token, &had);
        settle().await;
        assert_eq!(had.load(Ordering::Relaxed), 0);
        tokio::time::sleep(SECOND + TICK).await;
        settle().await;
        assert_eq!(had.load(Ordering::Relaxed), 1);
        budget.pause(30 * SECOND);
        let fault = budget.turn(Urgency::Token).await.unwrap_err();
        assert_eq!(fault.retry_after, Some(30 * SECOND));
        tokio::time::sleep(30 * SECOND).await;
        budget.turn(Urgency::Token).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_away_takes_no_turn_along() {
        let budget = budget(10);
        budget.turn(Urgency::Proof).await.unwrap();
        let gone = tokio::time::timeout(SECOND / 2, budget.turn(Urgency::Proof)).await;
        assert!(gone.is_err());
        let began = Instant::now();
        budget.turn(Urgency::Proof).await.unwrap();
        assert!(began.elapsed() <= SECOND + TICK);
    }
}
