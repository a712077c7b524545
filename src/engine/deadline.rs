//! The time of one request: how long it may wait for a turn, and how long it may ask Clerk (rules P1, S5, S6).

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::settings::Settings;

/// A turn that comes with the last moment of the wait is taken all the same.
const START_SLACK: Duration = Duration::from_secs(1);

/// What a request has left, whatever it joins or begins.
pub(super) struct Deadline {
    clock: Clock,
    /// For all calls together, from the start on.
    timeout: Duration,
    /// For each turn.
    wait: Duration,
    /// What is left of `timeout` for a further sign-in.
    left: Option<Duration>,
    /// A further sign-in has followed from an answer: none may follow from its own.
    followed: bool,
}

impl Deadline {
    pub(super) fn new(clock: Clock, settings: &Settings) -> Self {
        let (timeout, wait) = (settings.upstream_timeout, settings.sign_in_wait);
        Self { clock, timeout, wait, left: None, followed: false }
    }

    /// Whether a further sign-in may follow from an answer: one may, whatever from. It has what is left until `end`.
    pub(super) fn follow_up(&mut self, end: Instant) -> bool {
        let may_follow = !self.followed;
        if may_follow {
            self.followed = true;
            self.left = Some(end.saturating_duration_since(self.clock.now()));
        }
        may_follow
    }

    /// What follows has this long, after a wait that is not counted.
    pub(super) fn continue_until(&mut self, end: Instant) {
        self.left = Some(end.saturating_duration_since(self.clock.now()));
    }

    /// A further sign-in has followed within the flight already.
    pub(super) fn has_followed(&mut self, followed: bool) {
        self.followed |= followed;
    }

    /// Whether what is begun now follows from an answer.
    pub(super) fn follows(&self) -> bool {
        self.left.is_some()
    }

    /// The end of calls that begin now.
    pub(super) fn end(&self) -> Instant {
        self.clock.now() + self.left.unwrap_or(self.timeout)
    }

    /// The end that a flight has told, less what this request has spent before it.
    pub(super) fn within(&self, end: Instant) -> Instant {
        end - self.left.map_or(Duration::ZERO, |left| self.timeout.saturating_sub(left))
    }

    /// Until when a flight may take to depart. The queue itself sends those away whose turn comes too late; this is for a
    /// request that waits for another one's.
    pub(super) fn start_by(&self) -> Instant {
        self.clock.now() + self.wait + START_SLACK
    }

    /// How long a flight may take from its start on. A further sign-in has what is left of the request's time; before
    /// that, a second turn may have to be waited for.
    pub(super) fn after_start(&self) -> Duration {
        self.left.unwrap_or(self.wait + START_SLACK + self.timeout)
    }
}
