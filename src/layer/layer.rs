use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::request::Parts;
use tower_layer::Layer;

use super::organization::RequestOrganization;
use super::policy::{AuthorizationHeader, Policy};
use super::reject::{EmptyBody, ProblemJson, challenge};
use super::service::ClerkBasicAuth;
use crate::access::Access;
use crate::credentials::Decoding;
use crate::engine::Clerk;
use crate::engine::builder::ConfigError;
use crate::scope::{OrganizationName, TemplateName};

/// Puts HTTP Basic in front of a service, checked by Clerk.
///
/// A request with good credentials reaches the inner service with a [`ClerkSession`](crate::ClerkSession) in its
/// extensions and without its `Authorization` field; any other is answered with a rejection. See the
/// [crate's documentation](crate) for what is answered when.
///
/// Any number of layers can stand on one [`Clerk`], each with a policy of its own: one sign-in serves them all.
///
/// ```
/// use tower_clerk::{Clerk, ClerkBasicAuthLayer};
///
/// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// let everyone = ClerkBasicAuthLayer::new(clerk.clone());
/// let partners = ClerkBasicAuthLayer::new(clerk.clone()).organization("acme")?.problem_json();
/// let homepage = ClerkBasicAuthLayer::new(clerk).optional();
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct ClerkBasicAuthLayer<R = EmptyBody> {
    clerk: Clerk,
    policy: Arc<Policy>,
    response: R,
}

impl ClerkBasicAuthLayer {
    /// A layer on an engine: credentials are required, the session is the user's own, the `Authorization` field is
    /// stripped, rejections have no body, the realm is `api`.
    pub fn new(clerk: Clerk) -> Self {
        let policy = Policy {
            optional: false,
            access: Access::default(),
            organization: None,
            authorization: AuthorizationHeader::Strip,
            decoding: Decoding::Plain,
            challenge: HeaderValue::from_static("Basic realm=\"api\", charset=\"UTF-8\""),
            exempt: None,
            source: None,
            pass_preflight: false,
        };
        Self { clerk, policy: Arc::new(policy), response: EmptyBody::default() }
    }

    /// A layer on an engine of its own, with all defaults, straight from a publishable key.
    ///
    /// # Errors
    ///
    /// When the key is none.
    pub fn from_publishable_key(key: impl Into<String>) -> Result<Self, ConfigError> {
        Ok(Self::new(Clerk::builder(key).build()?))
    }
}

impl<R> ClerkBasicAuthLayer<R> {
    fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(Arc::make_mut(&mut self.policy));
        self
    }

    /// Lets requests without credentials pass, marked by an [`Anonymous`](crate::Anonymous) in their extensions.
    /// Wrong ones are still rejected.
    pub fn optional(self) -> Self {
        self.with(|policy| policy.optional = true)
    }

    /// Wants every session to be for this organization, by id (`org_…`) or slug. Who isn't a member of it is
    /// answered 403.
    ///
    /// # Errors
    ///
    /// When it has the shape of neither.
    pub fn organization(self, id_or_slug: impl Into<String>) -> Result<Self, ConfigError> {
        let name = id_or_slug.into();
        let organization = OrganizationName::parse(&name);
        if organization == OrganizationName::Malformed {
            return Err(ConfigError::Organization { organization: name });
        }
        Ok(self.with(|policy| {
            policy.access.scope.organization = Some(organization);
            policy.organization = None;
        }))
    }

    /// Reads the organization from the request: an id or a slug, the personal account, or neither.
    ///
    /// The selector returns a [`RequestOrganization`], or an owned `Option` of an id or slug (`Option<String>`). `None` is
    /// answered 403 `organization_forbidden`; a session for no organization takes
    /// [`RequestOrganization::Personal`]. A name that is neither an id nor a slug is answered 403, too.
    ///
    /// Both answers come without a call to Clerk, and before the password is checked. If your selector looks organizations
    /// up, return an unknown name as it is: with `None`, a 403 would tell anybody without a password which names you know.
    ///
    /// The selector sees the request as it stands where the layer is. A nested router has cut the path by then; axum leaves
    /// the whole one in the extensions:
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use axum::extract::OriginalUri;
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// // For a router that is nested at `/orgs/{org}`.
    /// let nested = ClerkBasicAuthLayer::new(clerk).organization_from(|parts| {
    ///     let uri = parts.extensions.get::<OriginalUri>()?;
    ///     Some(uri.path().strip_prefix("/orgs/")?.split('/').next()?.to_owned())
    /// });
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    ///
    /// And without a nested router:
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::{ClerkBasicAuthLayer, RequestOrganization};
    ///
    /// // `/orgs/acme/…`
    /// let by_path = ClerkBasicAuthLayer::new(clerk.clone())
    ///     .organization_from(|parts| Some(parts.uri.path().strip_prefix("/orgs/")?.split('/').next()?.to_owned()));
    ///
    /// // `X-Organization: acme`, and the personal account without that field.
    /// let by_header = ClerkBasicAuthLayer::new(clerk).organization_from(|parts| {
    ///     match parts.headers.get("x-organization") {
    ///         Some(name) => name.to_str().ok().into(),
    ///         None => RequestOrganization::Personal,
    ///     }
    /// });
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn organization_from<F, T>(self, selector: F) -> Self
    where
        F: Fn(&Parts) -> T + Send + Sync + 'static,
        T: Into<RequestOrganization>,
    {
        self.with(|policy| {
            policy.access.scope.organization = None;
            policy.organization = Some(Arc::new(move |parts| selector(parts).into()));
        })
    }

    /// Hands on tokens of this JWT template in place of session tokens. One that can't be minted is an error; the
    /// session token never takes its place.
    ///
    /// # Errors
    ///
    /// When the name can be no template's: `[A-Za-z0-9_-]{1,128}`.
    pub fn template(self, name: impl Into<String>) -> Result<Self, ConfigError> {
        let name = name.into();
        match TemplateName::parse(&name) {
            TemplateName::Malformed => Err(ConfigError::Template { template: name }),
            template => Ok(self.with(|policy| policy.access.scope.template = Some(template))),
        }
    }

    /// The least life that a token has left when it is handed on: 10 s by default, or a fifth of its whole life
    /// where that is less.
    pub fn min_token_life(self, life: Duration) -> Self {
        self.with(|policy| policy.access.min_token_life = Some(life))
    }

    /// What becomes of the `Authorization` field: stripped by default.
    pub fn authorization_header(self, header: AuthorizationHeader) -> Self {
        self.with(|policy| policy.authorization = header)
    }

    /// Undoes form encoding in identifier and password, as RFC 6749 section 2.3.1 wants it of the clients of an
    /// OAuth token endpoint. For such endpoints only: to anybody else `%` and `+` are characters of a password.
    pub fn form_encoded_credentials(self) -> Self {
        self.with(|policy| policy.decoding = Decoding::Form)
    }

    /// The realm in the challenge, which clients show to people: `api` by default.
    ///
    /// # Errors
    ///
    /// When it isn't printable ASCII.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = challenge(realm)?;
        Ok(self.with(|policy| policy.challenge = challenge))
    }

    /// Lets CORS preflights pass as [`Anonymous`](crate::Anonymous): `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`. Off by default; better still, put the CORS layer outside this one.
    pub fn pass_preflight(self) -> Self {
        self.with(|policy| policy.pass_preflight = true)
    }

    /// Lets requests that this says yes to pass as [`Anonymous`](crate::Anonymous), whatever credentials they
    /// carry: health checks.
    pub fn exempt<F>(self, exempt: F) -> Self
    where
        F: Fn(&Parts) -> bool + Send + Sync + 'static,
    {
        self.with(|policy| policy.exempt = Some(Arc::new(exempt)))
    }

    /// Tells where a request comes from, so that sign-ins that must wait for their turn take it in turns between
    /// sources: one address that guesses doesn't hold the others up. `None` is one source among the others.
    ///
    /// There is no default, and no header is trusted by itself: behind a proxy the peer's address is the proxy's, and
    /// `X-Forwarded-For` is whatever the client says, unless your proxy sets it.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use std::net::SocketAddr;
    /// use tower_clerk::ClerkBasicAuthLayer;
    ///
    /// // The server puts the peer's address into the extensions, axum as `ConnectInfo<SocketAddr>`.
    /// let layer = ClerkBasicAuthLayer::new(clerk)
    ///     .source_key(|parts| parts.extensions.get::<SocketAddr>().map(|peer| peer.ip()));
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn source_key<F, K>(self, source: F) -> Self
    where
        F: Fn(&Parts) -> Option<K> + Send + Sync + 'static,
        K: Hash,
    {
        let hasher = RandomState::new();
        let source = move |parts: &Parts| source(parts).map(|key| hasher.hash_one(key));
        self.with(|policy| policy.source = Some(Arc::new(source)))
    }

    /// Answers rejections with `application/problem+json` (RFC 9457), for any body made from a `String`.
    pub fn problem_json(self) -> ClerkBasicAuthLayer<ProblemJson> {
        self.with_rejection_response(ProblemJson::default())
    }

    /// Makes the body of a rejection by a function or another [`RejectionResponse`](crate::layer::RejectionResponse).
    /// Status and challenge stay the layer's.
    pub fn with_rejection_response<T>(self, response: T) -> ClerkBasicAuthLayer<T> {
        ClerkBasicAuthLayer { clerk: self.clerk, policy: self.policy, response }
    }
}

impl<S, R: Clone> Layer<S> for ClerkBasicAuthLayer<R> {
    type Service = ClerkBasicAuth<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        ClerkBasicAuth::new(inner, self.clerk.clone(), Arc::clone(&self.policy), self.response.clone())
    }
}

impl<R> fmt::Debug for ClerkBasicAuthLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClerkBasicAuthLayer")
            .field("clerk", &self.clerk)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
