//! Faults by script: what an endpoint does instead of its work, or to its answer.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::errors::ApiError;
use super::ids;
use super::state::Now;

/// How large the body of [`Fault::Oversized`] is: 2 MiB.
const OVERSIZED: usize = 2 * 1024 * 1024;

/// What goes wrong with a request.
///
/// Faults up to [`Redirect`](Self::Redirect) keep the request from being carried out, as a proxy or an overloaded
/// server would: no session is opened or ended. The later ones spoil the answer to a request that *was* carried
/// out: a session it opened is there. They spoil good answers only, where they need one to work on.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Fault {
    /// The request reaches Clerk after so long, and is answered as usual.
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
        /// What `Retry-After` says.
        retry_after: RetryAfter,
    },
    /// This status, with a page of HTML, as from a proxy in between.
    Html(u16),
    /// 307 to another host.
    Redirect,
    /// The answer comes so late.
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
    /// Somebody else's session stands before the right one in `client.sessions`.
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

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFlaw {
    /// It is somebody else's.
    WrongSub,
    /// Another instance minted it.
    WrongIssuer,
    /// It belongs to another session.
    WrongSession,
    /// It names another organization.
    WrongOrganization,
    /// It names no organization.
    NoOrganization,
    /// It says `alg: none` and has no signature.
    AlgNone,
    /// It is signed by HMAC, with the public key as the secret.
    AlgHs256,
    /// Its `kid` is in no key set.
    UnknownKid,
    /// Its signature is wrong.
    BadSignature,
    /// It was over an hour ago.
    Expired,
    /// It has no `exp`.
    NoExp,
    /// Its `exp` is a thousand years away.
    AbsurdExp,
    /// It begins in an hour.
    NotYetValid,
    /// Its `sts` is `pending`.
    Pending,
}

/// What the `Retry-After` of [`Fault::RateLimited`] says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// Seconds, as Clerk sends it.
    Seconds(u64),
    /// The date so long from now, as the proxies before it may.
    Date(Duration),
    /// This very text.
    Raw(String),
    /// Nothing: there is no such header.
    Missing,
}

impl Fault {
    /// The answer instead of the endpoint's own; `None` for faults that let the request through.
    pub(super) fn instead(&self, now: Now) -> Option<Response<Bytes>> {
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

    /// Spoils what a good answer says.
    pub(super) fn rewrite(&self, body: &mut Value) {
        match self {
            Self::WrongTypes => swap_types(body),
            Self::NullToken => each(body, &|key, value| {
                if key == "last_active_token" {
                    *value = Value::Null;
                }
            }),
            Self::EmptyJwt => each(body, &|key, value| {
                if key == "jwt" {
                    *value = json!("");
                }
            }),
            Self::MissingSession => {
                if let Some(sessions) = sessions(body) {
                    sessions.clear();
                }
            }
            Self::OtherSessionFirst => {
                if let Some(sessions) = sessions(body)
                    && let Some(foreign) = sessions.first().map(foreign)
                {
                    sessions.insert(0, foreign);
                }
            }
            Self::Oversized => {
                let padding = json!({ "padding": "x".repeat(OVERSIZED) });
                match (body, padding) {
                    // A list has no place for it but one more item.
                    (Value::Array(items), padding) => items.push(padding),
                    (Value::Object(object), Value::Object(padding)) => object.extend(padding),
                    _ => {}
                }
            }
            _ => {}
        }
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

pub(super) fn json_response(status: StatusCode, body: &Value) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The sessions of the client in an answer, which stands in either place of the envelope.
fn sessions(body: &mut Value) -> Option<&mut Vec<Value>> {
    let at = ["/client/sessions", "/response/sessions"].into_iter().find(|at| body.pointer(at).is_some())?;
    body.pointer_mut(at)?.as_array_mut()
}

/// A session of somebody else that looks like a given one.
fn foreign(session: &Value) -> Value {
    let mut foreign = session.clone();
    let user = ids::random("user");
    foreign["id"] = json!(ids::random("sess"));
    if foreign["user"].is_object() {
        foreign["user"]["id"] = json!(user);
    }
    if foreign["public_user_data"].is_object() {
        foreign["public_user_data"]["user_id"] = json!(user);
        foreign["public_user_data"]["identifier"] = json!("somebody.else@example.com");
    }
    foreign
}

fn each(value: &mut Value, change: &dyn Fn(&str, &mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        Value::Object(object) => {
            for (key, item) in object {
                change(key, item);
                each(item, change);
            }
        }
        _ => {}
    }
}

fn swap_types(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(swap_types),
        Value::Object(object) => object.values_mut().for_each(swap_types),
        Value::String(_) => *value = json!(42),
        Value::Number(_) => *value = json!("forty-two"),
        Value::Bool(_) => *value = json!([]),
        Value::Null => *value = json!({}),
    }
}

/// What is scripted for the endpoints.
#[derive(Default)]
pub(super) struct Script {
    once: HashMap<Endpoint, VecDeque<Fault>>,
    always: HashMap<Endpoint, Fault>,
}

impl Script {
    pub(super) fn push(&mut self, endpoint: Endpoint, times: usize, fault: Fault) {
        let queue = self.once.entry(endpoint).or_default();
        queue.extend(std::iter::repeat_n(fault, times));
    }

    pub(super) fn always(&mut self, endpoint: Endpoint, fault: Fault) {
        self.always.insert(endpoint, fault);
    }

    pub(super) fn clear(&mut self, endpoint: Endpoint) {
        self.once.remove(&endpoint);
        self.always.remove(&endpoint);
        if endpoint == Endpoint::Any {
            self.once.clear();
            self.always.clear();
        }
    }

    /// The fault for the next request to an endpoint: its own first, then those for its API and for any, queues
    /// before rules.
    pub(super) fn next(&mut self, endpoint: Endpoint) -> Option<Fault> {
        let mut places = endpoint.groups();
        let queued = places.clone().find_map(|place| self.once.get_mut(&place)?.pop_front());
        queued.or_else(|| places.find_map(|place| self.always.get(&place).cloned()))
    }
}
