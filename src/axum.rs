//! Sessions and API keys as axum extractors.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::request::Parts;

use crate::api_keys::{ClerkApiKey, ClerkPrincipal};
use crate::layer::{ProblemJson, respond};
use crate::organization_session::OrganizationSession;
use crate::original_uri::original_uri;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::{Anonymous, ClerkSession};
use crate::sync::lock;

/// How often the log reports a route without a layer.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// Extracts the session of a signed-in user.
///
/// A request that the layer let pass without a session ([`Anonymous`]) is answered 401 with the layer's challenge, and one
/// with an [API key](ClerkApiKey) is answered 403, as a key has no session: [`ClerkPrincipal`] takes both. A route without the layer is answered 500, and the log says so once a minute: a handler never runs without a session.
///
/// ```
/// # #[cfg(feature = "testing")]
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, body::Body, http::Request, routing::get};
/// use tower::ServiceExt;
/// use tower_clerk::{ClerkBasicAuthLayer, ClerkSession, testing};
///
/// async fn hello(session: ClerkSession) -> String {
///     format!("hello {}", session.user_id())
/// }
///
/// let (_fake, clerk) = testing::unlimited();
/// let app = Router::new().route("/", get(hello)).layer(ClerkBasicAuthLayer::new(clerk));
/// let jane = testing::basic("jane@example.com", "correct horse battery staple");
/// let request = Request::get("/").header("authorization", jane).body(Body::empty())?;
/// assert_eq!(app.oneshot(request).await?.status(), 200);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "testing"))] fn main() {}
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> FromRequestParts<S> for ClerkSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        session(parts)?.map_err(missing)
    }
}

/// Extracts the session of a request behind an [optional](crate::ClerkBasicAuthLayer::optional) layer: `None` if the
/// request has no credentials.
///
/// A route without a layer is answered 500, and a request with an API key 403.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> OptionalFromRequestParts<S> for ClerkSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        session(parts).map(Result::ok)
    }
}

/// Extracts a session that has an organization.
///
/// A session for the user's personal account is answered 403; otherwise this is like the extractor of
/// [`ClerkSession`].
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> FromRequestParts<S> for OrganizationSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        <ClerkSession as FromRequestParts<S>>::from_request_parts(parts, state).await?.try_into()
    }
}

/// Extracts a session that has an organization, or `None` if the request has no credentials.
///
/// A session for the user's personal account is answered 403: `None` is for requests without a session only.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> OptionalFromRequestParts<S> for OrganizationSession {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        session(parts)?.ok().map(Self::try_from).transpose()
    }
}

/// Extracts the API key of a request.
///
/// A request with a session is answered 403, and one without credentials 401 with the layer's challenge. A route without
/// the layer is answered 500.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> FromRequestParts<S> for ClerkApiKey {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        key(parts)?.map_err(missing)
    }
}

/// Extracts the API key of a request, or `None` if the request has no credentials.
///
/// A request with a session is answered 403: `None` is for requests without credentials only.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> OptionalFromRequestParts<S> for ClerkApiKey {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        key(parts).map(Result::ok)
    }
}

/// Extracts the session or the API key of a request, for handlers that serve both.
///
/// A request without credentials is answered 401 with the layer's challenge, and a route without the layer 500.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> FromRequestParts<S> for ClerkPrincipal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        found(parts)?.map_err(missing)
    }
}

/// Extracts the session or the API key of a request, or `None` if the request has no credentials.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<S: Sync> OptionalFromRequestParts<S> for ClerkPrincipal {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Rejection> {
        found(parts).map(Result::ok)
    }
}

/// Answers with `application/problem+json`, with the status and headers that a layer sends.
///
/// The challenge of a 401 is that of the layer in front, if an extractor made the rejection; otherwise that of a layer
/// with the default realm.
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let challenge = self.challenge().cloned().unwrap_or_default();
        respond(self, &ProblemJson::default(), &challenge, &HeaderMap::new())
    }
}

/// The principal that the layer has left in the request, or the mark of a request without one.
fn found(parts: &Parts) -> Result<Result<ClerkPrincipal, &Anonymous>, Rejection> {
    if let Some(principal) = ClerkPrincipal::of(&parts.extensions) {
        return Ok(Ok(principal));
    }
    parts.extensions.get::<Anonymous>().map(Err).ok_or_else(|| {
        report_missing_layer(parts);
        Rejection::new(RejectionKind::Misconfigured)
    })
}

/// The session of a request. A request with an API key has none, and doesn't count as one without credentials either
/// (rule T4).
fn session(parts: &Parts) -> Result<Result<ClerkSession, &Anonymous>, Rejection> {
    match found(parts)? {
        Ok(ClerkPrincipal::Session(session) | ClerkPrincipal::Bearer(session)) => Ok(Ok(session)),
        Ok(ClerkPrincipal::ApiKey(_)) => {
            Err(Rejection::new(RejectionKind::Forbidden).detail_of("this needs a session, not an API key"))
        }
        Err(anonymous) => Ok(Err(anonymous)),
    }
}

fn key(parts: &Parts) -> Result<Result<ClerkApiKey, &Anonymous>, Rejection> {
    match found(parts)? {
        Ok(ClerkPrincipal::ApiKey(key)) => Ok(Ok(key)),
        Ok(ClerkPrincipal::Session(_) | ClerkPrincipal::Bearer(_)) => {
            Err(Rejection::new(RejectionKind::Forbidden).detail_of("this needs an API key, not a session"))
        }
        Err(anonymous) => Ok(Err(anonymous)),
    }
}

fn missing(anonymous: &Anonymous) -> Rejection {
    Rejection::new(RejectionKind::CredentialsMissing).with_challenge(anonymous.challenge().clone())
}

/// Reports a route without a layer, at most once a minute. There is no engine at hand, whose log would count the others.
fn report_missing_layer(parts: &Parts) {
    static REPORTED: Mutex<Option<Instant>> = Mutex::new(None);
    let mut reported = lock(&REPORTED);
    if reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
        *reported = Some(Instant::now());
        let uri = original_uri(&parts.extensions, &parts.uri);
        tracing::error!(
            method = %parts.method,
            path = uri.path(),
            "a handler asks for a ClerkSession on a route without a ClerkBasicAuthLayer: add `.layer(…)` to the route \
             or its router; such requests are answered 500"
        );
    }
}
