//! The time limits of one request: its waits for permits, and its calls to Clerk (rules P1, S5, S6).

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::settings::Settings;

/// Added to `sign_in_wait`, so that a permit granted in the last moment of the wait is not lost to a timer race.
const START_SLACK: Duration = Duration::from_secs(1);

/// The time that a request has left, across all the flights that it joins or starts.
pub(super) struct Deadline {
    clock: Clock,
    /// For all calls to Clerk together. Waits for permits are not counted.
    timeout: Duration,
    /// For each wait for a permit.
    wait: Duration,
    /// The time left of `timeout`, once a follow-up has started; `None` before.
    left: Option<Duration>,
    /// Whether the request has had its one follow-up (rule S5).
    followed: bool,
}

impl Deadline {
    pub(super) fn new(clock: Clock, settings: &Settings) -> Self {
        let (timeout, wait) = (settings.upstream_timeout, settings.sign_in_wait);
        Self { clock, timeout, wait, left: None, followed: false }
    }

    /// Returns whether the request may follow up on an answer with another sign-in or session. It may do so once, and
    /// the follow-up has the time until `end`.
    pub(super) fn follow_up(&mut self, end: Instant) -> bool {
        let may_follow = !self.followed;
        if may_follow {
            self.followed = true;
            self.left = Some(end.saturating_duration_since(self.clock.now()));
        }
        may_follow
    }

    /// Sets the time left, after a wait that is not counted.
    pub(super) fn continue_until(&mut self, end: Instant) {
        self.left = Some(end.saturating_duration_since(self.clock.now()));
    }

    /// Records that the flight itself has followed up, so that this request may not.
    pub(super) fn has_followed(&mut self, followed: bool) {
        self.followed |= followed;
    }

    /// Whether a flight started now is a follow-up.
    pub(super) fn follows(&self) -> bool {
        self.left.is_some()
    }

    /// The deadline of calls that start now.
    pub(super) fn end(&self) -> Instant {
        self.clock.now() + self.left.unwrap_or(self.timeout)
    }

    /// The deadline reported by a flight, less the time that this request spent before it joined.
    pub(super) fn within(&self, end: Instant) -> Instant {
        end - self.left.map_or(Duration::ZERO, |left| self.timeout.saturating_sub(left))
    }

    /// The deadline for a flight to start. The queue itself rejects a sign-in whose permit would come too late; this
    /// bounds the wait of a request that joined the flight of another one.
    pub(super) fn start_by(&self) -> Instant {
        self.clock.now() + self.wait + START_SLACK
    }

    /// How long a flight may take once it has started. A follow-up has the rest of the request's time. A first sign-in
    /// may follow up within its flight, and then waits for a second permit.
    pub(super) fn after_start(&self) -> Duration {
        self.left.unwrap_or(self.wait + START_SLACK + self.timeout)
    }
}
