//! The answers to deliveries (rule W2).

use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};

use super::body::Unread;
use super::error::{WebhookError, WebhookErrorKind};
use crate::counters::WebhookOutcome;

/// How a delivery ends.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Duplicate,
    Deferred,
    Refused(WebhookError),
    Method,
    TooLarge,
    Unread,
}

impl Answer {
    pub(super) fn outcome(&self) -> WebhookOutcome {
        match self {
            Self::Done => WebhookOutcome::Done,
            Self::Duplicate => WebhookOutcome::Duplicate,
            Self::Deferred => WebhookOutcome::Deferred,
            Self::Refused(error) => match error.kind() {
                WebhookErrorKind::Headers => WebhookOutcome::Headers,
                WebhookErrorKind::Timestamp => WebhookOutcome::Timestamp,
                WebhookErrorKind::Signature => WebhookOutcome::Signature,
                WebhookErrorKind::Body => WebhookOutcome::Body,
            },
            Self::Method => WebhookOutcome::Method,
            Self::TooLarge => WebhookOutcome::TooLarge,
            Self::Unread => WebhookOutcome::Unread,
        }
    }

    /// The text that Clerk's dashboard shows beside a failed attempt. Nothing in it depends on the secret.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Done | Self::Duplicate => String::new(),
            Self::Deferred => "the event could not be handled now: send it again".to_owned(),
            Self::Refused(error) => error.to_string(),
            Self::Method => "webhooks are sent by POST".to_owned(),
            Self::TooLarge => "the body has more than 1 MiB".to_owned(),
            Self::Unread => {
                "the body did not arrive in time, or too many are on their way: send it again".to_owned()
            }
        }
    }

    /// The response. It never has the status or a field by which a receiver switches its endpoint off at the sender.
    pub(super) fn response(&self) -> Response<String> {
        let mut response = Response::new(self.reason());
        *response.status_mut() = match self {
            Self::Done | Self::Duplicate => StatusCode::NO_CONTENT,
            Self::Refused(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Deferred | Self::Unread => StatusCode::SERVICE_UNAVAILABLE,
        };
        if !response.body().is_empty() {
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(CONTENT_TYPE, text);
        }
        if let Self::Method = self {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        }
        response
    }
}

impl From<WebhookError> for Answer {
    fn from(error: WebhookError) -> Self {
        Self::Refused(error)
    }
}

impl From<Unread> for Answer {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::TooLarge => Self::TooLarge,
            Unread::Incomplete => Self::Unread,
        }
    }
}
