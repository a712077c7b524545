//! Forward authentication: a proxy asks about each request, and lets it in if the answer is a 200.
//!
//! The proxy names the original method and URI in two header fields. Which ones must be set, since a client can send
//! any of the others through the proxy (CVE-2026-40575 in oauth2-proxy).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use tower_clerk::layer::IdentityHeaders;
use tower_clerk::{ClerkPrincipal, Rejection, RejectionKind};

use super::fields::normalized;

/// How often the log reports a question that is refused.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// The proxy in front, by the fields in which it names the original request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// `X-Original-Method` and `X-Original-URI`, as configurations of nginx name them.
    Original,
    /// `X-Forwarded-Method` and `X-Forwarded-Uri`, which Traefik and Caddy send.
    Forwarded,
}

impl Family {
    pub(crate) fn parse(proxy: &str) -> Result<Self, &'static str> {
        match proxy {
            "nginx" => Ok(Self::Original),
            "traefik" | "caddy" => Ok(Self::Forwarded),
            _ => Err("must be nginx, traefik or caddy"),
        }
    }

    pub(crate) fn names(self) -> [&'static str; 2] {
        match self {
            Self::Original => ["x-original-method", "x-original-uri"],
            Self::Forwarded => ["x-forwarded-method", "x-forwarded-uri"],
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Original => Self::Forwarded,
            Self::Forwarded => Self::Original,
        }
    }

    /// The original URI, if the request names it in this family's fields and in no others.
    fn original(self, headers: &HeaderMap) -> Result<OriginalUri, &'static str> {
        let is_named = |names: [&str; 2]| headers.keys().any(|name| names.contains(&&*normalized(name)));
        if is_named(self.other().names()) {
            return Err("another proxy's fields for the original request are present");
        }
        let spelled_otherwise = |name: &HeaderName| {
            self.names().contains(&&*normalized(name)) && !self.names().contains(&name.as_str())
        };
        if headers.keys().any(spelled_otherwise) {
            return Err("a field for the original request is spelled with another separator");
        }
        let one = |name: &str| {
            let mut lines = headers.get_all(name).iter();
            match (lines.next(), lines.next()) {
                (Some(line), None) => {
                    line.to_str().map_err(|_| "a field for the original request isn't ASCII")
                }
                (None, _) => Err("the fields for the original request are missing"),
                (Some(_), Some(_)) => Err("a field for the original request is repeated"),
            }
        };
        let [method, uri] = self.names();
        Method::from_bytes(one(method)?.as_bytes()).map_err(|_| "the original method is malformed")?;
        let uri = one(uri)?;
        // It would be cut off here, and a server further in may not do so.
        if uri.contains('#') {
            return Err("the original URI has a fragment");
        }
        let uri: Uri = uri.parse().map_err(|_| "the original URI is malformed")?;
        if uri.path().starts_with('/') { Ok(OriginalUri(uri)) } else { Err("the original URI has no path") }
    }
}

/// The URI that the client has asked the proxy for.
#[derive(Clone, Debug)]
struct OriginalUri(Uri);

/// The original URI, of a request that [`read_original`] has let through.
pub(crate) fn original_uri(parts: &Parts) -> Option<&Uri> {
    parts.extensions.get::<OriginalUri>().map(|original| &original.0)
}

/// Puts the original URI into the extensions, for the layer behind to find the organization in it.
pub(crate) async fn read_original(family: Family, mut request: Request, next: Next) -> Response {
    match family.original(request.headers()) {
        Ok(original) => {
            request.extensions_mut().insert(original);
            next.run(request).await
        }
        Err(reason) => {
            report(reason);
            // A status that all three proxies pass on.
            Rejection::new(RejectionKind::Forbidden).into_response()
        }
    }
}

/// Reports a refusal, at most once a minute: it may be the proxy's configuration, or a client that tries.
fn report(reason: &str) {
    static REPORTED: Mutex<Option<Instant>> = Mutex::new(None);
    let mut reported = REPORTED.lock().unwrap_or_else(PoisonError::into_inner);
    if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
        *reported = Some(Instant::now());
        tracing::warn!(reason, "a question without a clear original request is answered 403");
    }
}

/// Lets the request in, with the identity for the proxy to copy into it. Absent claims are empty, or the proxy would
/// leave the client's own fields in their place. With `sends_jwt`, the session's JWT is there to be copied as well.
pub(crate) fn admit(principal: &ClerkPrincipal, sends_jwt: bool) -> Response {
    let identity = IdentityHeaders::new().send_absent_as_empty();
    let (session, mut headers) = match principal {
        ClerkPrincipal::Session(session) | ClerkPrincipal::Bearer(session) => {
            (Some(session), identity.of(session))
        }
        ClerkPrincipal::ApiKey(key) => (None, identity.of_api_key(key)),
        _ => return Rejection::new(RejectionKind::Forbidden).into_response(),
    };
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if sends_jwt
        && let Some(session) = session
        && let Ok(mut bearer) = HeaderValue::try_from(format!("Bearer {}", session.token()))
    {
        bearer.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, bearer);
    }
    (StatusCode::OK, headers).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn original(family: Family, fields: &[(&'static str, &str)]) -> Result<String, &'static str> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().unwrap());
        }
        family.original(&headers).map(|original| original.0.to_string())
    }

    #[test]
    fn a10_only_the_configured_fields_name_the_original_request() {
        let good = [("x-original-method", "GET"), ("x-original-uri", "/orgs/acme/me?x=1")];
        assert_eq!(original(Family::Original, &good), Ok("/orgs/acme/me?x=1".to_owned()));
        for forged in
            ["x-forwarded-uri", "x-forwarded-method", "x_forwarded_uri", "x_original_uri", "x-original_uri"]
        {
            let fields = [good.as_slice(), &[(forged, "/orgs/globex/me")]].concat();
            assert!(original(Family::Original, &fields).is_err(), "{forged}");
        }
        for repeated in ["x-original-uri", "x-original-method"] {
            let fields = [good.as_slice(), &[(repeated, "/orgs/globex/me")]].concat();
            assert!(original(Family::Original, &fields).is_err(), "{repeated}");
        }
        assert!(
            original(Family::Original, &good[..1]).is_err()
                && original(Family::Original, &good[1..]).is_err()
        );
        assert!(original(Family::Forwarded, &good).is_err());
        for uri in ["orgs/acme", "", "*", "http:// x", "/a b", "/orgs/acme/me#/../../globex/me"] {
            let fields = [("x-forwarded-method", "GET"), ("x-forwarded-uri", uri)];
            assert!(original(Family::Forwarded, &fields).is_err(), "{uri:?}");
        }
    }
}
