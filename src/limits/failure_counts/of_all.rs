//! The failures of all processes, beside those of this one (rule H4).

#[cfg(feature = "redis")]
use std::sync::Arc;

use tokio::time::Instant;

use super::FailureCounts;
use crate::clock::Clock;
use crate::key::IdentifierKey;
#[cfg(feature = "redis")]
use crate::limits::shared::SharedFailures;
use crate::limits::shared::{Lift, SharedPause};
use crate::sync::lock;

impl FailureCounts {
    /// Counts failures in all processes as well. Only the first call has an effect.
    #[cfg(feature = "redis")]
    pub(crate) fn share(&self, failures: Arc<dyn SharedFailures>) {
        _ = self.shared.set(failures);
    }

    /// Takes over the pause that the failures of all processes have begun.
    pub(crate) fn merge(&self, subject: IdentifierKey, pause: SharedPause, now: Instant) {
        lock(&self.reached(subject, false)).merge(pause, now);
    }

    /// Takes over the number of failures that all processes have counted, unless a success has ended those of this one
    /// meanwhile.
    #[cfg(feature = "redis")]
    pub(crate) fn raise(&self, subject: IdentifierKey, failures: u32) {
        for counts in [&self.confirmed, &self.unconfirmed] {
            if let Some(count) = counts.get(&self.subject(subject)) {
                lock(&count).raise(failures);
            }
        }
    }

    /// Looks up what all processes know of the failures of a user or identifier.
    pub(crate) async fn learn(&self, subject: IdentifierKey, clock: Clock) {
        if let Some(shared) = self.shared.get()
            && let Some(pause) = shared.pause(subject).await
        {
            self.merge(subject, pause, clock.now());
        }
    }

    pub(super) fn lift_shared(&self, subjects: impl IntoIterator<Item = IdentifierKey>, lift: Lift) {
        if let Some(shared) = self.shared.get() {
            subjects.into_iter().for_each(|subject| shared.lifted(subject, lift));
        }
    }
}
