//! The session that the layer leaves in a request's extensions.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use tokio::time::Instant;

#[cfg(feature = "federation")]
use crate::assurance::Assurance;
use crate::claims::{Claims, ClaimsError};
use crate::organization::Organization;
use crate::token::VerifiedToken;

mod anonymous;
#[cfg(feature = "federation")]
mod assured;

pub use self::anonymous::Anonymous;

/// The Clerk session of a signed-in user, with its verified JWT.
///
/// The layer inserts it into the request's extensions; [`Clerk::authenticate`](crate::Clerk::authenticate) returns it.
/// It is a snapshot of the session when the request came: a later renewal or revocation doesn't change it. Cloning it
/// copies a pointer and an instant.
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
pub struct ClerkSession {
    inner: Arc<Counted>,
    /// When Clerk last accepted the password of the request. `None` for a session that no password was proven for.
    proven_at: Option<ProvenAt>,
    /// The words of the assertion's provider about its subject.
    #[cfg(feature = "federation")]
    assurance: Option<Arc<Assurance>>,
}

/// A session whose references are counted apart from those of its other clones.
struct Counted(Arc<Inner>);

struct Inner {
    /// Unless the token itself has it, as all tokens of Clerk's own do.
    session_id: Option<Box<str>>,
    /// `None` for a session token that the client presented itself.
    via: Option<ClerkApi>,
    token: VerifiedToken,
    /// When the token expires. By the monotonic clock, which a wrong wall clock doesn't affect.
    good_until: Instant,
    /// Set if the token itself names no organization, as the token of a template may do.
    organization: Option<Box<Organization>>,
}

impl ClerkSession {
    pub(crate) fn new(
        session_id: &str,
        via: Option<ClerkApi>,
        token: VerifiedToken,
        good_until: Instant,
        organization: Option<Organization>,
    ) -> Self {
        let is_in_token = token.claims().session_id() == Some(session_id);
        let session_id = (!is_in_token).then(|| session_id.into());
        let inner = Inner { session_id, via, token, good_until, organization: organization.map(Box::new) };
        Self {
            inner: Arc::new(Counted(Arc::new(inner))),
            proven_at: None,
            #[cfg(feature = "federation")]
            assurance: None,
        }
    }

    /// The same session, whose clones don't count together with those of this one. A count that two threads share makes
    /// each clone several times as expensive.
    pub(crate) fn counted_apart(&self) -> Self {
        let mut session = self.clone();
        session.inner = Arc::new(Counted(Arc::clone(&self.inner.0)));
        session
    }

    /// The same session, for a request whose password was last proven at this instant.
    pub(crate) fn proven(mut self, at: ProvenAt) -> Self {
        self.proven_at = Some(at);
        self
    }

    /// Returns which of Clerk's APIs verified the password, or `None` if the request carried no password but a session
    /// token, as `Bearer`.
    #[must_use]
    pub fn via(&self) -> Option<ClerkApi> {
        self.inner.0.via
    }

    /// Returns the instant at which Clerk last accepted the password of this request, or `None` if the request carried
    /// no password but a session token, as `Bearer`. For an assertion it is the time at which its subject was authenticated,
    /// and `None` for a person whose provider doesn't tell (`auth_time`).
    ///
    /// The engine proves a password again after [`session_ttl`](crate::ClerkBuilder::session_ttl), 1 h by default, and
    /// a little earlier in the background. For an operation that needs a recent proof, compare it with a shorter time:
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_clerk::ClerkSession;
    ///
    /// fn is_recent(session: &ClerkSession) -> bool {
    ///     session.proven_at().is_some_and(|at| at.elapsed() < Duration::from_secs(5 * 60))
    /// }
    /// ```
    #[must_use]
    pub fn proven_at(&self) -> Option<Instant> {
        self.proven_at.map(ProvenAt::instant)
    }

    /// Returns the id of the user, `user_…`.
    ///
    /// It never changes, so it is the key to store your own data of a user under.
    #[must_use]
    pub fn user_id(&self) -> &str {
        self.claims().subject()
    }

    /// Returns the id of the Clerk session, `sess_…`.
    ///
    /// Requests with the same credentials share a session, until the engine replaces it. The id is empty for a token of a
    /// JWT template that a client presented as `Bearer`, since such a token names no session.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.inner.0.session_id.as_deref().or_else(|| self.claims().session_id()).unwrap_or_default()
    }

    /// Returns the JWT, to send on to services that verify Clerk's tokens themselves.
    ///
    /// It authenticates the user until [`expires_at`](Self::expires_at), so keep it out of logs. It has at least
    /// [`min_token_lifetime`](crate::ClerkBasicAuthLayer::min_token_lifetime) left when the request reaches the handler: 10 s
    /// by default, or a fifth of its whole life if that is less. A token that the client presented itself, as `Bearer`, may
    /// have less.
    #[must_use]
    pub fn token(&self) -> &str {
        self.inner.0.token.jwt()
    }

    /// Returns the time at which the token expires, by Clerk's clock.
    ///
    /// This is the `exp` claim. The session itself usually lives longer: the engine renews the token for later
    /// requests.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
            .checked_add(Duration::from_secs(self.claims().expires_at()))
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    pub(crate) fn good_until(&self) -> Instant {
        self.inner.0.good_until
    }

    /// Returns the organization that the session is for, or `None` for the user's personal account.
    #[must_use]
    pub fn organization(&self) -> Option<&Organization> {
        self.inner.0.organization.as_deref().or_else(|| self.claims().organization())
    }

    /// Returns the claims of the verified token that Clerk defines.
    ///
    /// Use [`custom_claims`](Self::custom_claims) for claims of your own.
    #[must_use]
    pub fn claims(&self) -> &Claims {
        self.inner.0.token.claims()
    }

    /// Deserializes the token's payload into a type of your own.
    ///
    /// Use it for claims that you have added to session tokens or to a JWT template in Clerk's dashboard
    /// (<https://clerk.com/docs/guides/sessions/customize-session-tokens>). Each call decodes the payload again, which
    /// takes microseconds; the session in memory stays small for it.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload doesn't fit the type.
    ///
    /// ```
    /// # fn example(session: tower_clerk::ClerkSession) -> Result<(), tower_clerk::error::ClaimsError> {
    /// #[derive(serde::Deserialize)]
    /// struct Plan {
    ///     tier: String,
    /// }
    ///
    /// let plan: Plan = session.custom_claims()?;
    /// println!("{} is on {}", session.user_id(), plan.tier);
    /// # Ok(())
    /// # }
    /// ```
    pub fn custom_claims<T: DeserializeOwned>(&self) -> Result<T, ClaimsError> {
        self.inner.0.token.deserialize()
    }

    /// The `oiat` of the token's header, or its `iat` if there is none: the time that its claims are from.
    pub(crate) fn origin_issued_at(&self) -> u64 {
        self.inner.0.token.origin_issued_at().unwrap_or_else(|| self.claims().issued_at())
    }

    /// Returns whether the user has this role in the session's organization: a [`Role`](crate::Role), or its name.
    ///
    /// The `org:` in front of a name may be missing. It is `false` for the personal account. To check more, or before
    /// the handler runs, use a [`guard`](crate::guard).
    #[must_use]
    pub fn has_role(&self, role: impl AsRef<str>) -> bool {
        self.organization().is_some_and(|organization| organization.has_role(role))
    }

    /// Returns whether the user has this permission in the session's organization: a [`Permission`](crate::Permission),
    /// or its name.
    ///
    /// The `org:` in front of a name may be missing. It is `false` for the personal account.
    #[must_use]
    pub fn has_permission(&self, permission: impl AsRef<str>) -> bool {
        self.organization().is_some_and(|organization| organization.has_permission(permission))
    }
}

/// When a password was proven: milliseconds after an instant. The sum is left to those who ask, for a hit has no use for
/// it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProvenAt {
    pub(crate) start: Instant,
    pub(crate) after: u32,
}

impl ProvenAt {
    pub(crate) fn instant(self) -> Instant {
        self.start + Duration::from_millis(self.after.into())
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

/// Which of Clerk's APIs an engine verifies passwords with.
///
/// The Frontend API is the default; [`ClerkBuilder::secret_key`](crate::ClerkBuilder::secret_key) selects the Backend
/// API. The [crate docs](crate#two-apis) compare the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClerkApi {
    /// The Frontend API: each proof of a password is a sign-in.
    Frontend,
    /// The Backend API, with the instance's secret key: a sign-in is needed once in the life of a Clerk session.
    Backend,
}

impl ClerkApi {
    /// Returns the name that logs and metrics use: `frontend` or `backend`.
    ///
    /// It is stable.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
        }
    }
}
