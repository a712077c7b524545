//! The time limit of an exchange, shared by all its calls. It runs while a call is in flight, and stops while the
//! exchange waits for a permit (rule S6).

use std::time::Duration;

use super::api_error::ApiError;
use crate::clock::Clock;

/// The remaining time of an exchange.
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

    /// Runs a part of the exchange within the remaining time, and subtracts the time it took.
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
