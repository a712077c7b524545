//! What a caller of the engine wants of a session.

use std::time::Duration;

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
    pub(crate) organization: Option<Box<str>>,
    pub(crate) template: Option<Box<str>>,
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
        self.organization = Some(id_or_slug.into().into_boxed_str());
        self
    }

    /// Asks for a token of this JWT template in place of Clerk's own session token.
    ///
    /// A template that cannot be minted is an error; the session token never takes its place (rule S8).
    #[must_use]
    pub fn template(mut self, name: impl Into<String>) -> Self {
        self.template = Some(name.into().into_boxed_str());
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

    /// Whether it asks for what a sign-in brings along anyway: no organization, no template.
    pub(crate) fn is_plain(&self) -> bool {
        self.organization.is_none() && self.template.is_none()
    }
}

/// How an organization was named: by its id or by its slug (rule S7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrganizationRef<'a> {
    Id(&'a str),
    Slug(&'a str),
}

impl<'a> OrganizationRef<'a> {
    /// `org_` and 1-64 alphanumerics, or a slug of `[a-z0-9_-]{1,256}`; nothing else ever reaches Clerk.
    pub(crate) fn parse(name: &'a str) -> Option<Self> {
        if let Some(rest) = name.strip_prefix("org_")
            && (1..=64).contains(&rest.len())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Some(Self::Id(name));
        }
        let slug = (1..=256).contains(&name.len())
            && name.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
            });
        slug.then_some(Self::Slug(name))
    }
}

/// Whether a JWT template's name can stand in a path: `[A-Za-z0-9_-]{1,128}`.
pub(crate) fn is_template_name(name: &str) -> bool {
    (1..=128).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s7_an_organization_is_checked_for_shape() {
        assert_eq!(OrganizationRef::parse("org_2abC"), Some(OrganizationRef::Id("org_2abC")));
        assert_eq!(OrganizationRef::parse("acme-inc_2"), Some(OrganizationRef::Slug("acme-inc_2")));
        // Not an id, but a slug may begin like one.
        assert_eq!(OrganizationRef::parse("org_a-b"), Some(OrganizationRef::Slug("org_a-b")));
        for bad in ["", "Acme", "acme inc", "../acme", "acme/x", "org_", "org_Ä", "a%2fb", "acme?x=1"] {
            // `org_` alone has the shape of a slug; everything else here has no shape at all.
            assert_eq!(OrganizationRef::parse(bad).is_some(), bad == "org_", "{bad}");
        }
        assert_eq!(OrganizationRef::parse(&"a".repeat(257)), None);
    }
}
