use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use http::request::Parts;

use super::client::ClientAuthentication;
use super::error::TokenError;
use super::form::Form;
use super::request::{TokenRequest, is_scope};
use crate::access::{Access, LeastLife};
use crate::credentials::Decoding;
use crate::engine::Clerk;
use crate::engine::builder::ConfigError;
use crate::layer::{SourceFn, source_fn};
use crate::rejection::Challenge;
use crate::scope::{OrganizationName, TemplateName};

type AccessFn = Arc<dyn Fn(&TokenRequest<'_>) -> Option<Access> + Send + Sync>;
type ErrorFn = Arc<dyn Fn(TokenError) -> TokenError + Send + Sync>;

/// Service that answers token requests with Clerk's JWTs, by the grant `client_credentials`, and on request by token exchange.
///
/// It takes any request body. Mount it by `route_service` of axum,
/// or serve it by itself; it looks at no path. The [module docs](super) list the steps and the answers.
///
/// Its clones, and layers on the same engine, share the sessions: a client that sends its password to a
/// [layer](crate::ClerkBasicAuthLayer), too, is signed in once.
///
/// ```
/// use tower_clerk::Clerk;
/// use tower_clerk::token_endpoint::TokenEndpoint;
///
/// let clerk = Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
/// let endpoint = TokenEndpoint::new(clerk).organization("acme")?.form_encoded_credentials();
/// # Ok::<(), tower_clerk::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct TokenEndpoint {
    clerk: Clerk,
    policy: Arc<Policy>,
}

#[derive(Clone)]
pub(super) struct Policy {
    pub(super) client: ClientAuthentication,
    access: Access,
    access_from: Option<AccessFn>,
    source: Option<SourceFn>,
    map_errors: Option<ErrorFn>,
    pub(super) challenge: Challenge,
    pub(super) grants: Grants,
    #[cfg(feature = "federation")]
    pub(super) nonce: Option<super::exchange::NonceFn>,
}

/// The grants that an endpoint accepts.
#[derive(Clone, Copy)]
pub(super) struct Grants {
    pub(super) client_credentials: bool,
    #[cfg(feature = "federation")]
    pub(super) token_exchange: bool,
}

impl TokenEndpoint {
    /// Creates an endpoint on an engine.
    ///
    /// Credentials are HTTP Basic without further encoding, tokens are Clerk's session tokens for the user's personal
    /// account, and the realm is `api`.
    pub fn new(clerk: Clerk) -> Self {
        let policy = Policy {
            client: ClientAuthentication { decoding: Decoding::PLAIN, in_form: false },
            access: Access::default(),
            access_from: None,
            source: None,
            map_errors: None,
            challenge: Challenge::default(),
            grants: Grants {
                client_credentials: true,
                #[cfg(feature = "federation")]
                token_exchange: false,
            },
            #[cfg(feature = "federation")]
            nonce: None,
        };
        Self { clerk, policy: Arc::new(policy) }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(Arc::make_mut(&mut self.policy));
        self
    }

    pub(super) fn clerk(&self) -> &Clerk {
        &self.clerk
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Decodes identifier and password inside the Basic token from `application/x-www-form-urlencoded`: off by default.
    ///
    /// [RFC 6749, section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) has clients encode them that way,
    /// and OAuth libraries do. Other clients, `curl -u` among them, send them as they are. The two differ for `+`, `%` and
    /// characters that a form escapes: as they are, `user+tag@x.io` is that account; decoded, it is `user tag@x.io`. An
    /// endpoint has one way, since trying both would make two attempts of one, and a `+` in a password ambiguous. Tell your
    /// clients which.
    pub fn form_encoded_credentials(self) -> Self {
        self.with(|policy| policy.client.decoding.form = true)
    }

    /// Accepts credentials as `client_id` and `client_secret` in the form, beside HTTP Basic: off by default.
    ///
    /// [RFC 6749, section 2.3.1](https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1) advises against it, as bodies are
    /// logged more often than the `Authorization` field is. Some clients can send nothing else.
    pub fn credentials_in_form(self) -> Self {
        self.with(|policy| policy.client.in_form = true)
    }

    /// Mints tokens for an organization, given by its id (`org_…`) or slug.
    ///
    /// A user who isn't a member of it is answered [`UnauthorizedClient`](super::TokenErrorCode::UnauthorizedClient).
    ///
    /// # Errors
    ///
    /// Returns an error if the name has neither the form of an id nor of a slug (`[a-z0-9_-]{1,256}`).
    pub fn organization(self, id_or_slug: impl Into<String>) -> Result<Self, ConfigError> {
        let organization = OrganizationName::checked(id_or_slug.into())?;
        Ok(self.with(|policy| policy.access.scope.organization = Some(organization)))
    }

    /// Mints tokens of this JWT template instead of session tokens
    /// (<https://clerk.com/docs/guides/sessions/jwt-templates>).
    ///
    /// A layer that is to accept these tokens has to
    /// [name the template](crate::BearerTokens::template) and its audience.
    ///
    /// # Errors
    ///
    /// Returns an error if the name can't be the name of a template: it must match `[A-Za-z0-9_-]{1,128}`.
    pub fn template(self, name: impl Into<String>) -> Result<Self, ConfigError> {
        let template = TemplateName::checked(name.into())?;
        Ok(self.with(|policy| policy.access.scope.template = Some(template)))
    }

    /// Chooses organization and template by the `scope` and the `audience` of each request, in place of
    /// [`organization`](Self::organization) and [`template`](Self::template).
    ///
    /// The function lists what the endpoint serves: a request for which it returns `None` is answered
    /// [`InvalidScope`](super::TokenErrorCode::InvalidScope). So is one for an organization that the user isn't a member
    /// of. In both cases the password is verified first, so the answer tells a client without one nothing about the list.
    /// The function also decides about requests with neither parameter. A token always has half of its life left, whatever
    /// [`min_token_lifetime`](Access::min_token_lifetime) says.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::Access;
    /// use tower_clerk::token_endpoint::TokenEndpoint;
    ///
    /// let endpoint = TokenEndpoint::new(clerk).access_from(|request| match request.scope() {
    ///     None => Some(Access::new()),
    ///     Some("acme") => Some(Access::new().organization("acme")),
    ///     Some("acme:reports") => Some(Access::new().organization("acme").template("reports")),
    ///     Some(_) => None,
    /// });
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn access_from<F>(self, access: F) -> Self
    where
        F: Fn(&TokenRequest<'_>) -> Option<Access> + Send + Sync + 'static,
    {
        self.with(|policy| policy.access_from = Some(Arc::new(access)))
    }

    /// Tells the endpoint which source a request comes from, so that permits of the sign-in budget are shared fairly
    /// between sources.
    ///
    /// It is [that of a layer](crate::ClerkBasicAuthLayer::source_key), which says more about it. There is no default, and
    /// no header is trusted.
    pub fn source_key<F, K>(self, source: F) -> Self
    where
        F: Fn(&Parts) -> Option<K> + Send + Sync + 'static,
        K: Hash,
    {
        self.with(|policy| policy.source = Some(source_fn(source)))
    }

    /// Sets the realm in the challenge: `api` by default.
    ///
    /// # Errors
    ///
    /// Returns an error if the realm isn't printable ASCII.
    pub fn realm(self, realm: &str) -> Result<Self, ConfigError> {
        let challenge = Challenge::basic(realm)?;
        Ok(self.with(|policy| policy.challenge = challenge))
    }

    /// Changes the code or the status of errors before they are answered.
    ///
    /// Use it where a network's rules differ from RFC 6749. The body, `Cache-Control`, `WWW-Authenticate` and `Retry-After`
    /// follow from the result. No status but 4xx and 5xx can be set.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use http::StatusCode;
    /// use tower_clerk::token_endpoint::{TokenEndpoint, TokenErrorCode};
    ///
    /// // The PACT network wants 400 `invalid_request` for refused credentials.
    /// let endpoint = TokenEndpoint::new(clerk).map_errors(|error| match error.code() {
    ///     TokenErrorCode::InvalidClient => {
    ///         error.with_code(TokenErrorCode::InvalidRequest).with_status(StatusCode::BAD_REQUEST)
    ///     }
    ///     _ => error,
    /// });
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn map_errors<F>(self, map: F) -> Self
    where
        F: Fn(TokenError) -> TokenError + Send + Sync + 'static,
    {
        self.with(|policy| policy.map_errors = Some(Arc::new(map)))
    }
}

impl Policy {
    /// The access that a request asks for. A token handed out has half of its life left, so that a client can use it.
    pub(super) fn access_of(&self, form: &Form<'_>) -> Result<Access, TokenError> {
        let (scope, audience) = (form.text("scope")?, form.text("audience")?);
        if scope.as_deref().is_some_and(|scope| !is_scope(scope)) {
            return Err(TokenError::invalid_scope("the scope is malformed"));
        }
        let mut access = match &self.access_from {
            Some(access_from) => {
                let request = TokenRequest { scope: scope.as_deref(), audience: audience.as_deref() };
                access_from(&request).unwrap_or_else(unlisted)
            }
            None if scope.is_some() => {
                return Err(TokenError::invalid_scope(
                    "this endpoint has no scopes: leave the parameter out",
                ));
            }
            None => self.access.clone(),
        };
        access.least_life = LeastLife::Half;
        Ok(access)
    }

    /// Whether each request chooses its access.
    pub(super) fn chooses_access(&self) -> bool {
        self.access_from.is_some()
    }

    pub(super) fn source_of(&self, parts: &Parts) -> Option<u64> {
        self.source.as_ref().and_then(|source| source(parts))
    }

    pub(super) fn mapped(&self, error: TokenError) -> TokenError {
        match &self.map_errors {
            Some(map) => map(error),
            None => error,
        }
    }
}

/// An access that is refused once the password is verified (rule A8).
fn unlisted() -> Access {
    let mut access = Access::new();
    access.scope.organization = Some(OrganizationName::Unlisted);
    access
}

impl fmt::Debug for TokenEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Policy { client, access, access_from, challenge, .. } = &*self.policy;
        f.debug_struct("TokenEndpoint")
            .field("client", client)
            .field("access", access)
            .field("access_from", &access_from.as_ref().map(|_| "<fn>"))
            .field("challenge", challenge)
            .finish_non_exhaustive()
    }
}
