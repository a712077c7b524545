//! One clock with two readings, so that a test can drive both.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Tells the time twice over: monotonic for lives and deadlines, wall-clock for what is dated.
///
/// Both readings come from `tokio::time::Instant`, so a test under `tokio::time::pause` drives them
/// together: a session of a day passes in no time, and the tokens in it are dated accordingly.
/// The wall reading is an anchor, taken once, plus the monotonic time since; a step of the system's clock
/// while the program runs doesn't move it.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_clerk::Clock;
///
/// // A machine whose clock is an hour behind.
/// let clock = Clock::starting_at(SystemTime::now() - Duration::from_secs(3600));
/// assert!(clock.wall() < SystemTime::now());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: SystemTime,
    at: Instant,
}

impl Clock {
    /// A clock whose wall reading starts at the system's.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// A clock whose wall reading is `wall` now, and goes on from there.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        Self { wall, at: Instant::now() }
    }

    /// The monotonic reading.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The wall reading.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.wall_at(self.now())
    }

    /// What the wall reading was, or will be, at a monotonic instant.
    #[must_use]
    pub fn wall_at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.at) {
            Some(since) => self.wall + since,
            None => self.wall - self.at.duration_since(instant),
        }
    }

    /// Seconds since the Unix epoch by the wall reading; 0 before it.
    #[must_use]
    pub fn unix(&self) -> u64 {
        unix_seconds(self.wall())
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_readings_follow_a_driven_clock() {
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now() - before, Duration::from_secs(90));
        assert_eq!(clock.unix(), 1_090);
        assert_eq!(clock.wall_at(before), SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_before_the_anchor_is_an_earlier_wall_time() {
        let early = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        assert_eq!(unix_seconds(clock.wall_at(early)), 95);
    }
}
