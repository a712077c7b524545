//! What a caller of the engine wants of a session.

use std::time::Duration;

use crate::scope::{OrganizationName, Scope, TemplateName};

/// What a session is wanted for: an organization, a JWT template, a least life of its token.
///
/// The default asks for the user's personal account and Clerk's own session token.
///
/// ```
/// use std::time::Duration;
/// use tower_clerk::Access;
///
/// let access = Access::default().organization("acme").min_token_life(Duration::from_secs(20));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Access {
    pub(crate) scope: Scope,
    pub(crate) min_token_life: Option<Duration>,
}

impl Access {
    /// The user's personal account and Clerk's own session token.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a session in this organization, by id (`org_…`) or slug.
    ///
    /// A user who isn't a member of it is answered [`OrganizationForbidden`](crate::RejectionKind), and so is
    /// what has the shape of neither.
    #[must_use]
    pub fn organization(mut self, id_or_slug: impl Into<String>) -> Self {
        self.scope.organization = Some(OrganizationName::parse(&id_or_slug.into()));
        self
    }

    /// Asks for a token of this JWT template in place of Clerk's own session token.
    ///
    /// A template that cannot be minted is an error; the session token never takes its place.
    #[must_use]
    pub fn template(mut self, name: impl Into<String>) -> Self {
        self.scope.template = Some(TemplateName::parse(&name.into()));
        self
    }

    /// The least life that a token has left when it is handed on.
    ///
    /// By default 10 s, or a fifth of the token's whole life where that is less. Where Clerk's tokens live
    /// shorter than asked for here, requests are answered [`Misconfigured`](crate::RejectionKind::Misconfigured).
    #[must_use]
    pub fn min_token_life(mut self, life: Duration) -> Self {
        self.min_token_life = Some(life);
        self
    }
}
