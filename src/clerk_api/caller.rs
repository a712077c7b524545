//! Sends a call to Clerk and classifies its answer (rule S1).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER, USER_AGENT as AGENT,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::api_error::{self, ApiError, ErrorClass};
use super::body::Body;
use crate::clock::{ClerkTime, Clock};
use crate::counters::Calls;
use crate::counters::{CallResult, Operation};
use crate::instance::Instance;
use crate::transport::{IsList, MAX_BODY, MAX_LIST, Transport};

/// The version of both APIs that the calls are written for: the second newest with a public OpenAPI file. The calls
/// made here are the same in 2025-04-10, 2025-11-10 and 2026-05-12.
/// Source: <https://github.com/clerk/openapi-specs>, `fapi/2025-11-10.yml`.
const API_VERSION: &str = "2025-11-10";

pub(super) const USER_AGENT: &str = concat!("tower-clerk/", env!("CARGO_PKG_VERSION"));

/// The code of an answer that is not what Clerk describes.
pub(crate) const UNREADABLE: &str = "unreadable_answer";

/// The code of an answer whose body is too large.
pub(crate) const OVERSIZED: &str = "oversized";

/// `Retry-After` is clamped to at least 1 s and at most 5 min (rule P2).
const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// Sends calls to one of Clerk's APIs.
pub(crate) struct Caller {
    base: Instance,
    transport: Arc<dyn Transport>,
    clock: Clock,
    time: Arc<ClerkTime>,
    calls: Arc<Calls>,
}

pub(crate) struct Call<'a> {
    pub(crate) operation: Operation,
    pub(crate) method: Method,
    /// Starts with a slash and may have a query.
    pub(crate) path: &'a str,
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) body: Body,
}

/// An answer with its body still unparsed.
pub(crate) struct Raw {
    status: StatusCode,
    pub(crate) body: Bytes,
    pub(crate) headers: HeaderMap,
    pub(crate) timing: Timing,
}

/// When the request of an answer was sent, and the `Date` of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    pub(crate) left: Instant,
    pub(crate) date: Option<SystemTime>,
}

/// A token that is not verified yet.
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

    /// Sends the call, classifies its answer and counts it. A call that is dropped before its answer counts as failed.
    pub(crate) async fn call(&self, call: Call<'_>) -> Result<Raw, ApiError> {
        let operation = call.operation;
        let mut counted =
            Counted { caller: self, operation, since: self.clock.now(), result: CallResult::Failed };
        let answer = match self.send(call).await {
            Ok(raw) => self.classified(operation, raw),
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
            if call.operation.is_list() {
                request.extensions_mut().insert(IsList);
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
                    // A GET may be answered by a cache, with an old date, and an error page may come from a proxy
                    // with a clock of its own.
                    if call.method == Method::POST
                        && raw.status.is_success()
                        && let Some(date) = raw.timing.date
                    {
                        self.time.tell(date, left);
                    }
                    return Ok(raw);
                }
                // Retries once, and only a request that certainly did not reach Clerk (rule S5).
                Err(error) if error.is_connect() && !retried => retried = true,
                Err(error) => {
                    tracing::debug!(
                        operation = call.operation.name(),
                        error = &error as &dyn std::error::Error,
                        "no answer from Clerk"
                    );
                    let code = match error.is_connect() {
                        true => "no_connection",
                        false if error.is_too_large() => OVERSIZED,
                        false => "no_answer",
                    };
                    return Err(ApiError::unavailable(code));
                }
            }
        }
    }

    /// Passes a success through, and turns any other answer into its error.
    fn classified(&self, operation: Operation, raw: Raw) -> Result<Raw, ApiError> {
        let most = if operation.is_list() { MAX_LIST } else { MAX_BODY };
        if raw.body.len() > most {
            return Err(ApiError::unavailable(OVERSIZED));
        }
        if raw.status.is_success() {
            return Ok(raw);
        }
        let errors = serde_json::from_slice::<Errors>(&raw.body).map_or_else(|_| Vec::new(), |e| e.errors);
        let codes: Vec<&str> = errors.iter().filter_map(|error| error.code.as_deref()).collect();
        let mut error = api_error::classify(operation, raw.status, &codes);
        error.retry_after = self.retry_after(&raw);
        error.date = raw.timing.date;
        error.client_error = raw.status.is_client_error();
        tracing::debug!(
            operation = operation.name(),
            status = raw.status.as_u16(),
            code = error.code.as_deref(),
            "Clerk answered with an error"
        );
        Err(error)
    }

    /// Reads `Retry-After` as seconds or as a date. A date is compared with the answer's own `Date` (rule P2).
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

/// The result that a failed call counts under.
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

/// Counts a call when dropped, so that a call without an answer is counted too.
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

pub(crate) fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    // serde's message can quote the body, so it is dropped.
    serde_json::from_slice(body).map_err(|_| unreadable())
}

/// The error of an answer that is not what Clerk describes.
pub(crate) fn unreadable() -> ApiError {
    ApiError::unavailable(UNREADABLE)
}

/// A token, as both APIs send it.
#[derive(Deserialize)]
pub(crate) struct Token {
    jwt: Option<Zeroizing<String>>,
}

impl Token {
    /// `None` if the token is empty. Clerk can send an empty token, and its own SDKs refuse it too.
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
