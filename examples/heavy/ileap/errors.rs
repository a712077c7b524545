//! PACT's error answers, also for what the layer in front rejects.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower_clerk::{BearerRefusal, Rejection, RejectionKind};

use crate::source::SourceError;

/// An answer of the form `{"code":…,"message":…}`. PACT's table gives each code a status; where its conformance cases want
/// another one, the answer has that.
#[derive(Debug, Serialize)]
pub(crate) struct PactError {
    #[serde(skip)]
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Code {
    AccessDenied,
    BadRequest,
    InternalError,
    NoSuchFootprint,
    NotImplemented,
    TokenExpired,
}

impl Code {
    /// The status of this code in PACT's table. `NotImplemented` is 400 there.
    fn status(self) -> StatusCode {
        match self {
            Self::AccessDenied => StatusCode::FORBIDDEN,
            Self::BadRequest | Self::NotImplemented => StatusCode::BAD_REQUEST,
            Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NoSuchFootprint => StatusCode::NOT_FOUND,
            Self::TokenExpired => StatusCode::UNAUTHORIZED,
        }
    }
}

/// The longest message, in characters.
const LONGEST: usize = 256;

impl PactError {
    /// A message may quote the partner, so it is cut: a request of 1 MiB must not be sent back.
    pub(crate) fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        let mut message = message.into();
        if let Some((end, _)) = message.char_indices().nth(LONGEST) {
            message.to_mut().replace_range(end.., "…");
        }
        Self { status: code.status(), code, message }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(crate) fn not_implemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotImplemented, message)
    }

    fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }
}

impl IntoResponse for PactError {
    fn into_response(self) -> Response {
        (self.status, Json(self)).into_response()
    }
}

impl From<SourceError> for PactError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::NotImplemented(message) => Self::not_implemented(message),
            SourceError::Failed(error) => {
                tracing::error!(error = &*error as &dyn std::error::Error, "the source failed");
                Self::new(Code::InternalError, "the data can't be read right now; try again later")
            }
        }
    }
}

const NO_TOKEN: &str = "no access token: POST /auth/token gives one, to be sent as `Authorization: Bearer`";
const EXPIRED: &str = "the access token has expired; get a new one";

/// The answer of footprints and events to a request that the layer rejects. A token that is refused is 401 `BadRequest`, as
/// PACT's cases 6, 7 and 16 want it, and none at all is 400 `BadRequest`.
pub(crate) fn of_footprints(rejection: &Rejection) -> Response {
    let error = match rejection.kind() {
        RejectionKind::CredentialsMissing => PactError::bad_request(NO_TOKEN),
        RejectionKind::CredentialsRejected if !is_expired(rejection) => {
            PactError::bad_request(told(rejection)).with_status(StatusCode::UNAUTHORIZED)
        }
        _ => of_any(rejection),
    };
    error.into_response()
}

/// The answer of activity data. Without a token that is accepted it is 403 `AccessDenied`, as iLEAP's case 7 wants it.
pub(crate) fn of_activities(rejection: &Rejection) -> Response {
    let error = match rejection.kind() {
        RejectionKind::CredentialsMissing => PactError::new(Code::AccessDenied, NO_TOKEN),
        RejectionKind::CredentialsRejected if !is_expired(rejection) => {
            PactError::new(Code::AccessDenied, told(rejection))
        }
        _ => of_any(rejection),
    };
    error.into_response()
}

fn of_any(rejection: &Rejection) -> PactError {
    match rejection.kind() {
        RejectionKind::CredentialsMalformed => PactError::bad_request(told(rejection)),
        RejectionKind::CredentialsRejected => PactError::new(Code::TokenExpired, EXPIRED),
        // An outage stays a 503 with `Retry-After`, although PACT's table has no code for it.
        _ if rejection.status().is_server_error() || rejection.status() == StatusCode::TOO_MANY_REQUESTS => {
            PactError::new(Code::InternalError, told(rejection)).with_status(rejection.status())
        }
        _ => PactError::new(Code::AccessDenied, told(rejection)),
    }
}

fn is_expired(rejection: &Rejection) -> bool {
    rejection.bearer_refusal() == Some(BearerRefusal::Expired)
}

/// The sentence of a rejection for the client.
fn told(rejection: &Rejection) -> &'static str {
    rejection.detail().unwrap_or(rejection.kind().title())
}
