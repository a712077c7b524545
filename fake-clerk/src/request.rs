//! A request as the instance reads it, and what it must be like to be let in.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request};
use serde_json::Value;

use super::FakeClerkBuilder;
use super::endpoint::Endpoint;
use super::errors::ApiError;
use super::state::Now;
use super::version::is_version;

/// The largest body that is read.
pub(super) const MAX_REQUEST: usize = 1024 * 1024;

pub(super) struct Call {
    pub(super) endpoint: Endpoint,
    /// What stands in the path's variable parts.
    pub(super) variables: Vec<String>,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    pub(super) form: Vec<(String, String)>,
    /// The body of a request to the Backend API, if it is JSON.
    pub(super) json: Option<Value>,
    /// The authority that the request went to, as it was written.
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) peer: Option<IpAddr>,
    /// The instance's address as this request has it: what tokens name as their issuer.
    pub(super) issuer: String,
    pub(super) body: Bytes,
}

/// The hosts an instance has of its own. A request to another one came over a socket, where one address serves both
/// APIs.
pub(super) struct Hosts {
    pub(super) frontend: String,
    pub(super) backend: String,
}

impl Hosts {
    fn serve(&self, host: &str, endpoint: Endpoint) -> bool {
        match endpoint.is_backend() {
            true => !host.eq_ignore_ascii_case(&self.frontend),
            false => !host.eq_ignore_ascii_case(&self.backend),
        }
    }
}

impl Call {
    pub(super) fn read(request: Request<Bytes>, peer: Option<IpAddr>, hosts: &Hosts) -> Self {
        let (parts, body) = request.into_parts();
        let pairs = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect::<Vec<_>>();
        let query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        // Clerk attributes a request to an instance by its host. In process the URI is absolute; over a socket
        // only the Host header tells.
        let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
        let (scheme, authority) = match (parts.uri.scheme_str(), parts.uri.authority(), host) {
            (Some(scheme), Some(authority), _) => (scheme, authority.as_str()),
            (_, _, Some(host)) => ("http", host),
            _ => ("https", hosts.frontend.as_str()),
        };
        let bare =
            authority.parse::<Authority>().map_or_else(|_| authority.to_owned(), |it| it.host().to_owned());
        // Tokens name the Frontend API as their issuer, whichever API minted them.
        let issuer = match bare.eq_ignore_ascii_case(&hosts.backend) {
            true => format!("https://{}", hosts.frontend),
            false => format!("{scheme}://{authority}"),
        };
        let host = authority.to_owned();
        let mut method = parts.method;
        // Browsers ask no permission for a POST, so clerk-js sends other methods in this guise.
        if method == Method::POST
            && let Some((_, meant)) = query.iter().find(|(name, _)| name == "_method")
        {
            method = Method::from_bytes(meant.to_ascii_uppercase().as_bytes()).unwrap_or(method);
        }
        let (mut endpoint, variables) = Endpoint::of_path(parts.uri.path());
        if !hosts.serve(&bare, endpoint) {
            endpoint = Endpoint::Unknown;
        }
        let (mut form, mut json) = (Vec::new(), None);
        match body.len() <= MAX_REQUEST {
            true if endpoint.is_backend() => json = serde_json::from_slice(&body).ok(),
            true => form = pairs(&body),
            false => {}
        }
        Self {
            endpoint,
            variables,
            method,
            path: parts.uri.path().to_owned(),
            query,
            form,
            json,
            host,
            headers: parts.headers,
            peer,
            issuer,
            body,
        }
    }

    /// A parameter of the form.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A variable part of the path.
    pub(super) fn variable(&self, number: usize) -> &str {
        self.variables.get(number).map_or("", String::as_str)
    }

    pub(super) fn origin(&self) -> Option<&str> {
        self.headers.get(ORIGIN)?.to_str().ok()
    }

    pub(super) fn is_native(&self) -> bool {
        matches!(self.query("_is_native"), Some("1" | "true"))
    }

    /// The client token that the request carries: in native mode in `Authorization`, with or without `Bearer`,
    /// else in a cookie. Expo sends an empty header as long as it has none.
    pub(super) fn client_token(&self) -> Result<Option<&str>, ApiError> {
        if !self.is_native() {
            return Ok(self.cookie("__client"));
        }
        let Some(value) = self.headers.get(AUTHORIZATION) else { return Ok(None) };
        let value = value.to_str().map_err(|_| ApiError::authorization_format())?.trim();
        let token = match value.get(..7) {
            Some(scheme) if scheme.eq_ignore_ascii_case("bearer ") => value[7..].trim(),
            _ => value,
        };
        if token.contains(' ') {
            return Err(ApiError::authorization_format());
        }
        Ok(Some(token).filter(|token| !token.is_empty()))
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find(|(known, _)| known.trim() == name).map(|(_, value)| value.trim())
    }

    /// The checks that come before any of the Frontend API's endpoints.
    pub(super) fn check(&self, settings: &FakeClerkBuilder, now: Now) -> Result<(), ApiError> {
        self.check_target()?;
        self.check_headers(now)?;
        self.check_form(settings)?;
        // The key set and the instance's health and settings are for anybody. That the settings stay readable is
        // how a program learns that the Native API is off.
        if matches!(self.endpoint, Endpoint::Jwks | Endpoint::Health | Endpoint::Environment) {
            return Ok(());
        }
        if self.is_native() {
            return if settings.native_api { Ok(()) } else { Err(ApiError::native_api_disabled()) };
        }
        if settings.browser_mode { Ok(()) } else { Err(ApiError::dev_browser_unauthenticated()) }
    }

    /// Whether there is something of this path and method, and the body isn't too large for it.
    pub(super) fn check_target(&self) -> Result<(), ApiError> {
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

    pub(super) fn check_version(&self, now: Now) -> Result<(), ApiError> {
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
        self.check_content_type("application/x-www-form-urlencoded")?;
        for (name, value) in &self.form {
            // A sign-in by password that the instance doesn't offer has no such parameter.
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

    pub(super) fn check_content_type(&self, expected: &str) -> Result<(), ApiError> {
        let kind = self.headers.get(CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default());
        let kind = kind.unwrap_or_default();
        let bare = kind.split(';').next().unwrap_or_default().trim();
        if bare.eq_ignore_ascii_case(expected) { Ok(()) } else { Err(ApiError::content_type(kind, expected)) }
    }

    /// Whether somebody really sent U+FFFD, which decoding puts in the place of what isn't UTF-8.
    fn spells_replacement_character(&self) -> bool {
        let body = String::from_utf8_lossy(&self.body).to_ascii_uppercase();
        body.contains("%EF%BF%BD")
    }
}
