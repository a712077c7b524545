//! The failures of one user or identifier, and the pauses that follow from them (rule P3).

use std::time::Duration;

use tokio::time::Instant;

use super::failure_counts::Failure;
use super::grounds::Ground;
use super::shared::SharedPause;

/// How many failures cause no pause.
const FREE: u32 = 3;

/// The pause after the first failure beyond `FREE`. Each further failure doubles it.
const FIRST_PAUSE: Duration = Duration::from_secs(10 * 60);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 60 * 60);

/// The number of failures from which on the pause is the longest. By default Clerk locks an account at ten failures,
/// and warns when two are left (<https://clerk.com/docs/guides/protect/user-lockout>).
const NEAR_THE_LOCK: u32 = 8;

/// How long Clerk locks an account by default (<https://clerk.com/docs/guides/protect/user-lockout>).
const CLERKS_LOCK: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Default)]
pub(super) struct Count {
    failures: u32,
    /// Clerk has refused the last attempt because of a ban, whatever its password was.
    is_banned: bool,
    /// The end of the pause that the failures have begun.
    paused_until: Option<Instant>,
    /// The end of the pause for Clerk's lock.
    locked_until: Option<Instant>,
}

impl Count {
    /// How long the pause lasts, and its ground: [`Locked`](Ground::Locked) if it is for Clerk's lock alone.
    pub(super) fn pause_left(&self, now: Instant) -> Option<(Duration, Ground)> {
        let left = |until: Option<Instant>| until.map(|until| until.saturating_duration_since(now));
        let (counted, locked) = (left(self.paused_until), left(self.locked_until));
        let ground = match counted.is_some_and(|left| !left.is_zero()) {
            true if self.is_banned => Ground::Banned,
            true => Ground::Other,
            false => Ground::Locked,
        };
        counted.max(locked).filter(|left| !left.is_zero()).map(|left| (left, ground))
    }

    /// Takes over what all processes know.
    pub(super) fn merge(&mut self, shared: SharedPause, now: Instant) {
        self.raise(shared.failures);
        self.pause(shared.left, now);
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Takes over the number of failures that all processes have counted.
    pub(super) fn raise(&mut self, failures: u32) {
        self.failures = self.failures.max(failures);
    }

    /// Counts a failure without a pause, because the pauses were lifted while its sign-in was under way.
    pub(super) fn fail_without_pause(&mut self) {
        self.failures = self.failures.saturating_add(1);
    }

    /// Counts a failure, and sets the pause that follows it.
    pub(super) fn fail(&mut self, now: Instant) {
        self.fail_without_pause();
        if let Some(doublings) = self.failures.checked_sub(FREE + 1) {
            let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
            self.pause(FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE), now);
        }
    }

    /// Counts a refusal of Clerk's, and sets the pauses that follow it.
    pub(super) fn refused(&mut self, failure: Failure, warned: bool, now: Instant) {
        self.fail(now);
        if warned || self.failures >= NEAR_THE_LOCK {
            self.pause(LONGEST_PAUSE, now);
        }
        self.is_banned = failure == Failure::Banned;
        if failure == Failure::Locked {
            self.locked_until = self.locked_until.max(Some(now + CLERKS_LOCK));
        }
    }

    fn pause(&mut self, pause: Duration, now: Instant) {
        let until = now + pause;
        self.paused_until = Some(self.paused_until.map_or(until, |set| set.max(until)));
    }

    /// Ends the pause that the failures have begun.
    pub(super) fn lift_pause(&mut self) {
        self.paused_until = None;
    }

    /// Ends the pause for Clerk's lock.
    pub(super) fn lift_lock(&mut self) {
        self.locked_until = None;
    }

    /// Ends the pause that refusals because of a ban have begun. Returns whether the last refusal was one.
    pub(super) fn lift_ban(&mut self) -> bool {
        let was_banned = std::mem::take(&mut self.is_banned);
        if was_banned {
            self.lift_pause();
        }
        was_banned
    }
}
