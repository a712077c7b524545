//! The sign-ins of the process before this one, which Clerk still counts (rule P1).

use std::sync::Arc;

use crate::clock::{ClerkTime, Clock};
use crate::limits::{Budget, SignInLimiter};
use crate::store::EngineState;

/// Counts the sign-ins of a process that has just ended against the budget, and notes this process's for the next one.
///
/// The store is read once, when it is opened. Two processes that run at the same time for long have a budget each.
pub(super) fn share(
    state: &EngineState,
    budget: Budget,
    clock: Clock,
    time: &Arc<ClerkTime>,
    limiter: &Arc<SignInLimiter>,
) {
    let (Some(departures), Some((_, window))) = (state.departures(), budget.sign_ins) else { return };
    let now = time.now();
    let started = departures.recent(window, now).into_iter().filter_map(|departed| {
        // A departure in the future is from a clock that was wrong.
        clock.now().checked_sub(now.duration_since(departed).ok()?)
    });
    limiter.spent_before(&started.collect::<Vec<_>>());
    let (state, time) = (state.clone(), Arc::clone(time));
    limiter.on_start(move || {
        if let Some(departures) = state.departures() {
            departures.note(time.now(), time.is_told());
        }
    });
}
