//! The organization that a request is for.

/// The organization that a request is for, as [`organization_from`](crate::ClerkBasicAuthLayer::organization_from)
/// reads it from the request.
///
/// `None` converts to [`Refused`](Self::Refused), never to [`Personal`](Self::Personal): a selector that finds nothing,
/// because a router has cut the path or a header is missing, makes no session. Requests that the layer lets pass as
/// [`Anonymous`](crate::Anonymous) (optional, exempt, a preflight) still pass, without one.
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
    /// The user's personal account: the session is for no organization.
    Personal,
    /// Neither of the two: a request with credentials is answered 403 `organization_forbidden`, without a call to Clerk,
    /// and one without them 401 as ever.
    Refused,
}

impl RequestOrganization {
    /// The organization with this id or slug.
    pub fn named(id_or_slug: impl Into<String>) -> Self {
        Self::Named(id_or_slug.into())
    }
}

impl<T: Into<String>> From<Option<T>> for RequestOrganization {
    fn from(organization: Option<T>) -> Self {
        organization.map_or(Self::Refused, Self::named)
    }
}
