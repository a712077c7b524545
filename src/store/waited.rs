//! How long one request waits for a store, in all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::sync::lock;

tokio::task_local! {
    static WAITED: Waited;
}

/// The time that a request, and the flight that works for it, have waited for a store so far.
#[derive(Clone, Default)]
pub(crate) struct Waited(Arc<Mutex<Duration>>);

impl Waited {
    /// Runs a part of the request, and counts its waits.
    pub(crate) async fn during<T>(&self, part: impl Future<Output = T>) -> T {
        WAITED.scope(self.clone(), part).await
    }
}

/// How much of this time the request at hand has left. A task that isn't a part of a request has all of it.
pub(super) fn left_of(patience: Duration) -> Duration {
    let left = |waited: &Waited| patience.saturating_sub(*lock(&waited.0));
    WAITED.try_with(left).unwrap_or(patience)
}

/// Waits for a store for what the request at hand has left of this time. `None` if that was not enough.
pub(crate) async fn wait_for<T>(answer: impl Future<Output = T>, patience: Duration) -> Option<T> {
    let (left, began) = (left_of(patience), Instant::now());
    let answer = tokio::time::timeout(left, answer).await.ok();
    _ = WAITED.try_with(|waited| *lock(&waited.0) += began.elapsed());
    answer
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(100);

    #[tokio::test(start_paused = true)]
    async fn h3_a_request_waits_for_a_tenth_of_a_second_in_all_and_another_one_likewise() {
        let (request, began) = (Waited::default(), Instant::now());
        let slow = || tokio::time::sleep(Duration::from_millis(60));
        assert!(request.during(wait_for(slow(), PATIENCE)).await.is_some());
        // In a flight of the request.
        let flight = request.clone();
        let waits = async move {
            assert!(wait_for(slow(), PATIENCE).await.is_none());
            assert!(wait_for(pending::<()>(), PATIENCE).await.is_none());
            assert!(wait_for(ready(()), PATIENCE).await.is_some(), "memory isn't waited for");
        };
        tokio::spawn(async move { flight.during(waits).await }).await.unwrap();
        assert_eq!(began.elapsed(), PATIENCE);
        assert!(Waited::default().during(wait_for(slow(), PATIENCE)).await.is_some());
        assert!(wait_for(slow(), PATIENCE).await.is_some(), "not a part of a request");
    }
}
