//! Scripted faults, held requests, and the request log.

use std::time::Duration;

use crate::endpoint::Endpoint;
use crate::fake::FakeClerk;
use crate::faults::Fault;
use crate::hold::{Hold, Moment};
use crate::log::ReceivedRequest;
use crate::sync::lock;

/// Faults and races.
impl FakeClerk {
    /// Injects a fault into the next request to an endpoint. Faults queue up.
    pub fn script(&self, endpoint: Endpoint, fault: Fault) {
        self.script_times(endpoint, 1, fault);
    }

    /// Injects the same fault into the next `times` requests to an endpoint.
    pub fn script_times(&self, endpoint: Endpoint, times: usize, fault: Fault) {
        lock(&self.inner.script).push(endpoint, times, fault);
    }

    /// Injects a fault into every request to an endpoint for which no fault is queued.
    pub fn script_always(&self, endpoint: Endpoint, fault: Fault) {
        lock(&self.inner.script).always(endpoint, fault);
    }

    /// Removes the faults of an endpoint, or all faults for [`Endpoint::Any`].
    pub fn clear_script(&self, endpoint: Endpoint) {
        lock(&self.inner.script).clear(endpoint);
    }

    /// Runs a hook once, after the answer to the `answers`-th request to an endpoint from now is made, and before it is sent.
    ///
    /// Use it to change the instance in the middle of a scan.
    ///
    /// ```
    /// use fake_clerk::{Endpoint, FakeClerk};
    ///
    /// let clerk = FakeClerk::new();
    /// // Jane is in none of the pages from the third one on.
    /// clerk.after_answer(Endpoint::Users, 2, |clerk| clerk.delete_user("jane"));
    /// ```
    ///
    /// # Panics
    ///
    /// Panics if `answers` is 0.
    pub fn after_answer(
        &self,
        endpoint: Endpoint,
        answers: usize,
        hook: impl FnOnce(&Self) + Send + 'static,
    ) {
        assert!(answers > 0, "the first answer has the number 1");
        lock(&self.inner.hooks).add(endpoint, answers, Box::new(hook));
    }

    /// Holds requests to an endpoint: they arrive and are logged, but wait before they are carried out.
    ///
    /// Use it to make something happen while a request is in flight. Dropping the [`Hold`] releases the requests.
    pub fn hold(&self, endpoint: Endpoint) -> Hold {
        self.inner.gates.close(endpoint, Moment::Arrival)
    }

    /// Holds responses of an endpoint: requests are carried out, but their responses wait.
    ///
    /// Use it to make something happen between Clerk's commit and the client's learning of it.
    pub fn hold_answer(&self, endpoint: Endpoint) -> Hold {
        self.inner.gates.close(endpoint, Moment::Answer)
    }
}

/// The request log.
impl FakeClerk {
    /// Returns the requests received so far, in order of arrival. The log stores the last 20,000.
    #[must_use]
    pub fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests_to(Endpoint::Any)
    }

    /// Returns the requests to an endpoint, among the last 20,000.
    #[must_use]
    pub fn requests_to(&self, endpoint: Endpoint) -> Vec<ReceivedRequest> {
        lock(&self.inner.log).requests_to(endpoint)
    }

    /// Returns the number of requests to an endpoint so far.
    #[must_use]
    pub fn count(&self, endpoint: Endpoint) -> usize {
        lock(&self.inner.log).count(endpoint)
    }

    /// Returns the largest number of requests to an endpoint in any window of this length.
    ///
    /// Use it to check that the program under test stays within a rate limit. The log stores the last 1,000,000
    /// arrival times of an endpoint.
    #[must_use]
    pub fn max_in_window(&self, endpoint: Endpoint, window: Duration) -> usize {
        lock(&self.inner.log).max_in_window(endpoint, window)
    }

    /// Clears the log and the counts.
    pub fn clear_log(&self) {
        lock(&self.inner.log).clear();
    }
}
