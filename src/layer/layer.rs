use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::identity::IdentityHeaders;
use super::policy::{AuthorizationHeader, Policy};
use super::reject::EmptyBody;
use super::service::ClerkBasicAuth;
use crate::access::{Access, LeastLife};
use crate::credentials::Decoding;
use crate::engine::Clerk;
use crate::engine::builder::ConfigError;
use crate::rejection::Challenge;
use crate::scope::{OrganizationName, TemplateName};

/// Layer that authenticates requests by HTTP Basic against Clerk, with the [`ClerkBasicAuth`] middleware.
///
/// A request with valid credentials reaches the inner service with a [`ClerkSession`](crate::ClerkSession) in its
/// extensions and without its `Authorization` field. Every other request is answered with a
/// [`Rejection`](crate::Rejection), unless the layer lets it pass as [`Anonymous`](crate::Anonymous). The
/// [module docs](crate::layer) list what is decided in which order.
///
/// Build one [`Clerk`] per instance and share it among all layers. Each layer has a policy of its own, and one sign-in
/// serves them all:
///
/// ```
/// use tower_clerk::{Clerk, ClerkBasicAuthLayer};
///
/// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// // Any user of the instance.
/// let api = ClerkBasicAuthLayer::new(clerk.clone());
/// // Members of one organization; rejections have a JSON body.
/// let partners = ClerkBasicAuthLayer::new(clerk.clone()).organization("acme")?.problem_json();
/// // Requests without credentials pass, too.
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
    /// Creates a layer on an engine, with the default policy.
    ///
    /// Credentials are required, the session is for the user's personal account, the `Authorization` field is
    /// [stripped](AuthorizationHeader::Strip), rejections have no body, and the realm is `api`.
    pub fn new(clerk: Clerk) -> Self {
        let policy = Policy {
            optional: false,
            access: Access::default(),
            organization: None,
            authorization: AuthorizationHeader::Strip,
            decoding: Decoding::PLAIN,
            identity: None,
            challenge: Challenge::default(),
            exempt: None,
            source: None,
            pass_preflight: false,
            bearer: None,
            api_keys: None,
        };
        Self { clerk, policy: Arc::new(policy), response: EmptyBody::default() }
    }

    /// Creates a layer from a publishable key (`pk_live_…`, `pk_test_…`), on an engine with default settings.
    ///
    /// This is for a program with a single layer. With [`new`](Self::new), several layers share one engine, with its
    /// sessions and its sign-in budget, and the program can call [`Clerk::shutdown`].
    ///
    /// # Errors
    ///
    /// Returns an error if `key` is not a valid publishable key, or if the HTTP client can't be made.
    pub fn from_publishable_key(key: impl Into<String>) -> Result<Self, ConfigError> {
        Ok(Self::new(Clerk::builder(key).build()?))
    }
}

impl<R> ClerkBasicAuthLayer<R> {
    pub(super) fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(Arc::make_mut(&mut self.policy));
        self
    }

    /// The parts of the layer that a guard behind it answers with.
    pub(crate) fn for_guard(&self) -> (&Clerk, &Challenge, &R) {
        (&self.clerk, &self.policy.challenge, &self.response)
    }

    pub(super) fn clerk(&self) -> &Clerk {
        &self.clerk
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Lets requests without credentials pass, with an [`Anonymous`](crate::Anonymous) in their extensions.
    ///
    /// A field of another scheme counts as no credentials. Wrong or malformed credentials are still rejected, so a client
    /// whose password has changed notices; so is a refused Bearer token on a layer that [accepts them](Self::accept_bearer).
    pub fn optional(self) -> Self {
        self.with(|policy| policy.optional = true)
    }

    /// Requires membership of an organization, given by its id (`org_…`) or slug.
    ///
    /// Every session that the layer hands on is for this organization. A user who isn't a member of it is answered 403
    /// [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden). Use
    /// [`organization_by`](Self::organization_by) or [`organization_from`](Self::organization_from) if the organization
    /// differs from request to request. Whichever of the three is called last applies.
    ///
    /// Prefer the id where the slug isn't fixed: an organization's admins may change its slug.
    ///
    /// # Errors
    ///
    /// Returns an error if the name has neither the form of an id nor of a slug (`[a-z0-9_-]{1,256}`).
    pub fn organization(self, id_or_slug: impl Into<String>) -> Result<Self, ConfigError> {
        let organization = OrganizationName::checked(id_or_slug.into())?;
        Ok(self.with(|policy| {
            policy.access.scope.organization = Some(organization);
            policy.organization = None;
        }))
    }

    /// Hands on tokens of this JWT template instead of session tokens.
    ///
    /// Use it for services that expect claims of their own
    /// (<https://clerk.com/docs/guides/sessions/jwt-templates>). A token that can't be minted is an error: the session
    /// token never takes its place.
    ///
    /// # Errors
    ///
    /// Returns an error if the name can't be the name of a template: it must match `[A-Za-z0-9_-]{1,128}`. Returns an error
    /// if the layer [accepts Bearer tokens](Self::accept_bearer), but none of this template.
    pub fn template(self, name: impl Into<String>) -> Result<Self, ConfigError> {
        let template = TemplateName::checked(name.into())?;
        self.with(|policy| policy.access.scope.template = Some(template)).with_checked_template()
    }

    /// Sets the minimum life that a token has left when it is handed on: 10 s by default, or a fifth of its whole life
    /// if that is less.
    ///
    /// Raise it for a service that passes the token on, or that works for longer than 10 s before it uses the token. If
    /// Clerk's tokens live shorter than this, requests are answered 500
    /// [`Misconfigured`](crate::RejectionKind::Misconfigured).
    pub fn min_token_lifetime(self, life: Duration) -> Self {
        self.with(|policy| policy.access.least_life = LeastLife::Fixed(life))
    }

    /// Sets which `Authorization` field the inner service sees: none by default.
    ///
    /// [`AuthorizationHeader::Bearer`] is for a proxy in front of services that verify Clerk's tokens themselves.
    ///
    /// # Errors
    ///
    /// Returns an error if the header is [`AuthorizationHeader::Bearer`] and the layer
    /// [accepts API keys](Self::accept_api_keys), which have no token.
    pub fn authorization_header(self, header: AuthorizationHeader) -> Result<Self, ConfigError> {
        self.with(|policy| policy.authorization = header).with_checked_field()
    }

    /// Sends the identity of the session to the inner service in header fields: none by default.
    ///
    /// A client's own copies of the fields are removed from every request that passes the layer, also if it has no
    /// session. See [`IdentityHeaders`] for the names.
    pub fn identity_headers(self, headers: IdentityHeaders) -> Self {
        self.with(|policy| policy.identity = Some(Arc::new(headers)))
    }

    /// Sets the realm in the challenge: `api` by default.
    ///
    /// Browsers reuse credentials within a realm, and other clients may show its name
    /// ([RFC 9110, section 11.5](https://www.rfc-editor.org/rfc/rfc9110#section-11.5)).
    ///
    /// # Errors
    ///
    /// Returns an error if the realm isn't printable ASCII.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = Challenge::basic(realm)?;
        Ok(self.with(|policy| policy.challenge = policy.challenge.in_realm_of(&challenge)))
    }

    /// Lets CORS preflights pass as [`Anonymous`](crate::Anonymous): off by default.
    ///
    /// A preflight is an `OPTIONS` request with `Origin` and `Access-Control-Request-Method`; browsers send it without
    /// credentials. A CORS layer outside of this one makes this unnecessary and is the better choice, since preflights
    /// then never reach the inner service. Use it if the inner service answers preflights itself.
    pub fn pass_preflight(self) -> Self {
        self.with(|policy| policy.pass_preflight = true)
    }

    /// Replaces the response builder for rejections.
    ///
    /// It takes a `Fn(&Rejection) -> Response<B> + Clone`, or any other
    /// [`RejectionResponse`](crate::layer::RejectionResponse). The layer sets the headers `Cache-Control`,
    /// `WWW-Authenticate` and `Retry-After` afterwards, and the status unless the builder has chosen one of 4xx or 5xx. A
    /// builder that sets none, as below, gets that of the rejection.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use http::Response;
    /// use tower_clerk::{ClerkBasicAuthLayer, Rejection};
    ///
    /// let layer = ClerkBasicAuthLayer::new(clerk)
    ///     .with_rejection_response(|rejection: &Rejection| Response::new(format!("error: {}\n", rejection.code())));
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn with_rejection_response<T>(self, response: T) -> ClerkBasicAuthLayer<T> {
        self.map_response(|_| response)
    }

    pub(super) fn map_response<T>(self, change: impl FnOnce(R) -> T) -> ClerkBasicAuthLayer<T> {
        ClerkBasicAuthLayer { clerk: self.clerk, policy: self.policy, response: change(self.response) }
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
