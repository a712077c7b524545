//! The parts of an engine that the service of webhooks reads and counts in.

use std::time::SystemTime;

use super::Clerk;
use crate::counters::WebhookOutcome;

impl Clerk {
    /// The time that timestamps of deliveries are compared with: the wall clock, corrected by the `Date` of Clerk's answers
    /// (rule K2).
    ///
    /// The engine's clock is anchored once. A machine that was suspended, or whose clock was wrong at the start, would
    /// refuse every delivery until a restart otherwise.
    pub(crate) fn clerk_time(&self) -> SystemTime {
        self.0.sign_ins.time.now()
    }

    /// Whether to log a warning of this subject, which is at most once a minute.
    pub(crate) fn is_warning_due(&self, subject: &str) -> bool {
        self.0.sign_ins.warnings.is_due(subject, self.0.clock.now())
    }

    /// Counts a delivery; `event_type` is that of a verified event.
    pub(crate) fn count_webhook(&self, event_type: Option<&str>, outcome: WebhookOutcome) {
        self.0.webhooks.count(event_type, outcome);
    }
}
