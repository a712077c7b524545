//! How long one request waits for the reads of a store, in all.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::sync::lock;

tokio::task_local! {
    static READS: Reads;
}

/// The time that a request, and the flight that works for it, have spent on reads so far.
#[derive(Clone, Default)]
pub(crate) struct Reads(Arc<Mutex<Duration>>);

impl Reads {
    /// Runs a part of the request, and counts its reads.
    pub(crate) async fn during<T>(&self, part: impl Future<Output = T>) -> T {
        READS.scope(self.clone(), part).await
    }
}

/// How much of this time the request at hand has left. What isn't a part of a request has all of it.
#[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "memory isn't waited for"))]
pub(super) fn left_of(patience: Duration) -> Duration {
    READS.try_with(|reads| patience.saturating_sub(*lock(&reads.0))).unwrap_or(patience)
}

#[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "memory isn't waited for"))]
pub(super) fn spend(time: Duration) {
    _ = READS.try_with(|reads| *lock(&reads.0) += time);
}
