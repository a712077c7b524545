//! Faults, and the answers that they give in place of an endpoint's.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::clock::Now;
use crate::errors::ApiError;
use crate::tokens::TokenFlaw;

/// A fault of a request or of its answer.
///
/// Faults up to [`Redirect`](Self::Redirect) keep the request from being carried out, as a proxy or an overloaded
/// server would: no session is opened or ended. The later ones spoil the answer to a request that *was* carried
/// out: a session it opened is there. They spoil good answers only, where they need one to work on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The request reaches Clerk after this delay, and is answered as usual.
    Delay(Duration),
    /// The request is never answered.
    Hang,
    /// No connection is made. Over a socket: closed without an answer. The attempt is in the log nevertheless.
    Refused,
    /// This status, with an error body that Clerk might send with it.
    Status(u16),
    /// This status, with an error of this code.
    StatusWithCode(u16, String),
    /// 429 `too_many_requests`.
    RateLimited {
        /// The value of `Retry-After`.
        retry_after: RetryAfter,
    },
    /// This status, with a page of HTML, as from a proxy in between.
    Html(u16),
    /// 307 to another host.
    Redirect,
    /// The answer is delayed by this long.
    DelayAnswer(Duration),
    /// The connection is closed before the answer.
    Reset,
    /// The connection is closed in the middle of the body.
    Truncated,
    /// A body of 2 MiB, which is right but for its size.
    Oversized,
    /// JSON in which every text is a number and every number a text.
    WrongTypes,
    /// The answer has no body.
    Empty,
    /// The answer's body isn't JSON.
    NotJson,
    /// Another user's session stands before the right one in `client.sessions`.
    OtherSessionFirst,
    /// The session isn't in `client.sessions`.
    MissingSession,
    /// `last_active_token` is null.
    NullToken,
    /// Tokens are empty.
    EmptyJwt,
    /// Tokens that a verifier must refuse.
    TokenWith(TokenFlaw),
}

/// The `Retry-After` of [`Fault::RateLimited`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Seconds, as Clerk sends it.
    Seconds(u64),
    /// An HTTP date this far ahead, as a proxy in front of Clerk may send.
    Date(Duration),
    /// This very text.
    Raw(String),
    /// Nothing: there is no such header.
    Missing,
}

impl Fault {
    /// The answer instead of the endpoint's own; `None` for faults that let the request through.
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
