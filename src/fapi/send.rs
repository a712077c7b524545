//! How a call is sent, in native mode, and how its answer is judged (rule S1).

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::answer::Timing;
use super::client::{API_VERSION, Fapi, USER_AGENT};
use super::client_token::{ClientSlot, ClientToken, TokenUpdate};
use super::fault::{self, CallResult, Fault, Meaning, Operation};
use super::wire;
use crate::transport::MAX_BODY;

/// A pause that Clerk asks for is taken as at least a second and at most five minutes (rule P2).
const RETRY_AFTER_BOUNDS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(300));

/// An answer as it came, before its meaning is read.
pub(super) struct Raw {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
    pub(super) timing: Timing,
}

impl Fapi {
    /// A call about a session, with its client's token; what the answer says of the token is taken over.
    pub(super) async fn call_as(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        query: &str,
        client: &ClientSlot,
        form: Option<&[(&str, &str)]>,
    ) -> Result<Raw, Fault> {
        let carried = client.current().ok_or_else(|| Fault::coded(Meaning::SessionGone, "client_gone"))?;
        let raw = self.call(operation, method, path, query, Some(&carried), form).await?;
        client.update(&carried, token_update(&raw.headers));
        Ok(raw)
    }

    pub(super) async fn call(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        query: &str,
        token: Option<&ClientToken>,
        form: Option<&[(&str, &str)]>,
    ) -> Result<Raw, Fault> {
        let path = format!("{path}?_is_native=1{query}");
        self.asked(operation, method, &path, token, form).await
    }

    /// Sends, judges the answer, and counts it. A call that is given up is counted as failed.
    pub(super) async fn asked(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        token: Option<&ClientToken>,
        form: Option<&[(&str, &str)]>,
    ) -> Result<Raw, Fault> {
        let mut counted =
            Counted { fapi: self, operation, since: self.clock.now(), result: CallResult::Failed };
        let answer = match self.send(operation, method, path, token, form).await {
            Ok(raw) => self.judged(operation, raw),
            Err(fault) => Err(fault),
        };
        counted.result = match &answer {
            Ok(_) => CallResult::Ok,
            Err(fault) => CallResult::of(fault.meaning),
        };
        answer
    }

    async fn send(
        &self,
        operation: Operation,
        method: Method,
        path: &str,
        token: Option<&ClientToken>,
        form: Option<&[(&str, &str)]>,
    ) -> Result<Raw, Fault> {
        let body = form.map_or_else(Bytes::new, encode);
        let authorization = match token.map(ClientToken::header) {
            Some(None) => return Err(Fault::coded(Meaning::SessionGone, "client_token_unsendable")),
            Some(header) => header,
            None => None,
        };
        let build = || -> Result<Request<Bytes>, http::Error> {
            let mut request =
                Request::builder().method(method.clone()).uri(self.instance.url(path)).body(body.clone())?;
            let headers = request.headers_mut();
            headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
            headers.insert("clerk-api-version", HeaderValue::from_static(API_VERSION));
            headers.insert(http::header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
            if form.is_some() {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            }
            if let Some(authorization) = &authorization {
                headers.insert(AUTHORIZATION, authorization.clone());
            }
            Ok(request)
        };
        let mut retried = false;
        loop {
            let request = build().map_err(|_| Fault::unavailable("request_not_buildable"))?;
            let left = self.clock.now();
            match self.transport.send(request).await {
                Ok(response) => return Ok(self.received(response, left)),
                // Only what certainly didn't reach Clerk is tried again, once (rule S5).
                Err(error) if error.is_connect() && !retried => retried = true,
                Err(error) => {
                    tracing::debug!(
                        operation = operation.name(),
                        error = &error as &dyn std::error::Error,
                        "no answer from Clerk"
                    );
                    let code = if error.is_connect() { "no_connection" } else { "no_answer" };
                    return Err(Fault::unavailable(code));
                }
            }
        }
    }

    fn received(&self, response: Response<Bytes>, left: Instant) -> Raw {
        let (parts, body) = response.into_parts();
        let date = header(&parts.headers, DATE).and_then(|date| httpdate::parse_http_date(date).ok());
        Raw { status: parts.status, body, headers: parts.headers, timing: Timing { left, date } }
    }

    /// A success as it is; anything else as what it means.
    fn judged(&self, operation: Operation, raw: Raw) -> Result<Raw, Fault> {
        if raw.body.len() > MAX_BODY {
            return Err(Fault::unavailable("oversized"));
        }
        if raw.status.is_success() {
            return Ok(raw);
        }
        let errors =
            serde_json::from_slice::<wire::Errors>(&raw.body).map_or_else(|_| Vec::new(), |e| e.errors);
        let codes: Vec<&str> = errors.iter().filter_map(|error| error.code.as_deref()).collect();
        let mut fault = fault::read(operation, raw.status, &codes);
        fault.retry_after = self.retry_after(&raw);
        tracing::debug!(
            operation = operation.name(),
            status = raw.status.as_u16(),
            code = fault.code.as_deref(),
            "Clerk answered with an error"
        );
        Err(fault)
    }

    /// Seconds, or a date that is taken against the answer's own (rule P2).
    fn retry_after(&self, raw: &Raw) -> Option<Duration> {
        let value = header(&raw.headers, RETRY_AFTER)?.trim();
        let wait = match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => {
                let at = httpdate::parse_http_date(value).ok()?;
                let now = raw.timing.date.unwrap_or_else(|| self.clock.wall());
                at.duration_since(now).unwrap_or_default()
            }
        };
        Some(wait.clamp(RETRY_AFTER_BOUNDS.0, RETRY_AFTER_BOUNDS.1))
    }
}

/// Counts a call when it is over, also when it is dropped before its answer came.
struct Counted<'a> {
    fapi: &'a Fapi,
    operation: Operation,
    since: Instant,
    result: CallResult,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let took = self.fapi.clock.now() - self.since;
        self.fapi.calls.count(self.operation, self.result, took);
    }
}

/// A form's bytes, wiped when the request is done with: the password is in there. An allocation of the right size
/// from the start leaves no half-grown copies behind.
fn encode(form: &[(&str, &str)]) -> Bytes {
    let worst = form.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
    let mut serializer = form_urlencoded::Serializer::new(String::with_capacity(worst));
    serializer.extend_pairs(form);
    Bytes::from_owner(Zeroizing::new(serializer.finish().into_bytes()))
}

fn header(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn token_update(headers: &HeaderMap) -> TokenUpdate {
    match header(headers, AUTHORIZATION) {
        None => TokenUpdate::Same,
        Some(token) if token.trim().is_empty() => TokenUpdate::Gone,
        Some(token) => TokenUpdate::New(ClientToken::new(token)),
    }
}
