//! The errors of a token endpoint (RFC 6749, section 5.2), and the responses to them.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::layer::set_retry_after;
use crate::rejection::{Challenge, Rejection, RejectionKind};

use super::response_body::ResponseBody;

/// The `error` of a response ([RFC 6749, section 5.2](https://www.rfc-editor.org/rfc/rfc6749#section-5.2)).
///
/// `temporarily_unavailable` and `server_error` are those of
/// [section 4.1.2.1](https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1); a token endpoint has none for these cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenErrorCode {
    /// The request is malformed.
    InvalidRequest,
    /// The credentials are missing, malformed or rejected.
    InvalidClient,
    /// The grant is not valid. The endpoint never answers this by itself.
    InvalidGrant,
    /// The credentials are right, but not good for a token: Clerk asks the user to do something first, the account has a
    /// second factor, or the user is not a member of the organization.
    UnauthorizedClient,
    /// The `grant_type` is none that the endpoint accepts.
    UnsupportedGrantType,
    /// The `scope` is malformed or unknown, or that of an organization that the user is not a member of.
    InvalidScope,
    /// The `resource` of a token exchange can't be chosen
    /// ([RFC 8693, section 2.2.2](https://www.rfc-editor.org/rfc/rfc8693#section-2.2.2)).
    InvalidTarget,
    /// There is no token right now. The response says when to try again.
    TemporarilyUnavailable,
    /// The settings make this impossible, or there is an error in this crate.
    ServerError,
}

impl TokenErrorCode {
    /// Returns the code as it stands in the response, such as `invalid_client`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::ServerError => "server_error",
        }
    }
}

/// The reason for which a [`TokenEndpoint`](super::TokenEndpoint) returned no token.
///
/// [`map_errors`](super::TokenEndpoint::map_errors) changes it before the response is made. The endpoint attaches it to the
/// extensions of the response. It holds no part of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenError {
    code: TokenErrorCode,
    status: StatusCode,
    description: &'static str,
    rejection: Option<Box<Rejection>>,
    /// The methods of the service, if the request had another one.
    allow: Option<&'static str>,
}

impl TokenError {
    fn new(code: TokenErrorCode, status: StatusCode, description: &'static str) -> Self {
        Self { code, status, description, rejection: None, allow: None }
    }

    pub(super) fn invalid_request(description: &'static str) -> Self {
        Self::new(TokenErrorCode::InvalidRequest, StatusCode::BAD_REQUEST, description)
    }

    pub(super) fn invalid_scope(description: &'static str) -> Self {
        Self::new(TokenErrorCode::InvalidScope, StatusCode::BAD_REQUEST, description)
    }

    #[cfg(feature = "federation")]
    pub(super) fn invalid_target(description: &'static str) -> Self {
        Self::new(TokenErrorCode::InvalidTarget, StatusCode::BAD_REQUEST, description)
    }

    pub(super) fn unsupported_grant_type() -> Self {
        let description = "the grant_type is none that this endpoint accepts";
        Self::new(TokenErrorCode::UnsupportedGrantType, StatusCode::BAD_REQUEST, description)
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let error = Self::invalid_request("the method is not allowed here");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, allow: Some(allow), ..error }
    }

    pub(super) fn body_too_large() -> Self {
        let error = Self::invalid_request("the body is longer than 8 KiB");
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, ..error }
    }

    pub(super) fn slow_body() -> Self {
        let error = Self::invalid_request("the body did not arrive within 10 s");
        Self { status: StatusCode::REQUEST_TIMEOUT, ..error }
    }

    pub(super) fn caused_by(self, rejection: Rejection) -> Self {
        Self { rejection: Some(Box::new(rejection)), ..self }
    }

    /// The error of a request whose organization the `scope` has chosen.
    pub(super) fn of_scope(rejection: Rejection) -> Self {
        match rejection.kind() {
            RejectionKind::OrganizationForbidden => {
                Self::invalid_scope("the scope is not one of this account").caused_by(rejection)
            }
            _ => rejection.into(),
        }
    }

    /// The error of a token exchange. An assertion that is invalid, or unacceptable by a policy, makes the request an invalid
    /// one (RFC 8693, section 2.2.2).
    #[cfg(feature = "federation")]
    pub(super) fn of_exchange(self) -> Self {
        let is_of_assertion = self.rejection().is_some_and(|rejection| {
            matches!(
                rejection.kind(),
                RejectionKind::CredentialsMalformed
                    | RejectionKind::CredentialsRejected
                    | RejectionKind::AccountActionRequired
                    | RejectionKind::SecondFactorRequired
            )
        });
        if !is_of_assertion {
            return self;
        }
        Self { code: TokenErrorCode::InvalidRequest, status: StatusCode::BAD_REQUEST, ..self }
    }

    /// Returns the code.
    #[must_use]
    pub fn code(&self) -> TokenErrorCode {
        self.code
    }

    /// Returns the status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the `error_description` of the response, a sentence in English for the client's developer.
    ///
    /// It may change between releases.
    #[must_use]
    pub fn description(&self) -> &'static str {
        self.description
    }

    /// Returns the rejection that led to this error, or `None` if the request was malformed before its credentials were
    /// looked at.
    ///
    /// It tells more than the code: a rejected password from a missing one, for example.
    #[must_use]
    pub fn rejection(&self) -> Option<&Rejection> {
        self.rejection.as_deref()
    }

    /// Returns how long the client should wait before it tries again, or `None` if waiting doesn't help.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.rejection.as_ref()?.retry_after()
    }

    /// Replaces the code.
    #[must_use]
    pub fn with_code(self, code: TokenErrorCode) -> Self {
        Self { code, ..self }
    }

    /// Replaces the status.
    ///
    /// A status other than 4xx or 5xx is ignored, so that no error can pass for a success.
    #[must_use]
    pub fn with_status(self, status: StatusCode) -> Self {
        let is_error = status.is_client_error() || status.is_server_error();
        Self { status: if is_error { status } else { self.status }, ..self }
    }

    /// Builds the response.
    pub(super) fn into_response(self, challenge: &Challenge, request: &HeaderMap) -> Response<ResponseBody> {
        let body = serde_json::json!({ "error": self.code.as_str(), "error_description": self.description });
        let mut response = json(body.to_string().into());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        no_store(headers);
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        // The challenge depends on the status alone, unless there was a Bearer token.
        let missing = Rejection::new(RejectionKind::CredentialsMissing);
        let rejection = self.rejection().unwrap_or(&missing);
        challenge.for_request(request).set(headers, self.status, rejection);
        set_retry_after(headers, rejection);
        if let Some(rejection) = &self.rejection {
            response.extensions_mut().insert(Rejection::clone(rejection));
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Rejection> for TokenError {
    /// The error that a rejection leads to.
    fn from(rejection: Rejection) -> Self {
        let (code, status) = match rejection.kind() {
            RejectionKind::CredentialsMissing
            | RejectionKind::CredentialsMalformed
            | RejectionKind::CredentialsRejected => (TokenErrorCode::InvalidClient, StatusCode::UNAUTHORIZED),
            // RFC 6749, section 5.2: all others are 400.
            RejectionKind::AccountActionRequired
            | RejectionKind::SecondFactorRequired
            | RejectionKind::OrganizationForbidden
            | RejectionKind::Forbidden => (TokenErrorCode::UnauthorizedClient, StatusCode::BAD_REQUEST),
            RejectionKind::Throttled
            | RejectionKind::UpstreamRateLimited
            | RejectionKind::UpstreamUnavailable => {
                (TokenErrorCode::TemporarilyUnavailable, rejection.status())
            }
            RejectionKind::Misconfigured | RejectionKind::Internal => {
                (TokenErrorCode::ServerError, rejection.status())
            }
        };
        let description = rejection.detail().unwrap_or_else(|| rejection.kind().title());
        Self::new(code, status, description).caused_by(rejection)
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.description)
    }
}

impl StdError for TokenError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.rejection.as_deref().map(|rejection| rejection as _)
    }
}

/// Forbids caches to keep the response (RFC 6749, section 5.1).
pub(super) fn no_store(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
}

pub(super) fn json(body: Bytes) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
