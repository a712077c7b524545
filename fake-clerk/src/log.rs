//! What the stand-in was asked.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::request::Call;

/// How many requests are kept whole; counters and times lose none.
const MAX_REQUESTS: usize = 20_000;

/// The largest form or JSON body that is kept.
const MAX_FORM: usize = 64 * 1024;

/// How many arrival times of an endpoint are kept, at 16 bytes.
const MAX_TIMES: usize = 1_000_000;

/// Parameters and headers that are nobody's to see.
const SECRET: [&str; 10] = [
    "password",
    "code",
    "ticket",
    "token",
    "expired_token",
    "authorization",
    "cookie",
    "signature",
    "__clerk_db_jwt",
    "proof_token",
];

/// A request that a [`FakeClerk`](super::FakeClerk) received.
///
/// Its `Debug` shows neither passwords nor tokens, so that a failed assertion doesn't either; the accessors give
/// everything.
#[derive(Clone)]
pub struct ReceivedRequest {
    method: Method,
    path: String,
    endpoint: Endpoint,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    json: Option<Value>,
    host: String,
    headers: HeaderMap,
    peer: Option<IpAddr>,
    at: Instant,
    status: Option<StatusCode>,
}

impl ReceivedRequest {
    fn new(call: &Call, at: Instant) -> Self {
        let size: usize = call.form.iter().map(|(name, value)| name.len() + value.len()).sum();
        Self {
            method: call.method.clone(),
            path: call.path.clone(),
            endpoint: call.endpoint,
            query: call.query.clone(),
            form: if size > MAX_FORM { Vec::new() } else { call.form.clone() },
            json: call.json.as_ref().filter(|_| call.body.len() <= MAX_FORM).cloned(),
            host: call.host.clone(),
            headers: call.headers.clone(),
            peer: call.peer,
            at,
            status: None,
        }
    }

    /// The method, with regard to `_method` in the query.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The endpoint that the path leads to.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the form.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// All parameters of the form, in their order. A form of more than 64 KiB isn't kept.
    #[must_use]
    pub fn form_params(&self) -> &[(String, String)] {
        &self.form
    }

    /// The body of a request to the Backend API; `None` without one, or if it isn't JSON. One of more than 64 KiB
    /// isn't kept.
    #[must_use]
    pub fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }

    /// The host that the request went to, with the port if one was given: what tells whom a secret was sent to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// A header's value, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The address it came from; `None` in process.
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// When it arrived.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    /// The status it was answered with; `None` as long as it isn't, and if it never was.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }
}

impl fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = |pairs: &[(String, String)]| {
            let mask = |(name, value): &(String, String)| {
                (name.clone(), if is_secret(name) { "***".to_owned() } else { value.clone() })
            };
            pairs.iter().map(mask).collect::<Vec<_>>()
        };
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.headers.iter().map(|(name, value)| (name.to_string(), text(value)));
        f.debug_struct("ReceivedRequest")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("query", &masked(&self.query))
            .field("form", &masked(&self.form))
            .field("json", &self.json.as_ref().map(masked_json))
            .field("headers", &masked(&headers.collect::<Vec<_>>()))
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

fn is_secret(name: &str) -> bool {
    SECRET.contains(&name.to_ascii_lowercase().as_str())
}

fn masked_json(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let mask = |(name, value): (&String, &Value)| {
                (name.clone(), if is_secret(name) { Value::from("***") } else { masked_json(value) })
            };
            object.iter().map(mask).collect()
        }
        Value::Array(items) => items.iter().map(masked_json).collect(),
        other => other.clone(),
    }
}

#[derive(Default)]
pub(super) struct Log {
    requests: VecDeque<ReceivedRequest>,
    /// The number of the first request that is kept.
    first: usize,
    counts: HashMap<Endpoint, usize>,
    times: HashMap<Endpoint, VecDeque<Instant>>,
}

impl Log {
    /// Records an arrival; the number is for [`answered`](Self::answered).
    pub(super) fn arrived(&mut self, call: &Call, at: Instant) -> usize {
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

    pub(super) fn answered(&mut self, number: usize, status: StatusCode) {
        let at = number.checked_sub(self.first);
        if let Some(request) = at.and_then(|at| self.requests.get_mut(at)) {
            request.status = Some(status);
        }
    }

    pub(super) fn requests(&self) -> Vec<ReceivedRequest> {
        self.requests.iter().cloned().collect()
    }

    pub(super) fn count(&self, endpoint: Endpoint) -> usize {
        self.counts.get(&endpoint).copied().unwrap_or_default()
    }

    /// The most arrivals in any window of a length. A window holds its start and not its end, as a limit of "5 in
    /// 10 s" allows the sixth 10 s after the first.
    pub(super) fn max_in_window(&self, endpoint: Endpoint, length: Duration) -> usize {
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

    pub(super) fn clear(&mut self) {
        // Numbers go on, so that requests under way don't mark others as answered.
        self.first += self.requests.len();
        self.requests.clear();
        self.counts.clear();
        self.times.clear();
    }
}
