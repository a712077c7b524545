//! Faults, and the responses that replace an endpoint's own.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::clock::Now;
use crate::errors::ApiError;
use crate::tokens::TokenFlaw;

/// A fault to inject into a request or its response.
///
/// Faults up to [`Redirect`](Self::Redirect) keep the request from being carried out, like a proxy or an overloaded
/// server would: no session is opened or ended. The later ones alter the response to a request that *was* carried
/// out, so a session that it opened exists. Faults that need tokens or sessions to alter apply only to successful
/// responses.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// Delays the request by this time before it reaches Clerk, and answers it as usual.
    Delay(Duration),
    /// Never answers the request.
    Hang,
    /// Makes no connection. Over a socket, the connection is closed without a response. The attempt is still logged.
    Refused,
    /// Responds with this status, and an error body that Clerk might send with it.
    Status(u16),
    /// Responds with this status and this error code.
    StatusWithCode(u16, String),
    /// Responds with 429 `too_many_requests`.
    RateLimited {
        /// The value of `Retry-After`.
        retry_after: RetryAfter,
    },
    /// Responds with this status and an HTML page, like a proxy.
    Html(u16),
    /// Redirects to another host with 307.
    Redirect,
    /// Carries the request out, and delays the response by this time.
    DelayAnswer(Duration),
    /// Closes the connection before the response.
    Reset,
    /// Closes the connection in the middle of the body.
    Truncated,
    /// Pads the body with 2 MiB; it stays valid JSON.
    Oversized,
    /// Cuts a list to at most this many entries. Its total stays.
    Short(usize),
    /// Turns every string of the JSON body into a number, and every number into a string.
    WrongTypes,
    /// Responds without a body.
    Empty,
    /// Responds with a body that isn't JSON.
    NotJson,
    /// Puts another user's session before the right one in `client.sessions`.
    OtherSessionFirst,
    /// Removes the session from `client.sessions`.
    MissingSession,
    /// Sets `last_active_token` to null.
    NullToken,
    /// Sends empty tokens.
    EmptyJwt,
    /// Sends tokens that a verifier must reject.
    TokenWith(TokenFlaw),
}

/// The `Retry-After` of [`Fault::RateLimited`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Seconds, as Clerk sends it.
    Seconds(u64),
    /// An HTTP date this far in the future, which a proxy in front of Clerk may send.
    Date(Duration),
    /// This exact text.
    Raw(String),
    /// No `Retry-After` header.
    Missing,
}

impl Fault {
    /// Returns the response that replaces the endpoint's; `None` for faults that let the request through.
    pub(crate) fn instead(&self, now: Now) -> Option<Response<Bytes>> {
        let json_error = |error: &ApiError| json_response(error.status, &error.body());
        Some(match self {
            Self::Status(status) => json_error(&ApiError::of_status(*status)),
            Self::StatusWithCode(status, code) => json_error(&ApiError::of_code(*status, code)),
            Self::RateLimited { retry_after } => {
                let mut response = json_error(&ApiError::too_many_requests(1));
                if let Some(value) = retry_after.header(now) {
                    response.headers_mut().insert(RETRY_AFTER, value);
                }
                response
            }
            Self::Html(status) => {
                let page = "<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head>\
                            <body><center><h1>502 Bad Gateway</h1></center></body></html>";
                let mut response = Response::new(Bytes::from_static(page.as_bytes()));
                *response.status_mut() = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                response
            }
            Self::Redirect => {
                let mut response = Response::new(Bytes::new());
                *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
                let elsewhere = "https://elsewhere.example/v1/client/sign_ins";
                response.headers_mut().insert(LOCATION, HeaderValue::from_static(elsewhere));
                response
            }
            _ => return None,
        })
    }
}

impl RetryAfter {
    fn header(&self, now: Now) -> Option<HeaderValue> {
        let text = match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::Date(ahead) => {
                let ms = u64::try_from(now.ms).unwrap_or_default();
                httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(ms) + *ahead)
            }
            Self::Raw(text) => text.clone(),
            Self::Missing => return None,
        };
        HeaderValue::from_str(&text).ok()
    }
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
