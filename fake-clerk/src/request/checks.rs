//! Checks that requests must pass before they reach an endpoint.

use http::header::{AUTHORIZATION, CONTENT_TYPE, ORIGIN};

use crate::clock::Now;
use crate::endpoint::{Endpoint, MAX_REQUEST};
use crate::errors::ApiError;
use crate::request::call::{Call, FORM, has_content_type};
use crate::request::version::is_version;
use crate::settings::FakeClerkBuilder;

impl Call {
    /// Checks that precede every endpoint of the Frontend API.
    pub(crate) fn check(&self, settings: &FakeClerkBuilder, now: Now) -> Result<(), ApiError> {
        self.check_target()?;
        self.check_headers(now)?;
        self.check_form(settings)?;
        // The key set, the health check and the environment are public. The environment tells clients that the Native
        // API is off, so it must stay readable then.
        if matches!(self.endpoint, Endpoint::Jwks | Endpoint::Health | Endpoint::Environment) {
            return Ok(());
        }
        if self.is_native() {
            return if settings.native_api { Ok(()) } else { Err(ApiError::native_api_disabled()) };
        }
        if settings.browser_mode { Ok(()) } else { Err(ApiError::dev_browser_unauthenticated()) }
    }

    /// Checks that the path and method exist, and that the body isn't too large.
    pub(crate) fn check_target(&self) -> Result<(), ApiError> {
        if self.body.len() > MAX_REQUEST {
            return Err(ApiError::body_too_large(MAX_REQUEST));
        }
        if self.endpoint == Endpoint::Unknown {
            return Err(ApiError::not_found("not found", "The requested resource was not found"));
        }
        if !self.endpoint.allows(&self.method) {
            return Err(ApiError::method_not_allowed());
        }
        Ok(())
    }

    fn check_headers(&self, now: Now) -> Result<(), ApiError> {
        let count = |name| self.headers.get_all(name).iter().count();
        if count(ORIGIN) > 1 {
            return Err(ApiError::multiple_values("Origin", "multiple_origin_header_values_forbidden"));
        }
        if count(AUTHORIZATION) > 1 {
            let code = "multiple_authorization_header_values_forbidden";
            return Err(ApiError::multiple_values("Authorization", code));
        }
        if count(ORIGIN) == 1 && count(AUTHORIZATION) == 1 {
            return Err(ApiError::origin_and_authorization());
        }
        self.check_version(now)
    }

    pub(crate) fn check_version(&self, now: Now) -> Result<(), ApiError> {
        let header =
            self.headers.get("clerk-api-version").map(|version| version.to_str().unwrap_or_default());
        let version = match (header, self.query("__clerk_api_version")) {
            (Some(_), Some(_)) => {
                return Err(ApiError::api_version("it is given both in the header and in the query"));
            }
            (header, query) => header.or(query),
        };
        match version {
            Some(version) if !is_version(version, now) => Err(ApiError::api_version(version)),
            _ => Ok(()),
        }
    }

    fn check_form(&self, settings: &FakeClerkBuilder) -> Result<(), ApiError> {
        if self.body.is_empty() {
            return Ok(());
        }
        self.check_content_type(FORM)?;
        for (name, value) in &self.form {
            // Clerk doesn't know the `password` parameter where passwords are off.
            let off = name == "password" && !settings.passwords && self.endpoint != Endpoint::ResetPassword;
            if off || !self.endpoint.parameters().contains(&name.as_str()) {
                return Err(ApiError::unknown_param(name));
            }
            if value.contains('\u{fffd}') && !self.spells_replacement_character() {
                return Err(ApiError::not_utf8(name));
            }
        }
        Ok(())
    }

    pub(crate) fn check_content_type(&self, expected: &str) -> Result<(), ApiError> {
        if has_content_type(&self.headers, expected) {
            return Ok(());
        }
        let actual = self.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        Err(ApiError::content_type(actual.unwrap_or_default(), expected))
    }

    /// Whether the body itself encodes U+FFFD, which otherwise means that decoding replaced invalid UTF-8.
    fn spells_replacement_character(&self) -> bool {
        let body = String::from_utf8_lossy(&self.body).to_ascii_uppercase();
        body.contains("%EF%BF%BD")
    }
}
