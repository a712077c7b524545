//! Limits repeated warnings, which a busy server would otherwise log once per request.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

/// The same warning is logged at most once per interval (rule S3).
const INTERVAL: Duration = Duration::from_secs(60);

/// Subjects remembered per interval. They come from Clerk, which may send any number of them.
const MAX_SUBJECTS: usize = 64;

/// When a warning of each subject was last logged.
#[derive(Debug, Default)]
pub(crate) struct WarnThrottle(Mutex<HashMap<Box<str>, Instant>>);

impl WarnThrottle {
    /// Whether to log a warning of this subject now. If so, counts it as logged.
    pub(crate) fn is_due(&self, subject: &str, now: Instant) -> bool {
        let mut logged = lock(&self.0);
        logged.retain(|_, at| now.saturating_duration_since(*at) < INTERVAL);
        if logged.contains_key(subject) || logged.len() >= MAX_SUBJECTS {
            return false;
        }
        logged.insert(subject.into(), now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn s3_the_same_warning_is_logged_once_a_minute() {
        let throttle = WarnThrottle::default();
        assert!(throttle.is_due("new_code", Instant::now()));
        assert!(!throttle.is_due("new_code", Instant::now()));
        assert!(throttle.is_due("another", Instant::now()));
        tokio::time::advance(INTERVAL).await;
        assert!(throttle.is_due("new_code", Instant::now()));
    }

    #[tokio::test(start_paused = true)]
    async fn k7_remembered_warnings_are_bounded() {
        let throttle = WarnThrottle::default();
        let logged = (0..1000).filter(|code| throttle.is_due(&code.to_string(), Instant::now())).count();
        assert_eq!(logged, MAX_SUBJECTS);
    }
}
