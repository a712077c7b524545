//! Warnings that a busy server would otherwise repeat a thousand times.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// The same warning is given once a minute (rule S3).
const EVERY: Duration = Duration::from_secs(60);

/// Different warnings remembered. Their texts come from Clerk, which may send any number of them.
const MOST: usize = 64;

/// The warnings of the last minute, by their subject.
#[derive(Debug, Default)]
pub(crate) struct WarnThrottle(Mutex<HashMap<Box<str>, Instant>>);

impl WarnThrottle {
    /// Whether a warning of this is due now.
    pub(crate) fn is_due(&self, of: &str, now: Instant) -> bool {
        let mut given = lock(&self.0);
        given.retain(|_, at| now.saturating_duration_since(*at) < EVERY);
        if given.contains_key(of) || given.len() >= MOST {
            return false;
        }
        given.insert(of.into(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn s3_the_same_is_warned_of_once_a_minute() {
        let throttle = WarnThrottle::default();
        assert!(throttle.is_due("new_code", Instant::now()));
        assert!(!throttle.is_due("new_code", Instant::now()));
        assert!(throttle.is_due("another", Instant::now()));
        tokio::time::advance(EVERY).await;
        assert!(throttle.is_due("new_code", Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_remembered_warnings_are_bounded() {
        let throttle = WarnThrottle::default();
        let given = (0..1000).filter(|code| throttle.is_due(&code.to_string(), Instant::now())).count();
        assert_eq!(given, MOST);
    }
}
