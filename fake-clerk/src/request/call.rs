//! A parsed request.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request};
use serde_json::Value;

use crate::endpoint::{Endpoint, MAX_REQUEST};
use crate::errors::ApiError;

pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) struct Call {
    pub(crate) endpoint: Endpoint,
    /// The values of the path's variables.
    pub(crate) variables: Vec<String>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    /// The body, if the request is for the Backend API and the body is JSON.
    pub(crate) json: Option<Value>,
    /// The authority that the request was sent to, unchanged.
    pub(crate) host: String,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: Option<IpAddr>,
    /// The instance's URL as the request addressed it, which is the issuer of its tokens.
    pub(crate) issuer: String,
    pub(crate) body: Bytes,
}

/// The in-process hosts of an instance. Any other host means a request over a socket, where one address serves both
/// APIs.
pub(crate) struct Hosts {
    pub(crate) frontend: String,
    pub(crate) backend: String,
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
    pub(crate) fn read(request: Request<Bytes>, peer: Option<IpAddr>, hosts: &Hosts) -> Self {
        let (parts, body) = request.into_parts();
        let pairs = |text: &[u8]| form_urlencoded::parse(text).into_owned().collect::<Vec<_>>();
        let query = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        // Clerk assigns a request to an instance by its host. In process the URI is absolute; over a socket only the
        // `Host` header has the host.
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
        // POST needs no CORS preflight, so clerk-js sends other methods as POST with `_method`.
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
            true if has_content_type(&parts.headers, FORM) => form = pairs(&body),
            _ => {}
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

    /// Returns a form parameter.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Returns the value of a path variable.
    pub(crate) fn variable(&self, number: usize) -> &str {
        self.variables.get(number).map_or("", String::as_str)
    }

    pub(crate) fn origin(&self) -> Option<&str> {
        self.headers.get(ORIGIN)?.to_str().ok()
    }

    pub(crate) fn is_native(&self) -> bool {
        matches!(self.query("_is_native"), Some("1" | "true"))
    }

    /// Returns the request's client token: in native mode from `Authorization`, with or without `Bearer`, otherwise
    /// from a cookie. Expo sends an empty header while it has no token.
    pub(crate) fn client_token(&self) -> Result<Option<&str>, ApiError> {
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
}

/// Whether `Content-Type` is of a type, whatever its parameters.
pub(crate) fn has_content_type(headers: &HeaderMap, expected: &str) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}
