//! Faults by script, requests that are held, and the log of requests.

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::fake::FakeClerk;
use crate::faults::Fault;
use crate::hold::{Hold, Moment};
use crate::log::ReceivedRequest;
use crate::sync::lock;

/// Faults and races.
impl FakeClerk {
    /// Lets the next request to an endpoint go wrong. Faults queue up.
    pub fn script(&self, endpoint: Endpoint, fault: Fault) {
        self.script_times(endpoint, 1, fault);
    }

    /// Lets the next few requests to an endpoint go wrong in the same way.
    pub fn script_times(&self, endpoint: Endpoint, times: usize, fault: Fault) {
        lock(&self.inner.script).push(endpoint, times, fault);
    }

    /// Lets every request to an endpoint go wrong, once no queued fault is left.
    pub fn script_always(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.inner.script).always(endpoint, fault);
    }

    /// Takes the faults of an endpoint back; for [`Endpoint::Any`], all of them.
    pub fn clear_script(&self, endpoint: Endpoint) {
        lock(&self.inner.script).clear(endpoint);
    }

    /// Holds requests to an endpoint: they arrive, are logged, and wait before they are carried out.
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        self.inner.gates.close(endpoint, Moment::Arrival)
    }

    /// Holds answers of an endpoint: requests are carried out, and their answers wait.
    pub fn hold_answer(&self, endpoint: Endpoint) -> Hold {
        self.inner.gates.close(endpoint, Moment::Answer)
    }
}

/// The requests that the instance received.
impl FakeClerk {
    /// The requests so far, in the order they arrived; the last 20,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests_to(Endpoint::Any)
    }

    /// The requests to an endpoint so far.
    #[must_use]
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<ReceivedRequest> {
        lock(&self.inner.log).requests_to(endpoint)
    }

    /// How many requests to an endpoint there were.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        lock(&self.inner.log).count(endpoint)
    }

    /// The most requests to an endpoint that arrived in any window of this length, so that a test can hold a budget
    /// against it.
    #[must_use]
    pub fn max_in_window(&self, endpoint: Endpoint, window: Duration) -> usize {
        lock(&self.inner.log).max_in_window(endpoint, window)
    }

    /// Forgets the requests so far, and their number.
    pub fn clear_log(&self) {
        lock(&self.inner.log).clear();
    }
}
