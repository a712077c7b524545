//! What a handler gets.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use serde::de::DeserializeOwned;

use crate::claims::{Claims, ClaimsError};
use crate::organization::Organization;
use crate::token::VerifiedToken;

/// A signed-in user: the live Clerk session behind the credentials of a request, as it stood when the request
/// came.
///
/// The layer puts it into the request's extensions. It is a snapshot and cheap to clone; a token that is renewed
/// later doesn't change it.
///
/// ```
/// use tower_clerk::ClerkSession;
///
/// async fn handler(request: http::Request<()>) -> String {
///     match request.extensions().get::<ClerkSession>() {
///         Some(session) if session.has_role("org:admin") => format!("hello, admin {}", session.user_id()),
///         Some(session) => format!("hello {}", session.user_id()),
///         None => "hello stranger".to_owned(),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct ClerkSession(Arc<Inner>);

struct Inner {
    session_id: Box<str>,
    via: ClerkApi,
    token: VerifiedToken,
    /// The organization, where the token itself doesn't say it: a template's token need not.
    organization: Option<Organization>,
}

impl ClerkSession {
    pub(crate) fn new(
        session_id: &str,
        via: ClerkApi,
        token: VerifiedToken,
        organization: Option<Organization>,
    ) -> Self {
        Self(Arc::new(Inner { session_id: session_id.into(), via, token, organization }))
    }

    /// The road that the password was proven on.
    #[must_use]
    pub fn via(&self) -> ClerkApi {
        self.0.via
    }

    /// The user's id, `user_…`.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.claims().subject()
    }

    /// The Clerk session's id, `sess_…`.
    #[must_use]
    pub fn session_id(&self) -> &str {
        &self.0.session_id
    }

    /// The JWT, to send on to services that verify Clerk's tokens themselves.
    ///
    /// It is as good as a password for as long as it lives: keep it out of logs.
    #[must_use]
    pub fn token(&self) -> &str {
        self.0.token.jwt()
    }

    /// When the token runs out, by Clerk's clock.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(self.claims().expires_at()))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// The organization the session is for, or `None` for the user's personal account.
    #[must_use]
    pub fn organization(&self) -> Option<&Organization> {
        self.0.organization.as_ref().or_else(|| self.claims().organization())
    }

    /// What the verified token says.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.0.token.claims()
    }

    /// Reads the token's payload into a type of your own, for custom claims.
    ///
    /// The payload is decoded anew each time (microseconds), so that a session kept in memory is small.
    ///
    /// # Errors
    ///
    /// When the payload doesn't fit the type.
    pub fn custom_claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.0.token.deserialize()
    }

    /// When the token's claims were true, where its header says it (`oiat`).
    pub(crate) fn origin_issued_at(&self) -> u64 {
        self.0.token.origin_issued_at().unwrap_or_else(|| self.claims().issued_at())
    }

    /// Whether the user has this role, `org:admin`, in the session's organization.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.organization().is_some_and(|organization| organization.has_role(role))
    }

    /// Whether the user has this permission, `org:invoices:read`, in the session's organization.
    #[must_use]
    pub fn has_permission(&self, permission: &str) -> bool {
        self.organization().is_some_and(|organization| organization.has_permission(permission))
    }
}

impl fmt::Debug for ClerkSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClerkSession")
            .field("user_id", &self.user_id())
            .field("session_id", &self.session_id())
            .field("organization", &self.organization())
            .field("via", &self.via())
            .finish_non_exhaustive()
    }
}

/// How an engine gets from a password to a Clerk session. See [`ClerkBuilder::secret_key`](crate::ClerkBuilder::secret_key).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClerkApi {
    /// By the Frontend API: each proof of a password is a sign-in.
    Frontend,
    /// By the Backend API, with the instance's secret key: a sign-in once in the life of a Clerk session.
    Backend,
}

impl ClerkApi {
    /// A stable name, as it stands in logs and in a metric's label.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
        }
    }
}

/// Left in a request's extensions where a layer let the request pass without a session: an optional layer that found no
/// credentials, an exempt route, a CORS preflight.
///
/// Its presence tells a request without credentials from a route without a layer. It carries the layer's challenge, so that
/// whatever refuses the request further in can ask for credentials just as the layer does:
///
/// ```
/// use http::header::WWW_AUTHENTICATE;
/// use http::{Request, Response, StatusCode};
/// use tower_clerk::Anonymous;
///
/// fn refuse(request: &Request<()>) -> Response<()> {
///     let mut response = Response::new(());
///     *response.status_mut() = StatusCode::UNAUTHORIZED;
///     if let Some(anonymous) = request.extensions().get::<Anonymous>() {
///         response.headers_mut().insert(WWW_AUTHENTICATE, anonymous.challenge().clone());
///     }
///     response
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous {
    challenge: HeaderValue,
}

impl Anonymous {
    pub(crate) fn new(challenge: HeaderValue) -> Self {
        Self { challenge }
    }

    /// The value of `WWW-Authenticate` that goes with a 401: `Basic realm="…", charset="UTF-8"`.
    #[must_use]
    pub fn challenge(&self) -> &HeaderValue {
        &self.challenge
    }
}
