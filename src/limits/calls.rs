//! The rate limit of calls to the Backend API: spread evenly, and the most urgent calls first (rules P1, Y20).
//!
//! Clerk limits the calls of an instance in any ten seconds
//! (<https://clerk.com/docs/guides/how-clerk-works/system-limits>). This limiter starts at most a tenth of them in any
//! second. Ten such seconds never exceed Clerk's limit, and a renewal doesn't wait ten seconds after a burst.
//!
//! Lists of users are read in the background, and nobody waits for one. They have a rate of their own within that limit, one
//! call at a time in equal steps, so that they take none of the calls that a sign-in would wait for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::backoff::{Backoff, CallKind};
use super::limiter::{Limiter, NoPermit, Permit};
use super::policy::{Policy, RequestId};
use crate::clock::Clock;

/// How many parts the window is divided into.
const PARTS: u32 = 10;

/// A call joins the queue only if its expected wait is no longer than this. A list waits as long as it takes.
const PATIENCE: Duration = Duration::from_secs(2);

/// Added to the wait, so that a permit that is due at its very end is still received.
const SLACK: Duration = Duration::from_millis(100);

/// When a call whose wait timed out, behind more urgent ones, should retry.
const NEXT_CHANCE: Duration = Duration::from_secs(1);

/// The longest single wait of a list, which then joins the queue again.
const PATIENCE_OF_LISTS: Duration = Duration::from_secs(60 * 60);

/// Lists get this part of the calls unless they are given another rate.
const LIST_PART: u32 = 10;

/// The most waiting calls per urgency (rule K7).
const QUEUE: usize = 1024;

/// The purpose of a call, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Urgency {
    /// Mints a token for a live session.
    Token,
    /// Verifies an API key that Clerk has accepted before.
    ProvenKey,
    /// Signs a user in, or verifies another API key.
    Proof,
    /// Ends a session.
    End,
    /// Reads a list, or an object for a copy of one.
    #[cfg_attr(not(feature = "backend"), allow(dead_code))]
    List,
}

const URGENCIES: usize = 5;

impl Urgency {
    /// Whether the call waits for a permit as long as it takes. The others fail if there is none in time.
    pub(crate) fn waits(self) -> bool {
        self == Self::List
    }
}

/// The limit of calls to the Backend API.
pub(crate) type CallLimiter = Limiter<CallQueue>;

impl CallLimiter {
    /// `rate` is how many calls may start in a window, and how long the window is. The count must be at least 1. `lists` is
    /// how many of them may be lists: a tenth, unless it is given.
    pub(crate) fn new(rate: (u32, Duration), lists: Option<(u32, Duration)>, clock: Clock) -> Arc<Self> {
        Self::with(CallQueue::new(rate, lists), clock)
    }

    /// Waits for a permit. Dropping the future removes the call from the queue.
    pub(crate) async fn permit(self: &Arc<Self>, urgency: Urgency) -> Result<Permit<CallQueue>, NoPermit> {
        self.own_permit(urgency).await
    }
}

/// The calls of the last part of the window, and a queue for each urgency.
#[derive(Debug)]
pub(crate) struct CallQueue {
    /// How many calls may start in one part of the window, and how long a part is.
    rate: (usize, Duration),
    /// The calls that still count, the oldest first.
    started: VecDeque<(RequestId, Instant)>,
    waiting: [VecDeque<RequestId>; URGENCIES],
    /// The time from one list to the next, and when the next one may start.
    list_step: Duration,
    next_list: Option<Instant>,
    backoff: Backoff,
}

impl CallQueue {
    fn new((calls, window): (u32, Duration), lists: Option<(u32, Duration)>) -> Self {
        let list_step = match lists {
            Some((lists, window)) => window / lists,
            None => window * LIST_PART / calls,
        };
        let parts = if calls >= PARTS { PARTS } else { 1 };
        let rate = ((calls / parts).max(1) as usize, window / parts);
        let backoff = Backoff::new(CallKind::Backend);
        Self {
            rate,
            started: VecDeque::new(),
            waiting: Default::default(),
            list_step,
            next_list: None,
            backoff,
        }
    }

    /// Whether a call can start now, if none waits.
    fn has_room(&mut self, now: Instant) -> bool {
        let (calls, window) = self.rate;
        while self.started.front().is_some_and(|(_, at)| now.saturating_duration_since(*at) >= window) {
            self.started.pop_front();
        }
        self.started.len() < calls && self.backoff.left(now).is_none()
    }
}

impl Policy for CallQueue {
    type Request = Urgency;

    fn join(&mut self, id: RequestId, urgency: Urgency, now: Instant) -> Result<Option<RequestId>, Instant> {
        if urgency.waits() && self.waiting[urgency as usize].len() < QUEUE {
            self.waiting[urgency as usize].push_back(id);
            return Ok(None);
        }
        let ahead: usize = self.waiting[..=urgency as usize].iter().map(VecDeque::len).sum();
        if ahead > 0 || !self.has_room(now) {
            let (calls, window) = self.rate;
            let windows = u32::try_from(ahead / calls).unwrap_or(u32::MAX);
            let wait = match self.backoff.left(now) {
                // By the end of the pause, the calls started before it no longer count.
                Some(pause) => pause + window.saturating_mul(windows),
                None => window.saturating_mul(windows.saturating_add(1)),
            };
            if wait > PATIENCE || self.waiting[urgency as usize].len() >= QUEUE {
                return Err(now + wait);
            }
        }
        self.waiting[urgency as usize].push_back(id);
        Ok(None)
    }

    fn leave(&mut self, id: RequestId) {
        self.waiting.iter_mut().for_each(|queue| queue.retain(|waiting| *waiting != id));
    }

    fn clear(&mut self) {
        self.waiting.iter_mut().for_each(VecDeque::clear);
    }

    fn next(&mut self, now: Instant) -> Option<RequestId> {
        if !self.has_room(now) {
            return None;
        }
        let [urgent @ .., lists] = &mut self.waiting;
        let id = match urgent.iter_mut().find_map(VecDeque::pop_front) {
            Some(id) => id,
            None if self.next_list.is_some_and(|next| next > now) => return None,
            None => {
                let id = lists.pop_front()?;
                // A permit that isn't used is gone, so that no two lists start within a step.
                self.next_list = Some(now + self.list_step);
                id
            }
        };
        self.started.push_back((id, now));
        Some(id)
    }

    fn next_change(&self, now: Instant) -> Option<Instant> {
        let (_, window) = self.rate;
        let started = || self.started.front().map(|(_, at)| *at + window);
        let list = || self.next_list.filter(|next| *next > now);
        self.backoff.end(now).or_else(|| started().into_iter().chain(list()).min())
    }

    /// A started call counts for one part of the window from its start, however long it takes.
    fn put_back(&mut self, id: RequestId, started: bool, _: Instant) {
        if !started {
            self.started.retain(|(call, _)| *call != id);
        }
    }

    fn patience(&self, urgency: Urgency) -> Duration {
        if urgency.waits() { PATIENCE_OF_LISTS } else { PATIENCE + SLACK }
    }

    fn next_chance(&self, _: Urgency, now: Instant) -> Instant {
        now + NEXT_CHANCE
    }

    fn backoff(&mut self) -> &mut Backoff {
        &mut self.backoff
    }

    fn is_paused(&self, now: Instant) -> bool {
        self.backoff.left(now).is_some_and(|left| left > PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// Added to a sleep, so that all timers due at the same instant have fired.
    const TICK: Duration = Duration::from_millis(10);

    fn limiter(calls: u32) -> Arc<CallLimiter> {
        CallLimiter::new((calls, 10 * SECOND), None, Clock::system())
    }

    async fn call(limiter: &Arc<CallLimiter>, urgency: Urgency) -> Result<(), NoPermit> {
        limiter.permit(urgency).await.map(|mut permit| permit.start())
    }

    /// Makes a call in a new task, and counts it once it has started.
    fn spawn(limiter: &Arc<CallLimiter>, urgency: Urgency, had: &Arc<AtomicUsize>) {
        let (limiter, had) = (Arc::clone(limiter), Arc::clone(had));
        tokio::spawn(async move {
            if call(&limiter, urgency).await.is_ok() {
                had.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    async fn run_ready_tasks() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p1_a_tenth_of_the_budget_starts_in_each_second_and_never_more() {
        let (limiter, had) = (limiter(50), Arc::default());
        (0..12).for_each(|_| spawn(&limiter, Urgency::Proof, &had));
        run_ready_tasks().await;
        for expected in [5, 10, 12] {
            assert_eq!(had.load(Ordering::Relaxed), expected);
            tokio::time::sleep(SECOND + TICK).await;
            run_ready_tasks().await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn p1_a_more_urgent_call_goes_first() {
        let limiter = limiter(10);
        let [tokens, proofs, ends]: [Arc<AtomicUsize>; 3] = Default::default();
        call(&limiter, Urgency::End).await.unwrap();
        spawn(&limiter, Urgency::End, &ends);
        run_ready_tasks().await;
        spawn(&limiter, Urgency::Proof, &proofs);
        run_ready_tasks().await;
        spawn(&limiter, Urgency::Token, &tokens);
        run_ready_tasks().await;
        tokio::time::sleep(SECOND + TICK).await;
        run_ready_tasks().await;
        let counts = || [&tokens, &proofs, &ends].map(|count| count.load(Ordering::Relaxed));
        assert_eq!(counts(), [1, 0, 0]);
        tokio::time::sleep(SECOND + TICK).await;
        run_ready_tasks().await;
        assert_eq!(counts(), [1, 1, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn p1_a_call_that_would_wait_too_long_gets_an_error_at_once() {
        let (limiter, had) = (limiter(10), Arc::default());
        (0..3).for_each(|_| spawn(&limiter, Urgency::Proof, &had));
        run_ready_tasks().await;
        let error = call(&limiter, Urgency::Proof).await;
        assert_eq!(error, Err(NoPermit { earliest: 3 * SECOND }));
        // A more urgent call doesn't wait behind those.
        let began = Instant::now();
        call(&limiter, Urgency::Token).await.unwrap();
        assert!(began.elapsed() <= SECOND + TICK);
    }

    #[tokio::test(start_paused = true)]
    async fn p2_no_call_starts_during_a_pause_or_waits_for_the_end_of_a_long_one() {
        let (limiter, had) = (limiter(50), Arc::default());
        limiter.rate_limited(Some(SECOND));
        spawn(&limiter, Urgency::Token, &had);
        run_ready_tasks().await;
        assert_eq!(had.load(Ordering::Relaxed), 0);
        tokio::time::sleep(SECOND + TICK).await;
        run_ready_tasks().await;
        assert_eq!(had.load(Ordering::Relaxed), 1);
        limiter.rate_limited(Some(30 * SECOND));
        let error = call(&limiter, Urgency::Token).await;
        assert_eq!(error, Err(NoPermit { earliest: 30 * SECOND }));
        tokio::time::sleep(30 * SECOND).await;
        call(&limiter, Urgency::Token).await.unwrap();
    }

    /// A queue for a test that drives the time by itself.
    fn queue(calls: u32, lists: Option<(u32, Duration)>) -> CallQueue {
        CallQueue::new((calls, 10 * SECOND), lists)
    }

    #[test]
    fn y20_lists_start_in_equal_steps_and_others_before_them() {
        let (mut queue, began) = (queue(80, None), Instant::now());
        (0..4).for_each(|id| assert_eq!(queue.join(id, Urgency::List, began), Ok(None)));
        assert_eq!((queue.next(began), queue.next(began)), (Some(0), None));
        assert_eq!(
            queue.next_change(began),
            Some(began + SECOND),
            "when the window of all calls has room again"
        );
        let step = 10 * SECOND / 8;
        let at = began + step;
        assert_eq!((queue.next(at - TICK), queue.next(at), queue.next(at)), (None, Some(1), None));
        assert_eq!(queue.join(9, Urgency::End, at), Ok(None));
        assert_eq!(
            (queue.next(at + step), queue.next(at + step)),
            (Some(9), Some(2)),
            "any other call goes first"
        );
    }

    #[test]
    fn y20_a_permit_of_a_list_that_is_not_used_is_gone() {
        let (mut queue, now) = (queue(80, Some((1, SECOND))), Instant::now());
        (0..2).for_each(|id| assert_eq!(queue.join(id, Urgency::List, now), Ok(None)));
        assert_eq!(queue.next(now), Some(0));
        queue.put_back(0, false, now);
        assert_eq!((queue.next(now), queue.next(now + SECOND)), (None, Some(1)));
    }

    #[test]
    fn y20_lists_join_however_long_they_wait_up_to_a_bound_of_the_queue() {
        let (mut queue, now) = (queue(10, None), Instant::now());
        queue.backoff.begin(Some(300 * SECOND), now);
        assert!(queue.join(0, Urgency::Proof, now).is_err(), "others are told to come back");
        let joined = (1..=2000).filter(|id| queue.join(*id, Urgency::List, now).is_ok()).count();
        assert_eq!(joined, QUEUE);
        assert_eq!(queue.next(now), None);
        assert_eq!(queue.next(now + 300 * SECOND), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn p1_a_call_that_is_dropped_while_it_waits_uses_no_permit() {
        let limiter = limiter(10);
        call(&limiter, Urgency::Proof).await.unwrap();
        let timed_out = tokio::time::timeout(SECOND / 2, call(&limiter, Urgency::Proof)).await;
        assert!(timed_out.is_err());
        let began = Instant::now();
        call(&limiter, Urgency::Proof).await.unwrap();
        assert!(began.elapsed() <= SECOND + TICK);
    }
}
