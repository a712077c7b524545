//! A session or an API key, for those who take both.

use http::Extensions;

use super::key::ClerkApiKey;
use crate::session::ClerkSession;

/// The sender of a request: a session, or an API key.
///
/// It is for handlers behind a layer that [accepts keys](crate::ClerkBasicAuthLayer::accept_api_keys) which serve both.
/// With the feature `axum` it is an extractor; elsewhere, [`of`](Self::of) reads it from the request's extensions. A handler
/// that takes a [`ClerkSession`] lets no key in.
///
/// ```
/// use tower_clerk::ClerkPrincipal;
///
/// fn greeting(principal: &ClerkPrincipal) -> String {
///     match principal {
///         ClerkPrincipal::Session(session) | ClerkPrincipal::Bearer(session) => format!("hello {}", session.user_id()),
///         ClerkPrincipal::ApiKey(key) => format!("hello key {} of {}", key.name(), key.subject()),
///         _ => "hello".to_owned(),
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClerkPrincipal {
    /// A session for a password.
    Session(ClerkSession),
    /// A session token that the client presented itself, as `Bearer`.
    Bearer(ClerkSession),
    /// An API key.
    ApiKey(ClerkApiKey),
}

impl ClerkPrincipal {
    /// Reads the principal that a layer has left in a request's extensions. `None` for a request without credentials, or one
    /// that has been through no layer.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<Self> {
        let session = extensions.get::<ClerkSession>().cloned().map(Self::from);
        session.or_else(|| extensions.get::<ClerkApiKey>().cloned().map(Self::ApiKey))
    }

    /// Returns the id of the user, or `None` for the key of an organization.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        match self {
            Self::Session(session) | Self::Bearer(session) => Some(session.user_id()),
            Self::ApiKey(key) => key.user_id(),
        }
    }

    /// Returns the id of the organization that the request acts for.
    #[must_use]
    pub fn organization_id(&self) -> Option<&str> {
        match self {
            Self::Session(session) | Self::Bearer(session) => {
                session.organization().map(crate::organization::Organization::id)
            }
            Self::ApiKey(key) => key.organization_id(),
        }
    }
}

impl From<ClerkSession> for ClerkPrincipal {
    fn from(session: ClerkSession) -> Self {
        if session.via().is_some() { Self::Session(session) } else { Self::Bearer(session) }
    }
}

impl From<ClerkApiKey> for ClerkPrincipal {
    fn from(key: ClerkApiKey) -> Self {
        Self::ApiKey(key)
    }
}
