use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, Request, Response};
use tower_layer::Layer;

use super::dimension::{Dimension, Remedy, Unmet};
use super::requirement::Requirement;
use super::response::ReverificationJson;
use super::service::Require;
use crate::api_keys::ClerkApiKey;
use crate::engine::{Clerk, ConfigError};
use crate::layer::{ClerkBasicAuthLayer, EmptyBody, RejectionResponse, respond};
use crate::rejection::Challenge;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::{Anonymous, ClerkSession};

/// Layer that lets only sessions and API keys in that meet a [`Requirement`], with the [`Require`] middleware.
///
/// [`ClerkBasicAuthLayer::require`] makes it, and it stands inside of that layer. See the [module docs](crate::guard)
/// for an example. Cloning it copies a pointer and the builder of rejections.
#[derive(Clone)]
#[must_use]
pub struct RequireLayer<R = EmptyBody> {
    guard: Arc<Guard>,
    response: R,
}

struct Guard {
    requirement: Requirement,
    clerk: Clerk,
    challenge: Challenge,
}

impl<R: Clone> ClerkBasicAuthLayer<R> {
    /// Creates a guard, which answers 403 [`Forbidden`](RejectionKind::Forbidden) unless the session meets a
    /// requirement.
    ///
    /// The guard stands inside of this layer, around one route or several. It answers as this layer does, with its body
    /// and its challenge, so make it after the layer's settings. It judges whichever session the layer in front of it
    /// has left, and doesn't repeat that layer's own checks: behind a layer for another organization, it judges roles
    /// of that one. Behind a layer without an organization, sessions are for the personal account, so a role or a
    /// permission refuses every user who signs in there.
    ///
    /// For a single route of axum, pass both as a tuple, the outer one first: `get(handler).layer((layer, admin))`. Two
    /// calls, `get(handler).layer(admin).layer(layer)`, don't compile: axum asks for the type of an error in between
    /// ("cannot infer type of the type parameter `NewError`").
    ///
    /// # Errors
    ///
    /// Returns an error if the requirement asks for nothing, or if a name or a time in it is malformed.
    ///
    /// ```
    /// use axum::{Router, routing::get};
    /// use tower_clerk::{ClerkBasicAuthLayer, Requirement, Role};
    ///
    /// const ADMIN: Role = Role::new("org:admin");
    ///
    /// # fn app(clerk: tower_clerk::Clerk) -> Result<Router, tower_clerk::ConfigError> {
    /// let layer = ClerkBasicAuthLayer::new(clerk).organization("acme")?;
    /// let admin = layer.require(Requirement::new().role(ADMIN))?;
    /// let app = Router::new()
    ///     .route("/admin", get(async || "hello, admin").layer(admin))
    ///     .route("/", get(async || "hello, member"))
    ///     .layer(layer);
    /// # Ok(app)
    /// # }
    /// ```
    pub fn require(&self, requirement: Requirement) -> Result<RequireLayer<R>, ConfigError> {
        requirement.validate().map_err(ConfigError::Requirement)?;
        let (clerk, challenge, response) = self.for_guard();
        let guard = Guard { requirement, clerk: clerk.clone(), challenge: challenge.clone() };
        Ok(RequireLayer { guard: Arc::new(guard), response: response.clone() })
    }
}

impl<R> RequireLayer<R> {
    /// Judges a session as the guard does, in a handler for example.
    ///
    /// A handler that checks once more what the guard in front of it has checked stays safe if its route is ever moved
    /// from behind the guard. It is also for checks that depend on the request's body. The log has a refusal at debug.
    ///
    /// # Errors
    ///
    /// Returns the rejection that the guard would answer with; [`respond`] makes a response of it.
    ///
    /// ```
    /// use tower_clerk::guard::RequireLayer;
    /// use tower_clerk::{ClerkSession, Rejection};
    ///
    /// fn delete(session: &ClerkSession, admins: &RequireLayer, dry_run: bool) -> Result<&'static str, Rejection> {
    ///     if dry_run {
    ///         return Ok("would delete");
    ///     }
    ///     admins.check(session)?;
    ///     Ok("deleted")
    /// }
    /// ```
    pub fn check(&self, session: &ClerkSession) -> Result<(), Rejection> {
        let guard = &*self.guard;
        guard.requirement.judge(session, &guard.clerk).map_err(|unmet| forbidden(session, &unmet))
    }

    /// Judges an API key as the guard does, in a handler for example.
    ///
    /// # Errors
    ///
    /// Returns the rejection that the guard would answer with; [`respond`] makes a response of it.
    ///
    /// ```
    /// use tower_clerk::guard::RequireLayer;
    /// use tower_clerk::{ClerkApiKey, Rejection};
    ///
    /// fn delete(key: &ClerkApiKey, managers: &RequireLayer) -> Result<&'static str, Rejection> {
    ///     managers.check_api_key(key)?;
    ///     Ok("deleted")
    /// }
    /// ```
    pub fn check_api_key(&self, key: &ClerkApiKey) -> Result<(), Rejection> {
        self.guard.requirement.judge_key(key).map_err(|unmet| forbidden_to_key(key, unmet))
    }

    /// Answers a session that lacks nothing but a reverification in the form of Clerk's `reverificationErrorResponse`,
    /// for browser clients.
    ///
    /// Clerk's `useReverification()` recognizes it, lets the user verify a factor and repeats the request
    /// (<https://clerk.com/docs/guides/secure/reverification>). Other rejections are answered as before, and so are
    /// gRPC requests behind a layer with [`grpc_rejections`](ClerkBasicAuthLayer::grpc_rejections). The response
    /// body of the inner service must implement `From<String>`. For any other, a renderer of your own can read what is
    /// demanded from [`Rejection::reverification`], by
    /// [`with_rejection_response`](ClerkBasicAuthLayer::with_rejection_response) of the layer.
    ///
    /// ```
    /// # let clerk = tower_clerk::Clerk::builder("pk_test_ZXhhbXBsZS5hY2NvdW50cy5kZXYk").build()?;
    /// use tower_clerk::guard::Reverification;
    /// use tower_clerk::{ClerkBasicAuthLayer, Requirement};
    ///
    /// let strict = Requirement::new().reverification(Reverification::Strict);
    /// let guard = ClerkBasicAuthLayer::new(clerk).require(strict)?.reverification_json();
    /// # Ok::<(), tower_clerk::ConfigError>(())
    /// ```
    pub fn reverification_json(self) -> RequireLayer<ReverificationJson<R>> {
        RequireLayer { guard: self.guard, response: ReverificationJson::new(self.response) }
    }

    /// Judges what the layer outside has left in a request's extensions.
    pub(super) fn judge<B>(&self, request: &Request<B>) -> Result<(), Rejection> {
        let extensions = request.extensions();
        if let Some(session) = extensions.get::<ClerkSession>() {
            return self.check(session);
        }
        if let Some(key) = extensions.get::<ClerkApiKey>() {
            return self.check_api_key(key);
        }
        if extensions.get::<Anonymous>().is_some() {
            return Err(Rejection::new(RejectionKind::CredentialsMissing));
        }
        self.guard.clerk.log_missing_layer(request);
        Err(Rejection::new(RejectionKind::Misconfigured))
    }

    pub(super) fn rejected<B>(&self, rejection: Rejection, request: &HeaderMap) -> Response<B>
    where
        R: RejectionResponse<B>,
    {
        self.guard.clerk.log_rejection(&rejection);
        respond(rejection, &self.response, &self.guard.challenge, request)
    }
}

/// The rejection of a session. The client learns only what it can act on (rule A9).
fn forbidden(session: &ClerkSession, unmet: &Unmet<'_>) -> Rejection {
    tracing::debug!(
        target: "tower_clerk::rejection",
        user_id = session.user_id(), required = %unmet, "a guard refuses the session"
    );
    let rejection = Rejection::new(RejectionKind::Forbidden);
    let rejection = if session.via().is_none() { rejection.for_bearer_session() } else { rejection };
    match unmet.remedy {
        None => rejection,
        Some(Remedy::SecondFactor) => rejection.detail_of("a second factor is required"),
        Some(Remedy::Reverification(reverification)) => {
            rejection.detail_of("the user has to verify a factor again").demanding(reverification)
        }
    }
}

/// The rejection of an API key, which tells the client neither scopes nor roles that it lacks.
fn forbidden_to_key(key: &ClerkApiKey, unmet: &Dimension) -> Rejection {
    tracing::debug!(
        target: "tower_clerk::rejection",
        api_key_id = key.id(), subject = key.subject(), required = %unmet, "a guard refuses the API key"
    );
    Rejection::new(RejectionKind::Forbidden)
}

impl<S, R: Clone> Layer<S> for RequireLayer<R> {
    type Service = Require<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        Require::new(inner, self.clone())
    }
}

impl<R> fmt::Debug for RequireLayer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireLayer").field("requirement", &self.guard.requirement).finish_non_exhaustive()
    }
}
