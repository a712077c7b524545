//! A clock with a monotonic and a wall reading, so that a test can drive both.

use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::sync::lock;

/// The clock of an engine, with a monotonic reading and a wall reading.
///
/// Lifetimes and deadlines use the monotonic reading; dates, such as those in tokens, use the wall reading. An engine
/// uses [`Clock::system`] by default. Pass another clock to [`ClerkBuilder::clock`](crate::ClerkBuilder::clock) in
/// tests, and on a machine whose clock is known to be wrong.
///
/// Both readings come from `tokio::time::Instant`, so a test under `tokio::time::pause` drives them together: a session
/// of a day passes in no time, and its tokens are dated accordingly. The wall reading is an anchor, taken once, plus
/// the monotonic time since then. A step of the system's clock while the program runs does not change it.
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
    /// A clock whose wall reading starts at the system's time.
    #[must_use]
    pub fn system() -> Self {
        Self::starting_at(SystemTime::now())
    }

    /// A clock whose wall reading is `wall` now and advances from there.
    #[must_use]
    pub fn starting_at(wall: SystemTime) -> Self {
        Self { wall, at: Instant::now() }
    }

    /// The same clock or, if its wall reading is earlier than this time, one whose wall reading is this time now.
    pub(crate) fn no_earlier_than(self, wall: SystemTime) -> Self {
        if self.wall() < wall { Self::starting_at(wall) } else { self }
    }

    /// The current monotonic reading.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::now()
    }

    /// The current wall reading.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        self.wall_at(self.now())
    }

    /// The wall reading at a monotonic instant, which may be in the past or in the future.
    #[must_use]
    pub fn wall_at(&self, instant: Instant) -> SystemTime {
        match instant.checked_duration_since(self.at) {
            Some(since) => self.wall + since,
            None => self.wall - self.at.duration_since(instant),
        }
    }

    /// The current wall reading in seconds since the Unix epoch, or 0 if it is before the epoch.
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

/// Clerk's time, from the `Date` of its answers. Until an answer arrives, it is the local time.
///
/// Dates that Clerk or another process has set are compared with this time and not with the local clock, which may be
/// wrong at boot (rule K2).
#[derive(Debug)]
pub(crate) struct ClerkTime {
    clock: Clock,
    reported: Mutex<Reported>,
}

/// The clock readings that answers have reported.
#[derive(Debug, Default)]
struct Reported {
    reading: Option<Clock>,
    /// A different reading, reported by one answer only.
    doubt: Option<Clock>,
}

/// `Date` has whole seconds, and is set at some time between the start of the request and the arrival of its answer.
const DATE_LEEWAY: Duration = Duration::from_secs(2);

impl ClerkTime {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, reported: Mutex::default() }
    }

    /// Takes the `Date` of a successful, uncached answer whose request was sent at `left`.
    ///
    /// Once a date is known, two answers must agree to change the time: a single answer may have its date from a proxy
    /// whose clock is wrong.
    pub(crate) fn tell(&self, date: SystemTime, left: Instant) {
        let mut reported = lock(&self.reported);
        let is_right = |reading: &Clock| {
            reading.wall_at(left) <= date + DATE_LEEWAY && date <= reading.wall() + DATE_LEEWAY
        };
        let dated = Clock { wall: date, at: left };
        let known = reported.reading;
        if is_right(&known.unwrap_or(self.clock)) {
            *reported = Reported { reading: known.or(Some(self.clock)), doubt: None };
        } else if known.is_none() || reported.doubt.as_ref().is_some_and(is_right) {
            *reported = Reported { reading: Some(dated), doubt: None };
        } else {
            reported.doubt = Some(dated);
        }
    }

    /// Whether an answer has reported the time.
    pub(crate) fn is_told(&self) -> bool {
        lock(&self.reported).reading.is_some()
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.at(self.clock.now())
    }

    /// The latest instant that a past time can have been, or the current instant if the time is in the future. `None`
    /// if the time is before every instant that this machine can represent.
    pub(crate) fn instant_of(&self, time: SystemTime) -> Option<Instant> {
        let Clock { wall, at } = lock(&self.reported).reading.unwrap_or(self.clock);
        let now = self.clock.now();
        let instant = match time.duration_since(wall) {
            Ok(after) => at.checked_add(after).unwrap_or(now),
            Err(before) => at.checked_sub(before.duration())?,
        };
        Some((instant + DATE_LEEWAY).min(now))
    }

    /// A time of Clerk's as it is or, if it is in the future, the latest that Clerk's clock may show now.
    pub(crate) fn no_later_than_now(&self, time: SystemTime) -> SystemTime {
        time.min(self.now() + DATE_LEEWAY)
    }

    pub(crate) fn at(&self, instant: Instant) -> SystemTime {
        lock(&self.reported).reading.unwrap_or(self.clock).wall_at(instant)
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
    async fn k2_clerks_date_corrects_a_wrong_wall_clock_only() {
        let second = Duration::from_secs(1);
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
        let time = ClerkTime::new(clock);
        assert!(!time.is_told());
        let left = clock.now();
        tokio::time::advance(3 * second).await;
        // Both dates are within the round trip and the whole seconds of `Date`.
        for date in [clock.wall_at(left) - 2 * second, clock.wall() + 2 * second] {
            time.tell(date, left);
            assert!(time.is_told());
            assert_eq!(time.now(), clock.wall());
        }
        for is_ahead in [false, true] {
            let (time, left, minute) = (ClerkTime::new(clock), clock.now(), 60 * second);
            let date = if is_ahead { clock.wall() + minute } else { clock.wall() - minute };
            tokio::time::advance(3 * second).await;
            time.tell(date, left);
            assert_eq!((time.at(left), time.now()), (date, date + 3 * second));
            // The next answer confirms the time.
            tokio::time::advance(10 * second).await;
            time.tell(date + 14 * second, clock.now());
            assert_eq!(time.at(left), date);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn k2_one_answer_does_not_change_a_known_time() {
        let (second, day) = (Duration::from_secs(1), Duration::from_secs(24 * 3600));
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + 100_000 * day);
        let time = ClerkTime::new(clock);
        time.tell(clock.wall(), clock.now());
        for off in [8 * day, 31 * day] {
            time.tell(clock.wall() + off, clock.now());
            assert_eq!(time.now(), clock.wall());
            tokio::time::advance(10 * second).await;
        }
        time.tell(clock.wall(), clock.now());
        time.tell(clock.wall() + 8 * day, clock.now());
        assert_eq!(time.now(), clock.wall(), "the answer in between was right");
        tokio::time::advance(10 * second).await;
        time.tell(clock.wall() + 8 * day, clock.now());
        assert_eq!(time.now(), clock.wall() + 8 * day, "two agree");
    }

    #[tokio::test(start_paused = true)]
    async fn an_instant_before_the_anchor_is_an_earlier_wall_time() {
        let early = Instant::now();
        tokio::time::advance(Duration::from_secs(5)).await;
        let clock = Clock::starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        assert_eq!(unix_seconds(clock.wall_at(early)), 95);
    }
}
