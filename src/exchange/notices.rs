//! Warnings that a busy server would else repeat a thousand times.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// The same warning is worth giving once a minute (rule S3).
const EVERY: Duration = Duration::from_secs(60);

/// Different ones remembered: what Clerk sends is not for us to bound.
const MOST: usize = 64;

/// What was warned of, and when.
#[derive(Debug, Default)]
pub(crate) struct Notices(Mutex<HashMap<Box<str>, Instant>>);

impl Notices {
    /// Whether this is worth a warning now.
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
        let notices = Notices::default();
        assert!(notices.is_due("new_code", Instant::now()));
        assert!(!notices.is_due("new_code", Instant::now()));
        assert!(notices.is_due("another", Instant::now()));
        tokio::time::advance(EVERY).await;
        assert!(notices.is_due("new_code", Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_what_was_warned_of_is_bounded() {
        let notices = Notices::default();
        let given = (0..1000).filter(|code| notices.is_due(&code.to_string(), Instant::now())).count();
        assert_eq!(given, MOST);
    }
}
