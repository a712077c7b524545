//! The functions of a layer that read a request: its organization, its exemption, its source.

use std::hash::Hash;
use std::sync::Arc;

use http::request::Parts;

use super::layer::ClerkBasicAuthLayer;
use super::organization::RequestOrganization;
use super::policy::{OrganizationFn, OrganizationSource, source_fn};

impl<R> ClerkBasicAuthLayer<R> {
    /// Reads the organization from each request by a function.
    ///
    /// For a path, a header, a host name or a suffix of the identifier, prefer a ready selector of
    /// [`organization_by`](Self::organization_by), which knows what can go wrong there. This method is for other
    /// sources, and for requests that may also be for the personal account.
    ///
    /// The function returns a [`RequestOrganization`], or an owned `Option` with an id or a slug, such as
    /// `Option<String>`. With `None`, the request is answered 403
    /// [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden), so a function that finds nothing lets no
    /// request in; return [`RequestOrganization::Personal`] for the personal account. A name that has neither the form
    /// of an id nor of a slug is answered 403 as well.
    ///
    /// Both rejections come before the password is verified. If the function looks organizations up, it should return
    /// [`RequestOrganization::Unlisted`] for an unknown name: with `None`, the 403 would reveal which names exist to a
    /// client without a valid password.
    ///
    /// The function sees the request as it reaches the layer. A nested router has shortened the path by then; axum
    /// leaves the original URI in the extensions.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::{ClerkBasicAuthLayer, RequestOrganization};
    ///
    /// // `X-Organization: acme`; the personal account if there is no such field, and no access if there are several.
    /// let by_header = ClerkBasicAuthLayer::new(clerk.clone()).organization_from(|parts| {
    ///     let mut fields = parts.headers.get_all("x-organization").iter();
    ///     match (fields.next(), fields.next()) {
    ///         (None, _) => RequestOrganization::Personal,
    ///         (Some(name), None) => name.to_str().ok().into(),
    ///         (Some(_), Some(_)) => RequestOrganization::Refused,
    ///     }
    /// });
    ///
    /// // A layer further out has found the tenant by an API key.
    /// #[derive(Clone)]
    /// struct Tenant(String);
    /// let by_tenant = ClerkBasicAuthLayer::new(clerk)
    ///     .organization_from(|parts| parts.extensions.get::<Tenant>().map(|tenant| tenant.0.clone()));
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn organization_from<F, T>(self, selector: F) -> Self
    where
        F: Fn(&Parts) -> T + Send + Sync + 'static,
        T: Into<RequestOrganization>,
    {
        self.with(|policy| {
            policy.access.scope.organization = None;
            let selector: OrganizationFn = Arc::new(move |parts| selector(parts).into());
            policy.organization = Some(OrganizationSource::Request(selector));
        })
    }

    /// Lets requests for which the predicate returns `true` pass as [`Anonymous`](crate::Anonymous), for health checks
    /// for example.
    ///
    /// Credentials of such a request are not verified, and wrong ones do no harm. If the routes are known to your
    /// router, it is safer to add the layer to the protected routes only.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// let layer = ClerkBasicAuthLayer::new(clerk).exempt(|parts| parts.uri.path() == "/healthz");
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn exempt<F>(self, exempt: F) -> Self
    where
        F: Fn(&Parts) -> bool + Send + Sync + 'static,
    {
        self.with(|policy| policy.exempt = Some(Arc::new(exempt)))
    }

    /// Tells the layer which source a request comes from, so that permits of the sign-in budget are shared fairly
    /// between sources.
    ///
    /// A client that guesses passwords then delays no client at another address. All requests for which the function
    /// returns `None` count as one source, and so do all requests of a layer without this setting.
    ///
    /// The layer has no default and trusts no header: behind a proxy the peer's address is the proxy's, and a client
    /// can send any `X-Forwarded-For` unless your proxy overwrites it.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use std::net::SocketAddr;
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// // The server puts the peer's address into the extensions; axum does so as `ConnectInfo<SocketAddr>`.
    /// let layer = ClerkBasicAuthLayer::new(clerk)
    ///     .source_key(|parts| parts.extensions.get::<SocketAddr>().map(|peer| peer.ip()));
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn source_key<F, K>(self, source: F) -> Self
    where
        F: Fn(&Parts) -> Option<K> + Send + Sync + 'static,
        K: Hash,
    {
        self.with(|policy| policy.source = Some(source_fn(source)))
    }
}
