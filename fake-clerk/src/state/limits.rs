//! Rate limits, each with a sliding window.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use tokio::time::Instant;

/// Groups of requests that share a limit.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Window {
    SignIns,
    Attempts,
    Mints,
    Backend,
}

/// The arrival times in the current windows, by limit and address.
#[derive(Default)]
pub(crate) struct Limits(HashMap<(Window, Option<IpAddr>), VecDeque<Instant>>);

impl Limits {
    /// Counts a request against a limit. The error is the time until the next request is allowed.
    pub(crate) fn count(
        &mut self,
        window: Window,
        address: Option<IpAddr>,
        (count, length): (usize, Duration),
        now: Instant,
    ) -> Result<(), Duration> {
        let earlier = self.0.entry((window, address)).or_default();
        while earlier.front().is_some_and(|first| now.duration_since(*first) >= length) {
            earlier.pop_front();
        }
        if earlier.len() < count {
            earlier.push_back(now);
            return Ok(());
        }
        Err(earlier.front().map_or(length, |first| length.saturating_sub(now.duration_since(*first))))
    }
}
