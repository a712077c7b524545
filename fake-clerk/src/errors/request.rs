//! The refusals that any request can get.

use crate::endpoint::MAX_REQUEST;
use crate::errors::api_error::ApiError;

impl ApiError {
    // Requests (requests.go, auth.go).

    pub(crate) fn body_too_large(limit: usize) -> Self {
        let long = format!("The request body exceeds the maximum allowed size of {limit} bytes.");
        Self::new(413, "request_body_too_large", "Request body too large", &long)
    }

    pub(crate) fn not_found(message: &str, long_message: &str) -> Self {
        Self::new(404, "resource_not_found", message, long_message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(
            405,
            "method_not_allowed",
            "Method not allowed",
            "The method is not allowed for this resource",
        )
    }

    pub(crate) fn content_type(actual: &str, expected: &str) -> Self {
        let long = format!("Content-Type {actual} is unsupported. You should use {expected} instead.");
        Self::new(415, "unsupported_content_type", "Content-Type is unsupported", &long)
    }

    pub(crate) fn body_invalid() -> Self {
        let long = "The request body is invalid. Please consult the API documentation for more information.";
        Self::new(400, "request_body_invalid", "Request body invalid", long)
    }

    pub(crate) fn api_version(reason: &str) -> Self {
        let long = format!("Invalid Clerk API version: {reason}");
        Self::new(400, "api_version_invalid", "invalid API version", &long)
    }

    pub(crate) fn multiple_values(header: &str, code: &str) -> Self {
        let message = format!("Multiple '{header}' header values");
        let long = format!("Setting multiple values in the '{header}' header is forbidden");
        Self::new(400, code, &message, &long)
    }

    pub(crate) fn origin_and_authorization() -> Self {
        Self::new(
            400,
            "origin_authorization_headers_conflict",
            "Setting both the 'Origin' and 'Authorization' headers is forbidden",
            "For security purposes, only one of the 'Origin' and 'Authorization' headers should be provided, but \
             not both. In browser contexts, the 'Origin' header is set automatically by the browser. In native \
             application contexts (e.g. mobile apps), set the 'Authorization' header.",
        )
    }

    pub(crate) fn authorization_format() -> Self {
        Self::new(
            401,
            "authorization_header_format_invalid",
            "Invalid Authorization header format",
            "Invalid Authorization header format. Must be 'Bearer <YOUR_API_KEY>'",
        )
    }

    pub(crate) fn native_api_disabled() -> Self {
        Self::new(
            400,
            "native_api_disabled",
            "Native API disabled",
            "The Native API is disabled for this instance. Visit the Clerk Dashboard to enable it.",
        )
    }

    pub(crate) fn dev_browser_unauthenticated() -> Self {
        Self::new(
            401,
            "dev_browser_unauthenticated",
            "Browser unauthenticated",
            "Unable to authenticate this browser for your development instance. Check your Clerk cookies and try \
             again. If the issue persists reach out to support@clerk.com.",
        )
    }

    pub(crate) fn signed_out() -> Self {
        Self::new(401, "signed_out", "Signed out", "You are signed out")
    }

    pub(crate) fn authentication_invalid() -> Self {
        let long = "Unable to authenticate the request, you need to supply an active session";
        Self::new(401, "authentication_invalid", "Invalid authentication", long)
    }

    pub(crate) fn too_many_requests(retry_after: u64) -> Self {
        let long = "Too many requests, retry later";
        let mut error = Self::new(429, "too_many_requests", "Too many requests", long);
        error.retry_after = Some(retry_after);
        error
    }

    // Parameters (forms.go).

    pub(crate) fn unknown_param(param: &str) -> Self {
        let long = format!("{param} is not a valid parameter for this request.");
        Self::new(422, "form_param_unknown", "is unknown", &long).meta("param_name", param)
    }

    pub(crate) fn missing_param(param: &str) -> Self {
        let long = format!("{param} must be included.");
        Self::new(422, "form_param_missing", "is missing", &long).meta("param_name", param)
    }

    /// A parameter is missing that another one makes necessary.
    pub(crate) fn missing_param_beside(param: &str, present: &str) -> Self {
        let long = format!("`{param}` is required when `{present}` is present.");
        Self::new(422, "form_conditional_param_missing", "is missing", &long).meta("param_name", param)
    }

    pub(crate) fn nil_param(param: &str) -> Self {
        let text = format!("Enter {param}.");
        Self::new(422, "form_param_nil", &text, &text).meta("param_name", param)
    }

    pub(crate) fn not_utf8(param: &str) -> Self {
        let long = format!("{param} contains invalid UTF-8 characters");
        Self::new(422, "form_param_value_invalid", "invalid character encoding", &long)
            .meta("param_name", param)
    }

    pub(crate) fn param_value(param: &str, value: &str) -> Self {
        let long = format!("{value} does not match one of the allowed values for parameter {param}");
        Self::new(422, "form_param_value_invalid", "is invalid", &long).meta("param_name", param)
    }

    pub(crate) fn identifier_format() -> Self {
        let long = "identifier must be either a valid email address, a valid phone number according to E.164 \
                    international standard or a valid web3 wallet.";
        Self::new(422, "form_param_format_invalid", "is invalid", long).meta("param_name", "identifier")
    }

    // Scripted faults.

    /// Clerk's error for a status, or a generic one.
    pub(crate) fn of_status(status: u16) -> Self {
        match status {
            400 => Self::body_invalid(),
            401 => Self::authentication_invalid(),
            403 => Self::user_banned(),
            404 => Self::not_found("not found", "The requested resource was not found"),
            405 => Self::method_not_allowed(),
            409 => Self::new(409, "conflict", "Conflict", "Conflict"),
            413 => Self::body_too_large(MAX_REQUEST),
            415 => Self::content_type("application/json", "application/x-www-form-urlencoded"),
            422 => Self::param_value("strategy", "password"),
            429 => Self::too_many_requests(10),
            503 => Self::new(503, "service_unavailable", "Service unavailable", "Service unavailable"),
            504 => Self::new(
                504,
                "gateway_timeout",
                "Gateway Timeout",
                "A request to a 3rd party service timed out",
            ),
            status if status < 500 => {
                Self::new(status, "unexpected_error", "Unexpected error", "Unexpected error")
            }
            status => Self::new(
                status,
                "internal_clerk_error",
                "Oops, an unexpected error occurred",
                "There was an internal error on our servers. We've been notified and are working on fixing it.",
            ),
        }
    }

    pub(crate) fn of_code(status: u16, code: &str) -> Self {
        Self::new(status, code, code, code)
    }
}
