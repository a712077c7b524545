//! A request as the instance reads it.

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use http::uri::Authority;
use http::{HeaderMap, Method, Request};
use serde_json::Value;

use crate::endpoint::{Endpoint, MAX_REQUEST};
use crate::errors::ApiError;

/// The content type of forms.
pub(crate) const FORM: &str = "application/x-www-form-urlencoded";

pub(crate) struct Call {
    pub(crate) endpoint: Endpoint,
    /// The path's variable parts.
    pub(crate) variables: Vec<String>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    /// The body of a request to the Backend API, if it is JSON.
    pub(crate) json: Option<Value>,
    /// The authority that the request went to, as it was written.
    pub(crate) host: String,
    pub(crate) headers: HeaderMap,
    pub(crate) peer: Option<IpAddr>,
    /// The instance's address as this request has it: the issuer of its tokens.
    pub(crate) issuer: String,
    pub(crate) body: Bytes,
}

/// The hosts an instance has of its own. A request to another one came over a socket, where one address serves both
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

    /// A parameter of the form.
    pub(crate) fn param(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A variable part of the path.
    pub(crate) fn variable(&self, number: usize) -> &str {
        self.variables.get(number).map_or("", String::as_str)
    }

    pub(crate) fn origin(&self) -> Option<&str> {
        self.headers.get(ORIGIN)?.to_str().ok()
    }

    pub(crate) fn is_native(&self) -> bool {
        matches!(self.query("_is_native"), Some("1" | "true"))
    }

    /// The client token that the request carries: in native mode in `Authorization`, with or without `Bearer`,
    /// otherwise in a cookie. Expo sends an empty header as long as it has none.
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

/// Whether the body is said to be of a type, with whatever parameters.
pub(crate) fn has_content_type(headers: &HeaderMap, expected: &str) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(expected)
}
