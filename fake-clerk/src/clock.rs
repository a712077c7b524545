//! The instance's clock, with a monotonic and a wall reading, so that a test can drive both.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The stand-in's clock: a wall clock driven by tokio's monotonic clock.
///
/// The wall reading is an anchor plus the time elapsed since by `tokio::time::Instant`. Under `tokio::time::pause` a
/// test therefore drives both: a simulated day takes no real time, and its tokens carry the simulated dates. Start
/// the clock of the program under test at the same wall time, and the two stay in step.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use fake_clerk::{FakeClerk, FakeClock};
///
/// let clock = FakeClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000));
/// let clerk = FakeClerk::builder().clock(clock).build();
/// ```
#[derive(Clone, Copy, Debug)]
pub struct FakeClock {
    wall: SystemTime,
    at: Instant,
}

impl FakeClock {
    /// Creates a clock whose wall reading starts at the system's.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// Creates a clock whose wall reading is `wall` now.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        Self::anchored(wall, Instant::now())
    }

    /// Creates a clock whose wall reading is `wall` at the monotonic instant `at`, past or future.
    ///
    /// Use it to synchronize with another clock on tokio's time that is already running.
    #[must_use]
    pub fn anchored(wall: SystemTime, at: Instant) -> Self {
        Self { wall, at }
    }

    /// Returns the monotonic reading.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// Returns the wall reading.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.wall_at(self.now())
    }

    /// Returns the wall reading at a monotonic instant, past or future.
    #[must_use]
    pub fn wall_at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.at) {
            Some(since) => self.wall + since,
            None => self.wall - self.at.duration_since(instant),
        }
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::system()
    }
}

/// The time of a request, read once so that everything in a response agrees.
#[derive(Clone, Copy)]
pub(crate) struct Now {
    pub(crate) instant: Instant,
    /// Unix time in milliseconds, including the instance's skew.
    pub(crate) ms: i64,
    /// The part of the instant that `ms` leaves out.
    pub(crate) fraction: Duration,
}

impl Now {
    pub(crate) fn read(clock: &FakeClock, skew: i64) -> Self {
        let instant = clock.now();
        let since = clock.wall_at(instant).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let fraction = Duration::from_nanos(u64::from(since.subsec_nanos() % 1_000_000));
        Self { instant, ms: millis(since) + skew * 1000, fraction }
    }

    pub(crate) fn unix(self) -> i64 {
        self.ms.div_euclid(1000)
    }

    /// Unix time in milliseconds at `instant`, including the instance's skew. It is the same whenever it is read, as a time in
    /// a database is.
    pub(crate) fn ms_at(self, instant: Instant) -> i64 {
        let here = self.instant - self.fraction;
        match instant.checked_duration_since(here) {
            Some(ahead) => self.ms + millis(ahead),
            None => self.ms - millis(here.duration_since(instant) + Duration::from_nanos(999_999)),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn both_readings_follow_a_driven_clock() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let clock = FakeClock::starting_at(start);
        let before = clock.now();
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(clock.now() - before, Duration::from_secs(90));
        assert_eq!(clock.wall(), start + Duration::from_secs(90));
        assert_eq!(clock.wall_at(before), start);
        assert_eq!(Now::read(&clock, -5).unix(), 1_085);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_is_the_same_whenever_it_is_read() {
        let clock = FakeClock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_300_000));
        let then = Instant::now() + Duration::from_nanos(2_900_000);
        for _ in 0..100 {
            assert_eq!(Now::read(&clock, 0).ms_at(then), 1_003);
            tokio::time::advance(Duration::from_micros(1_700)).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_anchor_can_be_past_or_future() {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let early = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(FakeClock::anchored(start, early).wall(), start + Duration::from_secs(5));
        assert_eq!(FakeClock::starting_at(start).wall_at(early), start - Duration::from_secs(5));
    }
}
