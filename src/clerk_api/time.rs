//! The one deadline of an exchange, however many calls it takes: it runs while Clerk is asked, and stands while
//! somebody waits for a turn (rule S6).

use std::time::Duration;

use super::api_error::ApiError;
use crate::clock::Clock;

/// What is left of the time for an exchange.
#[derive(Debug)]
pub(crate) struct TimeLeft {
    left: Duration,
    clock: Clock,
}

impl TimeLeft {
    pub(crate) fn new(all: Duration, clock: Clock) -> Self {
        Self { left: all, clock }
    }

    pub(crate) fn left(&self) -> Duration {
        self.left
    }

    /// Does a part of the exchange, as far as there is time for it.
    pub(crate) async fn run<T>(
        &mut self,
        part: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let began = self.clock.now();
        let done = tokio::time::timeout(self.left, part).await;
        self.left = self.left.saturating_sub(self.clock.now() - began);
        done.unwrap_or_else(|_| Err(ApiError::unavailable("timeout")))
    }
}
