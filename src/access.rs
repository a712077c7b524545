//! The session and the token that a caller asks the engine for.

use std::time::Duration;

use crate::scope::{OrganizationName, Scope, TemplateName};

/// The session and the token that [`Clerk::authenticate`](crate::Clerk::authenticate) is asked for.
///
/// It names an organization, a JWT template and a minimum life of the token, each of them optional. A layer makes an
/// `Access` from its own settings, so you need this type only to use the engine without a layer.
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::Access;
///
/// let access = Access::new().organization("acme").min_token_lifetime(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Access {
    pub(crate) scope: Scope,
    pub(crate) least_life: LeastLife,
}

/// The default for the life that a token must have left when a request gets it (rule K2).
const MIN_TOKEN_LIFE: Duration = Duration::from_secs(10);

/// The life that a token must have left when a request gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum LeastLife {
    /// 10 s, or a fifth of its whole life if that is less.
    #[default]
    Usual,
    Fixed(Duration),
    /// Half of its whole life.
    #[cfg(feature = "token-endpoint")]
    Half,
}

impl LeastLife {
    /// The least life of a token that lives for `life` after the request for it.
    pub(crate) fn of(self, life: Duration) -> Duration {
        match self {
            Self::Usual => MIN_TOKEN_LIFE.min(life / 5),
            Self::Fixed(least) => least,
            // `life` lacks the second that the truncation of Clerk's times may have cost.
            #[cfg(feature = "token-endpoint")]
            Self::Half => (life + Duration::from_secs(1)) / 2,
        }
    }
}

impl Access {
    /// Creates an access to the user's personal account, with Clerk's own session token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a session in an organization, given by its id (`org_…`) or slug.
    ///
    /// A user who isn't a member of it is answered
    /// [`OrganizationForbidden`](crate::RejectionKind::OrganizationForbidden). A name that has neither the form of an
    /// id nor of a slug (`[a-z0-9_-]{1,256}`) is answered the same, without a call to Clerk.
    #[must_use]
    pub fn organization(mut self, id_or_slug: impl Into<String>) -> Self {
        self.scope.organization = Some(OrganizationName::parse(&id_or_slug.into()));
        self
    }

    /// Asks for a token of a JWT template instead of Clerk's own session token
    /// (<https://clerk.com/docs/guides/sessions/jwt-templates>).
    ///
    /// A token that can't be minted is an error: the session token never takes its place. A name that doesn't match
    /// `[A-Za-z0-9_-]{1,128}` is answered [`Misconfigured`](crate::RejectionKind::Misconfigured).
    #[must_use]
    pub fn template(mut self, name: impl Into<String>) -> Self {
        self.scope.template = Some(TemplateName::parse(&name.into()));
        self
    }

    /// Sets the minimum life that a token has left when it is returned: 10 s by default, or a fifth of its whole life
    /// if that is less.
    ///
    /// If Clerk's tokens live shorter than this, the answer is
    /// [`Misconfigured`](crate::RejectionKind::Misconfigured).
    #[must_use]
    pub fn min_token_lifetime(mut self, life: Duration) -> Self {
        self.least_life = LeastLife::Fixed(life);
        self
    }
}
