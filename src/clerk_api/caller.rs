//! How a call is sent, and how its answer is judged (rule S1).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER, USER_AGENT as AGENT,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::api_error::{self, ApiError, ErrorClass};
use crate::clock::{ClerkTime, Clock};
use crate::counters::Calls;
use crate::counters::{CallResult, Operation};
use crate::instance::Instance;
use crate::transport::{MAX_BODY, Transport};

/// The version of both APIs that the calls are written for: the newest public OpenAPI file but one. For the calls
/// used here 2025-04-10, 2025-11-10 and 2026-05-12 are the same.
/// Source: <https://github.com/clerk/openapi-specs>, `fapi/2025-11-10.yml`.
const API_VERSION: &str = "2025-11-10";

pub(super) const USER_AGENT: &str = concat!("tower-clerk/", env!("CARGO_PKG_VERSION"));

/// A pause that Clerk asks for is taken as at least a second and at most five minutes (rule P2).
const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Sends calls to one of Clerk's APIs.
pub(crate) struct Caller {
    base: Instance,
    transport: Arc<dyn Transport>,
    clock: Clock,
    time: Arc<ClerkTime>,
    calls: Arc<Calls>,
}

/// A call to be made.
pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// Begins with a slash; may have a query.
    pub(crate) path: &'a str,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: Body,
}

/// What a call carries. Wiped when the request is done with: a password can be in there.
#[derive(Clone, Default)]
pub(crate) struct Body {
    kind: Option<&'static str>,
    bytes: Bytes,
}

/// An answer as it came, before its class is read.
pub(crate) struct Raw {
    status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    pub(crate) timing: Timing,
}

/// When an answer's request left, and what Clerk's clock said with the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) left: Instant,
    pub(crate) date: Option<SystemTime>,
}

/// A token, not verified yet.
pub(crate) struct Minted {
    pub(crate) jwt: Zeroizing<String>,
    pub(crate) timing: Timing,
}

impl Caller {
    pub(crate) fn new(
        base: Instance,
        transport: Arc<dyn Transport>,
        clock: Clock,
        time: Arc<ClerkTime>,
        calls: Arc<Calls>,
    ) -> Self {
        Self { base, transport, clock, time, calls }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }

    /// Sends, judges the answer, and counts it. A call that is given up is counted as failed.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Raw, ApiError> {
        let operation = call.operation;
        let mut counted =
            Counted { caller: self, operation, since: self.clock.now(), result: CallResult::Failed };
        let answer = match self.send(call).await {
            Ok(raw) => self.judged(operation, raw),
            Err(error) => Err(error),
        };
        counted.result = match &answer {
            Ok(_) => CallResult::Ok,
            Err(error) => result_of(error.class),
        };
        answer
    }

    async fn send(&self, call: Call<'_>) -> Result<Raw, ApiError> {
        let build = || -> Result<Request<Bytes>, http::Error> {
            let mut request = Request::builder()
                .method(call.method.clone())
                .uri(self.base.url(call.path))
                .body(call.body.bytes.clone())?;
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert("clerk-api-version", HeaderValue::from_static(API_VERSION));
            headers.insert(AGENT, HeaderValue::from_static(USER_AGENT));
            if let Some(kind) = call.body.kind {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
            if let Some(authorization) = &call.authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            Ok(request)
        };
        let mut retried = false;
        loop {
            let request = build().map_err(|_| ApiError::unavailable("request_not_buildable"))?;
            let left = self.clock.now();
            match self.transport.send(request).await {
                Ok(response) => {
                    let raw = received(response, left);
                    // The answer to a GET may come from a cache, with the date of long ago, and an error page from a
                    // proxy whose clock is its own.
                    if call.method == Method::POST
                        && raw.status.is_success()
                        && let Some(date) = raw.timing.date
                    {
                        self.time.tell(date, left);
                    }
                    return Ok(raw);
                }
                // Only what certainly didn't reach Clerk is tried again, once (rule S5).
                Err(error) if error.is_connect() && !retried => retried = true,
                Err(error) => {
                    tracing::debug!(
                        operation = call.operation.name(),
                        error = &error as &dyn std::error::Error,
                        "no answer from Clerk"
                    );
                    let code = if error.is_connect() { "no_connection" } else { "no_answer" };
                    return Err(ApiError::unavailable(code));
                }
            }
        }
    }

    /// A success as it is; anything else as what it means.
    fn judged(&self, operation: Operation, raw: Raw) -> Result<Raw, ApiError> {
        if raw.body.len() > MAX_BODY {
            return Err(ApiError::unavailable("oversized"));
        }
        if raw.status.is_success() {
            return Ok(raw);
        }
        let errors = serde_json::from_slice::<Errors>(&raw.body).map_or_else(|_| Vec::new(), |e| e.errors);
        let codes: Vec<&str> = errors.iter().filter_map(|error| error.code.as_deref()).collect();
        let mut error = api_error::read(operation, raw.status, &codes);
        error.retry_after = self.retry_after(&raw);
        error.client_error = raw.status.is_client_error();
        tracing::debug!(
            operation = operation.name(),
            status = raw.status.as_u16(),
            code = error.code.as_deref(),
            "Clerk answered with an error"
        );
        Err(error)
    }

    /// Seconds, or a date that is taken against the answer's own (rule P2).
    fn retry_after(&self, raw: &Raw) -> Option<Duration> {
        let value = header(&raw.headers, RETRY_AFTER)?.trim();
        let wait = match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let at = httpdate::parse_http_date(value).ok()?;
                let now = raw.timing.date.unwrap_or_else(|| self.time.now());
                at.duration_since(now).unwrap_or_default()
            }
        };
        Some(wait.clamp(RETRY_AFTER_BOUNDS.0, RETRY_AFTER_BOUNDS.1))
    }
}

/// How a failed call is counted.
fn result_of(class: ErrorClass) -> CallResult {
    match class {
        ErrorClass::RateLimited | ErrorClass::NoPermit => CallResult::RateLimited,
        ErrorClass::Unavailable | ErrorClass::Untrusted | ErrorClass::Unknown => CallResult::Failed,
        _ => CallResult::Refused,
    }
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<ErrorItem>,
}

#[derive(Deserialize)]
struct ErrorItem {
    code: Option<String>,
}

fn received(response: Response<Bytes>, left: Instant) -> Raw {
    let (parts, body) = response.into_parts();
    let date = header(&parts.headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Raw { status: parts.status, body, headers: parts.headers, timing: Timing { left, date } }
}

/// Counts a call when it is over, also when it is dropped before its answer came.
struct Counted<'a> {
    caller: &'a Caller,
    operation: Operation,
    since: Instant,
    result: CallResult,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let took = self.caller.clock.now() - self.since;
        self.caller.calls.count(self.operation, self.result, took);
    }
}

impl Body {
    /// A form. An allocation of the right size from the start leaves no half-grown copies behind.
    pub(crate) fn form(form: &[(&str, &str)]) -> Self {
        let worst = form.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        let mut serializer = form_urlencoded::Serializer::new(String::with_capacity(worst));
        serializer.extend_pairs(form);
        let bytes = Bytes::from_owner(Zeroizing::new(serializer.finish().into_bytes()));
        Self { kind: Some("application/x-www-form-urlencoded"), bytes }
    }

    /// JSON. `size` is how long the texts in it are together; escaped, each byte takes up to six.
    pub(crate) fn json(value: &impl Serialize, size: usize) -> Result<Self, ApiError> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(256 + 6 * size));
        serde_json::to_writer(&mut *bytes, value)
            .map_err(|_| ApiError::unavailable("request_not_buildable"))?;
        Ok(Self { kind: Some("application/json"), bytes: Bytes::from_owner(bytes) })
    }
}

pub(crate) fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // The error's text can quote the body, so it goes nowhere.
    serde_json::from_slice(body).map_err(|_| ApiError::unavailable("unreadable_answer"))
}

/// A token as both APIs answer with it.
#[derive(Deserialize)]
pub(crate) struct Token {
    jwt: Option<Zeroizing<String>>,
}

impl Token {
    /// Clerk can answer with an empty token, which its own SDKs refuse, too.
    pub(crate) fn into_jwt(self) -> Option<Zeroizing<String>> {
        self.jwt.filter(|jwt| !jwt.is_empty())
    }
}

impl Raw {
    pub(crate) fn minted(&self) -> Result<Minted, ApiError> {
        let jwt = parse::<Token>(&self.body)?.into_jwt();
        jwt.map(|jwt| Minted { jwt, timing: self.timing }).ok_or_else(|| ApiError::unavailable("empty_token"))
    }
}
