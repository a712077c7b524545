//! The organization that a request is for, and where a layer reads it.

mod allow_list;
mod host;
mod path;
mod selector;
mod suffix;
mod whole_uri;

pub use self::selector::OrganizationSelector;
pub(super) use self::suffix::IdentifierSuffix;

/// The organization that a request is for, as the function of
/// [`organization_from`](crate::ClerkBasicAuthLayer::organization_from) returns it.
///
/// `None` converts to [`Refused`](Self::Refused) and never to [`Personal`](Self::Personal). A function that finds
/// nothing, because a nested router has shortened the path or a header is missing, therefore lets no request in by
/// accident. Requests that the layer lets pass as [`Anonymous`](crate::Anonymous) (optional, exempt, or a preflight)
/// are not affected.
///
/// ```
/// use tower_clerk::RequestOrganization;
///
/// assert_eq!(RequestOrganization::from(Some("acme")), RequestOrganization::Named("acme".to_owned()));
/// assert_eq!(RequestOrganization::from(None::<String>), RequestOrganization::Refused);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestOrganization {
    /// The organization with this id (`org_…`) or slug.
    Named(String),
    /// The user's personal account: a session without an organization.
    Personal,
    /// An organization that the layer doesn't serve.
    ///
    /// Once the password is verified, the answer is that for an organization that the user isn't a member of: 403
    /// [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden). Clerk isn't asked about it. Unlike
    /// [`Refused`](Self::Refused), it tells a client without a valid password nothing about which organizations there
    /// are.
    Unlisted,
    /// The request names no organization.
    ///
    /// With credentials it is answered 403 [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden),
    /// without a call to Clerk; without credentials it is answered 401 as usual.
    Refused,
}

impl RequestOrganization {
    /// Creates a [`Named`](Self::Named) from an id (`org_…`) or slug.
    ///
    /// A name that has neither form is accepted here; the layer answers the request 403.
    #[must_use]
    pub fn named(id_or_slug: impl Into<String>) -> Self {
        Self::Named(id_or_slug.into())
    }
}

impl<T: Into<String>> From<Option<T>> for RequestOrganization {
    fn from(organization: Option<T>) -> Self {
        organization.map_or(Self::Refused, Self::named)
    }
}
