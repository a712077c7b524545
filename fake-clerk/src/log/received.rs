//! A request as it is kept.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::request::Call;

/// The largest form or JSON body that is kept.
const MAX_FORM: usize = 64 * 1024;

/// Parameters and headers that `Debug` doesn't show.
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

/// A request that a [`FakeClerk`](crate::FakeClerk) received.
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
    pub(crate) status: Option<StatusCode>,
}

impl ReceivedRequest {
    pub(crate) fn new(call: &Call, at: Instant) -> Self {
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

    /// The host that the request went to, with the port if one was given: it tells where a secret was sent.
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
