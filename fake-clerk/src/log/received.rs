//! A logged request.

use std::fmt;
use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::endpoint::Endpoint;
use crate::request::Call;

/// Maximum size of a form or JSON body that is stored.
const MAX_FORM: usize = 64 * 1024;

/// Parameters and headers whose values `Debug` shows. Any other value could be a secret, if only by the client's
/// mistake.
const HARMLESS: [&str; 41] = [
    // Forms.
    "strategy",
    "identifier",
    "transfer",
    "oidc_prompt",
    "timezone",
    "locale",
    "email_address_id",
    "phone_number_id",
    "passkey_id",
    "sign_out_of_other_sessions",
    "active_organization_id",
    "organization_id",
    "intent",
    "tab_state",
    "force_origin",
    "algorithm",
    // Queries and JSON.
    "_is_native",
    "_method",
    "_clerk_js_version",
    "_clerk_session_id",
    "__clerk_api_version",
    "email_address",
    "phone_number",
    "username",
    "user_id",
    "client_id",
    "org_id",
    "status",
    "limit",
    "offset",
    "expires_in_seconds",
    "bypass_client_trust",
    // Headers.
    "accept",
    "accept-encoding",
    "clerk-api-version",
    "connection",
    "content-length",
    "content-type",
    "host",
    "origin",
    "user-agent",
];

/// Maximum length of a parameter name that `Debug` shows.
const MAX_NAME: usize = 40;

/// Replaces the values that `Debug` hides.
const MASK: &str = "***";

/// A request that a [`FakeClerk`](crate::FakeClerk) received.
///
/// `Debug` shows the values of parameters and headers that are known to be harmless and masks all others with `***`,
/// so that a failed assertion prints no password and no token. The accessors return everything.
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

    /// Returns the method, after a `_method` in the query is applied.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the endpoint that the path belongs to.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// Returns the first query parameter with this name.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the first form parameter with this name.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns all form parameters in order.
    ///
    /// Empty if the form is larger than 64 KiB or the body has another content type.
    #[must_use]
    pub fn form_params(&self) -> &[(String, String)] {
        &self.form
    }

    /// Returns the JSON body of a request to the Backend API.
    ///
    /// `None` if there is no body, if it isn't JSON, or if it is larger than 64 KiB.
    #[must_use]
    pub fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }

    /// Returns the host that the request was sent to, with the port if there was one.
    ///
    /// Use it to check which host a secret was sent to.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Returns the value of a header, if it is ASCII text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the client's address; `None` for a request in process without
    /// [`at_address`](crate::FakeClerk::at_address).
    #[must_use]
    pub fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Returns the time of arrival.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.at
    }

    /// Returns the status of the response; `None` if there is none yet or there never was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }
}

impl fmt::Debug for ReceivedRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |(name, value): &(String, String)| (shown_name(name), shown_value(name, value).to_owned());
        let query: Vec<_> = self.query.iter().map(pair).collect();
        // In an unescaped form, the part of a password after an `&` is parsed as a parameter name.
        let is_known = |name: &str| self.endpoint.parameters().contains(&name);
        let form = self.form.iter().map(|parameter| match is_known(&parameter.0) {
            true => pair(parameter),
            false => (MASK.to_owned(), MASK.to_owned()),
        });
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = self.headers.iter().map(|(name, value)| pair(&(name.to_string(), text(value))));
        f.debug_struct("ReceivedRequest")
            .field("method", &self.method)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("query", &query)
            .field("form", &form.collect::<Vec<_>>())
            .field("json", &self.json.as_ref().map(|json| masked("", json)))
            .field("headers", &headers.collect::<Vec<_>>())
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Returns the name of a parameter or header, or the mask if it doesn't look like a name.
fn shown_name(name: &str) -> String {
    let is_name =
        name.len() <= MAX_NAME && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_' | b'-'));
    if is_name { name.to_owned() } else { MASK.to_owned() }
}

fn shown_value<'v>(name: &str, value: &'v str) -> &'v str {
    if HARMLESS.contains(&name) { value } else { MASK }
}

/// Masks the secrets in a JSON value, where `name` is the parameter that has the value.
fn masked(name: &str, value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            object.iter().map(|(name, value)| (shown_name(name), masked(name, value))).collect()
        }
        Value::Array(items) => items.iter().map(|item| masked(name, item)).collect(),
        plain if HARMLESS.contains(&name) => plain.clone(),
        _ => Value::from(MASK),
    }
}
