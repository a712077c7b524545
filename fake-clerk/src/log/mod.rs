//! The request log.

pub(crate) mod received;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
pub use crate::log::received::ReceivedRequest;
use crate::request::Call;

/// Maximum number of requests stored. Counts and arrival times cover all requests.
const MAX_REQUESTS: usize = 20_000;

/// Maximum number of arrival times stored per endpoint, at 16 bytes each.
const MAX_TIMES: usize = 1_000_000;

/// Requests, counts and arrival times.
#[derive(Default)]
pub(crate) struct Log {
    requests: VecDeque<ReceivedRequest>,
    /// The number of the first stored request.
    first: usize,
    counts: HashMap<Endpoint, usize>,
    times: HashMap<Endpoint, VecDeque<Instant>>,
}

impl Log {
    /// Records an arrival, and returns its number for [`answered`](Self::answered).
    pub(crate) fn arrived(&mut self, call: &Call, at: Instant) -> usize {
        for endpoint in call.endpoint.groups() {
            *self.counts.entry(endpoint).or_default() += 1;
            let times = self.times.entry(endpoint).or_default();
            if times.len() == MAX_TIMES {
                times.pop_front();
            }
            times.push_back(at);
        }
        if self.requests.len() == MAX_REQUESTS {
            self.requests.pop_front();
            self.first += 1;
        }
        self.requests.push_back(ReceivedRequest::new(call, at));
        self.first + self.requests.len() - 1
    }

    pub(crate) fn answered(&mut self, number: usize, status: StatusCode) {
        let at = number.checked_sub(self.first);
        if let Some(request) = at.and_then(|at| self.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }

    pub(crate) fn requests_to(&self, endpoint: Endpoint) -> Vec<ReceivedRequest> {
        let asked = |request: &&ReceivedRequest| request.endpoint().groups().any(|group| group == endpoint);
        self.requests.iter().filter(asked).cloned().collect()
    }

    pub(crate) fn count(&self, endpoint: Endpoint) -> usize {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }

    /// Returns the largest number of arrivals in any half-open window `[start, start + length)`: a limit of 5 in 10 s
    /// allows the sixth request 10 s after the first.
    pub(crate) fn max_in_window(&self, endpoint: Endpoint, length: Duration) -> usize {
        let Some(times) = self.times.get(&endpoint) else { return 0 };
        let (mut most, mut from) = (0, 0);
        for (to, time) in times.iter().enumerate() {
            while time.duration_since(times[from]) >= length && from < to {
                from += 1;
            }
            most = most.max(to - from + 1);
        }
        most
    }

    pub(crate) fn clear(&mut self) {
        // Numbers are never reused, so that a request in flight doesn't mark another one as answered.
        self.first += self.requests.len();
        self.requests.clear();
        self.counts.clear();
        self.times.clear();
    }
}
