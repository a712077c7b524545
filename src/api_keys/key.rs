//! A verified API key, as a handler gets it.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use serde::de::DeserializeOwned;

use crate::claims::{ClaimsError, deserialize};
use crate::clerk_api::bapi::FoundApiKey;
use crate::membership::Membership;

/// A verified API key of Clerk, in the place of a session.
///
/// A layer that [accepts keys](crate::ClerkBasicAuthLayer::accept_api_keys) inserts it into the request's extensions. It
/// never inserts a [`ClerkSession`](crate::ClerkSession) beside it: a key may have fewer rights than its user, so it has no
/// session, no JWT, no role and no permission. It has [scopes](Self::has_scope). A handler for both takes a
/// [`ClerkPrincipal`](crate::ClerkPrincipal).
///
/// It never holds the key's secret. Cloning it copies a pointer and a number.
///
/// ```
/// use tower_clerk::ClerkApiKey;
///
/// async fn handler(request: http::Request<()>) -> String {
///     match request.extensions().get::<ClerkApiKey>() {
///         Some(key) if key.has_scope("invoices:read") => format!("the invoices of {}", key.subject()),
///         Some(key) => format!("the key {} lacks the scope invoices:read", key.name()),
///         None => "not a key".to_owned(),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct ClerkApiKey {
    inner: Arc<Inner>,
    /// The place of the request's organization among the memberships, if the subject is a user.
    organization: Option<usize>,
}

struct Inner {
    id: Box<str>,
    subject: Box<str>,
    name: Box<str>,
    scopes: Vec<Box<str>>,
    claims: Box<str>,
    created_by: Option<Box<str>>,
    expires_at: Option<SystemTime>,
    /// The organizations of the user, once they were looked up. Of an organization's key, the organization itself.
    memberships: Option<Arc<[Membership]>>,
}

impl ClerkApiKey {
    pub(crate) fn new(found: FoundApiKey, memberships: Option<Arc<[Membership]>>) -> Self {
        let FoundApiKey { id, subject, name, scopes, claims, created_by, expires_at, .. } = found;
        let inner = Inner { id, subject, name, scopes, claims, created_by, expires_at, memberships };
        Self { inner: Arc::new(inner), organization: None }
    }

    /// The same key, with the organizations that were looked up later.
    pub(crate) fn with_memberships(&self, memberships: Arc<[Membership]>) -> Self {
        let Inner { id, subject, name, scopes, claims, created_by, expires_at, .. } = &*self.inner;
        let inner = Inner {
            id: id.clone(),
            subject: subject.clone(),
            name: name.clone(),
            scopes: scopes.clone(),
            claims: claims.clone(),
            created_by: created_by.clone(),
            expires_at: *expires_at,
            memberships: Some(memberships),
        };
        Self { inner: Arc::new(inner), organization: None }
    }

    /// The same key, for a request that asks for one of its organizations.
    pub(crate) fn within(&self, organization: usize) -> Self {
        Self { inner: Arc::clone(&self.inner), organization: Some(organization) }
    }

    pub(crate) fn memberships(&self) -> Option<&[Membership]> {
        self.inner.memberships.as_deref()
    }

    pub(crate) fn is_of_organization(&self) -> bool {
        self.subject().starts_with("org_")
    }

    /// Returns the id of the key, `ak_` and 32 hexadecimal digits. It is no secret, though it begins like one.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// Returns the id of the user or the organization that the key is of: `user_…` or `org_…`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.inner.subject
    }

    /// Returns the id of the user that the key is of, or `None` for an organization's key.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        (!self.is_of_organization()).then(|| self.subject())
    }

    /// Returns the id of the organization that this request acts for, `org_…`.
    ///
    /// An organization's key always acts for its organization. A user's key acts for the organization that the
    /// [layer](crate::ClerkBasicAuthLayer::organization) or its selector asks for, of which the user is a member; it is
    /// `None` if they ask for none.
    #[must_use]
    pub fn organization_id(&self) -> Option<&str> {
        if self.is_of_organization() {
            return Some(self.subject());
        }
        Some(&self.inner.memberships.as_ref()?.get(self.organization?)?.id)
    }

    /// Returns the name that its owner has given to the key.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Returns the scopes of the key, in Clerk's order.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.inner.scopes.iter().map(|scope| &**scope)
    }

    /// Returns whether the key has this scope. Scopes are compared as they are: none includes another.
    ///
    /// To check it before the handler runs, use [`Requirement::scope`](crate::Requirement::scope).
    #[must_use]
    pub fn has_scope(&self, scope: impl AsRef<str>) -> bool {
        self.scopes().any(|own| own == scope.as_ref())
    }

    /// Deserializes the claims of the key into a type of your own.
    ///
    /// A key without claims has `null`, which an `Option` accepts.
    ///
    /// # Errors
    ///
    /// Returns an error if the claims don't fit the type.
    ///
    /// ```
    /// # fn example(key: tower_clerk::ClerkApiKey) -> Result<(), tower_clerk::error::ClaimsError> {
    /// #[derive(serde::Deserialize)]
    /// struct Build {
    ///     pipeline: String,
    /// }
    ///
    /// let build: Option<Build> = key.claims()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        deserialize(self.inner.claims.as_bytes())
    }

    /// Returns the id of the user who has created the key, if one has.
    #[must_use]
    pub fn created_by(&self) -> Option<&str> {
        self.inner.created_by.as_deref()
    }

    /// Returns when the key expires, by Clerk's clock; `None` if it doesn't.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.inner.expires_at
    }
}

impl fmt::Debug for ClerkApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClerkApiKey")
            .field("id", &self.id())
            .field("subject", &self.subject())
            .field("organization_id", &self.organization_id())
            .field("scopes", &self.inner.scopes)
            .finish_non_exhaustive()
    }
}
